"""Hugging Face, played by a server on this machine."""

import hashlib
import json

import pytest
from huggingface_hub import constants

from pochade.errors import FileError, MalformedFileError, MissingFileError, UnknownNameError, UsageError
from pochade.library.downloads import Order, offers
from pochade.library.downloads.patience import Patience

from .conftest import sha256
from .server import File, moved, said

COMMIT = "c" * 40


@pytest.fixture
def repository(site, monkeypatch):
    """Make the server a hub with a repository of these files; large ones are those of LFS."""
    monkeypatch.setenv("HF_ENDPOINT", site.address)

    def make(files, name="me/model", large=(".safetensors", ".bin", ".ckpt")):
        siblings = []
        for path, content in files.items():
            site.routes[f"/{name}/resolve/{COMMIT}/{path}"] = File(content)
            each = {"rfilename": path, "size": len(content), "blobId": git(content)}
            if path.endswith(large):
                each["lfs"] = {"size": len(content), "sha256": sha256(content), "pointerSize": 130}
            siblings.append(each)
        answer = said(200, {"id": name, "sha": COMMIT, "siblings": siblings})
        for revision in ("", "/revision/main", "/revision/v1"):
            site.routes[f"/api/models/{name}{revision}"] = answer
        return site

    return make


def git(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def test_a_file_is_pinned_to_its_commit_and_checked(repository, run, lora):
    site = repository({"sub/style.safetensors": lora, "README.md": b"# hello"})
    made, told = run("hf:me/model/sub/style.safetensors@v1")
    assert made.path.name == "style.safetensors"
    assert (made.source, made.revision, made.is_verified) == ("hf:me/model/sub/style.safetensors@v1", COMMIT, True)
    assert made.page == f"{site.address}/me/model"
    assert set(site.sent("Authorization") + site.sent("authorization")) == {"Bearer hf_secret", None}
    assert told == []


def test_the_token_stays_with_the_hub(repository, other_site, run, lora):
    site = repository({"style.safetensors": lora})
    site.routes[f"/me/model/resolve/{COMMIT}/style.safetensors"] = moved(f"{other_site.address}/blob?signature=1")
    other_site.routes["/blob"] = File(lora)
    made, _ = run("me/model", token="hf_other")
    assert made.path.read_bytes() == lora
    assert site.asked[-1][1]["Authorization"] == "Bearer hf_other"
    assert other_site.sent("Authorization") == [None]


def test_a_wrong_bit_gets_no_name(repository, run, here, lora):
    site = repository({"style.safetensors": lora})
    wrong = lora[:-1] + bytes([lora[-1] ^ 1])
    site.routes[f"/me/model/resolve/{COMMIT}/style.safetensors"] = File(wrong)
    with pytest.raises(MalformedFileError) as error:
        run("me/model/style.safetensors")
    assert f"its hash is {sha256(wrong)}, {site.address}/me/model announces {sha256(lora)}. " in str(error.value)
    assert here() == ["style.safetensors.unverified"]


def test_what_was_put_together_wrongly_is_brought_anew(repository, run, here, lora):
    site = repository({"style.safetensors": lora})
    place = f"/me/model/resolve/{COMMIT}/style.safetensors"
    site.routes[place] = File(b"x" * len(lora), breaks=[1000])
    with pytest.raises(FileError, match="tried 1 times"):
        run("me/model", patience=Patience(tries=1))
    site.routes[place] = File(lora)
    made, told = run("me/model")
    assert made.path.read_bytes() == lora
    assert "its hash is wrong; it is brought anew" in told[0]
    assert here() == ["style.safetensors"]


def test_small_files_are_checked_by_the_hash_of_git(repository, run, here):
    site = repository({"notes.json": b'{"a": 1}'})
    made, _ = run("hf:me/model/notes.json")
    assert (made.kind, made.is_verified) == ("unknown", True)
    site.routes[f"/me/model/resolve/{COMMIT}/other.json"] = File(b'{"a": 2}')
    repository({"other.json": b'{"a": 1}'})
    site.routes[f"/me/model/resolve/{COMMIT}/other.json"] = File(b'{"a": 2}')
    with pytest.raises(MalformedFileError, match="its hash is"):
        run("hf:me/model/other.json")


@pytest.mark.parametrize(
    ("names", "options", "chosen"),
    [
        (["a.safetensors", "README.md"], {}, "a.safetensors"),
        (["a.ckpt", "a.safetensors"], {}, "a.safetensors"),
        (["a.ckpt", "a.safetensors"], {"format": "ckpt"}, "a.ckpt"),
        (["a.fp16.safetensors", "a.safetensors", "a.ckpt"], {}, "a.safetensors"),
        (["a.fp16.safetensors", "a.safetensors", "a.ckpt"], {"precision": "fp16"}, "a.fp16.safetensors"),
        (["a-pruned.safetensors", "a.safetensors"], {"extent": "pruned"}, "a-pruned.safetensors"),
        (["a.safetensors", "sub/b.safetensors"], {"file": "b.safetensors"}, "b.safetensors"),
        (["diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin"], {}, "model.safetensors"),
        (["vae/diffusion_pytorch_model.fp16.safetensors"], {}, "model.fp16.safetensors"),
    ],
)
def test_of_several_files_one_is_chosen_where_there_is_no_doubt(repository, run, lora, names, options, chosen):
    repository(dict.fromkeys(names, lora))
    made, _ = run("me/model", **options)
    assert made.path.name == chosen


def test_where_several_may_be_meant_they_are_listed(repository, run, lora):
    repository({"canny.safetensors": lora, "depth.safetensors": lora, "notes.txt": b"x"})
    with pytest.raises(
        UsageError, match=r"several models; there are canny\.safetensors, depth\.safetensors; choose one"
    ):
        run("me/model")
    with pytest.raises(UsageError, match=r"has no file with format ckpt; there are canny"):
        run("me/model", format="ckpt")
    with pytest.raises(UnknownNameError, match=r"'deepth\.safetensors'; did you mean depth\.safetensors"):
        run("me/model", file="deepth.safetensors")
    assert [(each.name, each.is_chosen) for each in offers("me/model", Order())] == [
        ("canny.safetensors", False),
        ("depth.safetensors", False),
    ]


INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "unet": ["d", "U"],
    "vae": ["d", "V"],
    "safety_checker": [None, None],
}


