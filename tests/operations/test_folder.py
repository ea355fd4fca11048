"""Diffusers folders written and read back: nothing is lost, and diffusers' own classes compute the same."""

import json
import shutil

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from transformers import CLIPTokenizer

import pochade
from pochade import Pipeline, files, kinds
from pochade.errors import MalformedFileError, UsageError
from pochade.events import Made, Saved, Step, Warned
from pochade.library.shipped import shipped_model
from pochade.operations.convert import Conversion, convert, converting
from pochade.operations.doctor import diagnosing
from pochade.operations.merge import Merge
from pochade.prompts import Tokenizer

from ..families.manifests import narrow, shapes

EXACT = (
    "sd15", "nai", "sd15-inpainting", "ip2p", "sd2-base", "sd2-v", "sd2-inpainting", "sd2-depth", "unclip-h",
    "unclip-l", "x4-upscaler", "sdxl-base", "sdxl-inpainting", "sdxl-refiner",
)  # fmt: skip


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    return convert(shipped_model(), tmp_path_factory.mktemp("shipped") / "model")


def numbered(tensors):
    """Arrays of these shapes with a number for every element, so that no two tensors are alike."""
    arrays, count = {}, 0
    for name, shape in tensors.items():
        size = int(np.prod(shape))
        arrays[name] = np.arange(count, count + size, dtype=np.float32).reshape(shape)
        count += size
    return arrays


def small(name):
    """Small shapes; unCLIP's classes stay as wide beside the context as they are, since that tells what it is."""
    tensors = shapes(name)
    classes = {key: (6, shape[1] * 6 // 1024) for key, shape in tensors.items() if shape[1:] in {(1536,), (2048,)}}
    return narrow(tensors, 6) | {key: shape for key, shape in classes.items() if "label_emb" in key}


def same(one, other):
    """Tell whether two files hold the same tensors, byte by byte."""
    return set(one) == set(other) and all(
        one.info(name) == other.info(name) and one[name].tobytes() == other[name].tobytes() for name in other
    )


@pytest.mark.parametrize("family", EXACT)
def test_there_and_back_nothing_is_lost(family, tmp_path):
    source = files.save(tmp_path / "a.safetensors", numbered(small(f"{family}.ldm")), {"note": "mine"})
    convert(source, tmp_path / "folder", keep_junk=True)
    back = files.open(convert(tmp_path / "folder", tmp_path / "b.safetensors", keep_junk=True))
    assert same(back, files.open(source))
    assert back.metadata["note"] == "mine"
    assert "pochade.bare_text_names" not in back.metadata


def test_a_folder_draws_the_same_picture(shipped):
    ask = {"steps": 3, "seed": 8}
    one, other = (Pipeline.load(path).txt2img("a red house", **ask).image for path in (shipped_model(), shipped))
    assert np.array_equal(np.asarray(one), np.asarray(other))


def test_diffusers_loads_the_folder_and_computes_the_same(shipped):
    pipeline = StableDiffusionPipeline.from_pretrained(shipped, local_files_only=True, dtype=torch.float32)
    networks = Pipeline.load(shipped_model(), dtype="fp32").model.networks
    latents = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    context = torch.randn(1, 77, 128, generator=torch.Generator().manual_seed(2))
    times = torch.tensor([500])
    with torch.no_grad():
        theirs = pipeline.unet(latents, times, context).sample
        torch.testing.assert_close(networks.unet(latents, times, context), theirs, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(
            networks.vae.decode(latents), pipeline.vae.decode(latents).sample, atol=1e-4, rtol=1e-4
        )
    assert pipeline.unet.config.sample_size == 16


def test_the_tokenizer_s_files_give_clip_s_ids(shipped):
    theirs, ours = CLIPTokenizer.from_pretrained(shipped / "tokenizer"), Tokenizer()
    for text in ("a photo of a cat", "Ünïcode, 12 naïve (words)!", "<|endoftext|> again"):
        assert theirs(text, padding="max_length", truncation=True).input_ids == ours.padded(text)


def test_it_is_recognised_as_what_it_is(shipped):
    report = pochade.inspect(shipped, hashes=True)
    told = ("checkpoint", "diffusers", "sd1", "base", "epsilon")
    assert tuple(report[each] for each in ("kind", "format", "family", "variant", "prediction")) == told
    assert report["problems"] == []
    assert report["bytes"] > report["parameters"] * 2
    assert report["hashes"] == {}


def test_its_scheduler_decides_the_prediction(shipped, tmp_path):
    target = convert(shipped, tmp_path / "v")
    path = target / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"prediction_type": "v_prediction"}))
    assert pochade.inspect(target)["prediction"] == "v"
    assert pochade.inspect(convert(target, tmp_path / "v.safetensors"))["prediction"] == "v"


