import shutil
import subprocess

import pytest

from promise_seg.reporting.source_code import code_sha256, git_commit


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "tree" / "package"
    (folder / "part").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "part" / "a.py").write_text("a = 1\n")
    return folder


def test_the_hash_is_of_names_and_content_and_of_nothing_else(package, tmp_path):
    before = code_sha256(package)
    (package / "notes.txt").write_text("no code")
    assert code_sha256(shutil.copytree(package, tmp_path / "elsewhere")) == before
    (package / "part" / "a.py").rename(package / "part" / "b.py")
    renamed = code_sha256(package)
    (package / "part" / "b.py").write_text("a = 2\n")
    assert len({before, renamed, code_sha256(package)}) == 3


def git(folder, *words):
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not on this machine")
def test_the_commit_is_of_code_that_is_kept_in_git(package):
    assert git_commit(package) is None
    git(package.parent, "init")
    assert git_commit(package) is None  # it lies in a work tree, which does not keep it
    git(package.parent, "add", ".")
    git(package.parent, "commit", "-m", "first")
    commit = git_commit(package)
    assert len(commit) == 40
    (package / "part" / "a.py").write_text("a = 3\n")
    assert git_commit(package) == f"{commit}-dirty"


def test_without_git_there_is_no_commit(package, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert git_commit(package) is None
