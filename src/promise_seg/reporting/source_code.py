"""Which source code made a report."""

import hashlib
import subprocess
from pathlib import Path

import promise_seg

PACKAGE = Path(promise_seg.__file__).parent


def code_sha256(folder: Path = PACKAGE) -> str:
    """Hash of a package's Python files, by their names in it and what they hold."""
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*.py"), key=lambda p: p.relative_to(folder).as_posix()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return whole.hexdigest()


def git_commit(folder: Path = PACKAGE) -> str | None:
    """The commit of the work tree that a package is kept in, ``-dirty`` if files were changed since.

    None where there is no git, no work tree, or one that the package merely lies in without being kept there.
    """
    if _git(folder, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    return _git(folder, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _git(folder: Path, *words: str) -> str | None:
    """What git says, or none if it does not know."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
