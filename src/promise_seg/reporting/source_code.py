"""Identify the source code that made a report."""

import hashlib
import subprocess
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def code_sha256(folder: Path = PACKAGE) -> str:
    """Return the hash of the names and contents of a package's Python files."""
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*.py"), key=lambda p: p.relative_to(folder).as_posix()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return whole.hexdigest()


def git_commit(folder: Path = PACKAGE) -> str | None:
    """Return the git commit of a package, with ``-dirty`` appended if files were changed since.

    The result is ``None`` if git is not installed, or the package is not tracked in a git work tree.
    """
    if _git(folder, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    return _git(folder, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _git(folder: Path, *words: str) -> str | None:
    """Return the output of git, or ``None`` if it fails."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
