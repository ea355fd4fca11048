"""Pickles that our readers refuse or never get to see, interpreted all the same: would they act in another program?"""

import sys
from contextlib import suppress
from functools import partial
from typing import NoReturn

from pochade.errors import MalformedFileError, UnsafeFileError
from pochade.files import zips
from pochade.files.allowed import ALLOWED, NETWORKS, Storage, StorageType, resolver
from pochade.files.mapped import MappedFile
from pochade.files.pickles import MOST_OPCODES, Known, Machine, Resolve

_MOST_STEPS_OF_WORDS = 1000
_MOST_HIDDEN_STEPS = 1_000_000  # in all pickles of a broken zip together


def refuse_calls(file: MappedFile) -> None:
    """Refuse a file that calls something when it is read as a pickle, whatever its name or first bytes call it.

    The words of a text may look like a name, yet they call nothing, and break off after a few steps.
    """
    machine = Machine(file.path, file.data, partial(_uncallable, resolver(file.path)), _anything)
    try:
        machine.run()
    except MalformedFileError:
        if MOST_OPCODES - machine.budget > _MOST_STEPS_OF_WORDS:
            raise


def _uncallable(resolve: Resolve, module: str, name: str) -> object:
    """What a name stands for; one outside the allow-list is refused only when it is called."""
    try:
        return resolve(module, name)
    except UnsafeFileError as error:
        refusal = error
    if not all(part.isidentifier() for part in f"{module}.{name}".split(".")):
        raise ValueError("a name that nothing can have")

    def refuse(*_: object) -> NoReturn:
        raise refusal

    return Known(f"{module} {name}", refuse)


def refuse_hidden(file: MappedFile) -> None:
    """Refuse a broken zip that holds what acts: other readers forgive what ours does not."""
    budget = _MOST_HIDDEN_STEPS
    for name, content in zips.salvaged(file, ".pkl"):
        machine = Machine(file.path, content, resolver(file.path), _anything, where=name, budget=budget)
        with suppress(MalformedFileError):  # the next one may be whole
            machine.run()
        budget = machine.budget
        if budget < 0:
            return


def is_network(file: MappedFile, refusal: UnsafeFileError) -> bool:
    """Tell whether a torch zip was refused for classes of known networks alone.

    Raises UnsafeFileError when its pickle holds worse.
    """
    if not refusal.where or refusal.what not in {name.replace(" ", ".") for name in NETWORKS}:
        return False
    try:
        return all(_is_network(file, member) for name, member in zips.members(file).items() if name.endswith(".pkl"))
    except MalformedFileError:
        return False


def _is_network(file: MappedFile, member: zips.Member) -> bool:
    content = member.read(file)
    member.check(file, content)
    resolve = resolver(file.path, ALLOWED | NETWORKS)
    machine = Machine(file.path, content, resolve, _anything, where=member.name)
    machine.run()
    return machine.position == len(content)


def _anything(identity: object) -> object:
    """Answer any persistent id: what lies in a storage cannot act."""
    match identity:
        case (str(), StorageType(dtype=dtype), *_):
            return Storage(dtype, sys.maxsize, _unread)
    return identity


def _unread(*_: object) -> NoReturn:
    raise ValueError("a storage that is never read")
