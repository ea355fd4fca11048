"""LoRAs of prompts and beside them, in pictures: when they act, what is recorded, and what is told."""

import shutil

import numpy as np
import pytest

from pochade import Picture, Pipeline, Request, files
from pochade.errors import UnknownNameError, UsageError
from pochade.events import Made, Preview, Warned
from pochade.families import SD1
from pochade.generation.controlnet import steering
from pochade.generation.extra_networks.lora_files import lora_hash
from pochade.generation.extra_networks.lora_unit import LoraUnit
from pochade.generation.extra_networks.loras import Loras
from pochade.generation.parameters.fields import describe, recall
from pochade.kinds.adapter import modules, targets
from pochade.library.shipped import shipped_model
from pochade.operations.bake import Adapter, baking
from tests.golden.replay import model_file, models_folder
from tests.golden.replay import pipeline as golden

SMALL = {"width": 64, "height": 64, "steps": 4, "seed": 5, "rng": "cpu", "sampler": "Euler"}
TAG = "<lora:kohya_r4:0.8>"


@pytest.fixture(scope="module")
def pipeline():
    return golden("goldsd1")


@pytest.fixture
def own(pipeline, tmp_path):
    """The same model with LoRAs of its own: a folder for them, and a pipeline that knows it."""
    folder = tmp_path / "models" / "Lora"
    folder.mkdir(parents=True)
    return folder, Pipeline(pipeline.model, [tmp_path])


def gold_lora(name):
    return models_folder() / "models" / "Lora" / f"{name}.safetensors"


def drawn(pipeline, prompt, **settings):
    return pipeline.txt2img(prompt, **SMALL | settings)


def pixels(picture):
    return np.asarray(picture.image).astype(int)


def same(one, other):
    return np.array_equal(pixels(one), pixels(other))


def notes(pipeline, prompt, **settings):
    """What is told of LoRAs."""
    events = pipeline.run(Request(prompt, **SMALL | {"steps": 1} | settings))
    told = [event.message for event in events if isinstance(event, Warned)]
    return [message for message in told if "lora" in message.casefold()]


def previews(pipeline, prompt, **settings):
    events = pipeline.run(Request(prompt, **SMALL | settings))
    return [event.latents.numpy() for event in events if isinstance(event, Preview)]


def test_a_tag_acts_in_its_own_picture_alone(pipeline):
    before = drawn(pipeline, "a cat")
    tagged = drawn(pipeline, f"a cat{TAG}")
    assert not same(before, tagged)
    assert same(tagged, drawn(pipeline, f"a cat{TAG}"))
    assert same(before, drawn(pipeline, "a cat"))
    assert same(before, drawn(pipeline, "a cat<lora:kohya_r4:0>"))


def test_tags_in_the_negative_prompt_are_words(pipeline):
    assert drawn(pipeline, "a cat", negative_prompt=TAG).request.lora_hashes == ""
    assert not same(drawn(pipeline, "a cat", negative_prompt=TAG), drawn(pipeline, "a cat"))


def test_a_lora_beside_the_prompt_acts_as_one_in_it(pipeline):
    beside = drawn(pipeline, "a cat", loras=[{"name": "kohya_r4", "weight": 0.5, "text_weight": 0.8}])
    assert same(beside, drawn(pipeline, "a cat<lora:kohya_r4:0.8:0.5>"))
    assert "AddNet Model 1: kohya_r4(5b6137eb9deb), AddNet Weight A 1: 0.5, AddNet Weight B 1: 0.8" in beside.infotext
    assert "Lora hashes" not in beside.infotext


def test_the_last_weight_of_a_name_counts_for_each_tag(pipeline):
    twice = drawn(pipeline, "a cat<lora:kohya_r4:0.5><lora:kohya_r4:0.3>")
    assert np.abs(pixels(twice) - pixels(drawn(pipeline, "a cat<lora:kohya_r4:0.6>"))).max() <= 1
    assert 'Lora hashes: "kohya_r4: 5b6137eb9deb"' in twice.infotext


def test_the_tags_of_the_second_pass_act_there(pipeline):
    hires = {"hires": 1.5, "hires_steps": 2, "strength": 0.5}
    plain = drawn(pipeline, "a cat", **hires)
    second = drawn(pipeline, "a cat", hires_prompt=f"a cat{TAG}", **hires)
    both = drawn(pipeline, f"a cat{TAG}", **hires)
    first = drawn(pipeline, f"a cat{TAG}", hires_prompt="a cat", **hires)
    assert len({pixels(each).tobytes() for each in (plain, second, both, first)}) == 4
    assert second.request.lora_hashes == first.request.lora_hashes == "kohya_r4: 5b6137eb9deb"
    early = [previews(pipeline, "a cat", hires_prompt=prompt, **hires)[:4] for prompt in ("", f"a cat{TAG}")]
    assert np.array_equal(*early)
    assert same(second, drawn(pipeline, "a cat", hires_prompt=f"a cat{TAG}", **hires))