def test_without_a_scheduler_nothing_tells_the_prediction(tmp_path):
    source = files.save(tmp_path / "a.safetensors", numbered(narrow(shapes("sd2-v.ldm"))))
    folder = convert(source, tmp_path / "folder")
    assert pochade.inspect(folder)["prediction"] == "epsilon"
    shutil.rmtree(folder / "scheduler")
    assert pochade.inspect(folder)["prediction"] is None


def test_steps_grow_to_the_whole_and_the_folder_comes_last(tmp_path):
    events = list(converting(shipped_model(), tmp_path / "model", Conversion(dtype="bf16")))
    steps = [event for event in events if isinstance(event, Step)]
    assert [each.done for each in steps] == sorted(each.done for each in steps)
    assert steps[-1].done == steps[-1].total
    assert events[-1] == Saved(tmp_path / "model")
    assert files.open(tmp_path / "model").info("unet/conv_in.weight").dtype == "BF16"


def test_what_is_guessed_is_told(tmp_path):
    source = files.save(tmp_path / "a.safetensors", numbered(narrow(shapes("sd2-base.ldm"))))
    warned = [event for event in converting(source, tmp_path / "model", Conversion()) if isinstance(event, Warned)]
    assert "predicts the noise or v" in warned[0].message


def test_one_network_alone_is_a_folder_without_an_index(shipped, tmp_path):
    vae = convert(shipped_model(), tmp_path / "vae", only=("vae",))
    assert sorted(each.name for each in vae.iterdir()) == ["config.json", "diffusion_pytorch_model.safetensors"]
    assert pochade.inspect(vae)["kind"] == "vae"
    assert "decoder.up.0.block.0.conv1.weight" in kinds.open_model(vae)


def test_a_folder_merges_with_a_file(shipped, tmp_path):
    merged = pochade.merge(
        Merge(factors=(0.5, 0.5), dtype="fp32"), tmp_path / "m.safetensors", [shipped, _negated(tmp_path)]
    )
    assert max(float(np.abs(array).max()) for name, array in files.open(merged).items() if "weight" in name) < 1e-6


def _negated(folder):
    weights = files.open(shipped_model())
    return files.save(folder / "negated.safetensors", {name: -weights[name] for name in weights})


def test_a_folder_that_is_there_is_left_alone(shipped):
    before = sorted(shipped.rglob("*"))
    with pytest.raises(UsageError, match="exists already"):
        convert(shipped_model(), shipped)
    assert sorted(shipped.rglob("*")) == before


def test_doctor_sees_a_folder_as_one_model(shipped):
    found = [event.result for event in diagnosing(shipped.parent) if isinstance(event, Made)]
    assert [each.path for each in found] == [shipped]


@pytest.mark.parametrize("name", ["/{outside}/victim/x", "../../{outside}/x", "a/b/c", "image_encoder/vision.weight"])
def test_names_with_slashes_never_become_places(name, tmp_path):
    (tmp_path / "victim").mkdir()
    odd = name.format(outside=str(tmp_path).strip("/"))
    tensors = numbered(narrow(shapes("sd15.ldm"), 3)) | {odd: np.ones(2, np.float32)}
    source = files.save(tmp_path / "a.safetensors", tensors)
    folder = convert(source, tmp_path / "folder")
    assert list((tmp_path / "victim").iterdir()) == []
    assert odd in files.open(folder / "unplaced.safetensors")
    assert odd in files.open(convert(folder, tmp_path / "b.safetensors"))


