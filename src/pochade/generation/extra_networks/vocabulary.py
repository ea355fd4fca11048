"""The words of a prompt for which there are embeddings: which occur, which fit the model, and what to tell of them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain

from pochade.errors import FileError
from pochade.families import Family
from pochade.generation.device.notes import Notes
from pochade.generation.extra_networks.embedding_files import EmbeddingFiles, File
from pochade.generation.extra_networks.embeddings import Embedding
from pochade.kinds.embedding import PARTNERS
from pochade.prompts import Emphasis, Tokenizer
from pochade.prompts.chunks import PLACES, Names

_PLAIN = "it is read as plain words"


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The embeddings that prompts for one model may name. Those that do not fit it are plain words, which is noted.

    `widths` are those of its text encoders' vectors; `bundled` are embeddings that LoRAs bring along. Files of the same
    name go before them, as in A1111.
    """

    files: EmbeddingFiles
    tokenizer: Tokenizer
    family: Family
    widths: tuple[int, ...]
    emphasis: Emphasis
    notes: Notes
    bundled: Mapping[str, Embedding] = field(default_factory=dict)

    def found_in(self, texts: Sequence[str]) -> dict[str, Embedding]:
        """The embeddings that texts without tags, AND and editing name, by name; only their files are read."""
        unfit: set[str] = set()
        unique = list(dict.fromkeys(texts))  # prompts that alternate repeat them
        while self._known:
            named = dict.fromkeys(
                name for text in unique for name in self._names.named_in(text, self.emphasis, passed_over=unfit)
            )
            found = {name: each for name in named if (each := self._fitting(name)) is not None}
            if len(found) == len(named):
                return found
            unfit |= named.keys() - found.keys()  # their words may hold shorter names
        return {}

    def note_misplaced(self, prompt: Iterable[Sequence[Embedding]], negative: Sequence[Embedding]) -> None:
        """Note embeddings that belong elsewhere, by those in the parts of the prompt and in the negative prompt."""
        for sentence in self._misplaced(chain.from_iterable(prompt), {each.name for each in negative}):
            self.notes.add(sentence)

    def _misplaced(self, prompt: Iterable[Embedding], negative: set[str]) -> Iterator[str]:
        for each in prompt:
            if each.is_negative:
                yield f"{each.name!r} is made for the negative prompt, but stands in the prompt."
            partner = next((name for end in PARTNERS if (name := each.name + end) in self._known), None)
            if partner is not None and partner not in negative:
                yield f"{each.name!r} is one of a pair; {partner!r} goes with it into the negative prompt."

    @cached_property
    def _known(self) -> dict[str, File | Embedding]:
        """Everything by name, the files unread."""
        return {**self.bundled, **self.files.listed()}

    @cached_property
    def _names(self) -> Names:
        return self.files.spelled(tuple(self._known), self.tokenizer)

    def _fitting(self, name: str) -> Embedding | None:
        """An embedding by name; None, with a note, for one that cannot be used."""
        known = self._known[name]
        try:
            embedding = known if isinstance(known, Embedding) else self.files.read(name, known)
        except FileError as error:
            self.notes.add(f"The embedding {name!r} cannot be used ({str(error).rstrip('.')}); {_PLAIN}.")
            return None
        if obstacle := self._obstacle(embedding):
            self.notes.add(f"The embedding {name!r} {obstacle}; {_PLAIN}.")
            return None
        return embedding

    def _obstacle(self, embedding: Embedding) -> str:
        """Why an embedding does not fit; empty for one that does."""
        if embedding.widths != self.widths:
            theirs = embedding.family
            if theirs is not None and theirs is not self.family:
                return f"is for {theirs.title}, and this model is one of {self.family.title}"
            return f"has vectors of {_sum(embedding.widths)} numbers, and this model's have {_sum(self.widths)}"
        if embedding.count > PLACES:
            return f"has {embedding.count} vectors, and a prompt window holds {PLACES}"
        return ""


def _sum(widths: Sequence[int]) -> str:
    return " + ".join(map(str, widths))
