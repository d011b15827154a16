"""The building blocks of a page."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Text:
    """A paragraph; a ``note`` is subdued, a ``warning`` is emphasised."""

    text: str
    kind: Literal["plain", "note", "warning"] = "plain"


@dataclass(frozen=True)
class Table:
    """A table of formatted cells. The first cell of a row names it; a reader can sort by any column."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""


@dataclass(frozen=True)
class Chart:
    """An SVG element as text. ``name`` describes it for readers who cannot see it."""

    svg: str
    name: str
    caption: str = ""


@dataclass(frozen=True)
class Picture:
    """An image embedded in the page: ``data_uri`` begins with ``data:image/``."""

    data_uri: str
    alt: str
    caption: str


@dataclass(frozen=True)
class Gallery:
    """Images next to each other."""

    pictures: tuple[Picture, ...]
    caption: str = ""


@dataclass(frozen=True)
class Facts:
    """Pairs of a name and a value. The few that matter most are ``prominent``, and set in large type."""

    pairs: tuple[tuple[str, str], ...]
    prominent: bool = False


@dataclass(frozen=True)
class Commands:
    """Lines for a shell."""

    lines: tuple[str, ...]


Block = Text | Table | Chart | Gallery | Facts | Commands


@dataclass(frozen=True)
class Section:
    """A part of a page under a heading, which is listed in the table of contents."""

    title: str
    blocks: tuple[Block, ...]
