"""From a source to a file under its name: checked, scanned, in its place, never over another one."""

import json
import pickle
import zipfile

import pytest

import pochade
from pochade.errors import MalformedFileError, UnsafeFileError, UsageError
from pochade.files.scan import scan
from pochade.library.downloads import Order, judging, naming, offers
from pochade.library.hashes import remembered

from .conftest import content, sha256
from .server import File


class Harm:
    def __reduce__(self):
        return (eval, ("1",))


@pytest.fixture
def webui(tmp_path):
    for name in ("models/Stable-diffusion", "models/Lora", "models/VAE", "embeddings"):
        (tmp_path / "webui" / name).mkdir(parents=True)
    return tmp_path / "webui"


def placed(run, webui, source, **options):
    made, told = run(source, **{"to": None, "models": (webui,)} | options)
    return str(made.path.relative_to(webui)), told


def test_a_model_goes_to_the_place_of_its_kind(site, run, webui, lora, embedding):
    site.routes["/a.safetensors"] = File(lora)
    site.routes["/b.safetensors"] = File(embedding)
    assert placed(run, webui, f"{site.address}/a.safetensors") == ("models/Lora/a.safetensors", [])
    assert placed(run, webui, f"{site.address}/b.safetensors") == ("embeddings/b.safetensors", [])
    left = sorted(each.name for each in webui.rglob("*") if each.is_file())
    assert left == ["a.safetensors", "b.safetensors"]


def test_its_hash_is_known_without_reading_it_again(site, run, here, lora):
    site.routes["/a.safetensors"] = File(lora)
    made, _ = run(f"{site.address}/a.safetensors")
    assert remembered(made.path) == made.sha256 == sha256(lora)


def test_what_is_no_known_model_lies_in_the_folder_itself(site, run, webui, tmp_path):
    site.routes["/a.safetensors"] = File(content(tmp_path, {"who": (2, 2), "knows": (3,)}))
    place, told = placed(run, webui, f"{site.address}/a.safetensors")
    assert place == "a.safetensors"
    assert "What kind of model a.safetensors is cannot be told" in told[0]


def test_without_a_folder_it_is_the_current_one(site, run, tmp_path, lora, monkeypatch):
    monkeypatch.chdir(tmp_path)
    site.routes["/a.safetensors"] = File(lora)
    made, _ = run(f"{site.address}/a.safetensors", to=None)
    assert str(made.path) == "a.safetensors"
    assert made.path.exists()


@pytest.mark.parametrize("to", ["new/deep", "new/name.safetensors"])
def test_it_goes_where_the_user_says(site, run, tmp_path, lora, to):
    site.routes["/a.safetensors"] = File(lora)
    made, _ = run(f"{site.address}/a.safetensors", to=tmp_path / to)
    assert made.path == tmp_path / (to if to.endswith("tensors") else f"{to}/a.safetensors")


def test_the_server_may_say_the_name_but_not_the_place(site, run, here, lora):
    site.routes["/download"] = File(lora, headers={"Content-Disposition": 'attachment; filename="../../b.safetensors"'})
    run(f"{site.address}/download")
    assert here() == ["b.safetensors"]


def test_a_model_without_an_ending_gets_one(site, run, here, lora):
    site.routes["/style-v1.5"] = File(lora)
    run(f"{site.address}/style-v1.5")
    assert here() == ["style-v1.5.safetensors"]


def test_the_same_file_is_not_fetched_twice_where_its_hash_is_known(site, run, webui, lora):
    site.routes["/a.safetensors"] = File(lora)
    options = {"to": None, "models": (webui,), "sha256": sha256(lora).upper()}
    first, _ = run(f"{site.address}/a.safetensors", **options)
    before = len(site.asked)
    again, told = run(f"{site.address}/a.safetensors", **options)
    assert (again.path, again.is_new, again.kind, again.bytes) == (first.path, False, "lora", len(lora))
    assert told == [f"{site.address}/a.safetensors is there already."]
    assert len(site.asked) == before + 1


def test_the_same_file_is_not_kept_twice(site, run, here, lora):
    site.routes["/a.safetensors"] = File(lora)
    first, _ = run(f"{site.address}/a.safetensors")
    again, told = run(f"{site.address}/a.safetensors")
    assert (again.path, again.is_new) == (first.path, False)
    assert "is the same file already" in told[0]
    assert here() == ["a.safetensors"]


def test_another_file_of_that_name_stays_as_it_is(site, run, here, lora, embedding, tmp_path):
    (tmp_path / "here/A.safetensors").write_bytes(embedding)
    site.routes["/a.safetensors"] = File(lora)
    made, told = run(f"{site.address}/a.safetensors")
    assert here() == ["A.safetensors", "a-2.safetensors"]
    assert (tmp_path / "here/A.safetensors").read_bytes() == embedding
    assert told[-1].endswith("a.safetensors is another file; this one is a-2.safetensors.")
    with pytest.raises(UsageError, match="is there already; name another file with --to"):
        run(f"{site.address}/a.safetensors", to=made.path)