def test_what_a_network_alone_has_no_place_for_comes_back(tmp_path):
    vae = {name[18:]: array for name, array in numbered(narrow(shapes("sd15.ldm"), 3)).items() if name[:5] == "first"}
    source = files.save(tmp_path / "a.safetensors", vae | {"extra": np.ones(2, np.float32)})
    back = files.open(convert(convert(source, tmp_path / "vae"), tmp_path / "b.safetensors"))
    assert set(back) == set(vae) | {"extra"}


def test_nothing_is_written_into_a_folder_that_is_read(shipped):
    target = shipped / "unet" / "diffusion_pytorch_model.safetensors"
    before = target.read_bytes()
    with pytest.raises(UsageError, match="which is read"):
        convert(shipped, target)
    assert target.read_bytes() == before


def test_a_schedule_up_to_noise_alone_is_kept_by_its_marker(shipped, tmp_path):
    source = files.open(shipped_model())
    marked = {name: source[name] for name in source} | {"ztsnr": np.zeros(0, np.float32)}
    path = files.save(tmp_path / "a.safetensors", marked, {"modelspec.prediction_type": "v"})
    folder = convert(path, tmp_path / "folder")
    scheduler = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
    assert (scheduler["rescale_betas_zero_snr"], scheduler["prediction_type"]) == (True, "v_prediction")
    (folder / "unplaced.safetensors").unlink()
    assert "ztsnr" in files.open(convert(folder, tmp_path / "b.safetensors"))


@pytest.mark.parametrize(
    ("family", "folder", "name", "shape"),
    [
        ("sd2-v", "text_encoder", "text_model.encoder.layers.0.self_attn.q_proj.weight", ()),
        ("sdxl-base", "text_encoder_2", "text_projection.weight", (5,)),
    ],
)
def test_shapes_that_do_not_fit_are_refused(family, folder, name, shape, tmp_path):
    source = files.save(tmp_path / "a.safetensors", numbered(narrow(shapes(f"{family}.ldm"))))
    part = convert(source, tmp_path / "folder") / folder
    files.save(part / "model.safetensors", dict(files.open(part)) | {name: np.ones(shape, np.float32)})
    with pytest.raises(MalformedFileError, match=f"has a broken {folder}"):
        kinds.open_model(tmp_path / "folder")


def test_a_network_alone_keeps_its_metadata(tmp_path):
    vae = convert(shipped_model(), tmp_path / "vae", only=("vae",))
    assert "pochade.lineage" in files.open(vae).metadata


@pytest.mark.parametrize("name", ["controlnet-sd15", "controlnet-sd21"])
@pytest.mark.parametrize("prefix", ["control_model.", ""])
def test_a_controlnet_comes_back_under_the_names_that_it_had(name, prefix, tmp_path):
    tensors = {
        prefix + old.removeprefix("control_model."): array for old, array in numbered(small(f"{name}.ldm")).items()
    }
    source = files.save(tmp_path / "a.safetensors", tensors)
    folder = convert(source, tmp_path / "folder")
    assert same(files.open(source), files.open(convert(folder, tmp_path / "b.safetensors")))
    assert same(files.open(source), files.open(convert(convert(folder, tmp_path / "again"), tmp_path / "c.ckpt")))


def test_a_controlnet_inside_a_checkpoint_comes_back(tmp_path):
    tensors = small("sd15.ldm") | small("controlnet-sd15.ldm")
    source = files.save(tmp_path / "a.safetensors", numbered(tensors))
    folder = convert(source, tmp_path / "folder", keep_junk=True)
    back = files.open(convert(folder, tmp_path / "b.safetensors", keep_junk=True))
    assert same(files.open(source), back)
