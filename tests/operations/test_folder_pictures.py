"""Folders of models that look at pictures: image encoders and depth estimators go there and come back, and diffusers'
pipelines draw with them.
"""

import json
from functools import partial

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DDPMScheduler,
    StableDiffusionDepth2ImgPipeline,
    StableUnCLIPImg2ImgPipeline,
    UNet2DConditionModel,
)
from diffusers.pipelines.stable_diffusion import StableUnCLIPImageNormalizer
from PIL import Image
from transformers import (
    BitConfig,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    DPTConfig,
    DPTForDepthEstimation,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.dpt.image_processing_pil_dpt import DPTImageProcessorPil

import pochade
from pochade import files, kinds
from pochade.errors import MalformedFileError
from pochade.events import Warned
from pochade.operations.convert import Conversion, convert, converting
from pochade.prompts.tokenizer_files import tokenizer_files

from ..families.manifests import without
from .test_folder import numbered, same, small

STATISTICS = ("noise_augmentor.data_mean", "noise_augmentor.data_std")
CONTEXT = 64
PARTS = {
    "unclip-h": ["image_encoder", "image_normalizer"],
    "unclip-l": ["image_encoder", "image_normalizer"],
    "sd2-depth": ["depth_estimator"],
}


def saved(place, family, **more):
    tensors = without(small(f"{family}.ldm"), "model_ema.", "cond_stage_model.")
    return files.save(place / "a.safetensors", numbered(tensors) | more)


@pytest.mark.parametrize("family", PARTS)
def test_its_networks_stand_in_folders_of_their_own(family, tmp_path):
    folder = convert(saved(tmp_path, family), tmp_path / "folder")
    index = json.loads((folder / "model_index.json").read_text())
    for part in PARTS[family]:
        assert index[part][0]
        assert files.open(folder / part)
    assert (folder / "feature_extractor" / "preprocessor_config.json").is_file()
    rest = files.open(folder / "unplaced.safetensors")
    assert not any(name.startswith(("embedder.model.visual.", "depth_model.model.scratch.")) for name in rest)


@pytest.mark.parametrize("family", PARTS)
@pytest.mark.parametrize("ending", ["safetensors", "ckpt"])
def test_a_folder_without_leftovers_comes_back_too(family, ending, tmp_path):
    folder = convert(saved(tmp_path, family), tmp_path / "folder")
    (folder / "unplaced.safetensors").unlink()
    file = convert(folder, tmp_path / f"b.{ending}")
    assert not any("/" in name for name in files.open(file))
    again = convert(file, tmp_path / "again")
    (again / "unplaced.safetensors").unlink()
    assert same(files.open(again), files.open(folder))


def test_a_pickle_comes_back_without_anything_added(tmp_path):
    source = convert(saved(tmp_path, "unclip-h"), tmp_path / "a.ckpt")
    back = convert(convert(source, tmp_path / "folder"), tmp_path / "b.ckpt")
    assert same(files.open(back), files.open(source))


@pytest.mark.parametrize(
    "statistics",
    [
        {STATISTICS[0]: np.full((1, 6), 0.25, np.float32), STATISTICS[1]: np.full((1, 6), 2, np.float32)},
        {STATISTICS[0]: np.zeros((1, 6), np.float32), STATISTICS[1]: np.ones((1, 6), np.float32)},
        {STATISTICS[0]: np.zeros((1, 6), np.float32)},
    ],
)
def test_statistics_of_embeddings_come_back_as_they_were(statistics, tmp_path):
    source = saved(tmp_path, "unclip-l", **statistics)
    folder = convert(source, tmp_path / "folder", keep_junk=True)
    normalizer = files.open(folder / "image_normalizer")
    assert {name: array.shape for name, array in normalizer.items()} == {"mean": (1, 6), "std": (1, 6)}
    assert normalizer["mean"][0, 0] == statistics[STATISTICS[0]][0, 0]
    assert same(files.open(convert(folder, tmp_path / "b.safetensors", keep_junk=True)), files.open(source))


def test_statistics_that_a_folder_has_stand_where_the_original_has_them(tmp_path):
    folder = convert(saved(tmp_path, "unclip-l"), tmp_path / "folder")
    place = folder / "image_normalizer" / "diffusion_pytorch_model.safetensors"
    told = {"mean": np.full((1, 6), 3, np.float32), "std": np.full((1, 6), 2, np.float32)}
    files.save(place, told)
    back = kinds.open_model(folder)
    assert [back[name][0, 0] for name in STATISTICS] == [3, 2]


@pytest.mark.parametrize(("family", "count"), [("unclip-l", 1), ("unclip-h", 0), ("sd2-depth", 0)])
def test_statistics_that_are_missing_are_told(family, count, tmp_path):
    wide = {"embedder.model.visual.proj": np.ones((6, 5), np.float32)} if family == "unclip-l" else {}
    source = saved(tmp_path, family, **wide)
    told = [
        event.message for event in converting(source, tmp_path / "folder", Conversion()) if isinstance(event, Warned)
    ]
    assert len(told) == count
    assert all("image_normalizer says 0 and 1" in message for message in told)


@pytest.mark.parametrize("family", PARTS)
def test_what_the_original_has_no_name_for_keeps_its_place(family, tmp_path):
    folder = convert(saved(tmp_path, family), tmp_path / "folder", keep_junk=True)
    place = folder / PARTS[family][0] / "model.safetensors"
    place.unlink()
    odd = {"strange.weight": np.ones(2, np.float32), "vision_model.embeddings.position_ids": np.arange(3)}
    kept = {f"{PARTS[family][0]}/strange.weight"}
    files.save(place, odd)
    assert kept <= set(files.open(convert(folder, tmp_path / "b.safetensors", keep_junk=True)))
    assert not any(name.endswith("position_ids") for name in files.open(tmp_path / "b.safetensors"))


def test_a_projection_of_which_a_third_is_missing_is_not_lost(tmp_path):
    folder = convert(saved(tmp_path, "unclip-h"), tmp_path / "folder")
    place = folder / "image_encoder" / "model.safetensors"
    third = "vision_model.encoder.layers.0.self_attn.{}_proj.bias"
    files.save(place, {name: array for name, array in files.open(place).items() if name != third.format("k")})
    back = set(kinds.open_model(folder))
    assert {f"image_encoder/{third.format(each)}" for each in "qv"} <= back
    assert "embedder.model.visual.transformer.resblocks.0.attn.in_proj_bias" not in back


@pytest.mark.parametrize(
    ("family", "name", "array"),
    [
        ("unclip-h", "vision_model.encoder.layers.0.self_attn.q_proj.bias", np.ones(5, np.float32)),
        ("unclip-h", "vision_model.encoder.layers.0.self_attn.q_proj.bias", np.ones(2, np.float16)),
        ("unclip-l", "visual_projection.weight", np.ones(5, np.float32)),
        ("sd2-depth", "dpt.encoder.layer.11.attention.attention.value.weight", np.ones((), np.float32)),
    ],
)
def test_tensors_that_do_not_fit_are_refused(family, name, array, tmp_path):
    part = PARTS[family][0]
    place = convert(saved(tmp_path, family), tmp_path / "folder") / part / "model.safetensors"
    files.save(place, dict(files.open(place)) | {name: array})
    with pytest.raises(MalformedFileError, match=f"has a broken {part}"):
        kinds.open_model(tmp_path / "folder")


@pytest.mark.parametrize(("family", "part"), [("unclip-h", "image-encoder"), ("sd2-depth", "depth")])
def test_a_model_without_its_network_for_pictures_says_so_in_the_index(family, part, tmp_path):
    folder = convert(saved(tmp_path, family), tmp_path / "folder", drop=(part,))
    index = json.loads((folder / "model_index.json").read_text())
    assert index[PARTS[family][0]] == index["feature_extractor"] == [None, None]
    assert not any((folder / each).exists() for each in PARTS[family])
    with pytest.raises(MalformedFileError, match="no checkpoint of a known family"):
        convert(tmp_path / "a.safetensors", tmp_path / "alone", only=(part,))


# pipelines of diffusers, small but whole -----------------------------------------------------------------------------
def unet(channels, classes=None):
    knows = {"class_embed_type": "projection", "projection_class_embeddings_input_dim": classes} if classes else {}
    return UNet2DConditionModel(
        sample_size=8, in_channels=channels, block_out_channels=(32, 64), layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=CONTEXT, attention_head_dim=(1, 1), use_linear_projection=True, **knows,
    )  # fmt: skip


@pytest.fixture(scope="module")
def common(tmp_path_factory):
    """What both pipelines have alike."""
    torch.manual_seed(1)
    place = tmp_path_factory.mktemp("tokenizer")
    for name, text in tokenizer_files("!").items():
        (place / name).write_text(text, encoding="utf-8")
    text = CLIPTextConfig(hidden_size=CONTEXT, intermediate_size=64, num_hidden_layers=2, num_attention_heads=1)
    text.hidden_act = "gelu"
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2}
    return {
        "tokenizer": CLIPTokenizer.from_pretrained(place),
        "text_encoder": CLIPTextModel(text).eval(),
        "vae": AutoencoderKL(block_out_channels=(32, 32), layers_per_block=1, **blocks),
    }


