"""What should be told beside the work that does not stop it."""

from collections.abc import Iterator

from pochade.events import Warned


class Notes:
    """Sentences that networks leave while they work; each is told once in a run."""

    def __init__(self) -> None:
        self._told: dict[str, bool] = {}

    def add(self, sentence: str) -> None:
        """Keep a sentence for the run."""
        self._told.setdefault(sentence, False)

    def untold(self) -> Iterator[Warned]:
        """What was added since the last call."""
        for sentence, told in list(self._told.items()):
            self._told[sentence] = True
            if not told:
                yield Warned(sentence)

    def begin(self) -> None:
        """Forget what an earlier run was told."""
        self._told.clear()
