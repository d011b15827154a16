"""Work of several processes has the results, the errors and the order of one."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from promise_seg.errors import PromiseError
from promise_seg.parallel import workers
from promise_seg.parallel.workers import Workers
from promise_seg.prediction.log_ranges import LogRange, lines_in

SCRIPT = """
import math, os, signal
from promise_seg.parallel.workers import Workers
print("begun", flush=True)
with Workers(2) as workers:
    for job, found in workers.mapped(math.factorial, [3, 4]):
        print(found, flush=True)
    {at_the_end}
"""
of_posix = pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")


def test_one_process_is_this_one(monkeypatch):
    monkeypatch.setattr(workers, "ProcessPoolExecutor", lambda *args, **kwargs: pytest.fail("starts processes"))
    with Workers(1) as one:
        assert list(one.mapped(abs, [-1, 2, -3])) == [(-1, 1), (2, 2), (-3, 3)]


def test_a_process_that_may_start_none_does_all_itself(monkeypatch):
    monkeypatch.setattr(workers, "ProcessPoolExecutor", lambda *args, **kwargs: pytest.fail("starts processes"))
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)
    with Workers(2) as two:
        assert list(two.mapped(abs, [-1, 2, -3])) == [(-1, 1), (2, 2), (-3, 3)]


def test_results_come_in_the_order_of_the_jobs():
    with Workers(2) as two:
        assert list(two.mapped(abs, range(-50, 0))) == [(job, -job) for job in range(-50, 0)]
        assert list(two.mapped(abs, [])) == []
        taken = []
        found = two.mapped(abs, (taken.append(job) or job for job in range(50)))
        assert next(found) == (0, 0)
        assert len(taken) < 10  # few are ahead, so that results take little memory


def test_an_error_is_that_of_this_process(tmp_path):
    missing, messages = LogRange(tmp_path / "1-of-2.log.jsonl", 0, 5), []
    for count in (1, 2):
        with Workers(count) as some, pytest.raises(PromiseError) as error:
            list(some.mapped(lines_in, [missing]))
        messages.append(str(error.value))
    assert messages == [f"{missing.path}: cannot be read: No such file or directory"] * 2


@of_posix
def test_what_a_killed_process_did_not_do_is_done_here():
    with Workers(2) as two:
        found = two.mapped(abs, range(-20, 0))
        next(found)
        for pid in list(two._executor._processes):
            os.kill(pid, signal.SIGKILL)
        assert list(found) == [(job, -job) for job in range(-19, 0)]
        assert list(two.mapped(abs, [-1])) == [(-1, 1)]


@pytest.mark.parametrize("error", [NotImplementedError, PermissionError])
def test_this_process_does_the_work_where_no_other_can_be_started(error, monkeypatch):
    def refuse(*args, **kwargs):
        raise error

    monkeypatch.setattr(workers, "ProcessPoolExecutor", refuse)
    with Workers(2) as two:
        assert list(two.mapped(abs, [-1, 2])) == [(-1, 1), (2, 2)]


@of_posix
def test_ctrl_c_does_not_reach_the_processes_and_still_reaches_this_one():
    blocked_by = partial(signal.pthread_sigmask, signal.SIG_BLOCK)
    with Workers(2) as two:
        ((_, blocked),) = two.mapped(blocked_by, [()])
        assert signal.SIGINT in blocked
    assert signal.SIGINT not in blocked_by(())


def test_processes_do_not_run_the_script_of_this_one(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT.format(at_the_end="pass"))
    found = subprocess.run([sys.executable, tmp_path / "script.py"], check=True, capture_output=True, text=True)
    assert (found.stdout, found.stderr) == ("begun\n6\n24\n", "")


@of_posix
def test_processes_end_with_this_one_even_if_it_is_killed():
    text = SCRIPT.format(at_the_end="os.kill(os.getpid(), signal.SIGKILL)")
    process = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)
    printed, _ = process.communicate(timeout=120)  # which all of them hold open
    assert printed == "begun\n6\n24\n"
    assert process.returncode == -signal.SIGKILL


def finish_late(job):
    """Leave a file, at once for the first job and otherwise later than any process takes to be killed."""
    folder, number = job
    if number:
        time.sleep(30)
    (folder / f"{number}.done").touch()


@of_posix
def test_an_interruption_kills_the_processes_with_all_jobs_that_they_have(tmp_path):
    def interrupted():
        with Workers(2) as two:
            next(two.mapped(finish_late, ((tmp_path, number) for number in range(9))))
            raise KeyboardInterrupt

    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # workers inherit what is blocked
    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert [path.name for path in tmp_path.iterdir()] == ["0.done"]
