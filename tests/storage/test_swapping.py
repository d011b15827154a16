"""Whatever ends a process while it replaces a folder: the old or the new one is there, whole, and nothing else."""

import errno
import os
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from promise_seg.errors import PromiseError
from promise_seg.storage import files, swapping
from promise_seg.storage.files import recover_folder, replacing_folder

WATCHED = frozenset({files.__file__, swapping.__file__})
linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's exchange of two folders is asked of Linux")


def write(folder: Path, content: str) -> None:
    with replacing_folder(folder) as temporary:
        (temporary / "one").write_text(content)
        (temporary / "inner").mkdir()
        (temporary / "inner" / "two").write_text(content)


def content(folder: Path) -> str:
    """What was written in a folder, which must be whole."""
    texts = {path.read_text() for path in (folder / "one", folder / "inner" / "two")}
    assert len(texts) == 1
    return texts.pop()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def at_line(number: int, act):
    """Call ``act`` before the ``number``-th line of the code under test is run; gives a list of the lines passed."""
    passed: list[int] = []

    def trace(frame, event, argument):
        if frame.f_code.co_filename not in WATCHED:
            return None
        if event == "line":
            passed.append(frame.f_lineno)
            if len(passed) == number:
                act()
        return trace

    sys.settrace(trace)
    try:
        yield passed
    finally:
        sys.settrace(None)


def lines_of_a_write(folder: Path) -> int:
    with at_line(0, lambda: None) as passed:
        write(folder, "old")
    return len(passed)


@pytest.fixture(params=["exchange", "two renames"])
def way(request, monkeypatch):
    """How the folders change places: as the system does it best, or as where it cannot exchange them."""
    if request.param == "two renames":
        monkeypatch.setattr(swapping, "_exchange", lambda one, other: False)
    return request.param


@linux
def test_linux_exchanges_folders_in_one_step(tmp_path, monkeypatch):
    write(tmp_path / "f", "old")
    renamed = []
    monkeypatch.setattr(Path, "rename", lambda path, target: renamed.append(path))
    write(tmp_path / "f", "new")
    assert content(tmp_path / "f") == "new"
    assert renamed == []
    assert names(tmp_path) == ["f"]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS])
@linux
def test_a_file_system_that_cannot_exchange_gets_two_renames(number, tmp_path, monkeypatch):
    class Libc:
        def __init__(self, *_, **__):
            pass

        @staticmethod
        def renameat2(*_):
            swapping.ctypes.set_errno(number)
            return -1

    monkeypatch.setattr(swapping.ctypes, "CDLL", Libc)
    for text in ("old", "new"):
        write(tmp_path / "f", text)
        assert content(tmp_path / "f") == text
    assert names(tmp_path) == ["f"]


@linux
def test_a_libc_without_the_call_gets_two_renames(tmp_path, monkeypatch):
    monkeypatch.setattr(swapping.ctypes, "CDLL", lambda *_, **__: object())
    for text in ("old", "new"):
        write(tmp_path / "f", text)
    assert content(tmp_path / "f") == "new"


@pytest.mark.parametrize("there", ["file", "link", "dangling link"])
def test_a_file_or_link_of_that_name_is_replaced_and_what_it_leads_to_stays(there, way, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine").write_text("kept")
    if there == "file":
        (tmp_path / "f").write_text("a file")
    else:
        (tmp_path / "f").symlink_to(tmp_path / ("elsewhere" if there == "link" else "nowhere"))
    write(tmp_path / "f", "new")
    assert content(tmp_path / "f") == "new"
    assert not (tmp_path / "f").is_symlink()
    assert (tmp_path / "elsewhere" / "mine").read_text() == "kept"
    assert names(tmp_path) == ["elsewhere", "f"]


def test_an_interruption_at_any_line_leaves_the_old_or_the_new_folder(way, tmp_path):
    def interrupt():
        raise KeyboardInterrupt

    count = lines_of_a_write(tmp_path / "f")
    ends = set()
    for number in range(1, count + 1):
        write(tmp_path / "f", "old")
        with suppress(KeyboardInterrupt), at_line(number, interrupt):
            write(tmp_path / "f", "new")
        recover_folder(tmp_path / "f")
        ends.add(content(tmp_path / "f"))
        write(tmp_path / "f", "newer")
        assert content(tmp_path / "f") == "newer"
        assert names(tmp_path) == ["f"], number
    assert ends == {"old", "new"}


def test_an_interruption_between_the_renames_puts_the_old_folder_back_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(swapping, "_exchange", lambda one, other: False)
    write(tmp_path / "f", "old")
    rename = Path.rename

    def interrupted(path, target):
        moved = rename(path, target)
        if path == tmp_path / "f":
            raise KeyboardInterrupt
        return moved

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "f", "new")
    assert content(tmp_path / "f") == "old"
    assert names(tmp_path) == ["f"]


