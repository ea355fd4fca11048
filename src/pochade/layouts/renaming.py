"""Rename tensors by a table of module names: the longest known module that begins a name is replaced."""

from collections.abc import Iterable, Mapping


def renamed(names: Iterable[str], modules: Mapping[str, str]) -> dict[str, str]:
    """Return the new name of every name; one that no module begins stays as it is."""
    return {name: _renamed(name, modules) for name in names}


def reverse(modules: Mapping[str, str]) -> dict[str, str]:
    """Turn a table round."""
    return {new: old for old, new in modules.items()}


def _renamed(name: str, modules: Mapping[str, str]) -> str:
    module = name
    while module:
        if module in modules:
            return modules[module] + name[len(module) :]
        module = module.rpartition(".")[0]
    return name
