"""Scanning: what could act is found wherever it hides, what is harmless passes, and nothing is ever run."""

import io
import json
import os
import pickle
import struct
import tarfile
import time
import zipfile
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.torch_version import TorchVersion

from pochade import files
from pochade.errors import FileError


class Harm:
    """Leaves a mark when it is unpickled by a real loader."""

    def __reduce__(self):
        return (os.system, ("touch ran",))


@pytest.fixture(autouse=True)
def nothing_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield
    assert not (tmp_path / "ran").exists()


def verdict(path):
    (found,) = files.scan(path)
    return found


def write(path, content: bytes):
    path.write_bytes(content)
    return path


def zipped(path, members: dict[str, bytes], method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def torch_file(value, **options) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, **options)
    return stream.getvalue()


WEIGHTS = {"state_dict": {"a.weight": torch.ones(2, 3)}, "epoch": 1, "step": np.float64(0.5)}
HARM = pickle.dumps({"a": Harm()}, protocol=2)


def test_weights_of_every_kind_are_safe(tmp_path):
    write(tmp_path / "new.ckpt", torch_file(WEIGHTS))
    write(tmp_path / "old.pt", torch_file(WEIGHTS, _use_new_zipfile_serialization=False))
    write(tmp_path / "network.pth", torch_file(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())))
    files.save(tmp_path / "a.safetensors", {"a": np.ones(3, np.float32)})
    found = {each.path.name: each.verdict for each in files.scan(tmp_path)}
    assert found == dict.fromkeys(["new.ckpt", "old.pt", "network.pth", "a.safetensors"], "safe")


@pytest.mark.parametrize("name", ["a.ckpt", "a.pt", "a.bin", "a.safetensors", "a.jpg", "a.txt", "a"])
def test_the_name_hides_nothing(tmp_path, name):
    found = verdict(write(tmp_path / name, HARM))
    assert found.verdict == "malicious"
    assert found.findings[0].what == f"{os.system.__module__}.system"
    assert "at byte" in found.findings[0].where


def test_a_finding_names_member_place_and_reason(tmp_path):
    found = verdict(write(tmp_path / "a.ckpt", torch_file({"a": torch.ones(1), "b": Harm()})))
    assert found.findings[0].where.startswith("archive/data.pkl at byte ")
    assert "which no weights need" in found.findings[0].why
    assert found.as_dict()["findings"][0]["what"].endswith(".system")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: b"prefix" + content,
        lambda content: content + b"suffix",
        lambda content: content[:-30],
        lambda content: content.replace(b"PK\1\2\x00\x00\x00\x00\x00\x00", b"PK\1\2\x00\x00\x00\x00\x01\x00"),
    ],
)
def test_a_broken_zip_is_looked_into_all_the_same(tmp_path, spoil):
    """Other readers forgive what ours refuses, so code in it would run there."""
    assert verdict(write(tmp_path / "bad.ckpt", spoil(torch_file({"a": Harm()})))).verdict == "malicious"
    assert verdict(write(tmp_path / "good.ckpt", spoil(torch_file(WEIGHTS)))).verdict in ("corrupt", "safe")


def test_archives_are_opened_and_their_members_named(tmp_path):
    inner = zipped(tmp_path / "inner.zip", {"deep/b.pt": HARM}).read_bytes()
    outer = zipped(tmp_path / "outer.zip", {"a.ckpt": torch_file(WEIGHTS), "inner.zip": inner}, zipfile.ZIP_DEFLATED)
    found = verdict(outer)
    assert found.verdict == "malicious"
    assert found.findings[0].where.startswith("inner.zip: deep/b.pt: at byte")
    with tarfile.open(tmp_path / "pack.tar", "w") as tar:
        tar.add(outer, "outer.zip")
    assert verdict(tmp_path / "pack.tar").verdict == "malicious"
    assert verdict(zipped(tmp_path / "fine.zip", {"a.ckpt": torch_file(WEIGHTS), "read.txt": b"hi"})).verdict == "safe"


def test_an_archive_never_writes_outside(tmp_path):
    (tmp_path / "here").mkdir()
    path = zipped(tmp_path / "here" / "x.zip", {"../../escaped.txt": b"hello", "/root.txt": b"hello"})
    assert verdict(path).verdict == "safe"
    assert sorted(each.name for each in tmp_path.rglob("*.txt")) == []


def test_a_bomb_is_refused_quickly(tmp_path):
    level = zipped(tmp_path / "0.zip", {"a.txt": bytes(50_000_000)}, zipfile.ZIP_DEFLATED)
    assert verdict(level).verdict == "corrupt"


