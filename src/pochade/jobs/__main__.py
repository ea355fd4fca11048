"""`python -m pochade.jobs LANE`: a worker. It ends with the step that it is at when it is asked to terminate."""

import argparse
import os
import signal
import sys
from types import FrameType

from pochade.errors import STOPPED, PochadeError
from pochade.jobs.queue import Queue
from pochade.jobs.verbs import DRAWING, LANES
from pochade.jobs.worker import Worker


def main() -> int:
    """Work; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m pochade.jobs", description="Do the jobs of one lane.")
    parser.add_argument("lane", choices=LANES, default=DRAWING, nargs="?")
    parser.add_argument("--card", help="Number of the card to draw on, where there are several.")
    parser.add_argument("--idle", type=float, help="End when no job came for so many seconds.")
    given = parser.parse_args()
    if given.card is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = given.card
    name = given.lane if given.card is None else f"{given.lane}-{int(given.card)}"
    try:
        work(Worker(Queue(), given.lane, name, lambda text: print(text, flush=True)), given.idle)
    except PochadeError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return STOPPED.code
    return 0


def work(worker: Worker, idle: float | None) -> bool:
    """Let a worker serve; the first request to end lets it finish its step, the second one ends it at once."""

    def end(number: int, frame: FrameType | None) -> None:
        worker.end()
        signal.signal(number, signal.default_int_handler)

    before = {each: signal.signal(each, end) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        return worker.serve(idle)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


if __name__ == "__main__":
    sys.exit(main())
