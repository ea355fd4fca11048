"""What Pochade needs, what it never needs, and that both README commands get the same versions everywhere."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pochade

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PIN = re.compile(r"([A-Za-z0-9._-]+)==(\d[A-Za-z0-9.]*)")
NEVER = re.compile(
    r"torchvision|torchaudio|nvidia-.*|cuda-.*|triton|timm|open-clip-torch|controlnet-aux|k-diffusion|gradio"
)


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def pins():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [(line, PIN.fullmatch(line)) for line in lines if line and not line.startswith("#")]
    assert not [line for line, match in found if match is None]
    return {normal(match[1]): match[2] for _, match in found}


def named(requirements):
    return {normal(re.match(r"[\w.-]+", each)[0]) for each in requirements}


def imported():
    """The foreign packages that the sources import, by the names under which they are installed."""
    names = set()
    for path in Path(pochade.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.split(".")[0])
    homes = packages_distributions()
    foreign = names - set(sys.stdlib_module_names) - {"pochade", "__future__"}
    return {normal(homes[name][0]) for name in foreign}


def test_what_is_imported_is_what_is_declared():
    assert imported() == named(PROJECT["dependencies"])


def test_everything_declared_is_pinned():
    declared = PROJECT["dependencies"] + [each for extra in PROJECT["optional-dependencies"].values() for each in extra]
    assert named(declared) <= set(pins())


def test_torch_is_the_one_that_was_tried():
    assert pins()["torch"] == "2.13.0"


def test_nothing_unwanted_is_pinned():
    assert not [name for name in [*pins(), *named(PROJECT["dependencies"])] if NEVER.fullmatch(name)]


def test_pochade_itself_is_not_pinned():
    assert "pochade" not in pins()
