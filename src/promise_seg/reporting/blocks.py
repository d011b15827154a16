"""What a page is made of, whatever it is about."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Text:
    """A paragraph. A ``note`` stands back, a ``warning`` stands out."""

    text: str
    kind: Literal["plain", "note", "warning"] = "plain"


@dataclass(frozen=True)
class Table:
    """Cells as they are to be read. The first cell of a row names it; a reader can sort by any column."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""


@dataclass(frozen=True)
class Chart:
    """An SVG element as text. ``name`` says what it shows to those who do not see it."""

    svg: str
    name: str
    caption: str = ""


@dataclass(frozen=True)
class Picture:
    """A picture within the page: ``data_uri`` begins with ``data:image/``."""

    data_uri: str
    alt: str
    caption: str


@dataclass(frozen=True)
class Gallery:
    """Pictures beside each other."""

    pictures: tuple[Picture, ...]
    caption: str = ""


@dataclass(frozen=True)
class Facts:
    """Names and what they are. The few that matter most are ``prominent``, and set large."""

    pairs: tuple[tuple[str, str], ...]
    prominent: bool = False


@dataclass(frozen=True)
class Commands:
    """Lines for a shell."""

    lines: tuple[str, ...]


Block = Text | Table | Chart | Gallery | Facts | Commands


@dataclass(frozen=True)
class Section:
    """A part of a page under a heading, which the page's contents name."""

    title: str
    blocks: tuple[Block, ...]
