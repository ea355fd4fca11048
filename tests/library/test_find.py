import hashlib

import pytest

from pochade.errors import MissingFileError, UnknownNameError, UsageError
from pochade.library import find_by_hash, find_model


def folder_of(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    return root


@pytest.fixture
def webui(tmp_path):
    return folder_of(
        tmp_path / "webui",
        "models/Stable-diffusion/dream.safetensors",
        "models/Stable-diffusion/dream.vae.pt",
        "models/Stable-diffusion/sub/photo.v2.ckpt",
        "models/Stable-diffusion/readme.txt",
        "models/Stable-diffusion/folder-model/model_index.json",
        "models/Stable-diffusion/folder-model/unet/weights.safetensors",
        "models/VAE/fine.pt",
        "models/Lora/dream-lora.safetensors",
    )


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("dream", "dream.safetensors"),
        ("DREAM.SafeTensors", "dream.safetensors"),
        ("dream [6ce0161689]", "dream.safetensors"),
        ("photo.v2", "sub/photo.v2.ckpt"),
        ("sub/photo.v2.ckpt", "sub/photo.v2.ckpt"),
        ("sub\\photo.v2", "sub/photo.v2.ckpt"),
        ("folder-model", "folder-model"),
    ],
)
def test_a_model_is_found_by_each_of_its_names(webui, name, found):
    assert find_model(name, [webui]) == webui / "models/Stable-diffusion" / found


def test_other_layouts(tmp_path):
    comfy = folder_of(tmp_path / "comfy", "models/checkpoints/a.safetensors", "models/vae/b.safetensors")
    own = folder_of(tmp_path / "own", "deep/inside/c.safetensors")
    assert find_model("a", [own, comfy]).is_file()
    assert find_model("c", [own, comfy]).is_file()
    assert find_model("b", [comfy], "vae").is_file()


def test_a_path_needs_no_folder(webui):
    path = webui / "models/Lora/dream-lora.safetensors"
    assert find_model(str(path), []) == path


@pytest.mark.parametrize("name", ["dream-lora", "dream.vae", "readme", "fine", "weights"])
def test_other_kinds_are_no_checkpoints(webui, name):
    with pytest.raises(UnknownNameError):
        find_model(name, [webui])


def test_a_vae_lies_in_its_own_folder(webui):
    assert find_model("fine", [webui], "vae").name == "fine.pt"


def test_the_nearest_names_are_offered(webui):
    with pytest.raises(UnknownNameError, match=r"no checkpoint named 'draem'; did you mean dream"):
        find_model("draem", [webui])


def test_nothing_to_look_in_is_said(tmp_path):
    with pytest.raises(UsageError, match="no folder to look in"):
        find_model("a", [])
    with pytest.raises(MissingFileError, match="there is no such file"):
        find_model("a.safetensors", [])
    with pytest.raises(MissingFileError, match="there is no such file"):
        find_model(str(tmp_path / "a"), [tmp_path])
    with pytest.raises(UsageError, match="this folder is no model"):
        find_model(str(tmp_path), [])
    with pytest.raises(UsageError, match="There is no checkpoint in"):
        find_model("a", [tmp_path])
    with pytest.raises(UsageError, match="no such models folder"):
        find_model("a", [tmp_path / "none"])


def test_a_model_is_found_by_its_hash(webui):
    digest = hashlib.sha256(b"models/Stable-diffusion/sub/photo.v2.ckpt").hexdigest()
    assert find_by_hash(digest[:10].upper(), [webui]).name == "photo.v2.ckpt"
    assert find_by_hash("0" * 64, [webui]) is None


def test_folders_behind_links_are_searched_after_the_real_ones(tmp_path):
    folder_of(tmp_path / "disk", "far.safetensors")
    folder = folder_of(tmp_path / "models", "z/near.safetensors")
    (folder / "a").symlink_to(folder / "z")
    (folder / "linked").symlink_to(tmp_path / "disk")
    (folder / "z" / "loop").symlink_to(folder)
    assert find_model("far", [folder]) == folder / "linked" / "far.safetensors"
    assert find_model("z/near", [folder]) == folder / "z" / "near.safetensors"
