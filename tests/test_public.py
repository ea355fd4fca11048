"""The public names of Pochade: a decision, not an accident."""

import importlib
import re
from pathlib import Path

import pytest

import pochade

NAMES = [
    "Library",
    "Picture",
    "Pipeline",
    "PochadeError",
    "Request",
    "Weights",
    "__version__",
    "convert",
    "download",
    "inspect",
    "merge",
    "open",
    "resize",
    "save",
    "scan",
    "train",
    "upscale",
]


def test_the_names_are_these():
    assert sorted(pochade.__all__) == NAMES
    assert dir(pochade) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_is_there_and_says_what_it_is(name):
    value = getattr(pochade, name)
    assert name == "__version__" or value.__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'txt3img'"):
        _ = pochade.txt3img


@pytest.mark.parametrize(
    "part", sorted(path.parent.name for path in Path(pochade.__file__).parent.glob("*/__init__.py"))
)
def test_what_a_part_lists_is_there(part):
    module = importlib.import_module(f"pochade.{part}")
    missing = [name for name in getattr(module, "__all__", ()) if not hasattr(module, name)]
    assert not missing


def test_the_version_is_a_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+)?", pochade.__version__)


def test_types_travel_with_the_package():
    assert Path(pochade.__file__).with_name("py.typed").exists()