def test_the_hash_that_the_user_names_must_be_met(site, run, here, lora):
    site.routes["/a.safetensors"] = File(lora)
    assert run(f"{site.address}/a.safetensors", sha256=sha256(lora))[0].is_verified
    site.routes["/b.safetensors"] = File(lora)
    with pytest.raises(MalformedFileError, match=f"its hash is {sha256(lora)}, --sha256 wants {'0' * 64}"):
        run(f"{site.address}/b.safetensors", sha256="0" * 64)
    assert here() == ["a.safetensors", "b.safetensors.unverified"]
    with pytest.raises(UsageError, match="--sha256 is 'abc'; it must be 64 digits"):
        run(f"{site.address}/a.safetensors", sha256="abc")


@pytest.mark.parametrize("name", ["a.safetensors", "a.pt", "a.ckpt"])
def test_what_would_act_is_not_kept(site, run, here, name):
    site.routes[f"/{name}"] = File(pickle.dumps(Harm(), 2))
    with pytest.raises(UnsafeFileError, match=rf"{name}: is malicious: .*eval.* It was removed; nothing was run"):
        run(f"{site.address}/{name}")
    assert here() == []


def test_an_archive_is_looked_into(site, run, here, tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("model.pt", pickle.dumps(Harm(), 2))
    site.routes["/models.zip"] = File((tmp_path / "x.zip").read_bytes())
    with pytest.raises(UnsafeFileError, match=r"model\.pt"):
        run(f"{site.address}/models.zip")
    assert here() == []


def test_what_is_only_suspicious_is_told_or_refused(site, run, here):
    site.routes["/a.safetensors"] = File(pickle.dumps({"a": 1}, 2))
    made, told = run(f"{site.address}/a.safetensors")
    assert made.path.exists()
    assert told[0].startswith("a.safetensors is suspicious: is a pickle that calls itself safetensors")
    with pytest.raises(UnsafeFileError, match=r"b\.safetensors\.unverified: is suspicious: .*kept under this name"):
        site.routes["/b.safetensors"] = site.routes["/a.safetensors"]
        run(f"{site.address}/b.safetensors", strict=True)
    assert here() == ["a.safetensors", "b.safetensors.unverified"]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "git-lfs pointer"),
        (b"", "is empty"),
        (b"\x1f\x8b" + b"x" * 99, "unpack it first"),
        (b"what is this?", "no model file|neither"),
    ],
)
def test_what_is_no_model_gets_no_name_of_one(site, run, here, body, why):
    site.routes["/a.safetensors"] = File(body)
    with pytest.raises(MalformedFileError, match=why):
        run(f"{site.address}/a.safetensors")
    assert here() == ["a.safetensors.unverified"]


def test_while_it_is_looked_at_nothing_of_its_name_is_there(site, run, here, lora, monkeypatch):
    seen = []
    monkeypatch.setattr(judging, "scan", lambda path: seen.extend(here()) or scan(path))
    site.routes["/a.safetensors"] = File(lora)
    run(f"{site.address}/a.safetensors")
    assert [each for each in seen if not each.endswith((".part", ".part.json"))] == []
    assert seen


def test_systems_without_links_scan_all_the_same(site, run, here, lora, monkeypatch):
    def refuse(*_, **__):
        raise OSError("no links here")

    monkeypatch.setattr("pathlib.Path.symlink_to", refuse)
    monkeypatch.setattr("os.link", refuse)
    site.routes["/a.safetensors"] = File(lora)
    assert run(f"{site.address}/a.safetensors")[0].path.read_bytes() == lora
    assert here() == ["a.safetensors"]


def test_a_name_that_is_taken_meanwhile_is_not_written_over(tmp_path, monkeypatch):
    (tmp_path / "a.part").write_text("new")
    (tmp_path / "a.ckpt").write_text("old")
    names = [tmp_path / "a.ckpt", tmp_path / "b"]
    monkeypatch.setattr(naming, "free_name", lambda _: names.pop(0))
    assert naming.put(tmp_path / "a.part", tmp_path / "a.ckpt") == tmp_path / "b"
    assert ((tmp_path / "a.ckpt").read_text(), (tmp_path / "b").read_text()) == ("old", "new")


def test_what_was_downloaded_is_recorded_for_the_user_alone(site, run, home, lora):
    site.routes["/a.safetensors"] = File(lora)
    made, _ = run(f"{site.address}/a.safetensors")
    (path,) = home.rglob("downloads.jsonl")
    (line,) = map(json.loads, path.read_text().splitlines())
    assert (line["path"], line["sha256"], line["source"]) == (str(made.path), made.sha256, made.source)
    assert path.stat().st_mode & 0o077 == 0


def test_a_plain_address_can_be_listed(site, lora):
    site.routes["/a.safetensors"] = File(lora)
    (offer,) = offers(f"{site.address}/a.safetensors", Order())
    assert (offer.name, offer.bytes, offer.is_chosen) == ("a.safetensors", len(lora), True)


def test_a_plain_address_has_nothing_to_choose_from(site, run):
    with pytest.raises(UsageError, match="is one file, so there is nothing to choose"):
        run(f"{site.address}/a.safetensors", precision="fp16")


def test_python_has_one_call_for_it(site, tmp_path, lora):
    site.routes["/a.safetensors"] = File(lora)
    assert pochade.download(f"{site.address}/a.safetensors", to=tmp_path) == tmp_path / "a.safetensors"
