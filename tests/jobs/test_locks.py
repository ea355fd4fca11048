import os
import subprocess
import sys

from pochade.jobs.locks import FileLock
from tests.jobs.conftest import ROOT


def test_a_lock_keeps_others_out_until_it_is_released(tmp_path):
    one, other = FileLock(tmp_path / "new" / "a.lock"), FileLock(tmp_path / "new" / "a.lock")
    assert other.holder() is None
    assert one.acquire()
    one.sign()
    assert (other.acquire(), other.is_held(), other.holder()) == (False, True, os.getpid())
    one.release()
    assert not one.is_held()
    assert other.acquire()
    other.release()


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from pochade.jobs.locks import FileLock\n"
        "lock = FileLock(Path(sys.argv[1])); lock.acquire(); lock.sign(); print(flush=True); time.sleep(60)\n"
    )
    lock = FileLock(tmp_path / "a.lock")
    words = [sys.executable, "-c", code, str(lock.path)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        assert lock.is_held()
        assert lock.holder() == process.pid
        process.kill()
    assert lock.acquire()
    lock.release()