@pytest.mark.parametrize("sampler", ["Euler", "Heun"])
def test_steps_in_which_it_acts_are_counted_as_the_sampler_makes_them(pipeline, sampler):
    plain = previews(pipeline, "a cat", sampler=sampler)
    late = previews(pipeline, "a cat<lora:kohya_r4:0:1:start=2>", sampler=sampler)
    assert [np.array_equal(*each) for each in zip(plain, late, strict=True)] == [True, True, False, False]
    whole = previews(pipeline, "a cat<lora:kohya_r4:0:1>", sampler=sampler)
    early = previews(pipeline, "a cat<lora:kohya_r4:0:1:step=0-2>", sampler=sampler)
    assert [np.array_equal(*each) for each in zip(whole, early, strict=True)] == [True, True, False, False]
    assert np.array_equal(previews(pipeline, "a cat<lora:kohya_r4:0:1:stop=0.5>", sampler=sampler), early)


def test_the_refiner_wears_them_too(pipeline):
    refiner = {"refiner": str(model_file("goldsecond")), "refiner_switch_at": 0.0}
    alone = golden("goldsecond")
    assert same(drawn(pipeline, f"a cat{TAG}", **refiner), drawn(alone, f"a cat{TAG}"))
    assert same(drawn(pipeline, "a cat", **refiner), drawn(alone, "a cat"))


def test_missing_ones_are_told_and_the_picture_is_drawn(pipeline):
    picture = drawn(pipeline, "a cat<lora:nowhere:0.8>")
    assert same(picture, drawn(pipeline, "a cat"))
    assert "Lora hashes" not in picture.infotext
    told = notes(pipeline, "a cat<lora:nowhere:0.8><lora:kohya_r4:x>")
    assert told == [
        "<lora:kohya_r4:x> has no effect. weight is 'x'; it must be a number from -1000 to 1000.",
        "The LoRA 'nowhere' is not in the folders of models; it has no effect.",
    ]
    with pytest.raises(UnknownNameError, match="did you mean kohya_r4"):
        drawn(pipeline, "a cat", loras=(LoraUnit("kohya_r5"),))


def test_what_is_none_is_told(own):
    folder, pipeline = own
    files.save(folder / "vectors.safetensors", {"emb_params": np.zeros((1, 128), np.float32)})
    (folder / "broken.safetensors").write_bytes(b"nothing")
    one, other = notes(pipeline, "<lora:vectors><lora:broken>")
    assert one == "The LoRA 'vectors' is no LoRA but a file of kind embedding; it has no effect."
    assert other.startswith("The LoRA 'broken' cannot be used (")
    with pytest.raises(UsageError, match=r"vectors.safetensors is no LoRA but a file of kind embedding\."):
        drawn(pipeline, "", loras=(LoraUnit("vectors"),))


def test_one_for_other_models_is_told_and_has_no_effect(own):
    folder, pipeline = own
    module = "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_q"
    tensors = {f"{module}.lora_down.weight": np.ones((1, 32)), f"{module}.lora_up.weight": np.ones((32, 1))}
    files.save(folder / "deep.safetensors", {name: each.astype(np.float32) for name, each in tensors.items()})
    assert notes(pipeline, "a cat<lora:deep>") == [
        "The LoRA 'deep' is for Stable Diffusion XL, and goldsd1.safetensors is a model of Stable Diffusion 1.x; it "
        "has no effect on that."
    ]
    assert same(drawn(pipeline, "a cat<lora:deep>"), drawn(pipeline, "a cat"))


def test_modules_that_do_not_fit_are_told(pipeline):
    first, second = notes(pipeline, "a cat<lora:glora_r2>")
    assert first.startswith("glora_r2: 24 of its 72 modules for the text encoders of goldsd1.safetensors do not fit")
    assert second.startswith("glora_r2: 52 of its 160 modules for the UNet of goldsd1.safetensors do not fit")


