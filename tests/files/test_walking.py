"""Walking: every folder comes once, with or without links to it, in a fixed order."""

import os

from pochade.files.walking import walked


def test_links_come_last_and_each_folder_once(tmp_path):
    (tmp_path / "root" / "b" / "inner").mkdir(parents=True)
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "x").touch()
    (tmp_path / "root" / "a").symlink_to(tmp_path / "root" / "b")
    (tmp_path / "root" / "b" / "loop").symlink_to(tmp_path / "root")
    (tmp_path / "root" / "link").symlink_to(tmp_path / "far")
    found = [(str(folder.relative_to(tmp_path / "root")), names) for folder, _, names in walked(tmp_path / "root")]
    assert found == [(".", []), ("b", []), (os.path.join("b", "inner"), []), ("link", ["x"])]


def test_a_folder_taken_out_is_not_walked_into(tmp_path):
    (tmp_path / "a" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    found = []
    for folder, inner, _ in walked(tmp_path):
        found.append(folder)
        inner.clear()
    assert found == [tmp_path]


def test_what_cannot_be_listed_is_told(tmp_path):
    refused = []
    assert list(walked(tmp_path / "none", refused.append)) == []
    assert [error.filename for error in refused] == [str(tmp_path / "none")]
