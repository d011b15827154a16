"""Parse the cells of tables as numbers, to align and sort numeric columns."""

import re
from collections.abc import Sequence

_NUMBER = r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[+-]?\d+)?"
_UNIT = r"(?:\s?(?:%|px|mm|[kMG]?B|m?s|min|h|x))?"
_CELL = re.compile(rf"<?({_NUMBER}){_UNIT}(?:\s*(?:to|\+/-|±|[(\[,/]|of)\s*{_NUMBER}{_UNIT})*\s*[)\]]?")
_NOTHING = ("", "-")


def number_of(cell: str) -> float | None:
    """Return the number that a cell is sorted by, which is the first in it; ``None`` if the cell is not numeric.

    ``0.512``, ``<0.001``, ``0.498 to 0.508``, ``0.912 [0.87, 0.94]``, ``1,042,417`` and ``12 %`` are numeric;
    ``16 points`` is not.
    """
    match = _CELL.fullmatch(cell.strip().replace("\N{MINUS SIGN}", "-"))
    return None if match is None else float(match[1].replace(",", ""))


def is_nothing(cell: str) -> bool:
    """Whether a cell has no value; such cells come last however a column is sorted."""
    return cell.strip() in _NOTHING


def is_numeric(cells: Sequence[str]) -> bool:
    """Whether a column has at least one number, and otherwise only cells without a value."""
    found = [number_of(cell) for cell in cells if not is_nothing(cell)]
    return bool(found) and None not in found
