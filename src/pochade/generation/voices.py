"""Models with what the prompts of requests name beside them: LoRAs, embeddings, hypernetworks."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pochade.errors import shown
from pochade.generation.extra_networks.embedding_files import EmbeddingFiles
from pochade.generation.extra_networks.hypernetworks import KIND as HYPERNETWORK
from pochade.generation.extra_networks.hypernetworks import Hypernetworks
from pochade.generation.extra_networks.lora_unit import KINDS as LORAS
from pochade.generation.extra_networks.loras import Loras
from pochade.generation.extra_networks.vocabulary import Vocabulary
from pochade.generation.model import Model
from pochade.generation.passes import Voice
from pochade.generation.request import Request
from pochade.generation.text import PromptEncoder, RunText, TextRules
from pochade.prompts import Tokenizer, extra_networks


class Voices:
    """What lies in folders of models, for the prompts that name it."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._tokenizer = Tokenizer()
        self._embeddings = EmbeddingFiles(folders)
        self._hypernetworks = Hypernetworks(folders)
        self._loras = Loras(folders)

    def resolved(self, request: Request) -> dict[str, Any]:
        """The fields of a request that tell of files, with their paths and hashes.

        Raises UsageError or FileError for a LoRA beside the prompt that cannot be used.
        """
        return self._loras.resolved(request)

    def voice(self, request: Request, calls: int, before: int | None = None, *, model: Model) -> Voice:
        """A model with the request's prompts in its own encoders' words; what it cannot follow is noted."""
        rules, loras, notes = TextRules.of(request), self._loras.worn(request, model), model.memory.notes
        encoders = model.networks.text_encoders
        widths = tuple(each.width for each in encoders)
        words = Vocabulary(
            self._embeddings, self._tokenizer, model.family, widths, rules.emphasis, notes, loras.embeddings()
        )
        encoder = PromptEncoder(encoders, model.family, self._tokenizer, rules, loras.at_work, words.found_in)
        prompt, tags = extra_networks.extract(request.prompt)
        text = RunText(encoder, prompt, request.negative_prompt, calls, before)
        words.note_misplaced(text.embeddings, text.negative_embeddings)
        return Voice(model, text, loras, self._hypernetworks.asked_for(tags, model, notes))


def unknown_tags(prompt: str) -> Iterator[str]:
    """What to tell of tags whose kind nobody knows."""
    for tag in extra_networks.extract(prompt)[1]:
        if tag.kind.casefold() not in (HYPERNETWORK, *LORAS):
            words = shown(f"<{tag.kind}:{':'.join(tag.items)}>")
            yield f"{words} names a network of a kind that is not known; it has no effect."
