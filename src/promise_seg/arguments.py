"""Checks of arguments of the Python API: numbers, booleans and paths. For commands, typer checks them."""

import functools
import inspect
import math
import operator
from collections import abc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import UnionType
from typing import Any, ParamSpec, TypeVar, Union, get_args, get_origin

from promise_seg.errors import SettingsError

_YES_OR_NO = ("bool", "bool_")  # Python's, and NumPy's, which differs in its name between versions
_LONGEST_SHOWN = 60
Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")
_RUNS_COMMAND = ContextVar("_RUNS_COMMAND", default=False)


@contextmanager
def running_command() -> Iterator[None]:
    """Let messages name options as the command line spells them while this context is open."""
    token = _RUNS_COMMAND.set(True)
    try:
        yield
    finally:
        _RUNS_COMMAND.reset(token)


def option_name(name: str) -> str:
    """Return an option as its user spells it: ``--image-size`` while a command runs, else the name in Python."""
    return f"--{name.replace('_', '-')}" if _RUNS_COMMAND.get() else name


def whole_number(value: Any, name: str, least: int | None = None) -> int:
    """Check an integer, of Python or NumPy, and return it.

    Args:
        value: value that the user passed.
        name: name of the argument, for the message.
        least: the lowest valid value, if there is a limit.

    Raises:
        SettingsError: if the value is not an integer, for example a string, a fraction or a bool, or is too low.
    """
    try:
        number = None if is_truth_value(value) else operator.index(value)
    except TypeError:
        number = None
    if number is None or (least is not None and number < least):
        expected = "a whole number" if least is None else f"a whole number from {least}"
        raise SettingsError(f"{name} {shown(value)}: expected {expected}")
    return number


def finite_number(value: Any, name: str) -> float:
    """Check a finite number, and return it as a float.

    Raises:
        SettingsError: if the value is not a number, or is NaN or infinite; the message begins with ``name``.
    """
    try:
        number = math.nan if isinstance(value, str | bytes) or is_truth_value(value) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise SettingsError(f"{name} {shown(value)}: expected a finite number")
    return number


def yes_or_no(value: Any, name: str) -> bool:
    """Check a bool, and return it; strings such as ``"no"``, which Python regards as true, are rejected.

    Raises:
        SettingsError: if the value is neither ``True`` nor ``False``; the message begins with ``name``.
    """
    if not is_truth_value(value):
        raise SettingsError(f"{name} {shown(value)}: expected True or False")
    return bool(value)


def check_place(value: object, name: str) -> None:
    """Check that a value is a path or an address, as a ``str`` or a ``pathlib.Path``.

    Raises:
        SettingsError: if it is something else, or empty; the message begins with ``name``.
    """
    if not isinstance(value, str | Path):
        expected = "a path" if value is None or not hasattr(value, "__fspath__") else "a str or a pathlib.Path"
        raise SettingsError(f"{name} {shown(value)}: expected {expected}")
    if value == "":
        raise SettingsError(f"{name}: the path is empty")


def is_truth_value(value: object) -> bool:
    """Whether a value is ``True`` or ``False``, of Python or of NumPy."""
    return type(value).__name__ in _YES_OR_NO


def shown(value: object) -> str:
    """Return a value as messages show it, or only its type if the text is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"of type {type(value).__name__}"


def checks_arguments(
    *names: str,
) -> Callable[[Callable[Arguments, Returned]], Callable[Arguments, Returned]]:
    """Return a decorator that refuses arguments whose type differs from the annotation, before any work.

    Args:
        names: the parameters to check; others have checks of their own.

    Raises:
        SettingsError: from a decorated function, if an argument has a wrong type; the message begins with its name.
    """

    def decorator(function: Callable[Arguments, Returned]) -> Callable[Arguments, Returned]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def checked(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Returned:
            given = signature.bind(*args, **kwargs).arguments
            for name in names:
                if name in given:
                    check_type(given[name], name, signature.parameters[name].annotation)
            return function(*args, **kwargs)

        return checked

    return decorator


def check_type(value: object, name: str, annotation: Any) -> None:
    """Check that a value is of an annotated type: a class, a list of such values, a function, or a union of these.

    NumPy's numbers are numbers, whole numbers are also accepted for ``float``, and a text is not a list.

    Raises:
        SettingsError: if it is of another type; the message begins with ``name``.
    """
    kinds = list(_kinds_in(annotation))
    if any(_is_of_kind(value, kind) for kind in kinds):
        return
    numbers: tuple[tuple[type, Callable[[Any, str], object]], ...] = (
        (bool, yes_or_no), (int, whole_number), (float, finite_number),
    )  # fmt: skip
    for kind, check in numbers:
        if kind in kinds and not {str, Path} & set(kinds):
            check(value, name)
            return
    lists = [kind for kind in kinds if _is_list(kind)]
    if lists and isinstance(value, list | tuple):
        for one in value:
            check_type(one, f"{name}:", get_args(lists[0])[0])
        return
    if lists and isinstance(value, str | Path):
        raise SettingsError(f"{name} {shown(value)}: expected a list, such as [{shown(value)}]")
    wanted = " or ".join(dict.fromkeys(_kind_in_words(kind, kinds) for kind in kinds if kind is not type(None)))
    raise SettingsError(f"{name} {shown(value)}: expected {wanted}")


def _kinds_in(annotation: Any) -> Iterator[Any]:
    """Yield the members of a union of unions, or the annotation itself."""
    if get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            yield from _kinds_in(part)
    else:
        yield annotation


def _is_of_kind(value: object, kind: Any) -> bool:
    if kind in (bool, int, float):
        return isinstance(value, bool | int | float) and type(value) is kind and math.isfinite(value)
    if _is_function(kind):
        return callable(value)
    if _is_list(kind):
        return isinstance(value, Iterable) and not isinstance(value, str | bytes | Path | list | tuple)
    return kind is Any or (isinstance(kind, type) and isinstance(value, kind))


def _is_function(kind: Any) -> bool:
    return get_origin(kind) is abc.Callable or bool(getattr(kind, "_is_protocol", False))


def _is_list(kind: Any) -> bool:
    origin: Any = get_origin(kind)
    return isinstance(origin, type) and issubclass(origin, Iterable)


def _kind_in_words(kind: Any, kinds: list[Any]) -> str:
    if _is_function(kind):
        return "a function"
    if _is_list(kind):
        return "a list"
    if kind in (str, Path):
        return "a path" if Path in kinds else "a text"
    return {int: "a whole number", float: "a number"}.get(kind, getattr(kind, "__name__", str(kind)))
