"""Civitai, played by a server on this machine."""

import io
import json

import pytest
from PIL import Image

from pochade.errors import FileError, MalformedFileError, MissingFileError, UsageError
from pochade.library.downloads import Order, offers

from .conftest import sha256
from .server import File, moved, said


def described(number, name, content, primary=False, **facts):
    return {
        "id": number,
        "name": name,
        "type": "Model",
        "sizeKB": len(content) / 1024,
        "primary": primary,
        "metadata": {"format": "SafeTensor", "fp": "fp16", "size": "pruned"} | facts,
        "hashes": {"SHA256": sha256(content).upper(), "AutoV2": sha256(content)[:10].upper()},
        "downloadUrl": f"https://civitai.com/api/download/models/34{'' if primary else '?type=Model'}",
    }


def picture(format="PNG"):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, format)
    return buffer.getvalue()


@pytest.fixture
def version(site, monkeypatch, lora):
    """The description of a version that the server gives; a test changes it before it asks."""
    monkeypatch.setenv("CIVITAI_ENDPOINT", site.address)
    monkeypatch.setenv("CIVITAI_TOKEN", "civ_secret")
    value = {
        "id": 34,
        "modelId": 12,
        "name": "v1",
        "baseModel": "SD 1.5",
        "trainedWords": ["zorp"],
        "model": {"name": "Style", "type": "LORA"},
        "files": [described(56, "style.safetensors", lora, primary=True)],
        "images": [
            {"url": f"{site.address}/bold.png", "type": "image", "nsfwLevel": 16},
            {"url": f"{site.address}/clip.mp4", "type": "video", "nsfwLevel": 1},
            {"url": f"{site.address}/mild.png", "type": "image", "nsfwLevel": 1},
        ],
    }
    answer = lambda handler: said(200, value)(handler)  # noqa: E731
    site.routes["/api/v1/models/12"] = said(200, {"id": 12, "modelVersions": [{"id": 34}, {"id": 33}]})
    for path in ("34", f"by-hash/{sha256(lora).upper()}", f"by-hash/{sha256(lora)[:10].upper()}"):
        site.routes[f"/api/v1/model-versions/{path}"] = answer
    site.routes["/api/download/models/34"] = File(lora)
    site.routes["/mild.png"] = File(picture())
    site.routes["/bold.png"] = File(picture())
    return value


@pytest.mark.parametrize(
    "source",
    [
        "civitai:12",
        "civitai:12@34",
        "civitai:@34",
        "urn:air:sd1:lora:civitai:12@34",
        "https://civitai.com/models/12/style",
        "https://civitai.com/models/12?modelVersionId=34",
        "https://civitai.com/api/download/models/34?type=Model&format=SafeTensor&size=pruned&fp=fp16",
    ],
)
def test_every_way_to_name_a_version_leads_to_its_file(version, site, run, lora, source):
    made, told = run(source)
    assert (made.path.name, made.path.read_bytes()) == ("style.safetensors", lora)
    assert (made.source, made.revision, made.is_verified) == ("civitai:12@34", "34", True)
    assert made.page == f"{site.address}/models/12?modelVersionId=34"
    assert told == []


@pytest.mark.parametrize("digits", [64, 10])
def test_a_version_is_found_by_the_hash_of_a_file(version, run, lora, digits):
    assert run(f"civitai:hash:{sha256(lora)[:digits]}")[0].path.name == "style.safetensors"


def test_description_and_preview_lie_beside(version, site, run, here, tmp_path):
    run("civitai:12")
    assert here() == ["style.civitai.info", "style.preview.png", "style.safetensors"]
    assert json.loads((tmp_path / "here/style.civitai.info").read_text()) == version
    assert "/mild.png" in site.paths()
    assert "/bold.png" not in site.paths()


def test_what_lies_beside_already_stays(version, run, tmp_path):
    (tmp_path / "here/style.civitai.info").write_text("mine")
    (tmp_path / "here/style.preview.jpg").write_text("mine")
    run("civitai:12")
    assert (tmp_path / "here/style.civitai.info").read_text() == "mine"
    assert not (tmp_path / "here/style.preview.png").exists()


def test_nothing_lies_beside_if_it_is_not_wanted(version, run, here):
    run("civitai:12", sidecars=False)
    assert here() == ["style.safetensors"]


@pytest.mark.parametrize("content", [b"<html>", b"\x89PNG\r\n\x1a\nbroken", b"GIF89a", b""])
def test_what_is_no_picture_is_no_preview(version, site, run, here, content):
    site.routes["/mild.png"] = File(content)
    site.routes["/bold.png"] = File(picture("JPEG"))
    run("civitai:12")
    assert here() == ["style.civitai.info", "style.preview.jpg", "style.safetensors"]


def test_a_preview_that_cannot_be_had_is_only_told(version, site, run, here):
    site.routes["/mild.png"] = said(404)
    made, told = run("civitai:12")
    assert made.path.exists()
    assert "style.safetensors is there, but not all that goes beside it" in told[0]


def test_the_token_goes_to_civitai_alone(version, site, other_site, run, lora):
    site.routes["/api/download/models/34"] = moved(f"{other_site.address}/store?signature=1")
    other_site.routes["/store"] = File(lora)
    version["images"][2]["url"] = f"{other_site.address}/mild.png"
    other_site.routes["/mild.png"] = File(picture())
    run("civitai:12")
    assert set(site.sent("Authorization")) == {"Bearer civ_secret"}
    assert other_site.paths() == ["/store?signature=1", "/mild.png"]
    assert other_site.sent("Authorization") == [None, None]


