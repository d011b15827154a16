"""Commands work without a home folder, a user's name or a folder for temporary files, and for any umask."""

import os
import stat
import subprocess
import sys

import pytest

from promise_seg.user_name import give_user_a_name
from tests.helpers import make_tiny_sam, write_dataset

POOR = """
import os, pwd, sys, tempfile

def nobody(*_):
    raise KeyError("uid not found: 12345")

pwd.getpwuid = pwd.getpwnam = nobody
os.getuid = os.geteuid = lambda: 12345
tempfile._candidate_tempdir_list = lambda: [os.devnull + "/tmp", *{temporary!r}]
from promise_seg.learning import object_sizes

object_sizes.LEAST_SIZE = 0.0
os.umask({umask})
from promise_seg.cli.console import run

commands = [[]]
for word in sys.argv[1:]:
    commands.append([]) if word == {then!r} else commands[-1].append(word)
for words in commands:
    sys.argv[1:] = words
    try:
        run()
    except SystemExit as end:
        if end.code:
            raise
"""
"""A process of a user without a name; a folder for temporary files may be there or not."""
THEN = "--then"
"""Between two commands of one process: what is imported takes longer than the commands."""
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="users have names there")


def poor(place, *arguments, home=None, umask=0o077, temporary=True):
    """Run commands where nothing is as usual, until one of them fails."""
    environment = {
        name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")
    }
    environment |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"} | ({} if home is None else {"HOME": str(home)})
    code = POOR.format(temporary=[str(place)] if temporary else [], umask=umask, then=THEN)
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=place, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("places")
    make_tiny_sam().model.save_pretrained(folder / "sam")
    write_dataset(folder / "data", ("train",) * 3 + ("val",) * 2 + ("test",) * 2)
    return folder


def modes(folder):
    return {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize(("umask", "home", "mode"), [(0o077, os.devnull, 0o600), (0o002, None, 0o664)])
def test_a_model_is_trained_and_predicts_for_a_user_with_neither_name_nor_home(place, tmp_path, umask, home, mode):
    store = ("--store", tmp_path / "store")
    training = ("--sam", place / "sam", "--epochs", "1", "--views", "1", "--apm", "heatmap", *store)
    train = ("train", place / "data/manifest.csv", *training, "-o", tmp_path / "run")
    predict = ("predict", tmp_path / "run", place / "data/images", "-o", tmp_path / "masks")
    done = poor(tmp_path, *train, THEN, *predict, home=home, umask=umask)
    assert done.returncode == 0, done.stderr
    for folder in ("run", "masks", "store"):
        assert modes(tmp_path / folder) == {mode}, folder


@pytest.mark.slow
def test_a_store_in_a_home_that_cannot_be_written_is_done_without_or_named(place, tmp_path):
    training = ("--sam", place / "sam", "--epochs", "1", "--views", "1", "--apm", "heatmap")
    done = poor(tmp_path, "train", place / "data/manifest.csv", *training, "-o", tmp_path / "run", home=os.devnull)
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 2)
    if done.returncode:
        assert done.stderr.strip().splitlines()[-1].startswith(f"promise: error: {os.devnull}")


@pytest.mark.slow
def test_no_folder_for_temporary_files_is_one_line_with_a_way_out(place, tmp_path):
    done = poor(tmp_path, "train", place / "data/manifest.csv", "--sam", place / "sam", "-o", "run", temporary=False)
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1
    assert "No usable temporary directory" in lines[0]
    assert "TMPDIR" in lines[0]


def test_a_user_without_a_name_gets_one(monkeypatch):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)

    def unknown(_number):
        raise KeyError("uid not found")

    monkeypatch.setattr("pwd.getpwuid", unknown)
    give_user_a_name()
    assert os.environ["LOGNAME"] == f"user-{os.getuid()}"
    monkeypatch.setenv("LOGNAME", "ada")
    give_user_a_name()
    assert os.environ["LOGNAME"] == "ada"


def test_a_name_that_the_system_knows_is_left_alone(monkeypatch):
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("getpass.getuser", lambda: "ada")
    give_user_a_name()
    assert "LOGNAME" not in os.environ
