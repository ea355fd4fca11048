# ruff: noqa: F401, F811
import json
import pickle

import pytest

from ..library.downloads.conftest import home, lora, sha256, site
from ..library.downloads.server import File, said
from .test_scan import Harm


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "webui/models/Lora").mkdir(parents=True)
    return tmp_path / "webui"


def test_the_path_is_the_result(run, site, lora, folder):
    site.routes["/a.safetensors"] = File(lora)
    done = run("download", f"{site.address}/a.safetensors", "--models", folder)
    assert (done.exit_code, done.stdout) == (0, f"{folder}/models/Lora/a.safetensors\n")
    assert "MB of a.safetensors 1/1" in done.stderr


def test_json_says_what_it_is(run, site, lora):
    site.routes["/a.safetensors"] = File(lora)
    done = run("download", f"{site.address}/a.safetensors", "--to", "here", "--json", "--sha256", sha256(lora))
    found = json.loads(done.stdout)
    assert found["path"] == "here/a.safetensors"
    assert (found["kind"], found["sha256"], found["is_verified"]) == ("lora", sha256(lora), True)
    assert (found["sidecars"], found["is_new"]) == ([], True)


def test_one_that_fails_does_not_hide_the_others(run, site, lora):
    site.routes["/a.safetensors"] = File(lora)
    done = run("download", f"{site.address}/gone.ckpt", f"{site.address}/a.safetensors", "--json")
    assert done.exit_code == 3
    first, second = json.loads(done.stdout)
    assert "is not there (404)" in first["error"]
    assert second["path"] == "a.safetensors"
    assert f"Error: {site.address}/gone.ckpt: is not there (404)" in done.stderr


def test_what_is_not_safe_is_a_finding(run, site):
    site.routes["/a.pt"] = File(pickle.dumps(Harm(), 2))
    done = run("download", f"{site.address}/a.pt")
    assert done.exit_code == 1
    assert "a.pt: is malicious" in done.stderr
    assert done.stdout == ""


def test_a_full_disk_is_5(run, site, lora, monkeypatch):
    site.routes["/a.safetensors"] = File(lora)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("", (), {"free": 10}))
    assert run("download", f"{site.address}/a.safetensors").exit_code == 5


def test_a_stopped_one_says_that_it_can_go_on(run, site, lora, monkeypatch):
    site.routes["/a.safetensors"] = File(lora)

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pochade.library.downloads.part.Part.append", stop)
    done = run("download", f"{site.address}/a.safetensors")
    assert done.exit_code == 4
    assert "What has come is kept as .part; the same command goes on from there." in done.stderr


def test_what_there_is_can_be_listed(run, site, lora, tmp_path):
    site.routes["/a.safetensors"] = File(lora)
    done = run("download", "--list", f"{site.address}/a.safetensors")
    assert done.stdout.split() == ["*", "0.6", "MB", "a.safetensors"]
    found = json.loads(run("download", "--list", f"{site.address}/a.safetensors", "--json").stdout)
    assert found == [{"name": "a.safetensors", "bytes": len(lora), "sha256": "", "is_chosen": True}]
    assert not (tmp_path / "a.safetensors").exists()


def test_a_token_comes_from_a_file(run, site, lora, tmp_path):
    (tmp_path / "token").write_text("abc\n")
    site.routes["/a.safetensors"] = File(lora)
    assert run("download", f"{site.address}/a.safetensors", "--token-file", "token").exit_code == 0
    assert set(site.sent("Authorization")) == {"Bearer abc"}
    done = run("download", f"{site.address}/a.safetensors", "civitai:1", "--token-file", "token")
    assert done.exit_code == 2
    assert "--token-file is for one site" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["model"], 2, "'model' names nothing to download"),
        (["a/b", "c/d", "--file", "x"], 2, "--file, --sha256 and a file with --to are for one source"),
        (["a/b", "--token-file", "none"], 3, "none: No such file or directory"),
        (["http://127.0.0.1:1/a", "--models", "none"], 2, "none: there is no such models folder"),
        (["http://127.0.0.1:1/a", "--sha256", "x"], 2, "--sha256 is 'x'"),
    ],
)
def test_mistakes_are_told(run, home, words, code, sentence):
    done = run("download", *words)
    assert done.exit_code == code
    assert f"Error: {sentence}" in done.stderr or sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_refusal_is_told_without_secrets(run, site):
    site.routes["/a.ckpt"] = said(403)
    done = run("download", f"{site.address}/a.ckpt?token=pa55".replace("//", "//me:pa55@"))
    assert done.exit_code == 3
    assert "pa55" not in done.stderr + done.stdout
