"""Checks of arguments of the Python API: numbers, booleans and paths. For commands, typer checks them."""

import math
import operator
from pathlib import Path
from typing import Any

from promise_seg.errors import SettingsError

_YES_OR_NO = ("bool", "bool_")  # Python's, and NumPy's, which differs in its name between versions
_LONGEST_SHOWN = 60


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
