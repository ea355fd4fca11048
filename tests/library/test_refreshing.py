"""The index follows the folders: what is unchanged is not examined again, and what was done is never lost."""

import json
import os
import time

import pytest

from pochade.events import Made, Step, Warned
from pochade.library import database, index, looking, refreshing
from pochade.library.entries import Facts
from pochade.library.hashes import remembered, sha256
from pochade.library.refreshing import Changes

from .test_find import folder_of
from .test_places import snapshot


class Examiner:
    """Pretends to examine files, and notes which."""

    def __init__(self):
        self.seen = []

    def __call__(self, paths):
        for path in paths:
            self.seen.append(path.name)
            yield Facts(kind="lora", title=path.stem)


@pytest.fixture
def examiner(home):
    return Examiner()


def refresh(examiner, *roots, **options):
    return list(refreshing.refreshing(roots, examiner, **options))[-1].result


def names(*roots):
    return [entry.name for entry in index.entries(roots)]


@pytest.fixture
def webui(tmp_path):
    return folder_of(
        tmp_path / "webui",
        "models/Lora/fox.safetensors",
        "models/Lora/sub/cat.safetensors",
        "models/Stable-diffusion/dream.ckpt",
        "models/Stable-diffusion/folder-model/model_index.json",
        "models/Stable-diffusion/folder-model/unet/a.bin",
        "embeddings/word.pt",
    )


def test_the_first_look_examines_everything_and_the_next_nothing(examiner, webui):
    changes = refresh(examiner, webui)
    assert names(webui) == ["dream", "folder-model", "fox", "sub/cat", "word"]
    assert len(changes.added) == 5 and not changes.changed and not changes.removed
    assert sorted(examiner.seen) == ["cat.safetensors", "dream.ckpt", "folder-model", "fox.safetensors", "word.pt"]
    examiner.seen.clear()
    assert refresh(examiner, webui) == Changes()
    assert examiner.seen == []


def test_entries_tell_what_was_found(examiner, webui):
    (webui / "models/Lora/sub/cat.json").write_text(json.dumps({"preferred weight": 0.5}))
    (webui / "models/Lora/sub/cat.preview.png").touch()
    refresh(examiner, webui)
    cat = next(each for each in index.entries([webui]) if each.stem == "cat")
    assert cat.path == cat.file == webui / "models/Lora/sub/cat.safetensors"
    assert (cat.root, cat.bytes, cat.title, cat.sha256) == (webui, cat.path.stat().st_size, "cat", None)
    assert (cat.notes.weight, cat.notes.preview) == (0.5, str(cat.path.with_suffix(".preview.png")))
    sha256(cat.path)
    assert next(each for each in index.entries([webui]) if each.stem == "cat").sha256 == sha256(cat.path)


def test_only_what_changed_is_examined_again(examiner, webui):
    refresh(examiner, webui)
    examiner.seen.clear()
    fox, cat = webui / "models/Lora/fox.safetensors", webui / "models/Lora/sub/cat.safetensors"
    fox.write_bytes(b"longer than before")
    cat.with_suffix(".txt").write_text("a cat")
    (webui / "embeddings/word.pt").unlink()
    (webui / "embeddings/new.pt").write_bytes(b"new")
    changes = refresh(examiner, webui)
    assert sorted(examiner.seen) == ["fox.safetensors", "new.pt"]
    assert (changes.added, changes.removed) == ((webui / "embeddings/new.pt",), (webui / "embeddings/word.pt",))
    assert set(changes.changed) == {fox, cat}
    assert next(each for each in index.entries([webui]) if each.stem == "cat").description == "a cat"
    cat.with_suffix(".txt").unlink()
    assert refresh(examiner, webui).changed == (cat,)
    assert next(each for each in index.entries([webui]) if each.stem == "cat").description == ""


def test_a_file_inside_a_diffusers_folder_counts(examiner, webui):
    refresh(examiner, webui)
    examiner.seen.clear()
    (webui / "models/Stable-diffusion/folder-model/unet/a.bin").write_bytes(b"other weights")
    refresh(examiner, webui)
    assert examiner.seen == ["folder-model"]


def test_a_hash_outlives_a_look_but_not_its_file(examiner, webui):
    fox = webui / "models/Lora/fox.safetensors"
    digest = sha256(fox)
    refresh(examiner, webui)
    assert remembered(fox) == digest
    kept = fox.read_bytes()
    fox.unlink()
    refresh(examiner, webui)
    fox.write_bytes(kept)
    assert remembered(fox) is None


def test_another_version_of_pochade_examines_again_and_keeps_hashes(examiner, webui, monkeypatch):
    refresh(examiner, webui)
    digest = sha256(webui / "embeddings/word.pt")
    examiner.seen.clear()
    for module in (index, looking):
        monkeypatch.setattr(module, "__version__", "99")
    refresh(examiner, webui)
    assert len(examiner.seen) == 5
    assert next(each for each in index.entries([webui]) if each.stem == "word").sha256 == digest


def test_one_file_by_many_names_is_examined_once(examiner, tmp_path):
    root = folder_of(tmp_path / "own", "a.safetensors")
    (root / "b.safetensors").symlink_to(root / "a.safetensors")
    refresh(examiner, root)
    assert names(root) == ["a", "b"]
    assert examiner.seen == ["b.safetensors"] or examiner.seen == ["a.safetensors"]
    (root / "b.safetensors").unlink()
    folder_of(root, "c.safetensors")
    (root / "b.safetensors").symlink_to(root / "c.safetensors")
    refresh(examiner, root)
    assert {each.name: each.file.name for each in index.entries([root])}["b"] == "c.safetensors"


