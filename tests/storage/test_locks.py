"""Only one process at a time works in a folder or adds to a file, and the lock of a dead one is taken over."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from promise_seg.errors import PromiseError
from promise_seg.storage import holders, locks, swapping
from promise_seg.storage.files import write_text
from promise_seg.storage.holders import LOCK_FILE, Holder, lock_of, remove_lock_of
from promise_seg.storage.locks import Lock, TakenError, alone_in, in_turn

HOLD = """
import sys, time
from pathlib import Path
from promise_seg.storage.locks import Lock
lock = Lock(Path(sys.argv[1]))
assert lock.take() is None
print("taken", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def another_process(tmp_path):
    """A process that holds the lock of the folder ``f``."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "f" / LOCK_FILE)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "taken\n"
    yield process
    process.kill()
    process.communicate()


def held_by(path, **changes):
    """Write a lock as another process would have, changed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = replace(Holder.this_process(), **changes)
    path.write_text(json.dumps(asdict(holder)))
    return holder


def test_a_second_process_is_refused_and_told_who_is_at_work(tmp_path, another_process):
    with pytest.raises(TakenError) as refused, alone_in(tmp_path / "f", "training"):
        pass
    message = str(refused.value)
    assert message.startswith(f"{tmp_path / 'f'}: process {another_process.pid} on ")
    assert "is training here. Wait for it, or choose another -o folder" in message
    assert f"remove {tmp_path / 'f' / LOCK_FILE}" in message


def test_the_lock_of_a_killed_process_is_taken_over_at_once(tmp_path, another_process):
    another_process.kill()
    another_process.wait()
    with alone_in(tmp_path / "f", "training") as lock:
        assert lock.is_held
    assert list((tmp_path / "f").iterdir()) == []


@pytest.mark.skipif(not os.path.exists("/proc"), reason="asks for a process that ended but was not waited for")  # noqa: PTH110
def test_a_killed_process_that_nobody_waited_for_is_dead_too(tmp_path, another_process):
    another_process.kill()
    os.waitid(os.P_PID, another_process.pid, os.WEXITED | os.WNOWAIT)
    assert Lock(tmp_path / "f" / LOCK_FILE).take() is None


def test_a_later_process_with_the_same_number_is_another(tmp_path, another_process):
    path = tmp_path / "f" / LOCK_FILE
    found = Holder.read(path)
    assert Lock(path).take() == found
    held_by(path, pid=found.pid, started=found.started - 60)
    assert Lock(path).take() is None


@pytest.mark.parametrize(("age", "is_free"), [(30, False), (3600, True)])
def test_a_lock_of_another_computer_is_taken_over_when_it_was_not_renewed_for_long(tmp_path, age, is_free):
    path = tmp_path / LOCK_FILE
    holder = held_by(path, host="elsewhere", system="elsewhere 1", pid=1)
    changed = path.stat().st_mtime - age
    os.utime(path, (changed, changed))
    assert Lock(path).take() == (None if is_free else holder)


@pytest.mark.parametrize("content", ["", "no JSON", "[]", "null", '{"pid": 3}'])
def test_a_lock_that_cannot_be_read_is_one_until_it_is_old(tmp_path, content):
    path = tmp_path / LOCK_FILE
    path.write_text(content)
    with pytest.raises(TakenError, match="on an unknown computer"), alone_in(tmp_path, "training"):
        pass
    os.utime(path, (0, 0))
    with alone_in(tmp_path, "training"):
        pass


def test_a_held_lock_is_renewed(tmp_path, monkeypatch):
    renewed = threading.Event()
    monkeypatch.setattr(locks, "RENEWAL_SECONDS", 0.001)
    monkeypatch.setattr(os, "utime", lambda path: renewed.set())
    lock = Lock(tmp_path / LOCK_FILE, renewed=True)
    assert lock.take() is None
    assert renewed.wait(60)
    lock.give_back()


def test_who_lost_the_lock_neither_writes_nor_removes_it(tmp_path):
    lock = Lock(tmp_path / LOCK_FILE)
    assert lock.take() is None
    lock.check()
    other = held_by(tmp_path / LOCK_FILE, pid=1, host="elsewhere")
    with pytest.raises(TakenError, match=r"process 1 on elsewhere since .* took over"):
        lock.check()
    lock.give_back()
    assert Holder.read(tmp_path / LOCK_FILE) == other


@pytest.mark.parametrize("has_locks", [True, False], ids=["with locks of the system", "without"])
def test_a_lock_that_another_took_meanwhile_stays(tmp_path, monkeypatch, has_locks):
    if not has_locks:
        monkeypatch.setattr(holders, "lock_folder", lambda folder: None)
    path = tmp_path / LOCK_FILE
    living = held_by(path)
    remove_lock_of(path, replace(living, pid=1), tmp_path / "aside")
    assert Holder.read(path) == living
    remove_lock_of(path, living, tmp_path / "aside")
    remove_lock_of(path, living, tmp_path / "aside")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no locks of folders")
def test_a_lock_that_is_made_while_one_that_ended_is_looked_for_stays(tmp_path, monkeypatch):
    """As among many that wait in turn: each finds nobody's lock now and then, where one was given back just before."""
    path, real = tmp_path / LOCK_FILE, Path.read_text

    def another_is_quicker(self, **more):
        try:
            return real(self, **more)
        except FileNotFoundError:
            self.write_text(json.dumps(asdict(Holder.this_process())))
            raise

    monkeypatch.setattr(Path, "read_text", another_is_quicker)
    remove_lock_of(path, None, tmp_path / "aside")
    assert path.exists()


def test_a_dead_lock_is_removed_by_one_at_a_time(tmp_path, monkeypatch):
    """Between reading it and removing it, another would have removed it and taken the lock."""
    path = tmp_path / LOCK_FILE
    dead = held_by(path, started=1.0)
    read, was_read = Holder.of, []

    def read_slowly(text):
        with pytest.raises(BlockingIOError):
            swapping.lock_folder(tmp_path)
        was_read.append(text)
        return read(text)

    monkeypatch.setattr(Holder, "of", read_slowly)
    remove_lock_of(path, dead, tmp_path / "aside")
    assert len(was_read) == 1
    assert not path.exists()


def test_a_folder_that_somebody_else_keeps_locked_does_not_hold_up_a_takeover(tmp_path, monkeypatch):
    monkeypatch.setattr(holders, "_PAUSE_SECONDS", 0)
    held_by(tmp_path / LOCK_FILE, started=1.0)
    handle = swapping.lock_folder(tmp_path)  # as the command flock does around a command
    assert Lock(tmp_path / LOCK_FILE).take() is None
    if handle is not None:
        os.close(handle)


def test_a_file_system_without_links_has_locks_too(tmp_path, monkeypatch):
    def link(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    path = tmp_path / LOCK_FILE
    first = Lock(path)
    assert first.take() is None
    assert Lock(path).take() == first.holder
    first.give_back()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_made_for_nothing_is_removed(tmp_path):
    with pytest.raises(PromiseError), alone_in(tmp_path / "new", "training"):
        raise PromiseError("refused")
    assert not (tmp_path / "new").exists()


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PromiseError, match="cannot write"), alone_in(tmp_path / "file", "training"):
        pass


def test_threads_that_add_to_one_file_lose_nothing(tmp_path):
    path = tmp_path / "log"

    def add(name):
        for number in range(10):
            with in_turn(path):
                before = path.read_text() if path.exists() else ""
                write_text(path, f"{before}{name}{number}\n")

    threads = [threading.Thread(target=add, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.read_text().split()) == sorted(f"{name}{number}" for name in "abcd" for number in range(10))
    assert [one.name for one in tmp_path.iterdir()] == ["log"]


def test_nobody_waits_for_ever(tmp_path, monkeypatch, another_process):
    monkeypatch.setattr(locks, "_PATIENCE_SECONDS", 0)
    (tmp_path / ".log.lock").write_bytes((tmp_path / "f" / LOCK_FILE).read_bytes())
    with (
        pytest.raises(TakenError, match=r"is locked by .*\. Wait for it; if that process is gone, remove"),
        in_turn(tmp_path / "log"),
    ):
        pass


def test_a_lock_that_could_not_be_removed_keeps_its_own_process_from_nothing(tmp_path, monkeypatch):
    def refused(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    path = tmp_path / "table.csv"
    with monkeypatch.context() as broken, in_turn(path):
        broken.setattr(Path, "unlink", refused)
    assert lock_of(path).exists()
    monkeypatch.setattr(locks, "_PATIENCE_SECONDS", 0.0)
    with in_turn(path), pytest.raises(TakenError), in_turn(path):
        pytest.fail("the lock is held")
    assert not lock_of(path).exists()


def test_a_lock_that_was_made_though_an_error_came_back_is_free_for_its_own_process(tmp_path, monkeypatch):
    def made_with_an_error(one, other):
        link(one, other)
        raise OSError(5, "Input/output error")

    link, path = os.link, tmp_path / "table.csv"
    with monkeypatch.context() as broken:
        broken.setattr(os, "link", made_with_an_error)
        with pytest.raises(PromiseError, match="cannot write: Input/output error"), in_turn(path):
            pytest.fail("the lock was not taken")
    monkeypatch.setattr(locks, "_PATIENCE_SECONDS", 0.0)
    with in_turn(path):
        pass