def scheduler(prediction):
    return DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False,
        steps_offset=1, prediction_type=prediction,
    )  # fmt: skip


def unclip(common, activation, width):
    normalizer = StableUnCLIPImageNormalizer(embedding_dim=width)
    normalizer.mean.data.normal_()
    normalizer.std.data.uniform_(1, 2)
    config = CLIPVisionConfig(
        hidden_size=64, intermediate_size=64, num_hidden_layers=2, num_attention_heads=16, image_size=28, patch_size=14,
        projection_dim=width, hidden_act=activation,
    )  # fmt: skip
    return StableUnCLIPImg2ImgPipeline(
        feature_extractor=CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}),
        image_encoder=CLIPVisionModelWithProjection(config).eval(),
        image_normalizer=normalizer,
        image_noising_scheduler=DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
        unet=unet(4, 2 * width),
        scheduler=scheduler("v_prediction"),
        **common,
    )


def depth(common):
    backbone = BitConfig(
        embedding_size=32, hidden_sizes=[128, 256, 512], depths=[1, 2, 1], global_padding="same",
        layer_type="bottleneck", out_features=["stage1", "stage2", "stage3"], embedding_dynamic_padding=True,
    )  # fmt: skip
    config = DPTConfig(
        is_hybrid=True, backbone_config=backbone, hidden_size=64, num_hidden_layers=4, num_attention_heads=1,
        intermediate_size=64, image_size=64, backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[128, 256, 64, 64],
        reassemble_factors=[1, 1, 1, 0.5], fusion_hidden_size=32, backbone_featmap_shape=[1, 512, 4, 4],
        layer_norm_eps=1e-6,
    )  # fmt: skip
    half = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    return StableDiffusionDepth2ImgPipeline(
        depth_estimator=DPTForDepthEstimation(config).eval(),
        feature_extractor=DPTImageProcessorPil(size={"height": 64, "width": 64}, **half),
        unet=unet(5),
        scheduler=scheduler("epsilon"),
        **common,
    )


