"""The tensors of one module for a weight of 4 x 4 or 4 x 4 x 3 x 3, in every algorithm, and a model of such weights."""

import numpy as np

from pochade import files

_SHAPES = {
    "model.diffusion_model.input_blocks.1.1.proj_in.weight": (4, 4, 1, 1),
    "model.diffusion_model.middle_block.1.transformer_blocks.0.attn1.to_q.weight": (4, 4),
    "model.diffusion_model.middle_block.0.in_layers.2.weight": (4, 4, 3, 3),
    "cond_stage_model.transformer.text_model.encoder.layers.3.mlp.fc1.weight": (4, 4),
}
NARROW = {
    "lora": {"lora_up.weight": (4, 2), "lora_down.weight": (2, 4), "alpha": ()},
    "loha": {"hada_w1_a": (4, 2), "hada_w1_b": (2, 4), "hada_w2_a": (4, 2), "hada_w2_b": (2, 4), "alpha": ()},
    "lokr": {"lokr_w1": (2, 2), "lokr_w2_a": (2, 1), "lokr_w2_b": (1, 2), "alpha": ()},
    "full": {"diff": (4, 4)},
    "dora": {"lora_up.weight": (4, 2), "lora_down.weight": (2, 4), "dora_scale": (4, 1), "alpha": ()},
    "dora-in": {"lora_up.weight": (4, 2), "lora_down.weight": (2, 4), "dora_scale": (1, 4), "alpha": ()},
    "loha-dora": {
        "hada_w1_a": (4, 2), "hada_w1_b": (2, 4), "hada_w2_a": (4, 2), "hada_w2_b": (2, 4), "dora_scale": (4, 1)
    },
    "ia3": {"weight": (4,), "on_input": ()},
    "glora": {"a1.weight": (4, 2), "a2.weight": (2, 4), "b1.weight": (4, 2), "b2.weight": (2, 4), "alpha": ()},
    "oft": {"oft_blocks": (2, 2, 2), "rescale": (4, 1)},
    "boft": {"oft_blocks": (2, 2, 2, 2)},
}  # fmt: skip
WIDE = {
    "locon": {"lora_up.weight": (4, 2, 1, 1), "lora_down.weight": (2, 4, 3, 3), "alpha": ()},
    "tucker": {"lora_up.weight": (4, 2, 1, 1), "lora_mid.weight": (2, 2, 3, 3), "lora_down.weight": (2, 4, 1, 1)},
    "loha": {"hada_w1_a": (4, 2), "hada_w1_b": (2, 36), "hada_w2_a": (4, 2), "hada_w2_b": (2, 36)},
    "lokr": {"lokr_w1": (2, 2), "lokr_w2": (2, 2, 3, 3)},
    "full": {"diff": (4, 4, 3, 3)},
    "dora": {"lora_up.weight": (4, 2, 1, 1), "lora_down.weight": (2, 4, 3, 3), "dora_scale": (4, 1, 1, 1)},
}
DEPENDENT = ("dora", "dora-in", "loha-dora", "ia3", "glora", "oft", "boft")


def parts(module, algorithm, seed=1, wide=False):
    """Random tensors by their names in a file."""
    rng = np.random.default_rng(seed)
    shapes = (WIDE if wide else NARROW)[algorithm]
    arrays = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    fixed = {"alpha": np.array(1, np.float32), "on_input": np.array(False)}
    return {f"{module}.{name}": fixed.get(name, array) for name, array in arrays.items()}


def model(tmp_path):
    """Save a little model of Stable Diffusion 1's names; return its path and its arrays."""
    rng = np.random.default_rng(7)
    arrays = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in _SHAPES.items()}
    return files.save(tmp_path / "model.safetensors", arrays), arrays