KILLED_AT_EACH_LINE = """
import os, signal, sys
from pathlib import Path
from promise_seg.storage import swapping
from tests.storage.test_swapping import at_line, content, lines_of_a_write, names, write

folder, in_two_renames = Path(sys.argv[1]) / "f", sys.argv[2] == "two renames"
if in_two_renames:
    swapping._exchange = lambda one, other: False
count, ends = lines_of_a_write(folder), set()
for number in range(1, count + 1):
    write(folder, "old")
    child = os.fork()
    if not child:
        with at_line(number, lambda: os.kill(os.getpid(), signal.SIGKILL)):
            write(folder, "new")
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) in (-signal.SIGKILL, 0), status
    missing = not folder.exists()
    if missing:
        swapping.put_back(folder)
    ends.add(("missing, then " if missing else "") + content(folder))
    write(folder, "newer")
    assert content(folder) == "newer" and names(folder.parent) == ["f"], (number, names(folder.parent))
print(sorted(ends))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills copies of itself")
@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ("exchange", ["new", "old"]),
        pytest.param("two renames", ["missing, then old", "new", "old"], marks=pytest.mark.slow),
    ],
)
def test_a_kill_at_any_line_leaves_the_old_or_the_new_folder(way, expected, tmp_path):
    if way == "exchange" and sys.platform != "linux":
        pytest.skip("the kernel's exchange of two folders is asked of Linux")
    done = subprocess.run(
        [sys.executable, "-c", KILLED_AT_EACH_LINE, tmp_path, way],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(expected)


def failing(monkeypatch, owner, name, at, number=errno.EACCES):
    """Let the ``at``-th call of a function fail as the system does it."""
    original, calls = getattr(owner, name), []

    def call(*args, **kwargs):
        calls.append(args)
        if len(calls) == at:
            raise OSError(number, os.strerror(number))
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, call)


@pytest.mark.parametrize(
    ("name", "at"), [("mkdir", 1), ("mkdir", 2), ("chmod", 1), ("rename", 1), ("rename", 2), ("rglob", 1)]
)
def test_an_error_at_any_step_keeps_the_old_folder_and_says_so(name, at, tmp_path, monkeypatch):
    monkeypatch.setattr(swapping, "_exchange", lambda one, other: False)
    write(tmp_path / "f", "old")
    failing(monkeypatch, Path, name, at)
    with pytest.raises(PromiseError, match=r"f: cannot write: Permission denied\. Nothing was changed there"):
        write(tmp_path / "f", "new")
    monkeypatch.undo()
    assert content(tmp_path / "f") == "old"
    assert names(tmp_path) == ["f"]


def test_an_error_of_the_exchange_keeps_the_old_folder(tmp_path, monkeypatch):
    write(tmp_path / "f", "old")
    failing(monkeypatch, swapping, "_exchange", 1)
    with pytest.raises(PromiseError, match="Nothing was changed there"):
        write(tmp_path / "f", "new")
    assert content(tmp_path / "f") == "old"
    assert names(tmp_path) == ["f"]


def test_a_folder_that_cannot_be_put_back_is_named_and_the_next_write_or_read_finds_it(tmp_path, monkeypatch):
    monkeypatch.setattr(swapping, "_exchange", lambda one, other: False)
    write(tmp_path / "f", "old")
    rename = Path.rename

    def only_aside(path, target):
        if target == tmp_path / "f":
            raise OSError(errno.EIO, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", only_aside)
    with pytest.raises(PromiseError, match=r"Input/output error\. What was there is unharmed, but is now .*") as caught:
        write(tmp_path / "f", "new")
    monkeypatch.undo()
    (left,) = names(tmp_path)
    assert f"is now {tmp_path / left}: rename it to f" in str(caught.value)
    assert content(tmp_path / left) == "old"
    recover_folder(tmp_path / "f")
    assert content(tmp_path / "f") == "old"
    assert names(tmp_path) == ["f"]


def test_a_folder_that_comes_between_the_renames_is_replaced_as_well(tmp_path, monkeypatch):
    monkeypatch.setattr(swapping, "_exchange", lambda one, other: False)
    write(tmp_path / "f", "old")
    rename, done = Path.rename, []

    def slow(path, target):
        if path.name.endswith(".new~") and not done:  # as a reader puts the old one back that it finds moved aside
            done.append(path)
            recover_folder_of_another_process(tmp_path / "f")
        return rename(path, target)

    def recover_folder_of_another_process(folder):
        (old,) = folder.parent.glob(".f.*.old~")
        rename(old, folder)

    monkeypatch.setattr(Path, "rename", slow)
    write(tmp_path / "f", "new")
    assert done
    assert content(tmp_path / "f") == "new"
    assert names(tmp_path) == ["f"]


def test_the_folder_of_a_living_writer_is_left_to_it(way, tmp_path):
    folder = tmp_path / "f"
    write(folder, "old")
    with replacing_folder(folder) as temporary:
        write(folder, "another's")
        assert temporary.is_dir()
        assert len(names(tmp_path)) == 2
        (temporary / "one").write_text("new")
        (temporary / "inner").mkdir()
        (temporary / "inner" / "two").write_text("new")
    assert content(folder) == "new"
    assert names(tmp_path) == ["f"]


def test_what_a_living_writer_moved_aside_is_not_put_back(tmp_path, monkeypatch):
    monkeypatch.setattr(swapping, "_exchange", lambda one, other: False)
    folder = tmp_path / "f"
    write(folder, "old")
    rename, between = Path.rename, []

    def look_between(path, target):
        if path.name.endswith(".new~"):
            recover_folder(folder)
            swapping.clear_up(folder)
            between.append(folder.exists())
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", look_between)
    write(folder, "new")
    assert between == [False]
    assert content(folder) == "new"


def test_a_new_folder_that_was_cleared_up_before_it_was_locked_is_made_again(tmp_path, monkeypatch):
    lock, seen = swapping.lock_folder, []

    def too_late(folder):
        if not seen:
            seen.append(folder)
            folder.rmdir()
        return lock(folder)

    monkeypatch.setattr(swapping, "lock_folder", too_late)
    write(tmp_path / "f", "new")
    assert content(tmp_path / "f") == "new"
    assert names(tmp_path) == ["f"]


def test_without_locks_nothing_is_removed_that_may_be_in_use(tmp_path, monkeypatch):
    monkeypatch.setattr(swapping, "lock_folder", lambda folder: None)
    (tmp_path / ".f.0123abcd.new~").mkdir()
    write(tmp_path / "f", "new")
    assert names(tmp_path) == [".f.0123abcd.new~", "f"]


@pytest.mark.parametrize(
    "name",
    [".f.backup.old~", ".f-20240101", ".f.0123abcd.new", ".g.0123abcd.old~", ".f.x.0123abcd.old~", ".f-original-old"],
)
def test_hidden_folders_of_others_stay(name, tmp_path):
    (tmp_path / name).mkdir()
    write(tmp_path / "f", "old")
    write(tmp_path / "f", "new")
    assert names(tmp_path) == sorted([name, "f"])


def test_what_an_earlier_version_moved_aside_is_put_back(tmp_path):
    write(tmp_path / "f", "old")
    (tmp_path / "f").rename(tmp_path / ".f-ab_01xyz-old")
    recover_folder(tmp_path / "f")
    assert content(tmp_path / "f") == "old"


def test_the_last_of_several_is_put_back(tmp_path):
    for text, token, seconds in (("last", "00000001", 20), ("first", "00000002", 10)):
        write(tmp_path / text, text)
        (tmp_path / text).rename(tmp_path / f".f.{token}.old~")
        os.utime(tmp_path / f".f.{token}.old~", (seconds, seconds))
    recover_folder(tmp_path / "f")
    assert content(tmp_path / "f") == "last"


def test_threads_that_replace_one_folder_leave_one_of_theirs(way, tmp_path):
    problems: list[BaseException] = []

    def work(text):
        try:
            for _ in range(20):
                write(tmp_path / "f", text)
        except PromiseError as error:  # two renames can be crossed by another's; then it is said
            problems.append(error)

    write(tmp_path / "f", "old")
    threads = [threading.Thread(target=work, args=(text,)) for text in ("one", "other")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recover_folder(tmp_path / "f")
    if way == "exchange" and sys.platform == "linux":
        assert problems == []
        assert content(tmp_path / "f") in {"one", "other"}
    else:
        assert content(tmp_path / "f") in {"one", "other", "old"}
    write(tmp_path / "f", "new")
    assert names(tmp_path) == ["f"]
