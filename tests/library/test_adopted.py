import json

import pytest

from pochade.errors import MalformedFileError, UsageError
from pochade.library import adopted as keeping
from pochade.library.adopted import adopt, adopted, chosen, forget


def test_folders_are_kept_in_order_and_once(home, tmp_path, monkeypatch):
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    assert adopted() == ()
    for name in ("b", "a", "b"):
        adopt(type(tmp_path)(name))
    assert adopted() == (tmp_path / "b", tmp_path / "a")
    forget(tmp_path / "b")
    assert adopted() == (tmp_path / "a",)


def test_a_folder_that_is_gone_can_be_forgotten(home, tmp_path):
    (tmp_path / "a").mkdir()
    adopt(tmp_path / "a")
    (tmp_path / "a").rmdir()
    assert adopted() == (tmp_path / "a",)
    forget(tmp_path / "a")
    assert adopted() == ()


def test_what_the_user_names_goes_before_the_adopted_ones(home, tmp_path):
    adopt(tmp_path)
    assert chosen([]) == (tmp_path,)
    assert chosen([tmp_path / "other"]) == (tmp_path / "other",)


def test_wrong_folders_are_refused(home, tmp_path):
    with pytest.raises(UsageError, match="there is no such folder to adopt"):
        adopt(tmp_path / "none")
    with pytest.raises(UsageError, match="not one of those adopted, which are none"):
        forget(tmp_path)


@pytest.mark.parametrize("text", ["[", "{}", "[3]", "[" * 100_000, "\udcff"])
def test_a_damaged_list_is_explained(home, text):
    keeping.location().parent.mkdir(parents=True)
    keeping.location().write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(MalformedFileError, match="mend it, or delete it"):
        adopted()


def test_the_list_is_plain_json(home, tmp_path):
    adopt(tmp_path)
    assert json.loads(keeping.location().read_text()) == [str(tmp_path)]
