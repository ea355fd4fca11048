import pytest

from pochade import Request
from pochade.errors import UnknownNameError, UsageError
from pochade.generation.extra_networks.lora_unit import LoraUnit
from pochade.generation.xyz.axes import Axis
from pochade.prompts.styles import Style

# A1111 1.10.1's axes, each with a value and what becomes of the request
KNOWN = {
    "Seed=7": {"seed": 7},
    "Var. seed=7": {"variation_seed": 7},
    "Var. strength=0.5": {"variation_strength": 0.5},
    "Steps=7": {"steps": 7},
    "Hires steps=7": {"hires_steps": 7},
    "CFG Scale=3": {"cfg": 3.0},
    "Image CFG Scale=2": {"image_cfg": 2.0},
    "Prompt S/R=cat": {"prompt": "cat, dog"},
    "Prompt order=cat": {"prompt": "cat, dog"},
    "Sampler=Euler": {"sampler": "Euler"},
    "Hires sampler=euler a": {"hires_sampler": "euler a"},
    "Checkpoint name=dream [0123456789]": {"model": "dream [0123456789]"},
    "Negative Guidance minimum sigma=1": {"ngms": 1.0},
    "Sigma Churn=1": {"s_churn": 1.0},
    "Sigma min=1": {"s_tmin": 1.0},
    "Sigma max=1": {"s_tmax": 1.0},
    "Sigma noise=1.1": {"s_noise": 1.1},
    "Schedule type=Karras": {"schedule": "Karras"},
    "Schedule min sigma=0.1": {"sigma_min": 0.1},
    "Schedule max sigma=9": {"sigma_max": 9.0},
    "Schedule rho=5": {"rho": 5.0},
    "Beta schedule alpha=1": {"beta_alpha": 1.0},
    "Beta schedule beta=1": {"beta_beta": 1.0},
    "Eta=0.5": {"eta": 0.5},
    "Clip skip=2": {"clip_skip": 2},
    "Denoising=0.5": {"strength": 0.5},
    "Initial noise multiplier=1.1": {"noise_multiplier": 1.1},
    "Extra noise=0.1": {"extra_noise": 0.1},
    "Hires upscaler=Lanczos": {"hires_upscaler": "Lanczos"},
    "Cond. Image Mask Weight=0.5": {"mask_weight": 0.5},
    "VAE=None": {"vae": "None"},
    "Styles=ink": {"prompt": "cat, dog, ink", "applied_styles": ("ink",)},
    "UniPC Order=2": {"uni_pc_order": 2},
    "Always discard next-to-last sigma=True": {"discard_next_to_last": True},
    "SGM noise multiplier=true": {"sgm_noise_multiplier": True},
    "Refiner checkpoint=None": {"refiner": ""},
    "Refiner switch at=0.5": {"refiner_switch_at": 0.5},
    "RNG source=CPU": {"rng": "cpu"},
    "Size=64x128": {"width": 64, "height": 128},
}
BASE = Request("cat, dog")
STYLES = {"ink": Style("ink", "ink"), "old": Style("old", "1890", "colour")}


def applied(text, request=BASE):
    axis = Axis.read(text, STYLES)
    return [axis.kind.apply(request, value, axis.values) for value in axis.values]


@pytest.mark.parametrize(("text", "changes"), KNOWN.items())
def test_every_axis_of_a1111_changes_what_it_names(text, changes):
    (request,) = applied(text)
    assert request == Request(**{"prompt": BASE.prompt} | changes).validate()
    assert applied(text.upper().replace("=CAT", "=cat").replace("=INK", "=ink"))  # names in any case of letters


@pytest.mark.parametrize(
    "text", ["padding=8,16", "hires=1.5", "mask-blur=2", "tiling=true", "hires_size=128x0", "s noise=1.5"]
)
def test_any_field_is_an_axis(text):
    name, given = text.split("=")
    axis = Axis.read(text)
    assert axis.kind.field == name.replace("-", "_").replace(" ", "_")
    assert axis.kind.apply(BASE, axis.values[0], axis.values).validate() != BASE
    assert axis.text == given


def test_legends_show_values_as_a1111_does():
    assert Axis.read("Steps=1-3").labels == ("Steps: 1", "Steps: 2", "Steps: 3")
    assert Axis.read("cfg=0-0.5 (+0.1)").labels[3] == "CFG Scale: 0.3"
    assert Axis.read("Prompt order=a, b").labels == ("a, b", "b, a")
    assert Axis.read("Checkpoint name=old/dream.safetensors").labels == ("dream.safetensors",)
    assert Axis.read("VAE=old/soft.pt").labels == ("VAE: soft.pt",)
    assert Axis.read("Size=64x128").labels == ("Size: 64x128",)
    assert Axis.read("model=a/last.ckpt,b/last.ckpt").labels == ("a/last.ckpt", "b/last.ckpt")  # not to be confused