def test_a_link_that_leads_nowhere_is_listed(examiner, tmp_path):
    root = folder_of(tmp_path / "own", "a.safetensors")
    (root / "gone.safetensors").symlink_to(tmp_path / "nowhere")
    refresh(examiner, root)
    assert names(root) == ["a", "gone"]
    assert refresh(examiner, root) == Changes()


def test_the_cache_of_the_hub_has_the_names_of_its_repositories(examiner, tmp_path):
    snapshot(tmp_path / "hub", "org/xl", "abc1", "model_index.json", "unet/model.safetensors")
    snapshot(tmp_path / "hub", "org/lora", "abc2", "sub/fox.safetensors")
    refresh(examiner, tmp_path / "hub")
    assert names(tmp_path / "hub") == ["org/lora/sub/fox", "org/xl"]
    fox = index.entries([tmp_path / "hub"])[0]
    assert fox.path.name == "fox.safetensors" and fox.file.parent.name == "blobs"


def test_folders_inside_each_other_do_not_disturb_each_other(examiner, webui):
    inner = webui / "models" / "Lora"
    refresh(examiner, webui)
    refresh(examiner, inner)
    assert names(inner) == ["fox", "sub/cat"]
    assert len(names(webui, inner)) == 5
    assert refresh(examiner, webui, inner) == Changes()


def test_pictures_beside_a_model_are_no_embeddings(examiner, tmp_path):
    root = folder_of(tmp_path / "w", "models/Lora/x.pt", "embeddings/a.pt", "embeddings/a.png", "embeddings/b.png")
    folder_of(root, "embeddings/c.preview.png", "models/Stable-diffusion/d.ckpt", "models/Lora/y.png")
    refresh(examiner, root)
    assert names(root) == ["a", "b", "d", "x"]
    assert index.entries([root])[0].notes.preview.endswith("a.png")


def test_stopping_keeps_what_was_examined(examiner, webui):
    events = refreshing.refreshing([webui], examiner)
    assert next(events) == Step(1, 5, "files")
    next(events)
    events.close()
    examiner.seen.clear()
    refresh(examiner, webui)
    assert len(examiner.seen) == 3


def test_a_failure_keeps_what_was_examined(home, webui, examiner):
    def failing(paths):
        yield Facts(kind="vae")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        refresh(failing, webui)
    refresh(examiner, webui)
    assert len(examiner.seen) == 4


def test_a_folder_that_cannot_be_listed_is_told_and_loses_nothing(examiner, webui, monkeypatch):
    refresh(examiner, webui)
    closed, scandir = str(webui / "models/Lora/sub"), os.scandir

    def refused(path):
        if str(path) == closed:
            raise PermissionError(13, "Permission denied", closed)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    told, last = refreshing.refreshing([webui], examiner)
    assert told == Warned(f"{closed}: this folder cannot be listed: Permission denied.")
    assert last == Made(Changes())
    assert "sub/cat" in names(webui)


def test_a_damaged_index_is_made_anew(examiner, webui):
    refresh(examiner, webui)
    size = database.location().stat().st_size
    database.location().write_bytes(b"x" * size)
    assert len(refresh(examiner, webui).added) == 5


def test_fresh_files_wait_until_they_are_settled(examiner, webui):
    old = time.time() - 60
    for folder, _, files in os.walk(webui):
        for name in files:
            os.utime(os.path.join(folder, name), (old, old))
    folder_of(webui, "models/Lora/growing.safetensors")
    refresh(examiner, webui, settled=30)
    assert "growing" not in names(webui) and len(names(webui)) == 5
    refresh(examiner, webui)
    assert "growing" in names(webui)


def test_nothing_is_written_into_the_users_folders(examiner, webui):
    before = sorted(webui.rglob("*"))
    times = [each.stat().st_mtime_ns for each in before]
    refresh(examiner, webui)
    assert sorted(webui.rglob("*")) == before
    assert [each.stat().st_mtime_ns for each in before] == times


def test_names_that_are_no_text_are_kept(examiner, tmp_path):
    root = tmp_path / "own"
    root.mkdir()
    name = os.fsdecode(b"f\xff.safetensors")
    (root / name).write_bytes(b"x")
    (root / name.replace(".safetensors", ".txt")).write_text("text")
    refresh(examiner, root)
    (found,) = index.entries([root])
    assert found.path == root / name and found.description == "text"
    assert refresh(examiner, root) == Changes()


def test_what_another_version_noted_does_not_disturb(examiner, webui):
    refresh(examiner, webui)
    with database.connected() as base:
        base.execute('UPDATE files SET facts = \'{"kind": "vae", "colour": "red"}\'')
        base.execute("UPDATE entries SET notes = '{\"sound\": 3}'")
    assert {each.facts for each in index.entries([webui])} == {Facts(kind="vae")}


def test_a_diffusers_folder_that_goes_during_the_look_has_a_mark(tmp_path, monkeypatch):
    monkeypatch.setattr(looking, "models_by_folder", lambda *_: [(tmp_path / "gone", ["."], [])])
    (found,) = looking.looking(tmp_path, print)
    assert found.mark == (-1, -1, -1)
