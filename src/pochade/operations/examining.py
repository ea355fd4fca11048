"""Tell of files what their headers say, without a look at their numbers; with all processors where they are many."""

import gc
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import IO

from pochade.errors import FileError, MalformedFileError, UnsafeFileError
from pochade.files import scan
from pochade.files.mapped import reading
from pochade.kinds import lora, trigger_words
from pochade.library.entries import BROKEN, SAFE, Facts, packed, plain, unpacked
from pochade.library.find import PICTURES
from pochade.library.headers import header_of
from pochade.operations.findings import dtypes, findings, unreadable
from pochade.operations.view import View

_WORDS_STATED = "modelspec.trigger_phrase"
_BASES = ("ss_base_model_version", "modelspec.architecture")
_SETTINGS = ("ss_network_module", "ss_network_args")
"""The metadata without which the algorithm of a LoRA is not known."""
_TOLD_BY_TENSORS = {"lora", "vae", "controlnet", "upscaler"}
"""Kinds of which no number, and nothing else in the metadata, has to be known."""
_PICKLED = ("ckpt", "ckpt-legacy")
_FEW = 100  # files; for fewer, further processes do not pay
_MOST_HANDS = 8
_RARELY = (50_000, 20, 50)  # objects made before garbage is looked for: headers are many small objects
_HAND = "from pochade.operations.examining import be_a_hand; be_a_hand()"


def examined(path: Path) -> Facts:
    """What the header of a file tells; what is wrong with one that cannot be read."""
    try:
        view = View.of(path)
        with reading(path):
            return _facts(view)
    except FileError as error:
        is_model = path.suffix.lower() not in PICTURES["embedding"] or not isinstance(error, MalformedFileError)
        return Facts(problems=(unreadable(path, error).code,), verdict=_verdict_on(error), is_model=is_model)


def _facts(view: View) -> Facts:
    is_lora, metadata = view.kind == "lora", view.weights.metadata
    needed = [name for name in view.weights if name not in view.junk]
    counts = dtypes(view.weights, needed)
    facts = Facts(
        kind=view.kind,
        format=view.weights.format,
        family=view.family.name if view.family else None,
        variant=view.variant,
        prediction=view.prediction,
        algorithm=lora.algorithm(view.shapes, metadata) if is_lora else None,
        rank=lora.rank(view.shapes) if is_lora else None,
        dtypes=tuple(dtype for dtype, _ in counts.most_common()),
        tensors=len(needed),
        parameters=counts.total(),
        problems=tuple(dict.fromkeys(each.code for each in findings(view))),
        verdict=_verdict(view),
    )
    if view.kind == "embedding":
        words = tuple(trigger_words.of_embedding(view.weights, view.path))
        return replace(_with_metadata(facts, metadata), trigger_words=words, says_words=True)
    return _with_metadata(facts, metadata)


def _with_metadata(facts: Facts, metadata: Mapping[str, str]) -> Facts:
    """The facts of a file with what its metadata says of it."""
    return replace(
        facts,
        title=plain(metadata.get("modelspec.title", "")),
        description=plain(metadata.get("modelspec.description", "")),
        base=next((found for name in _BASES if (found := plain(metadata.get(name, "")))), ""),
        tags=tuple(tag for each in metadata.get("modelspec.tags", "").split(",") if (tag := plain(each))),
        trigger_words=tuple(trigger_words.noted(metadata)),
        says_words=bool(metadata.get(_WORDS_STATED, "").strip(" ,")),
    )


def _verdict(view: View) -> str:
    """What a scan says of a file that could be read: our readers take nothing that acts."""
    pretends = view.weights.format in _PICKLED and view.path.suffix.lower() == ".safetensors"
    return "suspicious" if pretends else SAFE


def _verdict_on(error: FileError) -> str:
    """What a scan says of a file that could not be read; only of pickles that name what they should not, it reads
    more than the reader did.
    """
    return next(scan(error.path)).verdict if isinstance(error, UnsafeFileError) else BROKEN


def _in_turn(paths: Iterable[Path]) -> Iterator[Facts]:
    """Examine one file after the other; what follows from the tensors of one holds for those with the same."""
    known: dict[Hashable, Facts] = {}
    for path in paths:
        header = header_of(path)
        if header is None:
            yield examined(path)
            continue
        settings = [header.metadata.get(name) for name in _SETTINGS]
        alike = (header.tensors, path.suffix.lower(), *settings)
        if alike in known:
            yield _with_metadata(known[alike], header.metadata)
            continue
        facts = examined(path)
        if facts.kind in _TOLD_BY_TENSORS:
            known[alike] = facts
        yield facts


def examining(paths: Sequence[Path]) -> Generator[Facts, None, None]:
    """Yield what the header of each file tells, in their order."""
    count = min(os.cpu_count() or 1, _MOST_HANDS)
    if count == 1 or len(paths) < _FEW or not sys.executable:
        yield from _in_turn(paths)
        return
    with ExitStack() as stack:
        hands = [stack.enter_context(_hand(paths[number::count])) for number in range(count)]
        yield from (next(hand) for _, hand in zip(paths, cycle(hands), strict=False))


@contextmanager
def _hand(paths: Sequence[Path]) -> Iterator[Iterator[Facts]]:
    """Another process that examines files; it gives the facts of one after the other."""
    command = [sys.executable, "-c", _HAND]
    with tempfile.TemporaryFile("w+", encoding="ascii") as names:
        names.writelines(json.dumps(os.fspath(path)) + "\n" for path in paths)
        names.seek(0)
        process = subprocess.Popen(
            command, stdin=names, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
        )
    try:
        assert process.stdout
        yield _answers(process.stdout, paths)
    finally:
        process.kill()
        process.communicate()


def _answers(lines: IO[str], paths: Sequence[Path]) -> Iterator[Facts]:
    """What the other process says; where it cannot be started, or ends too early, its work is done here."""
    for path in paths:
        line = lines.readline()
        yield unpacked(Facts, line) if line.endswith("\n") else examined(path)


def be_a_hand() -> None:
    """Examine the files that are named on the standard input, for another process."""
    gc.set_threshold(*_RARELY)
    for facts in _in_turn(Path(json.loads(line)) for line in sys.stdin):
        print(packed(facts), flush=True)