def in_parts(lora):
    """A model in parts, with what nobody needs beside it."""
    return {
        "model_index.json": json.dumps(INDEX).encode(),
        "unet/config.json": b"{}",
        "unet/diffusion_pytorch_model.safetensors": lora,
        "unet/diffusion_pytorch_model.fp16.safetensors": lora,
        "unet/diffusion_pytorch_model.bin": b"x",
        "unet/openvino_model.bin": b"x",
        "vae/config.json": b"{}",
        "vae/diffusion_pytorch_model.bin": lora,
        "safety_checker/model.safetensors": lora,
        "other/model.safetensors": lora,
        "v1-5.ckpt": b"x",
        "README.md": b"x",
    }


FULL = ["unet/config.json", "unet/diffusion_pytorch_model.safetensors", "vae/config.json"]


def test_a_model_in_parts_becomes_a_folder_of_what_is_needed(repository, run, here, lora, tmp_path):
    repository(in_parts(lora))
    made, _ = run("me/model", to=tmp_path / "here" / "mine")
    assert (made.path, made.sha256, made.is_verified) == (tmp_path / "here/mine", "", True)
    files = [name.removeprefix("mine/") for name in here() if name.count("/") == 2 or name.endswith(".json")]
    assert files == ["model_index.json", *FULL, "vae/diffusion_pytorch_model.bin"]
    assert [each.name for each in offers("me/model", Order()) if each.is_chosen] == [
        "model_index.json",
        *FULL,
        "vae/diffusion_pytorch_model.bin",
    ]


def test_the_smaller_precision_of_parts_may_be_asked_for(repository, run, here, lora):
    repository(in_parts(lora))
    made, _ = run("me/model", precision="fp16")
    assert made.path.name == "model"
    assert "model/unet/diffusion_pytorch_model.fp16.safetensors" in here()
    assert "model/unet/diffusion_pytorch_model.safetensors" not in here()
    assert "model/vae/diffusion_pytorch_model.bin" in here()