def test_a_picture_is_redone_when_its_loras_have_other_names(own, tmp_path):
    folder, pipeline = own
    for name, gold in {"fox": "kohya_r4", "hare": "unet_only_r8"}.items():
        shutil.copy(gold_lora(gold), folder / f"{name}.safetensors")
    picture = drawn(pipeline, "a cat<lora:fox:0.8>", loras=(LoraUnit("hare", weight=0.5, start=1, blocks="OUTD"),))
    picture.save(tmp_path / "cat.png")
    record = Picture.open(tmp_path / "cat.png").request
    (unit,) = record.loras
    assert (unit.name, unit.hash) == ("hare.safetensors", lora_hash(gold_lora("unet_only_r8")))
    assert record.lora_hashes == f"fox: {lora_hash(gold_lora('kohya_r4'))}"
    for name in ("fox", "hare"):
        (folder / f"{name}.safetensors").rename(folder / f"new-{name}.safetensors")
    (again,) = (event.result for event in pipeline.run(record) if isinstance(event, Made))
    assert same(picture, again)
    assert again.request.lora_hashes == record.lora_hashes
    assert again.request.loras[0].name == "new-hare.safetensors"


def test_a_text_tells_them_as_far_as_it_can(pipeline):
    unit = LoraUnit("unet_only_r8.safetensors", lora_hash(gold_lora("unet_only_r8")), 0.5, 0.25)
    request = drawn(pipeline, f"a cat{TAG}", loras=(unit,)).request
    recalled = recall(describe(request))
    assert recalled.ignored == ()
    assert recalled.request.lora_hashes == "kohya_r4: 5b6137eb9deb"
    (found,) = recalled.request.loras
    assert (found.name, found.hash, found.weight, found.text_weight) == ("unet_only_r8", unit.hash, 0.5, 0.25)


def test_a_controlnet_that_differs_from_the_unet_is_loaded_without_them(pipeline, monkeypatch):
    weight = pipeline.model.networks.unet.get_parameter("middle_block.1.transformer_blocks.0.attn1.to_q.weight")
    drawn(pipeline, "a cat")
    before = weight.clone()
    drawn(pipeline, f"a cat{TAG}")
    assert not weight.equal(before)
    seen = []
    monkeypatch.setattr(steering, "load_controlnet", lambda *_: seen.append(weight.equal(before)))
    steering.load_beside(pipeline.model, str(model_file("goldsd1")))
    assert seen == [True]


def test_embeddings_that_they_bring_along_are_handed_on(own):
    folder, pipeline = own
    tensors = dict(files.open(gold_lora("te_only_r2")))
    vectors = np.ones((2, 128), np.float32)
    files.save(folder / "bundle.safetensors", tensors | {"bundle_emb.my word.string_to_param.*": vectors})
    files.save(folder / "other.safetensors", tensors | {"bundle_emb.my word.string_to_param.*": vectors * 2})
    request = pipeline.resolve(Request("a <lora:bundle:0>my word<lora:other:0>", **SMALL))
    found = Loras(pipeline.folders).worn(request, pipeline.model).embeddings()
    assert list(found) == ["my word"]
    assert np.array_equal(found["my word"].vectors[0].numpy(), vectors)
    assert notes(pipeline, "a <lora:bundle>") == []
    assert 'TI hashes: "my word: bundle"' in pipeline.txt2img("<lora:bundle:0>my word", **SMALL).infotext
    assert not same(drawn(pipeline, "my word"), drawn(pipeline, "<lora:bundle:0>my word"))


def test_the_shipped_model_draws_with_a_lora_as_if_it_were_baked(tmp_path):
    rng = np.random.default_rng(1)
    weights = files.open(shipped_model())
    tensors = {}
    places = targets(weights, SD1)
    for module in modules(weights, SD1):
        shape = weights.info(places[module].name).shape
        if module.endswith(("to_q", "to_v", "to_out_0", "fc1", "conv2")):
            tensors[f"{module}.lora_down.weight"] = rng.standard_normal((2, *shape[1:])) / np.prod(shape[1:]) ** 0.5
            tensors[f"{module}.lora_up.weight"] = rng.standard_normal((shape[0], 2, *[1] * (len(shape) - 2))) * 0.5
    path = files.save(tmp_path / "fox.safetensors", {name: each.astype(np.float16) for name, each in tensors.items()})
    list(baking(shipped_model(), tmp_path / "baked.safetensors", [Adapter(path, 0.7, 0.5)]))
    drawing = {"device": "cpu", "dtype": "fp32"}
    plain, baked = Pipeline.load(**drawing), Pipeline.load(tmp_path / "baked.safetensors", **drawing)
    sentence, settings = "a red house, night sky", {"steps": 4, "seed": 7, "sampler": "Euler"}
    worn = plain.txt2img(sentence, loras=(LoraUnit(str(path), weight=0.7, text_weight=0.5),), **settings)
    assert np.abs(pixels(worn) - pixels(plain.txt2img(sentence, **settings))).max() > 20
    assert np.abs(pixels(worn) - pixels(baked.txt2img(sentence, **settings))).max() <= 1