def test_archives_in_archives_end_somewhere(tmp_path):
    content = b"hello"
    for level in range(5):
        content = zipped(tmp_path / "x.zip", {f"{level}.zip" if level else "a.txt": content}).read_bytes()
    assert verdict(write(tmp_path / "x.zip", content)).verdict == "corrupt"


def test_what_lies_beside_models_is_told_apart(tmp_path):
    np.save(tmp_path / "array.npy", np.ones(3))
    np.savez(tmp_path / "arrays.npz", a=np.ones(3), b=np.zeros(2, np.float16))
    write(tmp_path / "cat.txt", b"cat\ndog\n")
    write(tmp_path / "LICENSE", b"words")
    write(tmp_path / "card.md", "# Größe".encode())
    write(tmp_path / "model_index.json", b'{"unet": ["diffusers", "UNet2DConditionModel"]}')
    write(tmp_path / "v.yaml", b"model:\n  target: ldm.models.diffusion.ddpm.LatentDiffusion\n")
    Image.new("RGB", (8, 8)).save(tmp_path / "preview.webp")
    assert {each.path.name: each.verdict for each in files.scan(tmp_path) if each.verdict != "safe"} == {}


@pytest.mark.parametrize(
    ("name", "content", "wanted"),
    [
        ("a.yaml", b"x: !!python/object/apply:os.system ['ls']", "malicious"),
        ("b.yaml", b"model: {target: os.system}", "malicious"),
        ("c.yaml", b"model: {_target_: subprocess.run}", "malicious"),
        ("d.yaml", b"a: [1, 2", "corrupt"),
        ("e.yaml", b"a: &a [x, x]\n" + b"".join(b"b%d: [*a, *a]\n" % n for n in range(3000)), "corrupt"),
        ("f.json", b"{", "corrupt"),
        ("g.json", b"[" * 100_000, "corrupt"),
        ("h.txt", b"\xff\xfe\x00", "corrupt"),
        ("i.py", b"print(1)", "suspicious"),
        ("j.7z", b"7z\xbc\xaf\x27\x1c" + bytes(40), "corrupt"),
        ("k.xyz", b"\x01\x02\x03" * 40, "corrupt"),
        ("l.ckpt", b"some words", "corrupt"),
        ("m.png", b"\x89PNG\r\n\x1a\n" + bytes(50), "corrupt"),
    ],
)
def test_other_files_are_judged(tmp_path, name, content, wanted):
    assert verdict(write(tmp_path / name, content)).verdict == wanted


def test_an_array_of_objects_is_a_pickle(tmp_path):
    np.save(tmp_path / "a.npy", np.array([Harm()]), allow_pickle=True)
    assert verdict(tmp_path / "a.npy").verdict == "malicious"
    np.savez(tmp_path / "a.npz", a=np.array([Harm()]))
    assert verdict(tmp_path / "a.npz").verdict == "malicious"


def test_a_harmless_pickle_that_lies_is_suspicious(tmp_path):
    found = verdict(write(tmp_path / "a.safetensors", torch_file(WEIGHTS)))
    assert found.verdict == "suspicious"
    assert "calls itself safetensors" in found.findings[0].why


