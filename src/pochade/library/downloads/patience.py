"""How often something is tried again, and after how long."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pochade.errors import FileError

_Answer = TypeVar("_Answer")


class TroubleError(FileError):
    """What may be gone at the next try: a broken connection, a server that is busy.

    `wait` is for how many seconds the server asks to be left alone; `is_reached` is False where nobody answered.
    """

    def __init__(self, address: str, problem: str, wait: float | None = None, is_reached: bool = True) -> None:
        super().__init__(address, problem)
        self.address = address
        self.problem = problem
        self.wait = wait
        self.is_reached = is_reached


@dataclass(frozen=True)
class Patience:
    """`tries` is how many may fail in a row; the pause between them grows from `pause` seconds, up to `longest`."""

    tries: int = 6
    pause: float = 1.0
    longest: float = 300.0

    def pause_after(self, failures: int, trouble: TroubleError, advice: str = "try again later") -> float:
        """Seconds until the next try. Raises FileError when enough were made, or the server wants too long a pause."""
        asked = trouble.wait or 0.0
        if asked > self.longest:
            problem = f"{trouble.problem} and the server wants to be left alone for {asked:.0f} seconds"
        elif failures >= self.tries:
            problem = f"{trouble.problem}; tried {failures} times"
        else:
            return max(asked, min(self.pause * 2.0 ** (failures - 1), self.longest))
        raise FileError(trouble.address, f"{problem}; {advice}") from trouble

    def get(self, ask: Callable[[], _Answer]) -> _Answer:
        """The answer to a question, asked again while the server is busy; one whom nobody hears is not asked twice."""
        failures = 0
        while True:
            try:
                return ask()
            except TroubleError as trouble:
                failures += 1
                if not trouble.is_reached:
                    raise
                time.sleep(self.pause_after(failures, trouble))
