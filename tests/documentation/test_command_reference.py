"""The reference of commands has just the commands, and the environment variables, that there are."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from promise_seg.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")


def names_of(command: Any, name: str) -> Iterator[str]:
    """The full names of a command's subcommands, or its own if it has none."""
    commands = getattr(command, "commands", None)
    if commands is None:
        yield name
        return
    for sub_name, sub_command in commands.items():
        yield from names_of(sub_command, f"{name} {sub_name}")


def test_the_table_lists_every_command() -> None:
    cells = re.findall(r"^\| (`promise [^|]*) \|", PAGE, flags=re.MULTILINE)
    listed = [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]
    assert sorted(listed) == sorted(names_of(typer.main.get_command(app), "promise"))


def test_the_table_lists_every_environment_variable() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    assert set(re.findall(r"^\| `(PROMISE_SEG_\w+)`", PAGE, flags=re.MULTILINE)) == set(
        re.findall(r"\"(PROMISE_SEG_\w+)\"", sources)
    )
