"""`pochade jobs`: the queue of long work: look at it, steer it, work through it."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from pochade.cli.common import Json, tell

if TYPE_CHECKING:
    from pochade.jobs import Job, Queue
    from pochade.jobs.job import State

app = typer.Typer(add_completion=False)

_ALL = 1_000_000
_WISHED = {"stop": "about to stop", "finish": "about to finish", "skip": "about to go on with the next part"}

Number = Annotated[int, typer.Argument(metavar="ID", help="The job's number.")]


@app.callback(invoke_without_command=True, epilog="Example: pochade jobs stop 17")
def jobs(context: typer.Context, as_json: Json = False) -> None:
    """Look at the queue and steer it. Jobs are done in turn by workers that live on when this terminal is closed."""
    if context.invoked_subcommand is None:
        listing(as_json=as_json)


@app.command("list", epilog="Example: pochade jobs list --state failed --json")
def listing(
    state: Annotated[list[str] | None, typer.Option("--state", help="Only jobs in this state; repeatable.")] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most so many.")] = 50,
    as_json: Json = False,
) -> None:
    """List jobs: those that run, those that wait, in their order, and those that ended, the latest first."""
    from pochade.cli.job_table import table  # deferred: the help needs none of it

    queue = _queue()
    found = queue.jobs(_states(state), limit)
    if as_json:
        typer.echo(json.dumps([each.to_dict() for each in found], indent=2))
        return
    tell("\n".join(table(found)) if found else "There are no jobs.")
    if queue.is_paused:
        tell("The queue is paused; go on with `pochade jobs resume`.")


@app.command(epilog="Example: pochade jobs show 17 --json")
def show(number: Number, as_json: Json = False) -> None:
    """Show all that is known of a job."""
    from pochade.cli.job_table import told  # deferred: the help needs none of it

    job = _queue().get(number)
    tell(json.dumps(job.to_dict(), indent=2) if as_json else "\n".join(told(job)))


@app.command(epilog="Example: pochade jobs cancel 17")
def cancel(number: Number, as_json: Json = False) -> None:
    """Take out a job that has not begun."""
    _report(_queue().cancel(number), as_json)


@app.command(epilog="Example: pochade jobs stop 17")
def stop(number: Number, as_json: Json = False) -> None:
    """Stop a job with the step that is being made. What it saved stays."""
    _report(_queue().stop(number), as_json)


@app.command(epilog="Example: pochade jobs finish 17")
def finish(number: Number, as_json: Json = False) -> None:
    """Stop a job when the picture, cell or file that it works on is finished."""
    _report(_queue().finish(number), as_json)


@app.command(epilog="Example: pochade jobs skip 17")
def skip(number: Number, as_json: Json = False) -> None:
    """Let a job go on with the next picture, cell or file."""
    _report(_queue().skip(number), as_json)


@app.command(epilog="Example: pochade jobs move 17 --before 12")
def move(
    number: Number,
    before: Annotated[int | None, typer.Option(metavar="ID", help="Before this one; else to the end.")] = None,
    priority: Annotated[int | None, typer.Option(metavar="N", help="Higher ones go first; 0 is usual.")] = None,
    as_json: Json = False,
) -> None:
    """Put a job that waits somewhere else in the order."""
    from pochade.errors import UsageError  # deferred: the help needs none of these

    if before is not None and priority is not None:
        raise UsageError("--before and --priority are both given; only one of them can be followed.")
    queue = _queue()
    _report(queue.move(number, before) if priority is None else queue.prioritise(number, priority), as_json)


@app.command(epilog="Example: pochade jobs retry 17")
def retry(number: Number, as_json: Json = False) -> None:
    """Put a job that failed or was stopped in once more; it goes on behind what it has saved."""
    queue = _queue()
    job = queue.retry(number)
    _ensure_workers(queue)
    _report(job, as_json)


@app.command(epilog="Example: pochade jobs clear")
def clear(
    numbers: Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="Jobs; all if none is named.")] = None,
) -> None:
    """Take jobs that ended out of the history. Their files stay."""
    count = _queue().clear(numbers)
    tell("1 job was taken out of the history." if count == 1 else f"{count} jobs were taken out of the history.")


@app.command(epilog="Example: pochade jobs pause")
def pause() -> None:
    """Begin no further job; what runs goes on."""
    _queue().pause()


@app.command(epilog="Example: pochade jobs resume")
def resume() -> None:
    """Go on with the jobs that wait."""
    queue = _queue()
    queue.resume()
    _ensure_workers(queue)


@app.command(epilog="Example: pochade jobs watch 17")
def watch(
    number: Annotated[int | None, typer.Argument(metavar="[ID]", help="A job; all that are left if not given.")] = None,
) -> None:
    """Show how a job goes on until it has ended; the exit code is the job's. Ctrl-C ends only the watching."""
    from pochade.cli.progress import watch as shown  # deferred: the help needs none of these
    from pochade.jobs.watching import watching

    queue = _queue()
    numbers = [number] if number is not None else [job.id for job in queue.jobs(["running", "queued"], _ALL)]
    codes = [0]
    for each in numbers:
        for path in shown(watching(queue, each)):
            tell(str(path))
        job = queue.get(each)
        codes.append(job.exit_code or 0)
        if job.error:
            tell(f"Job {each} {job.state}: {job.error}", err=True)
    raise typer.Exit(max(codes))


@app.command(epilog="Example: pochade jobs run --idle 0")
def run(
    lane: Annotated[str, typer.Option("--lane", help="The kind of work: drawing, files or downloads.")] = "drawing",
    idle: Annotated[
        float | None, typer.Option("--idle", metavar="SECONDS", help="End when no job came for so long.")
    ] = None,
) -> None:
    """Work through the queue in this terminal. Ctrl-C ends with the step; its job goes back into the queue."""
    from pochade.errors import StoppedError, UnknownNameError, UsageError  # deferred: the help needs none of these
    from pochade.jobs.__main__ import work
    from pochade.jobs.verbs import LANES
    from pochade.jobs.worker import Worker

    if lane not in LANES:
        raise UnknownNameError("lane", lane, LANES)
    worker = Worker(_queue(), lane, tell=lambda text: tell(text, err=True))
    if not work(worker, idle):
        raise UsageError(f"A worker for {lane} is there already; `pochade jobs watch` shows what it does.")
    if worker.is_ending:
        raise StoppedError("Stopped; what was not finished is in the queue again.")


def _queue() -> "Queue":
    """The queue, and what is to be told of it."""
    from pochade.jobs import Queue  # deferred: the help needs no database

    queue = Queue()
    queue.recover()
    for note in queue.notes:
        tell(f"Note: {note}", err=True)
    return queue


def _ensure_workers(queue: "Queue") -> None:
    from pochade.jobs import ensure_workers  # deferred with the rest

    ensure_workers(queue)


def _states(names: list[str] | None) -> "list[State] | None":
    from pochade.errors import UnknownNameError  # deferred with the rest
    from pochade.jobs.job import SHOWN

    for name in names or ():
        if name not in SHOWN:
            raise UnknownNameError("state of jobs", name, SHOWN)
    return [state for state in SHOWN if state in names] if names else None


def _report(job: "Job", as_json: bool) -> None:
    tell(json.dumps(job.to_dict(), indent=2) if as_json else f"Job {job.id} is {_WISHED.get(job.wish, job.state)}.")
