"""The levels of docs/architecture.md: who may import whom, where torch begins, and what light commands leave alone."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import pochade
from pochade.families import FAMILIES

PACKAGE = Path(pochade.__file__).parent
PAGE = Path(__file__).parent.parent / "docs" / "architecture.md"

LEVELS = {
    **dict.fromkeys(("__init__", "errors", "events"), 0),
    **dict.fromkeys(("files",), 1),
    **dict.fromkeys(("families", "layouts", "kinds", "adapters"), 2),
    **dict.fromkeys(("operations", "prompts", "library", "preprocessors"), 3),
    **dict.fromkeys(("networks", "sampling"), 4),
    **dict.fromkeys(("generation", "picturebook", "training", "evaluation"), 5),
    **dict.fromkeys(("jobs", "cli", "__main__"), 6),
}
TORCH_BEGINS = 4
TORCH_LATE = {"operations"}  # may load torch inside a function, for arithmetic on halves
TORCH_WORLD = {"torch", "diffusers", "transformers", "safetensors", "scipy", "torchsde"}
ORACLES = TORCH_WORLD - {"torch"}
STRANGERS = [("sampling", "networks"), ("sampling", "prompts"), ("generation", "training")]


class Import(NamedTuple):
    """One import: the file and its part of the package, the module imported, whether it waits inside a function."""

    place: str
    part: str
    module: str
    late: bool


def part_of(parts):
    """The folder, or the file beside the folders, that the first component names."""
    return parts[0] if parts else "__init__"


def absolute(node, package):
    """The modules that an import statement names, relative ones resolved against their package."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = node.module or ""
    if node.level:
        base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
    return [f"{base}.{alias.name}" for alias in node.names] if base == "pochade" else [base]


def home(module):
    """The part of the package that a dotted name leads to; a lazy public name leads to its home."""
    name = module.split(".")[1] if "." in module else "__init__"
    name = pochade._HOMES.get(name, f"pochade.{name}").split(".")[1]
    return "__init__" if name.startswith("__") else name


@cache
def trees():
    return {
        path.relative_to(PACKAGE): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))
    }


@cache
def imports():
    found = []
    for path, tree in trees().items():
        package = ("pochade", *path.parent.parts)
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        late = {inner for function in functions for inner in ast.walk(function)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                part = part_of(path.with_suffix("").parts)
                found += [Import(str(path), part, module, node in late) for module in absolute(node, package)]
    return found


def own():
    """Imports from one part of Pochade to another."""
    inner = [each for each in imports() if each.module.split(".")[0] == "pochade"]
    return [(each, home(each.module)) for each in inner if home(each.module) != each.part]


def test_every_part_has_its_level():
    assert {part_of(path.with_suffix("").parts) for path in trees()} == set(LEVELS)


def test_the_page_draws_the_tree_as_it_is():
    drawn = re.findall(r"^(\w+) +(\d)  \S", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {name: int(level) for name, level in drawn} == LEVELS


def test_imports_lead_to_the_same_level_or_down():
    wrong = [f"{each.place}: {each.module}" for each, target in own() if LEVELS[target] > LEVELS[each.part]]
    assert not wrong


def test_there_is_no_circle_among_the_parts():
    reached = {part: {target for each, target in own() if each.part == part} for part in LEVELS}
    done: set[str] = set()
    while len(done) < len(reached):
        free = [part for part, targets in reached.items() if part not in done and targets <= done]
        assert free, f"these import each other: {sorted(set(reached) - done)}"
        done.update(free)


@pytest.mark.parametrize(("part", "stranger"), STRANGERS)
def test_these_do_not_know_each_other(part, stranger):
    assert not [each.place for each, target in own() if each.part == part and target == stranger]


def test_torch_begins_at_its_level():
    wrong = [
        f"{each.place}: {each.module}"
        for each in imports()
        if each.module.split(".")[0] in TORCH_WORLD
        and LEVELS[each.part] < TORCH_BEGINS
        and not (each.late and each.part in TORCH_LATE)
    ]
    assert not wrong


def test_oracles_stay_in_the_tests():
    assert not [f"{each.place}: {each.module}" for each in imports() if each.module.split(".")[0] in ORACLES]


def test_surfaces_know_no_torch():
    assert not [each.place for each in imports() if each.part == "cli" and each.module.split(".")[0] == "torch"]


def questions(tree):
    """The expressions that a comparison or a match statement looks at."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            yield from [node.left, *node.comparators]
        elif isinstance(node, ast.Match):
            yield node.subject
        elif isinstance(node, ast.MatchValue):
            yield node.value


def asks_for_family(expression):
    if isinstance(expression, ast.Constant):
        return expression.value in {family.name for family in FAMILIES}
    owner = expression.value if isinstance(expression, ast.Attribute) and expression.attr == "name" else None
    return owner is not None and ast.unparse(owner).lower().endswith(("family", "sd1"))


def test_only_families_know_which_family_it_is():
    wrong = [
        f"{path}:{expression.lineno}"
        for path, tree in trees().items()
        if path.parts[0] != "families"
        for expression in questions(tree)
        if asks_for_family(expression)
    ]
    assert not wrong


def brought(code):
    """The modules that are loaded after running `code` in a fresh interpreter, without those that were there before."""
    script = (
        f"import sys\nbefore = set(sys.modules)\n{code}\nprint(*sorted(set(sys.modules) - before), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_importing_pochade_costs_nothing():
    modules = brought("import pochade")
    assert {name.split(".")[0] for name in modules} <= {"pochade", "importlib", "_frozen_importlib", "warnings"}
    assert not [name for name in modules if name.startswith("pochade.")]


@pytest.mark.parametrize(
    "words", [["--help"], ["txt2img", "--help"], ["inspect", "FILE"], ["inspect", "FILE", "--json"]]
)
def test_light_commands_leave_torch_alone(words, tmp_path):
    model = pochade.save(tmp_path / "model.safetensors", {})
    words = [str(model) if word == "FILE" else word for word in words]
    code = f"from pochade.cli import app\ntry:\n    app({words!r})\nexcept SystemExit as end:\n    assert not end.code"
    heavy = {"torch", "diffusers", "transformers", "pydantic", "scipy"}
    assert not heavy & {name.split(".")[0] for name in brought(code)}


def test_building_networks_starts_no_compiler():
    """Some of torch's initialisers, on the meta device, load its compiler: more than a second of every start."""
    code = (
        "import torch; from pochade.networks import CLIPText, UNet, VAE, clip_shapes, unet_shapes, vae_shapes\n"
        "with torch.device('meta'):\n"
        "    UNet(unet_shapes(32, (1, 2), 64, (0, 1), 1))\n"
        "    VAE(vae_shapes(32, (1, 1), 1))\n"
        "    CLIPText(clip_shapes(64, 2))\n"
    )
    assert "torch._dynamo" not in brought(code)
