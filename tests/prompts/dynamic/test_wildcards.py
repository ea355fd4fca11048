import pytest

from pochade.errors import MalformedFileError, UnknownNameError, UsageError
from pochade.prompts.dynamic import Wildcards, folders_of_wildcards


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "wildcards"
    texts = {
        "colours/warm.txt": "\ufeff# warm ones\nred\n\n 2::orange # best\n",
        "colours/cold.txt": "blue\n0::green\n",
        "Moods.txt": "calm\n",
        "list.yaml": "clothes:\n  - coat\n  - 3::hat\nart:\n  dutch: [Piet, 1990]\n  lone: yes\n  none: {}\n",
        "deep/more.json": '{"shoes": ["boot", 7, null, {"a": ["x"]}]}',
        "deep/plain.yml": "- one\n- two\n",
        "deep/none/picture.png": "",
        "empty.txt": "# nothing\n",
        "picture.png": "",
    }
    for name, text in texts.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def values(name, *folders):
    return [(each.text, each.weight) for each in Wildcards(folders).values(name)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("colours/warm", [("red", 1.0), ("orange", 2.0)]),
        ("colours/cold", [("blue", 1.0)]),
        ("colours*", [("blue", 1.0), ("red", 1.0), ("orange", 2.0)]),
        ("colours/*", [("blue", 1.0), ("red", 1.0), ("orange", 2.0)]),
        ("colours/[w]arm", [("red", 1.0), ("orange", 2.0)]),
        ("MOODS", [("calm", 1.0)]),
        ("clothes", [("coat", 1.0), ("hat", 3.0)]),
        ("art/dutch", [("Piet", 1.0), ("1990", 1.0)]),
        ("art/lone", [("yes", 1.0)]),
        ("deep/shoes", [("boot", 1.0), ("7", 1.0)]),
        ("deep/plain", [("one", 1.0), ("two", 1.0)]),
    ],
)
def test_lists_are_called_by_name(folder, name, expected):
    assert values(name, folder) == expected


def test_the_first_folder_counts(folder, tmp_path):
    other = tmp_path / "other"
    (other / "colours").mkdir(parents=True)
    (other / "colours" / "warm.txt").write_text("pink")
    assert values("colours/warm", other, folder) == [("pink", 1.0)]
    assert values("colours*", other, folder) == [("blue", 1.0), ("pink", 1.0)]


def test_a_value_tells_where_it_stands(folder):
    (value,) = (each for each in Wildcards([folder]).values("colours/warm") if each.text == "orange")
    assert value.place == f"{folder / 'colours' / 'warm.txt'}, line 4"


def test_what_is_missing_is_said_with_near_names(folder, tmp_path):
    with pytest.raises(
        UnknownNameError, match=r"There is no wildcard in .*wildcards named 'color/warm'; did you mean col"
    ):
        values("color/warm", folder)
    with pytest.raises(
        UsageError, match="__x__ names a wildcard, but there is no folder of them; give --wildcards DIR"
    ):
        values("x")
    with pytest.raises(UsageError, match=r"The wildcard __empty__ has no values; write some into .*empty\.txt"):
        values("empty", folder)
    with pytest.raises(UsageError, match="nowhere: there is no such folder of wildcards"):
        Wildcards([tmp_path / "nowhere"])
    with pytest.raises(UsageError, match="named 'x'; there are none at all: put text files into it"):
        values("x", tmp_path / "wildcards" / "deep" / "none")
    for number in range(30):
        (folder / f"other{number}.txt").touch()
    with pytest.raises(UsageError, match="named 'zzzzz'; there are 39 others"):
        values("zzzzz", folder)


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("x.txt", b"\xff\xfea", "a file of wildcards is text in UTF-8"),
        ("x.yaml", b"a: [b", "this file of wildcards cannot be read: "),
        ("x.json", b'{"a": [', "this file of wildcards cannot be read: "),
        ("x.json", b"[" * 100_000, "this file of wildcards cannot be read: "),
        ("x.yaml", b"{a: " * 60 + b"b" + b"}" * 60, "this holds more than 200,000 values or 50 levels"),
        ("x.yaml", b"a: &a [x]\n" + b"".join(b"k%d: &k%d {%s}\n" % (i, i, b", ".join(
            b"n%d: *k%d" % (n, i - 1) for n in range(9)) if i else b"n: *a") for i in range(9)), "200,000 values"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_read_are_named(tmp_path, name, data, sentence):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(MalformedFileError) as caught:
        values("x", tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert sentence in str(caught.value)


def test_no_file_can_make_its_reader_run_code(tmp_path):
    (tmp_path / "x.yaml").write_text(f"a: [!!python/object/apply:os.mkdir ['{tmp_path}/made'], red]")
    assert values("a", tmp_path) == [("red", 1.0)]
    assert not (tmp_path / "made").exists()


def test_folders_are_found_where_programs_keep_them(tmp_path):
    places = ["wildcards", "extensions/sd-dynamic-prompts/wildcards", "custom_nodes/comfyui-dynamicprompts/wildcards"]
    for place in places:
        (tmp_path / place).mkdir(parents=True)
    assert folders_of_wildcards([tmp_path]) == [tmp_path / place for place in places]
    assert folders_of_wildcards([tmp_path / "none"]) == []
