import json

import pytest

from pochade.errors import UnknownNameError, UsageError
from pochade.library import vae_for
from tests.library.test_find import folder_of


@pytest.fixture
def model(tmp_path):
    """A model in a web UI's folder, with nothing beside it yet."""
    folder_of(tmp_path, "models/Stable-diffusion/dream.safetensors", "models/VAE/fine.pt")
    return tmp_path / "models/Stable-diffusion/dream.safetensors"


def beside(model, *names):
    folder_of(model.parent, *names)


@pytest.mark.parametrize("name", ["dream.vae.safetensors", "dream.vae.ckpt", "dream.vae.pt", "dream-2.vae.pt"])
def test_the_vae_beside_a_model_goes_with_it(model, name):
    beside(model, "other.vae.pt", "dream.pt", name)
    assert vae_for(model) == vae_for(model, "Automatic") == vae_for(model, "auto") == model.parent / name


def test_one_in_the_vae_folder_needs_nothing_but_the_name(model, tmp_path):
    folder_of(tmp_path, "models/VAE/dream fixed.safetensors")
    assert vae_for(model) is None
    assert vae_for(model, folders=[tmp_path]) == tmp_path / "models/VAE/dream fixed.safetensors"


def test_of_several_the_nearest_name_counts(model, tmp_path):
    beside(model, "dream-2.vae.pt", "dream.vae.pt")
    folder_of(tmp_path, "models/VAE/dream-large.pt")
    assert vae_for(model, folders=[tmp_path]) == model.parent / "dream.vae.pt"


def test_other_models_of_a_folder_are_no_vaes(tmp_path):
    folder_of(tmp_path, "dream.safetensors", "dream-2.safetensors")
    assert vae_for(tmp_path / "dream.safetensors", folders=[tmp_path]) is None


def test_without_one_and_for_the_shipped_model_it_is_the_own(model):
    assert vae_for(model) is None
    assert vae_for(None) is None


def test_a_name_or_none_is_followed(model, tmp_path):
    beside(model, "dream.vae.pt")
    assert vae_for(model, "None", [tmp_path]) is None
    assert vae_for(model, "fine", [tmp_path]) == tmp_path / "models/VAE/fine.pt"
    with pytest.raises(UnknownNameError, match="did you mean fine"):
        vae_for(model, "fin", [tmp_path])


@pytest.mark.parametrize(("chosen", "name"), [("fine.pt", "fine.pt"), ("None", None), ("Automatic", "dream.vae.pt")])
def test_the_users_notes_on_a_model_come_first(model, tmp_path, chosen, name):
    beside(model, "dream.vae.pt")
    model.with_suffix(".json").write_text(json.dumps({"vae": chosen, "notes": "nice"}))
    found = vae_for(model, folders=[tmp_path])
    assert (found.name if found else None) == name


def test_notes_that_name_a_vae_that_is_gone_are_told(model, tmp_path):
    model.with_suffix(".json").write_text('{"vae": "gone.pt"}')
    with pytest.raises(UsageError, match=r"dream\.json asks for the VAE 'gone\.pt'.*--vae NAME, or none"):
        vae_for(model, folders=[tmp_path])


@pytest.mark.parametrize("notes", ["", "[1]", '{"vae": 3}', "{no json"])
def test_other_files_of_that_name_say_nothing(model, notes):
    beside(model, "dream.vae.pt")
    model.with_suffix(".json").write_text(notes)
    assert vae_for(model) == model.parent / "dream.vae.pt"
