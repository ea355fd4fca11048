"""What a server may do to a download: drop it, lie about it, change it, slow it down."""

import errno
import os
import re
import shutil
from io import FileIO

import pytest

from pochade.errors import FileError, MalformedFileError, ResourceError
from pochade.library.downloads import Order, downloading
from pochade.library.downloads.patience import Patience

from .conftest import sha256
from .server import File, in_turn, said


def part_of(here):
    return [name for name in here() if name.endswith(".part")]


def test_a_file_comes_whole(site, run, here, lora, tmp_path):
    site.routes["/style.safetensors"] = File(lora)
    made, told = run(f"{site.address}/style.safetensors")
    assert made.path == tmp_path / "here/style.safetensors"
    assert made.path.read_bytes() == lora
    assert (made.sha256, made.bytes, made.kind, made.is_new) == (sha256(lora), len(lora), "lora", True)
    assert (here(), told) == (["style.safetensors"], [])


def test_a_broken_connection_goes_on_where_it_stopped(site, run, here, lora):
    site.routes["/a.safetensors"] = File(lora, breaks=[100_000, 50_000])
    made, told = run(f"{site.address}/a.safetensors")
    assert made.path.read_bytes() == lora
    assert site.sent("Range") == ["bytes=0-0", None, "bytes=100000-", "bytes=150000-"]
    assert site.sent("If-Range")[2:] == ['"one"', '"one"']
    assert [re.sub(r"\d+ s", "", each) for each in told] == [
        "a.safetensors: the connection broke; trying again in ."
    ] * 2
    assert here() == ["a.safetensors"]


def test_what_an_earlier_run_left_is_used(site, run, here, lora):
    site.routes["/a.safetensors"] = File(lora, breaks=[100_000])
    with pytest.raises(FileError, match="connection broke; tried 1 times; what has come is kept"):
        run(f"{site.address}/a.safetensors", patience=Patience(tries=1))
    assert (len(part_of(here)), len(here())) == (1, 2)
    made, _ = run(f"{site.address}/a.safetensors")
    assert made.path.read_bytes() == lora
    assert site.sent("Range")[-1] == "bytes=100000-"
    assert here() == ["a.safetensors"]


def test_a_stopped_run_leaves_a_part(site, here, lora, tmp_path):
    site.routes["/a.safetensors"] = File(lora)
    events = downloading(f"{site.address}/a.safetensors", Order(to=tmp_path / "here"))
    next(events)
    events.close()
    (part,) = part_of(here)
    assert lora.startswith((tmp_path / "here" / part).read_bytes())


def test_a_server_that_knows_no_ranges_begins_again(site, run, lora):
    site.routes["/a.safetensors"] = File(lora, breaks=[100_000], knows_ranges=False)
    made, told = run(f"{site.address}/a.safetensors")
    assert made.path.read_bytes() == lora
    assert "from the beginning" in told[-1]


@pytest.mark.parametrize("etag", ['"two"', 'W/"two"', ""])
def test_a_file_that_changes_between_two_tries_is_not_mixed(site, run, lora, etag):
    other = lora[:-4] + b"abcd"
    site.routes["/a.safetensors"] = in_turn(File(lora), File(lora, breaks=[100_000]), File(other, etag=etag))
    made, _ = run(f"{site.address}/a.safetensors")
    assert made.path.read_bytes() == other


def test_a_server_that_sends_another_part_than_asked_is_not_believed(site, run, lora):
    wrong = File(lora, headers={"Content-Range": "bytes 7-8/9"})
    site.routes["/a.safetensors"] = in_turn(File(lora), File(lora, breaks=[100_000]), wrong, File(lora))
    made, told = run(f"{site.address}/a.safetensors")
    assert made.path.read_bytes() == lora
    assert "another part than the missing one" in told[-1]


def test_a_length_that_is_a_lie_ends_in_an_error(site, run, here, lora):
    site.routes["/a.safetensors"] = File(lora, length=len(lora) + 10, knows_ranges=False)
    with pytest.raises(FileError, match="tried 3 times"):
        run(f"{site.address}/a.safetensors", patience=Patience(tries=3, pause=0.01))
    assert "a.safetensors" not in here()


