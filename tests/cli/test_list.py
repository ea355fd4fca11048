import json
import pickle
import subprocess
import sys
from unittest.mock import Mock

import numpy as np
import pytest
from rich.cells import cell_len

from pochade import files
from pochade.events import Made
from pochade.library import adopted, database
from pochade.library.refreshing import Changes
from pochade.operations.catalogue import Library


class Harm:
    def __reduce__(self):
        return (eval, ("1",))


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """Nothing of the user's own is touched."""
    monkeypatch.setattr(database, "location", lambda: tmp_path / "home" / "library.sqlite")
    monkeypatch.setattr(adopted, "location", lambda: tmp_path / "home" / "folders.json")


def embedding(path, vectors=3):
    path.parent.mkdir(parents=True, exist_ok=True)
    return files.save(path, {"emb_params": np.ones((vectors, 768), np.float32)})


@pytest.fixture
def models(tmp_path):
    folder = tmp_path / "models"
    embedding(folder / "embeddings" / "animals" / "fox.safetensors")
    embedding(folder / "embeddings" / "cat.safetensors", 4).with_suffix(".json").write_text('{"description": "no fox"}')
    (folder / "embeddings" / "evil.pt").write_bytes(pickle.dumps(Harm(), 2))
    return folder


def test_a_table_tells_what_is_there(run, models):
    done = run("list", "--models", models)
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "NAME         KIND       BASE      SIZE  NOTES",
        "animals/fox  embedding  sd1     9.3 kB  fox",
        "cat          embedding  sd1    12.4 kB  cat",
        "evil         unknown          37 bytes  MALICIOUS unsafe-pickle",
        "3 models, 1 unsafe, 21.7 kB",
    ]


def test_json_is_one_object_per_model(run, models):
    fox, cat, evil = json.loads(run("list", "--models", models, "--json").stdout)
    assert (fox["name"], fox["kind"], fox["family"], fox["tensors"]) == ("animals/fox", "embedding", "sd1", 1)
    assert (fox["path"], fox["sha256"]) == (str(models / "embeddings/animals/fox.safetensors"), None)
    assert (cat["description"], cat["trigger_words"], cat["problems"]) == ("no fox", ["cat"], [])
    assert (evil["verdict"], evil["problems"]) == ("malicious", ["unsafe-pickle"])


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["fox"], ["animals/fox", "cat"]),
        (["fox", "-no"], ["animals/fox"]),
        (["-fox"], ["evil"]),
        (["kind:embedding", '"no fox"'], ["cat"]),
        (["--kind", "embedding", "animals"], ["animals/fox"]),
        (["unsafe:"], ["evil"]),
        (["fox -no"], ["animals/fox"]),
    ],
)
def test_a_query_chooses(run, models, words, names):
    done = run("list", *words, "--models", models, "--json")
    assert [each["name"] for each in json.loads(done.stdout)] == names


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["colour:red"], "There is no search key 'colour'"),
        (["--kind", "loar"], "did you mean lora"),
        (["--jsn"], "There is no option --jsn"),
        (["size:big"], "write it like size:>2gb"),
        (["--models", "none"], "none: there is no such models folder"),
    ],
)
def test_wrong_usage_is_one_sentence(run, models, words, said):
    done = run("list", "--models", models, *words)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr and done.stderr.count("\n") == 1


def test_nothing_found_is_one_sentence(run, models, tmp_path):
    (tmp_path / "empty").mkdir()
    assert run("list", "--models", tmp_path / "empty").stdout == f"There is no model in {tmp_path / 'empty'}.\n"
    assert run("list", "zebra", "--models", models).stdout == f"No model in {models} fits.\n"
    assert json.loads(run("list", "zebra", "--models", models, "--json").stdout) == []


def test_without_a_folder_it_says_how_to_name_one(run):
    done = run("list")
    assert done.exit_code == 2
    assert "--models DIR" in done.stderr and "--adopt DIR" in done.stderr


def test_a_folder_is_adopted_and_forgotten(run, models, tmp_path):
    assert run("list", "--adopt", "models").stdout == f"{models} (folder)\n"
    assert "animals/fox" in run("list").stdout
    models.rename(tmp_path / "away")
    assert "not there now; its models are left out" in run("list").stderr
    assert run("list", "--folders").stdout == f"{models} (not there now)\n"
    assert json.loads(run("list", "--folders", "--json").stdout) == [{"path": str(models), "layout": None}]
    assert run("list", "--forget", models).stdout.startswith("No folder is adopted")
    assert run("list", "--forget", models).exit_code == 2
    assert run("list", "--adopt", "none").exit_code == 2


