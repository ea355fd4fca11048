"""Layouts: the folders of every known program are understood alike."""

import os

import pytest

from pochade.errors import MalformedFileError
from pochade.library import find_model
from pochade.library.comfy import extra_folders
from pochade.library.places import all_places, known_places, layout_of, places_for, places_of

from .test_find import folder_of

COMFY = """
webui:
    base_path: ../webui
    checkpoints: models/Stable-diffusion
    loras: |
        models/Lora

        models/LyCORIS
    custom_nodes: nodes
fast:
    is_default: true
    base_path: {fast}
    vae: vae
    loras: loras
    unet: unet
empty:
"""


@pytest.fixture
def comfy(tmp_path):
    folder_of(tmp_path / "webui", "models/Stable-diffusion/old.ckpt", "models/LyCORIS/sub/ink.safetensors")
    folder_of(tmp_path / "fast", "vae/fine.safetensors", "loras/own.safetensors")
    root = folder_of(tmp_path / "comfy", "models/checkpoints/new.safetensors", "models/loras/own.safetensors")
    (root / "extra_model_paths.yaml").write_text(COMFY.format(fast=tmp_path / "fast"))
    return root


def snapshot(root, name, commit, *files, branches=("main",)):
    """A repository in a cache of the hub, its files as links."""
    folder = root / f"models--{name.replace('/', '--')}"
    for number, file in enumerate(files):
        blob = folder / "blobs" / f"{commit}{number}"
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(file.encode())
        link = folder / "snapshots" / commit / file
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    for branch in branches:
        (folder / "refs" / branch).parent.mkdir(parents=True, exist_ok=True)
        (folder / "refs" / branch).write_text(commit)
    return folder


def test_all_sections_of_comfyui_are_looked_into(comfy, tmp_path):
    assert find_model("old", [comfy]) == tmp_path / "webui/models/Stable-diffusion/old.ckpt"
    assert find_model("new", [comfy]) == comfy / "models/checkpoints/new.safetensors"
    assert find_model("sub/ink", [comfy], "lora").name == "ink.safetensors"
    assert find_model("fine", [comfy], "vae") == tmp_path / "fast/vae/fine.safetensors"
    assert places_of([comfy], "vae") == [tmp_path / "fast/vae"]
    assert layout_of(comfy) == "ComfyUI"


def test_default_sections_go_first(comfy, tmp_path):
    assert find_model("own", [comfy], "lora") == tmp_path / "fast/loras/own.safetensors"


def test_folders_may_name_the_users_home_and_variables(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DISK", str(tmp_path / "disk"))
    (tmp_path / "extra_model_paths.yaml").write_text(
        "a: {base_path: ~/x, vae: v}\nb: {base_path: $DISK, vae: v}\nc: {vae: w}"
    )
    assert [each.folder for each in extra_folders(tmp_path)] == [tmp_path / each for each in ("x/v", "disk/v", "w")]


@pytest.mark.parametrize("text", ["a: [", "- a\n- b", "a: text", "x" * 10, "a: !!python/object:os.system {}"])
def test_a_broken_list_of_comfyui_is_explained(tmp_path, text):
    (tmp_path / "extra_model_paths.yaml").write_text(text)
    with pytest.raises(MalformedFileError, match=r"extra_model_paths\.yaml: (is no YAML|has no sections|says)"):
        extra_folders(tmp_path)


@pytest.mark.parametrize("inner", ["", "Data"])
def test_stability_matrix(tmp_path, inner):
    folder_of(
        tmp_path / inner, "Models/StableDiffusion/sd/a.safetensors", "Models/Lora/b.safetensors", "Models/VAE/c.pt"
    )
    assert find_model("sd/a", [tmp_path]).is_file()
    assert find_model("b", [tmp_path], "lora").is_file()
    assert find_model("c", [tmp_path], "vae").is_file()
    assert layout_of(tmp_path) == "StabilityMatrix"


@pytest.mark.parametrize("inner", ["", "hub"])
def test_the_cache_of_the_hub(tmp_path, inner):
    root = tmp_path / inner
    snapshot(root, "org/xl", "abc1", "model_index.json", "unet/model.safetensors")
    snapshot(root, "org/lora", "abc2", "fox.safetensors", "sub/cat.safetensors")
    snapshot(root, "org/lora", "abc3", "fox.safetensors", branches=["refs/pr/1"])
    (root / "datasets--org--data" / "snapshots").mkdir(parents=True)
    assert find_model("org/xl", [tmp_path]).name == "abc1"
    assert find_model("XL", [tmp_path]).name == "abc1"
    assert find_model("org/lora/sub/cat", [tmp_path], "lora").is_file()
    assert find_model("fox", [tmp_path], "lora").parent.name == "abc2"
    assert find_model("org/lora@refs/pr/1/fox", [tmp_path], "lora").parent.name == "abc3"
    assert layout_of(tmp_path) == "Hugging Face cache"


def test_of_a_repository_without_branches_the_last_revision_counts(tmp_path):
    for number, commit in enumerate(("abc1", "abc2")):
        folder = snapshot(tmp_path, "org/a", commit, "a.safetensors", branches=[]) / "snapshots" / commit
        os.utime(folder, (number, number))
    assert find_model("a", [tmp_path]).parent.name == "abc2"


@pytest.mark.parametrize("commit", ["", "..", "../../..", "/etc", "abc/../..", "\udcff"])
def test_a_branch_cannot_lead_elsewhere(tmp_path, commit):
    folder = snapshot(tmp_path, "org/a", "abc1", "a.safetensors", branches=[])
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_bytes(commit.encode(errors="surrogateescape"))
    assert [each.folder.name for each in known_places(tmp_path)] == ["abc1"]


def test_a_folder_of_the_user_is_looked_through_whole(tmp_path):
    folder_of(tmp_path, "a.safetensors", "VAE/b.pt")
    assert [each.folder for each in all_places(tmp_path)] == [tmp_path / "VAE", tmp_path]
    assert [each.folder for each in places_for(tmp_path, "lora")] == [tmp_path]
    assert [each.folder for each in places_for(tmp_path, "vae")] == [tmp_path / "VAE"]
    assert layout_of(tmp_path) == "folder"


def test_of_a_web_ui_only_the_places_of_models(tmp_path):
    folder_of(tmp_path, "models/Stable-diffusion/a.ckpt", "models/Lora/b.pt", "venv/lib/weights.pt")
    assert [each.kind for each in all_places(tmp_path)] == ["checkpoint", "lora"]
    assert layout_of(tmp_path) == "web UI"


def test_one_folder_by_two_names_is_one_place(tmp_path):
    folder_of(tmp_path, "models/vae/a.pt")
    (tmp_path / "models" / "VAE").symlink_to(tmp_path / "models" / "vae")
    assert len(places_of([tmp_path], "vae")) == 1
