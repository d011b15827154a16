"""Every command line of README and docs is one that the program takes: checked by parsing it, without running it."""

import pytest
import typer

from promise_seg.cli.main import app
from tests.documentation.pages import PAGES, blocks_of, commands_of, inline_commands, read_page

PROGRAM = typer.main.get_command(app)
UsageError = typer.BadParameter.__base__  # of click, or of the copy of it inside of typer
LINES = [
    pytest.param(command, id=f"{block.page.name}:{line}")
    for block in blocks_of("sh", "bash", "shell", "console")
    for line, command in commands_of(block)
    if command[0].rpartition("/")[2] == "promise"
]
INLINE = [
    pytest.param(command, id=f"{page.name}:{line}")
    for page in map(read_page, PAGES)
    for line, command in inline_commands(page)
]


def subcommand(words):
    """The command that the words lead to, its parent's context, and what is left of the words.

    Raises:
        UsageError: if there is none.
    """
    command, parent = PROGRAM, None
    context = command.context_class(command, info_name="promise")
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        if words[0] not in command.commands:
            raise UsageError(f"no command {words[0]!r}; there are {', '.join(command.commands)}")
        command, parent = command.commands[words[0]], context
        context = command.context_class(command, info_name=words[0], parent=parent)
        words = words[1:]
    return command, parent, words


def parse(words):
    """Parse a command line as the program does, without doing anything.

    ``...`` stands for more that the reader has to add.

    Raises:
        UsageError: if the program would refuse it.
    """
    command, parent, left = subcommand(words)
    is_open = "..." in left
    try:
        command.make_context(command.name, [word for word in left if word != "..."], parent=parent)
    except typer.Exit:  # as after --help
        pass
    except typer.BadParameter as error:
        if not (is_open and type(error).__name__ == "MissingParameter"):
            raise


def test_there_are_command_lines_to_check():
    assert len(LINES) > 40


@pytest.mark.parametrize("command", LINES)
def test_a_command_line_in_the_docs_is_understood(command):
    parse(command[1:])


@pytest.mark.parametrize("command", INLINE)
def test_a_command_named_in_the_prose_exists_with_its_options(command):
    words = command.split()[1:]
    if words[0].isupper() or words[0].startswith(("-", "...")):  # as in `promise COMMAND --help`
        return
    names = [word.split("|") for word in words[:2]]  # as in `promise data make|check`
    for first in names[0]:
        for second in names[1] if len(names) > 1 else [None]:
            command, _, _ = subcommand([first] if second is None else [first, second])
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    assert {word.partition("=")[0] for word in words if word.startswith("-")} <= known


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("train my.csv --no-such-option", "No such option"),
        ("trian my.csv", "no command 'trian'"),
        ("data mkae folder", "no command 'mkae'"),
        ("train my.csv --epochs many -o run", "valid integer"),
        ("train", "Missing"),
    ],
)
def test_a_wrong_line_would_be_found(line, reason):
    with pytest.raises(UsageError) as caught:
        parse(line.split())
    assert reason in str(caught.value)
