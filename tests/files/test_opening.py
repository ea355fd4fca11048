"""What a file is follows from its content, and what cannot be read is named."""

import os
import socket

import numpy as np
import pytest
import torch

from pochade import files
from pochade.errors import FileError, MalformedFileError, MissingFileError


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git-lfs pointer"),
        (b"\n<!DOCTYPE html><html>", "web page"),
        (b"<html>", "web page"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "picture"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "picture"),
        (b"\x80\x04\x95\0\0\0\0\0\0\0\0.", "its pickle breaks"),
        (b"7z\xbc\xaf\x27\x1c", "archive"),
        (b"\x1f\x8b\x08", "archive"),
        (b"hello\n" * 50, "not a model file"),
        (b"PK\x03\x04" + bytes(100), "broken zip"),
    ],
)
def test_foreign_files_are_named(tmp_path, content, said):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(MalformedFileError, match=said):
        files.open(path)


def test_the_extension_does_not_matter(tmp_path):
    files.save(tmp_path / "a.ckpt", {"a": np.ones(1)})
    torch.save({"a": torch.ones(1)}, tmp_path / "b.safetensors")
    assert files.open(tmp_path / "a.ckpt").format == "safetensors"
    assert files.open(tmp_path / "b.safetensors").format == "ckpt"


def test_a_header_that_looks_like_a_pickle_is_safetensors(tmp_path):
    """A header of 640 bytes begins with 80 02, as pickles do."""
    files.save(tmp_path / "a", {"a": np.ones(1)}, {"pad": "x" * 550})
    length = int.from_bytes((tmp_path / "a").read_bytes()[:8], "little")
    files.save(tmp_path / "a", {"a": np.ones(1)}, {"pad": "x" * (550 + 640 - length)})
    assert (tmp_path / "a").read_bytes()[:2] == b"\x80\x02"
    assert files.open(tmp_path / "a").format == "safetensors"


def test_what_is_no_regular_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for name in ("pipe", "socket", "."):
            with pytest.raises(FileError):
                files.open(tmp_path / name)
    with pytest.raises(FileError):
        files.open("/dev/zero")


@pytest.mark.parametrize("path", ["none.safetensors", "none/none"])
def test_a_missing_file_is_missing(tmp_path, path):
    with pytest.raises(MissingFileError, match="no such file"):
        files.open(tmp_path / path)


def test_impossible_paths_are_file_errors(tmp_path):
    for path in ("a\0b", "x" * 5000):
        with pytest.raises(FileError):
            files.open(tmp_path / path)


def test_blocks_of_a_file_that_is_gone_are_explained(tmp_path):
    path = files.save(tmp_path / "a.safetensors", {"a": np.ones(2, np.float32)})
    tensor = files.open(path).lazy("a")
    path.unlink()
    with pytest.raises(FileError, match="cannot be read"):
        list(tensor.blocks())