def test_a_folder_that_is_there_is_not_fetched_again(repository, run, here, lora):
    site = repository(in_parts(lora))
    first, _ = run("me/model")
    before = len(site.asked)
    again, _ = run("me/model")
    assert (again.path, again.is_new, again.bytes) == (first.path, False, first.bytes)
    assert not any("diffusion_pytorch" in path for path in site.paths()[before:])
    other, _ = run("me/model", precision="fp16")
    assert other.path.name == "model-2"


def test_a_folder_that_was_stopped_goes_on_with_what_is_missing(repository, run, here, lora):
    site = repository(in_parts(lora))
    missing = f"/me/model/resolve/{COMMIT}/vae/diffusion_pytorch_model.bin"
    site.routes[missing] = said(404)
    with pytest.raises(MissingFileError):
        run("me/model")
    assert not any(name.endswith((".safetensors", ".bin", "model_index.json")) for name in here())
    before = len(site.asked)
    site.routes[missing] = File(lora)
    made, _ = run("me/model")
    assert {path for path in site.paths()[before:] if "safetensors" in path} == set()
    assert made.path.is_dir()
    assert not any(".part" in name for name in here())


def test_paths_that_lead_out_of_the_folder_are_passed_over(repository, run, here, lora):
    files = in_parts(lora) | {"unet/../../evil.json": b"{}", "unet/a\\..\\evil.json": b"{}", "/evil.json": b"{}"}
    repository(files)
    run("me/model")
    assert not any("evil" in name for name in here())


@pytest.mark.parametrize(
    ("status", "code", "kind", "sentence"),
    [
        (401, "RepoNotFound", MissingFileError, "there is no such repository; check its name, or it may be private"),
        (403, "GatedRepo", FileError, r"its owner lets in only whom they accepted; .* set HF_TOKEN"),
        (404, "RevisionNotFound", MissingFileError, r"has no revision 'v9'; check what stands behind the @"),
        (500, "", FileError, r"the server is in trouble \(500\); tried 6 times; try again later"),
        (418, "", FileError, "the server answers 418"),
    ],
)
def test_refusals_of_the_hub_are_one_sentence(site, run, monkeypatch, status, code, kind, sentence):
    monkeypatch.setenv("HF_ENDPOINT", site.address)
    site.routes["/api/models/me/model/revision/v9"] = said(status, {}, X_Error_Code=code)
    with pytest.raises(kind, match=sentence) as error:
        run("me/model@v9")
    assert "\n" not in str(error.value)


def test_a_file_behind_terms_says_what_to_do(repository, run, lora):
    site = repository({"a.safetensors": lora})
    site.routes[f"/me/model/resolve/{COMMIT}/a.safetensors"] = said(403, X_Error_Message="Access is restricted")
    with pytest.raises(FileError, match=r"refuses it \(403: Access is restricted\); it may be private .* set HF_TOKEN"):
        run("me/model")


@pytest.mark.parametrize(
    "answer",
    [
        said(200, [1]),
        said(200, {"siblings": []}),
        said(200, b"<html>"),
        said(200, {"id": "a", "siblings": [{"rfilename": 5}]}),
        said(200, {"id": "a", "siblings": [{"rfilename": "a.ckpt", "size": "big", "blobId": 3}]}),
    ],
)
def test_a_mirror_that_is_none_is_told(site, run, monkeypatch, answer):
    monkeypatch.setenv("HF_ENDPOINT", site.address)
    site.routes["/api/models/me/model"] = answer
    with pytest.raises(MalformedFileError, match="answers with something else than a repository"):
        run("me/model")


def test_nobody_there_is_one_sentence(run, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(FileError, match=r"http://127\.0\.0\.1:1/me/model: cannot be asked: .*refused"):
        run("me/model")


def test_a_name_that_no_repository_has_is_told(run):
    with pytest.raises(UsageError, match="me/a--b can be no repository"):
        run("hf:me/a--b")


def test_what_is_not_there_is_told(repository, run, lora):
    repository({"a.safetensors": lora})
    with pytest.raises(MissingFileError, match="has no such file"):
        run("hf:me/model/b.safetensors")
    with pytest.raises(UsageError, match="has no model file"):
        repository({"README.md": b"x"})
        run("me/model")


def test_being_offline_is_honoured(repository, run, monkeypatch, lora):
    site = repository({"a.safetensors": lora})
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UsageError, match="HF_HUB_OFFLINE is set; unset it"):
        run("me/model")
    assert site.asked == []
