"""Temporary files of killed processes are removed at the next start, those of living ones never."""

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace

import pytest

from promise_seg.storage import strays
from promise_seg.storage.files import replacing, replacing_folder, write_text
from promise_seg.storage.holders import LOCK_FILE, Holder
from promise_seg.storage.locks import alone_in
from promise_seg.storage.strays import remove_strays, renewed, temporary_name

LEAVE = """
import os, sys
from pathlib import Path
from promise_seg.storage.files import replacing
with replacing(Path(sys.argv[1]) / "a.txt") as temporary:
    temporary.write_text("half")
    if sys.argv[2] == "killed":
        os._exit(1)
    print(temporary.name, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def no_folder_is_known():
    """A folder of a test may have the path of one before, which this process would not look through again."""
    strays._cleared.clear()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def started(folder, how):
    return subprocess.Popen(
        [sys.executable, "-c", LEAVE, str(folder), how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.fixture
def stray(tmp_path):
    """The name of a file that a killed process left."""
    started(tmp_path, "killed").communicate()
    (name,) = names(tmp_path)
    assert name.endswith("~a.txt")
    return name


def write_beside(folder):
    write_text(folder / "b.txt", "b")


def replace_a_folder(folder):
    with replacing_folder(folder / "b.txt"):
        pass


def lock(folder):
    with alone_in(folder, "training"):
        (folder / "b.txt").touch()


@pytest.mark.parametrize("begin", [write_beside, replace_a_folder, lock])
def test_what_a_killed_process_left_is_gone_with_the_next_that_works_there(begin, stray, tmp_path):
    begin(tmp_path)
    assert names(tmp_path) == ["b.txt"]


def test_the_file_of_another_living_process_stays_and_takes_its_place(tmp_path):
    process = started(tmp_path, "living")
    name = process.stdout.readline().strip()
    write_text(tmp_path / "b.txt", "b")
    assert names(tmp_path) == sorted([name, "b.txt"])
    process.communicate("")
    assert (tmp_path / "a.txt").read_text() == "half"
    assert names(tmp_path) == ["a.txt", "b.txt"]


def test_the_file_of_this_process_stays(tmp_path):
    with replacing(tmp_path / "a.txt") as temporary:
        strays._cleared.clear()
        write_text(tmp_path / "b.txt", "b")
        assert temporary.exists()


@pytest.mark.parametrize(("hours", "is_left"), [(1, True), (48, False)])
def test_a_file_of_another_system_is_left_until_it_is_old(tmp_path, hours, is_left):
    name = ".00000000-1-1-0123abcd~a.txt"
    (tmp_path / name).touch()
    changed = (tmp_path / name).stat().st_mtime - hours * 3600
    os.utime(tmp_path / name, (changed, changed))
    remove_strays(tmp_path)
    assert names(tmp_path) == [name] * is_left


@pytest.mark.parametrize("name", [".0123abcd-a.txt", ".bashrc", ".a~b", ".f.x.0123abcd.old~", ".a.0123abcd.new~.txt"])
def test_hidden_files_of_others_stay(tmp_path, name):
    (tmp_path / name).touch()
    remove_strays(tmp_path)
    assert names(tmp_path) == [name]


def test_a_process_that_lasts_looks_through_a_folder_again(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(strays.time, "monotonic", lambda: now[0])
    write_text(tmp_path / "b.txt", "b")
    started(tmp_path, "killed").communicate()
    left = names(tmp_path)
    assert len(left) == 2
    now[0] = strays._AGAIN_SECONDS - 1
    write_text(tmp_path / "b.txt", "b")
    assert names(tmp_path) == left
    now[0] += 1
    write_text(tmp_path / "b.txt", "b")
    assert names(tmp_path) == ["b.txt"]


HOLD = """
import os, sys
from pathlib import Path
from promise_seg.storage.locks import Lock
lock = Lock(Path(sys.argv[1]))
assert lock.take() is None
if sys.argv[2] == "killed":
    os._exit(1)
print("taken", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("name", [LOCK_FILE, ".test_log.jsonl.lock"])
@pytest.mark.parametrize("how", ["killed", "living"])
def test_a_lock_is_removed_if_its_process_is_gone_and_never_otherwise(tmp_path, name, how):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / name), how],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    if how == "killed":
        process.communicate()
        assert names(tmp_path) == [name]
    else:
        assert process.stdout.readline() == "taken\n"
    write_text(tmp_path / "b.txt", "b")
    assert names(tmp_path) == [name] * (how == "living") + ["b.txt"]
    process.kill()
    process.communicate()


@pytest.mark.parametrize(("hours", "is_left"), [(1, True), (48, False)])
def test_a_lock_of_another_system_is_left_until_it_is_old(tmp_path, hours, is_left):
    path = tmp_path / LOCK_FILE
    path.write_text(json.dumps(asdict(replace(Holder.this_process(), system="elsewhere"))))
    changed = path.stat().st_mtime - hours * 3600
    os.utime(path, (changed, changed))
    remove_strays(tmp_path)
    assert names(tmp_path) == [LOCK_FILE] * is_left


@pytest.mark.parametrize("content", ["", "4711", "{}"])
def test_a_file_that_is_only_called_like_a_lock_stays(tmp_path, content):
    (tmp_path / ".uv.lock").write_text(content)
    os.utime(tmp_path / ".uv.lock", (0, 0))
    remove_strays(tmp_path)
    assert names(tmp_path) == [".uv.lock"]


@pytest.mark.skipif(sys.platform != "linux", reason="a folder in use is told by Linux's locks")
def test_a_folder_that_was_not_finished_is_removed_though_another_is_replaced(tmp_path):
    (tmp_path / ".f.0123abcd.new~").mkdir()
    with replacing_folder(tmp_path / "living"):
        strays._cleared.clear()
        write_text(tmp_path / "b.txt", "b")
        assert len(names(tmp_path)) == 2
    assert names(tmp_path) == ["b.txt", "living"]


def test_names_end_as_the_file_s_and_differ(tmp_path):
    first, second = temporary_name("scan.nii.gz"), temporary_name("scan.nii.gz")
    assert first != second
    assert first.endswith("~scan.nii.gz")
    assert first.count(".") == 3
    assert len(temporary_name("a" * 255)) == 255


def test_a_file_that_lasts_as_long_as_a_run_is_no_stray_on_other_computers(tmp_path, monkeypatch):
    monkeypatch.setattr(strays, "_RENEWAL_SECONDS", 0.01)
    path, patience = tmp_path / ".00000000-1-1-0123abcd~ray", time.monotonic() + 60
    path.touch()
    os.utime(path, (0, 0))
    with renewed(path):
        while path.stat().st_mtime == 0:
            assert time.monotonic() < patience
        remove_strays(tmp_path)
        assert path.exists()
    assert not path.exists()
