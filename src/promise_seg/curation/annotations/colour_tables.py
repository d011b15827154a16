"""Tables that map the colours of masks to classes."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from promise_seg.curation.annotations.documents import listed, read_json, read_lines
from promise_seg.errors import ImageError

Colour = tuple[int, int, int]

TABLES = ("labelmap.txt", "label_colors.txt", "class_dict.csv", "class_names.txt")
"""Common names of tables. The last only contains names, in the order of VOC's colours."""
VOC = "voc"
"""The value of ``--colours`` for VOC's colours instead of a table."""
VOID: Colour = (224, 224, 192)
"""The colour of outlines in VOC's masks, which belong to no class."""
_BACKGROUND = frozenset({"background", "_background_", "__background__", "bg"})
_IGNORED = frozenset({"void", "ignore", "ignored", "__ignore__", "unlabeled", "unlabelled"})
_NUMBER = r"(\d{1,3})"
_BETWEEN = r"[,;\s]+"
_LAST = re.compile(rf"(.+?)[:,;\s]+{_NUMBER}{_BETWEEN}{_NUMBER}{_BETWEEN}{_NUMBER}\s*(?::.*)?")
_CELLS = re.compile(r"[,;\t:]")
_PARTS_AND_ACTIONS = re.compile(r"(?<=:)([^:]*):.*")
"""The last two fields of CVAT's lines."""
_FIRST = re.compile(rf"{_NUMBER}{_BETWEEN}{_NUMBER}{_BETWEEN}{_NUMBER}[:,;\s]+(.+)")


def is_background(name: str) -> bool:
    """Whether a name stands for background or for pixels to be ignored, rather than a class."""
    return name.strip().lower() in _BACKGROUND | _IGNORED


def voc_colour(index: int) -> Colour:
    """Return the colour of an index in VOC's palette: the bits of the index, spread over the three channels."""
    red = green = blue = 0
    for bit in range(8):
        red |= (index >> (3 * bit) & 1) << (7 - bit)
        green |= (index >> (3 * bit + 1) & 1) << (7 - bit)
        blue |= (index >> (3 * bit + 2) & 1) << (7 - bit)
    return red, green, blue


def voc_table(names: list[str] | None = None) -> dict[Colour, str]:
    """Return VOC's colours with the names of classes, by default ``class 1``, ``class 2`` ..., without 255 (void).

    Index 0 is the first name, by default ``background``.
    """
    listed_names = ["background", *(f"class {index}" for index in range(1, 255))] if names is None else names
    return {voc_colour(index): name for index, name in enumerate(listed_names[:255])}


def read_table(path: Path) -> dict[Colour, str]:
    """Read a colour table in any of the following formats, in its order.

    - CVAT's ``labelmap.txt``: ``polyp:255,0,0::``
    - lines with a name and three numbers, or the numbers first, separated by commas or spaces;
    - JSON: ``{"polyp": [255, 0, 0]}``, ``{"polyp": "#ff0000"}`` or a list of objects with ``name`` and ``color``;
    - ``class_names.txt`` of LabelMe: only names, in the order of VOC's colours.

    Raises:
        ImageError: if it cannot be read, or gives two classes the same colour.
    """
    if path.name == "class_names.txt":
        return voc_table([name for name in read_lines(path) if name != "__ignore__"])
    pairs = _of_json(path) if path.suffix.lower() == ".json" else _of_lines(path)
    table = dict[Colour, str]()
    for name, colour in pairs:
        if max(colour) > 255 or min(colour) < 0:
            raise ImageError(f"{path}: the colour of {name} is {colour}; expected three numbers from 0 to 255")
        if table.get(colour, name) != name:
            raise ImageError(f"{path}: {table[colour]} and {name} have the same colour {colour}")
        table[colour] = name
    if not table:
        raise ImageError(f"{path}: has no colours; expected lines such as polyp:255,0,0")
    return table


def _of_lines(path: Path) -> list[tuple[str, Colour]]:
    pairs = list[tuple[str, Colour]]()
    for number, line in enumerate(read_lines(path), 1):
        if line.startswith("#"):
            continue
        if _has_surplus_numbers(line):
            raise ImageError(
                f"{path}:{number}: {line[:60]!r} has other numbers besides those of the colour; expected "
                "polyp,255,0,0 or 255,0,0,polyp. Remove the other columns"
            )
        first, last = _FIRST.fullmatch(line), _LAST.fullmatch(line)
        if first:
            pairs.append((first[4].strip(), (int(first[1]), int(first[2]), int(first[3]))))
        elif last:
            pairs.append((last[1].strip(), (int(last[2]), int(last[3]), int(last[4]))))
        elif number > 1:
            raise ImageError(f"{path}:{number}: {line[:60]!r} is not a class with a colour; expected polyp:255,0,0")
    return pairs


def _has_surplus_numbers(line: str) -> bool:
    """Whether a line has more cells than a name and a colour, and more than three of them are numbers."""
    cells = _CELLS.split(_PARTS_AND_ACTIONS.sub(r"\1", line))
    return len(cells) > 4 and sum(cell.strip().isdecimal() for cell in cells) > 3


def _of_json(path: Path) -> list[tuple[str, Colour]]:
    value = read_json(path)
    if isinstance(value, Mapping):
        items = list(value.items())
    else:
        items = [(one.get("name"), one.get("color")) for one in listed(value) if isinstance(one, Mapping)]
    return [(str(name), _colour(path, name, colour)) for name, colour in items]


def _colour(path: Path, name: object, value: Any) -> Colour:
    try:
        if isinstance(value, str):
            red, green, blue = bytes.fromhex(value.removeprefix("#"))
        else:
            red, green, blue = (int(part) for part in value)
    except (TypeError, ValueError):
        raise ImageError(f"{path}: the colour of {name} cannot be read; expected [255, 0, 0] or #ff0000") from None
    return red, green, blue
