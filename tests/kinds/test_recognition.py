"""What a file is follows from names and shapes."""

import pytest

from pochade import kinds
from pochade.families import SD1, SD2, SDXL
from pochade.kinds import checkpoint, embedding, hypernetwork, lora
from pochade.kinds.components import components

from ..families.manifests import part, shapes, without

FULL = shapes("sd15.ldm")
LORA = shapes("lora-kohya-sd15-r8")
VAE = part(FULL, "first_stage_model.")


@pytest.mark.parametrize(
    ("kind", "tensors"),
    [
        ("checkpoint", FULL),
        ("checkpoint", without(FULL, "model.diffusion_model.")),
        ("checkpoint", without(FULL, "first_stage_model.")),
        ("checkpoint", shapes("sdxl-base.ldm")),
        ("checkpoint", without(FULL, "model")),
        ("unet", without(FULL, "cond_stage_model.", "first_stage_model.")),
        ("unet", part(FULL, "model.diffusion_model.")),
        ("vae", VAE),
        ("vae", {f"first_stage_model.{name}": shape for name, shape in VAE.items()}),
        ("text-encoder", part(FULL, "cond_stage_model.transformer.")),
        ("lora", LORA),
        ("lora", shapes("locon-kohya-sd15-r8c4")),
        ("lora", {"unet.down_blocks.0.attentions.0.proj_in.lora_A.weight": (4, 8)}),
        ("lora", {"lora_te_x.on_input": (), "lora_te_x.weight": (8,)}),
        ("lora", {"lora_te_x.w_norm": (8,)}),
        ("embedding", {"string_to_param.*": (8, 768)}),
        ("embedding", {"emb_params": (8, 768)}),
        ("embedding", {"clip_l": (8, 768), "clip_g": (8, 1280)}),
        ("embedding", {"<cat>": (768,)}),
        ("hypernetwork", {"320.0.linear.0.weight": (640, 320), "320.1.linear.0.weight": (640, 320)}),
        ("controlnet", {"control_model.zero_convs.0.0.weight": (320, 320, 1, 1)}),
        ("controlnet", part(FULL, "model.diffusion_model.") | {"zero_convs.0.0.weight": (320, 320, 1, 1)}),
        ("controlnet", {"controlnet_cond_embedding.conv_in.weight": (16, 3, 3, 3), "down_blocks.0.x": (1,)}),
        ("controlnet", {"conv_in.weight": (320, 64, 3, 3), "body.0.block1.weight": (320, 320, 3, 3)}),
        ("controlnet", {"adapter.body.0.in_conv.weight": (80, 192, 1, 1), "adapter.body.0.out_conv.weight": (320,)}),
        ("upscaler", {"conv_first.weight": (64, 3, 3, 3)}),
        ("upscaler", {"model.0.weight": (64, 3, 3, 3), "model.1.sub.0.RDB1.conv1.0.weight": (32, 64, 3, 3)}),
        ("upscaler", {"body.0.weight": (64, 3, 3, 3), "body.1.weight": (64,)}),
        ("unknown", {"body.0.weight": (64, 3, 3, 3), "body.1.weight": (64, 64, 3, 3)}),
        ("unknown", {"weight": (3, 3)}),
        ("unknown", {}),
    ],
)
def test_kinds(kind, tensors):
    assert kinds.recognise(tensors) == kind


@pytest.mark.parametrize(
    ("algorithm", "tensors"),
    [
        ("lora", LORA),
        ("locon", shapes("locon-kohya-sd15-r8c4")),
        ("locon", {"a.lora_down.weight": (4, 8, 1, 1), "a.lora_mid.weight": (4, 4, 3, 3)}),
        ("dora", {"a.lora_down.weight": (4, 8), "a.dora_scale": (8, 1)}),
        ("loha", {"a.hada_w1_a": (8, 4)}),
        ("lokr", {"a.lokr_w1": (4, 4), "a.lokr_w2_a": (4, 4)}),
        ("glora", {"a.a1.weight": (8, 4)}),
        ("ia3", {"a.weight": (8,), "a.on_input": ()}),
        ("oft", {"a.oft_blocks": (4, 8, 8)}),
        ("boft", {"a.oft_blocks": (2, 4, 8, 8)}),
        ("full", {"a.diff": (8, 8)}),
        ("norm", {"a.w_norm": (8,)}),
        (None, {"a.weight": (8, 8)}),
    ],
)
def test_algorithms(algorithm, tensors):
    assert lora.algorithm(tensors) == algorithm


def test_dylora_is_told_by_its_metadata_only():
    assert lora.algorithm(LORA, {"ss_network_args": '{"algo": "dylora"}'}) == "dylora"


