"""Check what users of Python pass: numbers, yes or no, and places. Commands get theirs checked from typer."""

import math
import operator
from pathlib import Path
from typing import Any

from promise_seg.errors import SettingsError

_YES_OR_NO = ("bool", "bool_")  # Python's, and NumPy's, which differs in its name between versions
_LONGEST_SHOWN = 60


def whole_number(value: Any, name: str, least: int | None = None) -> int:
    """Return a whole number of Python or NumPy.

    Args:
        value: what a user gave.
        name: of the argument, for the message.
        least: the lowest number that is possible, if there is one.

    Raises:
        SettingsError: if it is something else, such as a text, a fraction or a truth value, or too low.
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
    """Return a number as a float.

    Raises:
        SettingsError: if it is none, or is NaN or infinite; with the name.
    """
    try:
        number = math.nan if isinstance(value, str | bytes) or is_truth_value(value) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise SettingsError(f"{name} {shown(value)}: expected a finite number")
    return number


def yes_or_no(value: Any, name: str) -> bool:
    """Return a truth value; words such as ``"no"``, which Python takes for true, are refused.

    Raises:
        SettingsError: if it is neither ``True`` nor ``False``; with the name.
    """
    if not is_truth_value(value):
        raise SettingsError(f"{name} {shown(value)}: expected True or False")
    return bool(value)


def check_place(value: object, name: str) -> None:
    """Refuse what is neither a path nor an address.

    Raises:
        SettingsError: with the name.
    """
    if not isinstance(value, str | Path):
        expected = "a path" if value is None or not hasattr(value, "__fspath__") else "a str or a pathlib.Path"
        raise SettingsError(f"{name} {shown(value)}: expected {expected}")
    if value == "":
        raise SettingsError(f"{name}: the path is empty")


def is_truth_value(value: object) -> bool:
    """Whether something is ``True`` or ``False``, of Python or of NumPy."""
    return type(value).__name__ in _YES_OR_NO


def shown(value: object) -> str:
    """Return a value as a message shows it, or its type where it is long."""
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"of type {type(value).__name__}"
