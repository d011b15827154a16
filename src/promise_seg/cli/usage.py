"""Report an invalid command line in one line, with the nearest valid choice."""

import re
import sys
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import Any

import typer

from promise_seg.cli.common import given_of
from promise_seg.cli.options import listed
from promise_seg.errors import SettingsError
from promise_seg.validation import words_of

UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""The base class of the errors that typer raises for an invalid command line; it has no public name."""

_NO_CHOICE = re.compile(r"'(?P<word>[^']*)' is not one of (?P<choices>.+?)\.?$", re.DOTALL)


def print_usage_error(error: Any) -> int:
    """Print a usage error on standard error, or the help if there are no arguments; return the exit code.

    Args:
        error: a :data:`UsageError`.
    """
    if type(error).__name__ == "NoArgsIsHelpError":
        error.ctx.get_help()
        return int(error.exit_code)
    print(f"promise: error: {usage_words(error)}", file=sys.stderr)
    return int(error.exit_code)


def usage_words(error: Any) -> str:
    """Describe a usage error in one line: the option, the value found and the values expected."""
    from pydantic import ValidationError  # imported here to keep start-up fast

    parameter = getattr(error, "param", None)
    wrong = _NO_CHOICE.search(getattr(error, "message", "") or "")
    if parameter is not None and wrong is None and isinstance(error.__cause__, ValidationError):
        fault = error.__cause__.errors()[0]
        return f"{max(parameter.opts, key=len)} {fault['input']}: {words_of(fault)}"
    if parameter is None or wrong is None:
        command = error.ctx.command_path if error.ctx is not None else "promise"
        words = " ".join(error.format_message().split()).rstrip(".")
        return f"{words} See {command} --help" if words.endswith("?") else f"{words}; see {command} --help"
    name = max(parameter.opts, key=len)
    word, choices = wrong["word"], re.findall(r"'([^']+)'", wrong["choices"])
    nearest = get_close_matches(word.lower(), choices, n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    return f"{name} {word}: expected {listed(choices)}{hint}"


def check_no_word_is_empty(arguments: Sequence[str]) -> None:
    """Refuse empty words, such as ``"$OUT"`` if that variable is not set; as a path, they mean the current folder.

    Args:
        arguments: the words of a command line.

    Raises:
        SettingsError: if a word is empty, or is an option with nothing after its ``=``.
    """
    for number, word in enumerate(arguments):
        if not word:
            where = f"the word after {arguments[number - 1] if number else 'promise'}"
        elif word.startswith("--") and word.find("=") == len(word) - 1 and "--" not in arguments[:number]:
            where = word[:-1]
        else:
            continue
        raise SettingsError(f"{where}: is empty; expected a value. A variable of the shell may not be set")


def check_only(context: typer.Context, flag: str, names: Collection[str]) -> None:
    """Refuse options that a command ignores if a flag is given.

    Args:
        context: the context of the command.
        flag: the flag, such as ``--merge``.
        names: the parameters that are allowed with the flag.

    Raises:
        SettingsError: if any other option was given.
    """
    for parameter in context.command.params:
        if parameter.name not in names and given_of(context, [str(parameter.name)]):
            option = max(parameter.opts, key=len)
            raise SettingsError(f"{option}: is for predicting, which {flag} does not do. Leave one of them out")


def missing_argument(context: typer.Context, metavar: str) -> Exception:
    """Return the usage error for a missing argument that only some options make unnecessary.

    Args:
        context: the context of the command.
        metavar: the name of the argument in the help.
    """
    error: Any = UsageError
    found: Exception = error(f"Missing argument '{metavar}'", ctx=context)
    return found