def test_rank_and_family_of_a_lora():
    assert lora.rank(LORA) == 8
    assert lora.rank({"a.diff": (8, 8)}) is None
    assert lora.rank({"a.lokr_w1": (16, 16), "a.lokr_w2_a": (20, 4), "a.lokr_w2_b": (4, 48)}) == 4
    assert lora.family_of(LORA) is SD1
    assert lora.family_of({name: shape for name, shape in LORA.items() if name.startswith("lora_te_")}) is SD1
    assert lora.family_of({"lora_unet_x_proj_in.lora_down.weight": (8, 320)}) is SD2
    assert lora.family_of({"lora_unet_x_attn2_to_k.lora_down.weight": (8, 768)}) is SD1
    assert lora.family_of({"lora_unet_x_attn2_to_k.lora_down.weight": (8, 1024)}) is SD2
    assert lora.family_of({"lora_unet_x_attn2_to_k.lora_down.weight": (8, 99)}) is None
    assert lora.family_of({"lora_unet_x_attn2_to_k.lora_down.weight": (8,)}) is None
    assert lora.family_of({"lora_te1_text_model_encoder_layers_11_mlp_fc1.lora_down.weight": (8, 768)}) is SDXL
    assert lora.family_of({"lora_unet_x_transformer_blocks_9_attn1_to_q.lora_down.weight": (8, 640)}) is SDXL


LYCORIS = {
    "diag-oft": "oft", "dora": "dora", "dylora": "locon", "full": "full", "glora": "glora", "ia3": "ia3",
    "locon-norm": "locon", "locon": "locon", "locon-tucker": "locon", "loha": "loha", "loha-tucker": "loha",
    "lokr-full": "lokr", "lokr": "lokr", "lokr-tucker": "lokr",
}  # fmt: skip
"""DyLoRA is saved like LoCon; only metadata tells them apart."""


@pytest.mark.parametrize(
    ("name", "algorithm", "family"),
    [
        *((f"lyco-{name}-sd15", algorithm, SD1) for name, algorithm in LYCORIS.items()),
        ("lora-kohya-sd15-r8", "lora", SD1),
        ("locon-kohya-sd15-r8c4", "locon", SD1),
        ("lora-kohya-sd21-r8", "lora", SD2),
        ("lora-kohya-sdxl-r8", "lora", SDXL),
        ("lora-kohya-sdxl-r8c4", "locon", SDXL),
    ],
)
def test_real_adapters_are_recognised(name, algorithm, family):
    tensors = shapes(name)
    assert kinds.recognise(tensors) == "lora"
    assert lora.algorithm(tensors) == algorithm
    assert lora.family_of(tensors) is family


def test_family_of_an_embedding_or_hypernetwork_follows_from_the_width_of_the_text():
    assert embedding.family_of({"string_to_param.*": (8, 768)}) is SD1
    assert embedding.family_of({"<cat>": (768,)}) is SD1
    assert embedding.family_of({"emb_params": (8, 1024)}) is SD2
    assert embedding.family_of({"clip_l": (8, 768), "clip_g": (8, 1280)}) is SDXL
    assert embedding.family_of({"emb_params": (8, 99)}) is None
    assert hypernetwork.family_of({"320.0.linear.0.weight": (640, 320), "768.0.linear.0.weight": (9, 768)}) is SD1
    assert hypernetwork.family_of({"320.0.linear.0.weight": (640, 320), "1024.0.linear.0.weight": (9, 1024)}) is SD2
    assert hypernetwork.family_of({"320.0.linear.0.weight": (9, 320), "1280.0.linear.0.weight": (9, 1280)}) is None


def test_a_controlnet_owns_what_looks_like_half_a_unet():
    unet = part(FULL, "model.diffusion_model.")
    alone = dict.fromkeys([*unet, "zero_convs.0.0.weight", "middle_block_out.0.weight", "conv_in.weight"], (1,))
    assert list(components(alone)) == ["controlnet"]
    inside = [*without(FULL, "model_ema."), *(f"control_model.{name}" for name in unet)]
    assert list(components(inside)) == ["unet", "vae", "text-encoder", "controlnet"]


def test_leftovers_of_training_make_no_part():
    assert "vae" not in components([*without(FULL, "first_stage_model."), "first_stage_model.loss.logvar"])


def test_moving_averages():
    assert checkpoint.ema_state(FULL) == "both"
    assert checkpoint.ema_state(without(FULL, "model.diffusion_model.")) == "only"
    assert checkpoint.ema_state(without(FULL, "model_ema.")) == "none"


def test_counters_of_moving_averages_are_junk_only_without_them():
    counters = {"model_ema.decay", "model_ema.num_updates"}
    assert not counters & set(checkpoint.junk(FULL))
    assert counters <= set(checkpoint.junk([*without(FULL, "model_ema."), *counters]))
    assert "betas" in checkpoint.junk(FULL)
