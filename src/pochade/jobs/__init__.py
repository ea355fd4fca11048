"""The queue on which every surface runs long work: jobs in a database, done one after the other by worker processes.

A job outlives whoever wished it. `Queue` adds, changes and watches jobs; `ensure_workers` sees that they are done.
"""

from pochade.jobs.job import Job, Progress
from pochade.jobs.queue import Queue
from pochade.jobs.starting import ensure_workers

__all__ = ["Job", "Progress", "Queue", "ensure_workers"]