def test_a_token_in_the_address_is_taken_out_of_it(version, site, run):
    run(f"{site.address}/api/download/models/34?token=from_address")
    assert set(site.sent("Authorization")) == {"Bearer from_address", None}
    assert not any("from_address" in path for path in site.paths())


@pytest.mark.parametrize(
    "answer",
    [
        said(401, {"error": "Unauthorized", "message": "The creator of this asset requires you to be logged in"}),
        said(200, b"<!DOCTYPE html><title>Sign in</title>"),
        moved("/login?returnUrl=/models/12&reason=download-auth"),
    ],
)
def test_a_file_behind_a_login_says_that_it_needs_a_token(version, site, run, here, answer):
    site.routes["/api/download/models/34"] = answer
    with pytest.raises(
        FileError, match=r"it may need a token: make one at civitai\.com/user/account and set CIVITAI_TOKEN"
    ):
        run("civitai:12")
    assert "style.safetensors" not in here()


def test_a_wrong_hash_says_both_and_keeps_the_file(version, run, here, lora, tmp_path):
    version["files"][0]["hashes"]["SHA256"] = "A" * 64
    with pytest.raises(MalformedFileError) as error:
        run("civitai:12")
    assert f"its hash is {sha256(lora)}, " in str(error.value)
    assert f"announces {'a' * 64}" in str(error.value)
    assert "what a site announces may be wrong, too" in str(error.value)
    assert (tmp_path / "here/style.safetensors.unverified").read_bytes() == lora
    assert here() == ["style.safetensors.unverified"]


@pytest.mark.parametrize(
    ("options", "wanted", "name"),
    [
        ({}, "", "half.safetensors"),
        ({"precision": "fp32"}, "", "whole.safetensors"),
        ({"extent": "full"}, "", "whole.safetensors"),
        ({"format": "ckpt"}, "", "old.ckpt"),
        ({"file": "old.ckpt"}, "", "old.ckpt"),
        ({}, "?fp=fp32", "whole.safetensors"),
        ({}, "?fileId=3", "old.ckpt"),
        ({}, "?type=VAE", "part.vae.safetensors"),
    ],
)
def test_of_several_files_the_wanted_one_comes(version, site, run, lora, options, wanted, name):
    version["files"] = [
        described(1, "half.safetensors", lora, primary=True),
        described(2, "whole.safetensors", lora + b"", fp="fp32", size="full"),
        described(3, "old.ckpt", lora, format="PickleTensor"),
        described(4, "part.vae.safetensors", lora) | {"type": "VAE"},
        described(5, "data.zip", lora) | {"type": "Training Data"},
    ]
    made, _ = run(f"{site.address}/api/download/models/34{wanted}", **options)
    assert made.path.name == name
    number = next(each["id"] for each in version["files"] if each["name"] == name)
    asked = [path for path in site.paths() if "/api/download/" in path]
    assert asked == ["/api/download/models/34" + ("" if number == 1 else f"?fileId={number}")]


def test_what_there_is_can_be_listed(version, lora):
    version["files"].append(described(57, "other.safetensors", lora))
    assert [(each.name, each.bytes, each.sha256, each.is_chosen) for each in offers("civitai:12", Order())] == [
        ("style.safetensors", len(lora), sha256(lora), True),
        ("other.safetensors", len(lora), sha256(lora), False),
    ]


def test_a_version_of_another_model_is_refused(version, run):
    version["modelId"] = 99
    with pytest.raises(UsageError, match="version 34 belongs to the model 99"):
        run("civitai:12@34")


def test_what_is_not_there_is_told(version, site, run):
    site.routes["/api/v1/models/13"] = said(404, {"error": "No model with id 13"})
    with pytest.raises(MissingFileError, match=r"is not there \(404: No model with id 13\)"):
        run("civitai:13")
    with pytest.raises(MissingFileError):
        run("civitai:hash:00000000")


@pytest.mark.parametrize(
    "change",
    [
        {"files": None},
        {"files": []},
        {"files": [5]},
        {"files": [{}], "images": 5, "model": None},
        {"files": [{"name": "../../x", "hashes": [], "sizeKB": "big", "metadata": 3, "type": "Model"}], "images": [{}]},
        {"images": [{"url": 5}, {"url": "file:///etc/passwd"}]},
    ],
)
def test_descriptions_of_any_shape_break_nothing(version, run, here, change, tmp_path):
    version.update(change)
    try:
        run("civitai:12")
    except (FileError, UsageError) as error:
        assert "\n" not in str(error)
    assert {each.name for each in tmp_path.iterdir()} <= {"here", "home"}


@pytest.mark.parametrize("answer", [said(200, [1]), said(200, b"<html>")])
def test_a_mirror_that_is_none_is_told(version, site, run, answer):
    site.routes["/api/v1/model-versions/34"] = answer
    with pytest.raises(MalformedFileError, match="answers with something else than"):
        run("civitai:12@34")


@pytest.mark.parametrize("token", ["two words", "line\nbreak", "späti"])
def test_a_token_that_can_be_none_is_not_sent(version, site, run, token):
    with pytest.raises(UsageError, match="The token holds spaces") as error:
        run("civitai:12", token=token)
    assert token not in str(error.value)
    assert site.asked == []