def test_search_and_replace_reaches_both_prompts():
    first, second = applied("Prompt S/R=cat, bird", Request("a cat", negative_prompt="cat hair"))
    assert (first.prompt, second.prompt, second.negative_prompt) == ("a cat", "a bird", "bird hair")
    assert [each.prompt for each in applied("Prompt S/R=cat,", Request("a cat"))] == ["a cat", "a "]
    assert Axis.read("Prompt S/R=cat,").labels == ("cat", "(nothing)")


def test_a_lora_is_a_tag_or_a_file():
    prompts = [each.prompt for each in applied("LoRA=fox, owl:0.5, none", Request("a <lora:ink:1>"))]
    assert prompts == ["a <lora:ink:1><lora:fox:1>", "a <lora:ink:1><lora:owl:0.5>", "a <lora:ink:1>"]
    (file,) = applied("LoRA=out/fox-02.safetensors:0.7")
    assert file.loras == (LoraUnit("out/fox-02.safetensors", weight=0.7),)
    (twice,) = applied("LoRA=fox", Request("a", hires=2, hires_prompt="b"))
    assert (twice.prompt, twice.hires_prompt) == ("a<lora:fox:1>", "b<lora:fox:1>")


@pytest.mark.parametrize(
    ("axis", "prompt", "changed"),
    [
        ("LoRA weight=0.5", "<lora:fox:1> and <lyco:owl>", "<lora:fox:0.5> and <lyco:owl:0.5>"),
        ("LoRA weight owl=0.5", "<lora:fox:1><lora:Owl:1>", "<lora:fox:1><lora:Owl:0.5>"),
        ("LoRA weight=0.25", "<lora:fox:1:0.8:16>", "<lora:fox:0.25:0.25:16>"),
        ("LoRA weight=-0.5", "<lora:fox:te=1:unet=2:lbw=OUTD>", "<lora:fox:-0.5:lbw=OUTD>"),
    ],
)
def test_a_weight_takes_the_place_of_those_in_tags(axis, prompt, changed):
    (request,) = applied(axis, Request(prompt))
    assert request.prompt == changed


def test_a_weight_is_also_that_of_loras_beside_the_prompt():
    units = (LoraUnit("new/fox.safetensors", weight=1, text_weight=0.3), LoraUnit("owl"))
    (request,) = applied("LoRA weight fox=0.5", Request("a", loras=units))
    assert request.loras == (LoraUnit("new/fox.safetensors", weight=0.5), LoraUnit("owl"))


def test_several_styles_in_one_value():
    first, second, none = applied('Styles=ink,"ink, old",None', Request("a cat"))
    assert (first.prompt, second.prompt, none.prompt) == ("a cat, ink", "a cat, ink, 1890", "a cat")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Steps", "The axis 'Steps' must be NAME=VALUES, such as 'Steps=10,20,30'."),
        ("Stpes=1", "There is no axis named 'Stpes'; did you mean Steps"),
        ("model_hash=1", "There is no axis named 'model_hash'"),
        ("controls=1", "There is no axis named 'controls'"),
        ("Steps=a", "The axis Steps: 'a' is no whole number"),
        ("Steps=", "The axis Steps: '' holds no value."),
        ("Prompt order=", "The axis Prompt order: '' holds no value."),
        ("Steps=9-1", "The axis Steps: '9-1' holds no value; a range downwards needs a step, such as 9-1 (-2)."),
        ("Sampler=Eular", "The axis Sampler: There is no sampler named 'Eular'; did you mean Euler"),
        ("Schedule type=Karas", "The axis Schedule type: There is no schedule named 'Karas'; did you mean Karras"),
        ("Styles=inc", "The axis Styles: There is no style named 'inc'; did you mean ink?"),
        ("Face restore=CodeFormer", "Face restore is an axis of A1111 that changes nothing here, because no faces are"),
        ("token merging ratio=0.5", "Token merging ratio is an axis of A1111 that changes nothing here"),
        ("FP8 mode=Enable", "FP8 mode is an axis of A1111 that changes nothing here"),
    ],
)
def test_mistakes_name_the_axis_and_the_value(text, sentence):
    with pytest.raises(UsageError) as caught:
        Axis.read(text, STYLES)
    assert str(caught.value).startswith(sentence)


def test_styles_need_a_file():
    with pytest.raises(UsageError, match="--styles-file FILE"):
        Axis.read("Styles=ink")


def test_unknown_names_offer_fields_too():
    with pytest.raises(UnknownNameError, match="did you mean padding"):
        Axis.read("paddings=1")