def test_without_a_look_what_is_known_is_shown(run, models):
    run("list", "--models", models)
    embedding(models / "embeddings" / "new.safetensors")
    assert "new" not in run("list", "--models", models, "--no-refresh").stdout
    assert "new" in run("list", "--models", models).stdout


def test_hashes_are_computed_and_shown(run, models):
    done = run("list", "--models", models, "cat", "--hash")
    (cat,) = json.loads(run("list", "cat", "--models", models, "--json", "--no-refresh").stdout)
    assert f"cat [{cat['sha256'][:10]}]" in done.stdout
    assert json.loads(run("list", "animals/", "--models", models, "--json").stdout)[0]["sha256"] is None


@pytest.mark.parametrize("exact", [[], ["--exact"]])
def test_duplicates_are_shown_together(run, models, exact):
    embedding(models / "embeddings" / "old fox.safetensors")
    done = run("list", "--models", models, "--duplicates", *exact)
    assert done.stdout.splitlines() == [
        "embedding fox",
        f"    9.3 kB  {models / 'embeddings/animals/fox.safetensors'}",
        f"    9.3 kB  {models / 'embeddings/old fox.safetensors'}",
        "1 model more than once; 9.3 kB would be saved by one of each.",
    ]
    (group,) = json.loads(run("list", "--models", models, "--duplicates", "--json", *exact).stdout)
    assert [each["name"] for each in group] == ["animals/fox", "old fox"]
    assert run("list", "cat", "--models", models, "--duplicates").stdout == "No two models have the same weights.\n"


def test_changes_are_told_until_it_is_stopped(run, models, monkeypatch):
    fox, cat = models / "embeddings/animals/fox.safetensors", models / "embeddings/cat.safetensors"

    def watching(self):
        self.refresh()
        yield Made(Changes(added=(fox, cat), removed=(models / "gone",)))
        raise KeyboardInterrupt

    monkeypatch.setattr(Library, "watching", watching)
    done = run("list", "--watch", "--models", models, "name:fox")
    assert done.stdout.splitlines() == [f"added    {fox}", f"removed  {models / 'gone'}"]
    assert done.exit_code == 4
    done = run("list", "--watch", "--json", "--models", models)
    assert json.loads(done.stdout.splitlines()[0]) == {"change": "added", "path": str(fox)}


def test_on_a_terminal_lines_fit(run, models, monkeypatch):
    embedding(models / "embeddings" / ("狐" * 30 + "-end.safetensors"))
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr("pochade.cli.model_table.sys", Mock(**{"stdout.isatty.return_value": True}))
    done = run("list", "--models", models)
    assert max(map(cell_len, done.stdout.splitlines())) <= 60
    assert "-end " in done.stdout and "…" in done.stdout


def test_a_name_cannot_steer_the_terminal(run, models):
    embedding(models / "embeddings" / "red\x1b[31m.safetensors")
    done = run("list", "--models", models)
    assert "\x1b" not in done.stdout and r"red\x1b[31m" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="no such names there")
def test_a_line_break_in_a_name_breaks_no_line(run, tmp_path):
    embedding(tmp_path / "models" / "a\nb.safetensors")
    lines = run("list", "--models", tmp_path / "models").stdout.splitlines()
    assert [line[:4] for line in lines] == ["NAME", "a\\nb", "1 mo"]
    assert lines[0].index("KIND") == lines[1].index("embedding")


def test_the_help_shows_an_example(run):
    done = run("list", "--help")
    assert done.exit_code == 0 and "pochade list base:sdxl kind:lora fox" in done.stdout


def test_listing_needs_no_torch(models):
    code = (
        "import sys; from pathlib import Path; from pochade import cli; from pochade.library import database\n"
        "database.location = lambda: Path(sys.argv[1], 'library.sqlite')\n"
        "try:\n    cli.app(['list', '--models', sys.argv[1]])\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "assert not {'torch', 'pydantic', 'scipy'} & set(sys.modules)"
    )
    assert (
        "animals/fox"
        in subprocess.run([sys.executable, "-c", code, models], capture_output=True, text=True, check=True).stdout
    )