def test_odd_files_do_not_stop_the_scan_of_a_folder(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    write(tmp_path / "empty.ckpt", b"")
    (tmp_path / "gone.pt").symlink_to(tmp_path / "nowhere")
    write(tmp_path / "z.ckpt", torch_file(WEIGHTS))
    found = {each.path.name: each.verdict for each in files.scan(tmp_path)}
    assert found == {"empty.ckpt": "corrupt", "gone.pt": "corrupt", "pipe": "corrupt", "z.ckpt": "safe"}


@pytest.mark.parametrize("module", ["os", "torch.hub", "numpy.testing._private.utils", "torch"])
def test_unknown_names_are_never_forgiven(tmp_path, module):
    """Anything outside the allow-list could act, whether or not anybody has heard of it."""
    body = b"\x80\x02c" + module.encode() + b"\nload\n."
    assert verdict(write(tmp_path / "x", body)).verdict == "malicious"


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_damage_makes_harm_safe(tmp_path, data):
    """Bytes changed outside the name itself may break the file, but never make it pass as safe with the name inside."""
    maker = data.draw(st.sampled_from([lambda: HARM, lambda: torch_file({"a": Harm()})]))
    content = bytearray(maker())
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    found = verdict(write(tmp_path / "x", bytes(content)))
    assert found.verdict != "safe" or b"system" not in content


def test_every_report_is_json(tmp_path):
    names = [b"\xff\xfe", "ключ".encode(), b"a"]
    for name in names:
        found = verdict(write(tmp_path / "x", b"\x80\x02c" + name + b"\nb\n."))
        json.dumps(found.as_dict()).encode()
    header = struct.pack("<Q", 3) + b"{\xff}"
    json.dumps(verdict(write(tmp_path / "y", header)).as_dict()).encode()


def test_links_are_followed_and_loops_end(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "other").mkdir()
    write(tmp_path / "other" / "a.pt", HARM)
    (tmp_path / "models" / "linked").symlink_to(tmp_path / "other")
    (tmp_path / "models" / "again").symlink_to(tmp_path / "other")
    (tmp_path / "other" / "back").symlink_to(tmp_path / "models")
    found = list(files.scan(tmp_path / "models"))
    assert [(each.path, each.verdict) for each in found] == [(tmp_path / "models" / "again" / "a.pt", "malicious")]


def test_a_folder_that_cannot_be_listed_is_not_passed_over(tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir()
    write(tmp_path / "a.txt", b"cat")
    scandir = os.scandir

    def closed(path):
        if os.path.basename(path) == "closed":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    found = {each.path.name: each for each in files.scan(tmp_path)}
    assert {name: each.verdict for name, each in found.items()} == {"a.txt": "safe", "closed": "corrupt"}
    assert "cannot be listed" in found["closed"].findings[0].why


def test_a_path_that_cannot_be_looked_at_is_explained(monkeypatch):
    def closed(path):
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch, pytest.raises(FileError, match="cannot be read: Permission denied"):
        patch.setattr(Path, "exists", closed)
        list(files.scan("closed/a.pt"))


OLD_HARM = b'cposix\nsystem\n(S"touch ran"\ntR.'


@pytest.mark.parametrize("name", ["note.txt", "README", "x.md", "a.gguf", "a.ckpt"])
@pytest.mark.parametrize("content", [OLD_HARM, b"I1\n0" + OLD_HARM, b'(S"touch ran"\niposix\nsystem\n.'])
def test_an_old_pickle_is_found_under_any_name(tmp_path, name, content):
    wanted = {"malicious"} if name not in ("a.gguf", "a.ckpt") else {"malicious", "corrupt"}
    assert verdict(write(tmp_path / name, content)).verdict in wanted


@pytest.mark.parametrize(
    "text",
    [
        "cat\ndog\nold house\n",
        "color\nred\n(tree)\n",
        "(c) 2023 Somebody\nAll rights reserved.\n",
        "(commenting on issues or PRs) can apply. Open a PR\non the page\n",
        "(1girl), (solo:1.2), ((masterpiece))",
        "(" * 30 + "best",
        "]}(cos\nsin\ntan",
        "importance\nof\nRed\n",
    ],
)
def test_words_are_no_pickle(tmp_path, text):
    assert verdict(write(tmp_path / "a.txt", text.encode())).verdict == "safe"


@pytest.mark.parametrize("encoding", ["gbk", "utf-16", "utf-8", "gb18030"])
def test_texts_may_be_in_any_encoding(tmp_path, encoding):
    assert verdict(write(tmp_path / "a.txt", "猫和狗\n".encode(encoding))).verdict == "safe"
    assert verdict(write(tmp_path / "b.txt", "Größe\n".encode("latin-1"))).verdict == "safe"


@pytest.mark.parametrize("name", ["Put VAE here.txt", "put_vae_here", ".gitkeep", "cache.lock", "__init__.py"])
def test_an_empty_placeholder_is_safe(tmp_path, name):
    assert verdict(write(tmp_path / name, b"")).verdict == "safe"


@pytest.mark.parametrize("name", ["a.safetensors", "a.CKPT", "a.zip", "a.gguf"])
def test_an_empty_model_is_corrupt(tmp_path, name):
    assert verdict(write(tmp_path / name, b"")).verdict == "corrupt"


FOREIGN = {
    "a.mp4": b"\0\0\0\x20ftypisom\0\0\2\0isomiso2",
    "a.avif": b"\0\0\0\x20ftypavif\0\0\0\0avifmif1",
    "a.bmp": b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0" + bytes(40),
    "a.onnx": b"\x08\x08\x12\x07pytorch\x1a\x052.1.0",
    "a.gguf": b"GGUF\3\0\0\0" + bytes(16),
    "a.pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_other_formats_are_named_and_left_alone(tmp_path, name):
    found = verdict(write(tmp_path / name, FOREIGN[name]))
    assert found.verdict == "safe" and "no model" in found.findings[0].why
    assert verdict(write(tmp_path / "b.ckpt", FOREIGN[name])).verdict == "corrupt"


def test_a_picture_that_is_a_pickle_too_is_found(tmp_path):
    head = b"B" + struct.pack("<I", 0x4D) + b"\0" * 0x4D
    assert head[:2] == b"BM"
    assert verdict(write(tmp_path / "a.bmp", head + b"0" + OLD_HARM)).verdict == "malicious"


@pytest.mark.parametrize(
    "target",
    [
        "modules.models.diffusion.ddpm_edit.LatentDiffusion",
        "modules.xlmr.BertSeriesModelWithTransformation",
        "modules.xlmr_m18.BertSeriesModelWithTransformation",
        "modules.models.sd3.sd3_model.SD3Inferencer",
    ],
)
def test_the_configurations_of_web_uis_are_safe(tmp_path, target):
    assert verdict(write(tmp_path / "a.yaml", f"model: {{target: {target}}}".encode())).verdict == "safe"
    other = target.rpartition(".")[0] + ".anything"
    assert verdict(write(tmp_path / "b.yaml", f"model: {{target: {other}}}".encode())).verdict == "malicious"


@pytest.mark.parametrize("protocol", [2, 5])
def test_harmless_things_beside_weights_pass(tmp_path, protocol):
    beside = [
        Counter("aab"),
        SimpleNamespace(a=1),
        TorchVersion("2.0"),
        UUID(int=1),
        range(3),
        np.ones(3),
        torch.eye(3).to_sparse(),
        torch.empty(3, device="meta"),
    ]
    path = write(tmp_path / "a.ckpt", torch_file(WEIGHTS | {"beside": beside}, pickle_protocol=protocol))
    assert verdict(path) == files.Verdict(path, "safe")
    assert set(files.open(path)) == {"a.weight"}


@pytest.mark.parametrize("root", ["pytorch_lightning", "lightning.pytorch"])
@pytest.mark.parametrize("name", ["lr_monitor\nLearningRateMonitor", "timer\nTimer", "model_summary\nModelSummary"])
def test_both_names_of_lightning_are_known(tmp_path, root, name):
    pickled = f"\x80\x02}}X\x01\0\0\0ac{root}.callbacks.{name}\n)\x81s.".encode("latin-1")
    assert verdict(write(tmp_path / "a.pkl", pickled)).verdict == "safe"


def network(calls: bytes) -> dict[str, bytes]:
    """The members of a torch zip whose pickle does this."""
    return {"archive/data.pkl": b"\x80\x02" + calls + b".", "archive/version": b"3\n"}


MADE = b"cultralytics.nn.tasks\nDetectionModel\n)\x81}X\1\0\0\0aK\1sb"


@pytest.mark.parametrize(
    ("calls", "wanted"),
    [
        (MADE, "suspicious"),
        (MADE + b"0" + OLD_HARM[:-1], "malicious"),
        (MADE + b".0", "malicious"),
        (b"cultralytics.nn.tasks\nDetectionModel\n(S'x'\ntR", "malicious"),
        (b"cultralytics.nn\ntasks.DetectionModel\n)\x81", "malicious"),
        (b"cultralytics\nYOLO\n)\x81", "malicious"),
    ],
)
def test_networks_of_other_programs_are_suspicious_only_when_they_do_nothing_more(tmp_path, calls, wanted):
    assert verdict(zipped(tmp_path / "a.pt", network(calls))).verdict == wanted


def test_a_member_cannot_pose_as_a_network(tmp_path):
    members = {"archive/ultralytics.nn.tasks.DetectionModel": b"", "archive/code/a.py": b"x"} | network(b"N")
    assert verdict(zipped(tmp_path / "a.pt", members)).verdict == "malicious"


def test_harm_behind_tensors_in_a_broken_zip_is_found(tmp_path):
    content = torch_file({"w": torch.ones(3), "a": Harm()}) + b"suffix"
    assert verdict(write(tmp_path / "a.ckpt", content)).verdict == "malicious"


def test_the_pickles_of_a_broken_zip_share_their_steps(tmp_path):
    bomb = zipped(tmp_path / "a.zip", {f"{n}.pkl": b"N0" * 2_000_000 for n in range(20)}, zipfile.ZIP_DEFLATED)
    began = time.process_time()
    assert verdict(write(bomb, bomb.read_bytes() + b"x")).verdict == "corrupt"
    assert time.process_time() - began < 2