def test_a_server_that_does_not_stop_is_not_listened_to(site, run, here, lora):
    range = f"bytes 0-{len(lora) - 1}/{len(lora)}"
    endless = said(206, lora + b"x" * 3_000_000, Content_Range=range)
    site.routes["/a.safetensors"] = in_turn(File(lora), endless)
    with pytest.raises(FileError, match=f"sends more than the {len(lora)} bytes that it announced"):
        run(f"{site.address}/a.safetensors")
    assert "a.safetensors" not in here()


def test_a_length_that_is_too_small_gives_no_model(site, run, here, lora):
    site.routes["/a.safetensors"] = File(lora, length=len(lora) - 1000)
    with pytest.raises(MalformedFileError, match=r"a\.safetensors\.unverified: .*it is kept under this name"):
        run(f"{site.address}/a.safetensors")
    assert here() == ["a.safetensors.unverified"]


def test_a_length_need_not_be_told(site, run, lora):
    site.routes["/a.safetensors"] = File(lora, says_length=False, knows_ranges=False)
    made, _ = run(f"{site.address}/a.safetensors")
    assert made.path.read_bytes() == lora


def test_a_busy_server_is_left_alone_for_as_long_as_it_asks(site, run, lora, monkeypatch):
    pauses = []
    monkeypatch.setattr("time.sleep", pauses.append)
    busy = said(429, Retry_After="7")
    site.routes["/a.safetensors"] = in_turn(busy, File(lora), busy, said(503), File(lora))
    made, told = run(f"{site.address}/a.safetensors")
    assert made.path.read_bytes() == lora
    assert pauses[:2] == [7.0, 7.0]
    assert pauses[2] < 1
    assert "too many requests (429); trying again in 7 s" in told[0]


def test_a_pause_that_is_too_long_is_told(site, run):
    site.routes["/a.safetensors"] = said(429, Retry_After="9999")
    with pytest.raises(FileError, match=r"too many requests \(429\) and the server wants to be left alone for 9999"):
        run(f"{site.address}/a.safetensors")


def test_a_server_that_stays_busy_is_given_up(site, run):
    site.routes["/a.safetensors"] = said(503)
    with pytest.raises(FileError, match=r"in trouble \(503\); tried 3 times"):
        run(f"{site.address}/a.safetensors", patience=Patience(tries=3, pause=0.01))
    assert len(site.asked) == 3


def test_nobody_there_is_told_at_once(run):
    with pytest.raises(FileError, match=r"http://127\.0\.0\.1:1/a\.ckpt: no connection to 127\.0\.0\.1"):
        run("http://127.0.0.1:1/a.ckpt")


def test_a_disk_without_room_is_told_before_anything_comes(site, run, here, lora, monkeypatch):
    site.routes["/a.safetensors"] = File(lora)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 99, 1))
    with pytest.raises(ResourceError, match=r"a\.safetensors needs 0\.6 MB more, .* has 0\.0 MB free"):
        run(f"{site.address}/a.safetensors")
    assert here() == []


def test_a_disk_that_fills_up_keeps_what_has_come(site, run, here, lora, monkeypatch, tmp_path):
    site.routes["/a.safetensors"] = File(lora)
    monkeypatch.setattr("pochade.library.downloads.part.FileIO", _Full)
    with pytest.raises(ResourceError, match="No space left on device; what has come is kept"):
        run(f"{site.address}/a.safetensors")
    (part,) = part_of(here)
    assert 0 < (tmp_path / "here" / part).stat().st_size < len(lora)
    monkeypatch.undo()


class _Full(FileIO):
    """A file on a disk with room for 200,000 bytes."""

    def write(self, block):
        if self.tell() + len(block) > 200_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(block)


def test_only_one_process_at_a_time_has_a_part(site, run, here, lora, tmp_path):
    site.routes["/a.safetensors"] = File(lora)
    events = downloading(f"{site.address}/a.safetensors", Order(to=tmp_path / "here"))
    next(events)
    with pytest.raises(FileError, match="is being downloaded by another process"):
        run(f"{site.address}/a.safetensors")
    events.close()
