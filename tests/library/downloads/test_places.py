import pytest

from pochade.errors import UsageError
from pochade.library.downloads.places import place_for
from pochade.library.find import find_model

LAYOUTS = {
    "webui": ("models/Stable-diffusion",),
    "comfy": ("models/checkpoints", "models/vae"),
    "inner-webui": ("Stable-diffusion",),
    "inner-comfy": ("checkpoints", "loras"),
    "matrix": ("Data/Models/StableDiffusion",),
    "empty": (),
}


@pytest.mark.parametrize(
    ("layout", "kind", "place"),
    [
        ("webui", "checkpoint", "models/Stable-diffusion"),
        ("webui", "lora", "models/Lora"),
        ("webui", "embedding", "embeddings"),
        ("webui", "text-encoder", "models/text_encoder"),
        ("webui", "unknown", "."),
        ("comfy", "vae", "models/vae"),
        ("comfy", "lora", "models/loras"),
        ("comfy", "embedding", "models/embeddings"),
        ("comfy", "unet", "models/diffusion_models"),
        ("inner-webui", "vae", "VAE"),
        ("inner-comfy", "upscaler", "upscale_models"),
        ("matrix", "lora", "Data/Models/Lora"),
        ("empty", "checkpoint", "models/Stable-diffusion"),
        ("empty", "controlnet", "models/ControlNet"),
    ],
)
def test_a_kind_goes_where_its_layout_has_it(tmp_path, layout, kind, place):
    for folder in LAYOUTS[layout]:
        (tmp_path / folder).mkdir(parents=True)
    assert place_for(kind, tmp_path) == tmp_path / place


@pytest.mark.parametrize("kind", ["checkpoint", "vae", "lora", "embedding", "hypernetwork", "controlnet", "upscaler"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_put_there_is_found_there(tmp_path, layout, kind):
    for folder in LAYOUTS[layout]:
        (tmp_path / folder).mkdir(parents=True)
    place = place_for(kind, tmp_path)
    place.mkdir(parents=True, exist_ok=True)
    (place / "mine.safetensors").touch()
    assert find_model("mine", [tmp_path], kind) == place / "mine.safetensors"


def test_where_models_lie_loose_another_one_lies_with_them(tmp_path):
    (tmp_path / "mine.safetensors").touch()
    assert place_for("lora", tmp_path) == tmp_path


def test_a_folder_that_is_none_is_told(tmp_path):
    with pytest.raises(UsageError, match="there is no such models folder"):
        place_for("lora", tmp_path / "none")