def drawn(pipeline):
    noise = np.random.default_rng(1).integers(0, 255, (16, 16, 3), np.uint8)
    picture = Image.fromarray(noise).resize((64, 64))
    size = {} if "depth_estimator" in pipeline.components else {"height": 16, "width": 16}
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(3)
    return pipeline(
        prompt="a cat", image=picture, num_inference_steps=3, generator=generator, output_type="np", **size
    ).images


BUILD = {
    "unclip-h": partial(unclip, activation="gelu", width=CONTEXT),
    "unclip-l": partial(unclip, activation="quick_gelu", width=CONTEXT * 3 // 4),
    "sd2-depth": depth,
}


@pytest.mark.filterwarnings("ignore")  # transformers' and diffusers' own
@pytest.mark.parametrize("family", BUILD)
def test_a_pipeline_of_diffusers_goes_into_one_file_and_comes_back_drawing_the_same(family, common, tmp_path):
    pipeline = BUILD[family](common)
    pipeline.save_pretrained(tmp_path / "theirs")
    file = convert(tmp_path / "theirs", tmp_path / "a.safetensors")
    assert pochade.inspect(file)["variant"] == family.removeprefix("sd2-")
    assert not any("/" in name for name in files.open(file))
    back = convert(file, tmp_path / "ours")
    for part in ("unet", "vae", *PARTS[family]):
        assert same(files.open(back / part), files.open(tmp_path / "theirs" / part))
    again = type(pipeline).from_pretrained(back, local_files_only=True)
    np.testing.assert_array_equal(drawn(again), drawn(pipeline))
