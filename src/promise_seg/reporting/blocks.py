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
    """A table of formatted cells. The first cell of a row is its heading; the reader can sort by any column."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""


@dataclass(frozen=True)
class Chart:
    """A chart as the text of an SVG element.

    ``name`` is a description for readers who cannot see the chart. ``wide_svg`` is the same chart for wide windows and
    paper, where it takes the width of the column; without it, ``svg`` is shown everywhere.
    """

    svg: str
    name: str
    caption: str = ""
    wide_svg: str = ""


@dataclass(frozen=True)
class Picture:
    """An image embedded in the page: ``data_uri`` begins with ``data:image/``."""

    data_uri: str
    alt: str
    caption: str


@dataclass(frozen=True)
class Gallery:
    """A row of images with a common caption."""

    pictures: tuple[Picture, ...]
    caption: str = ""


@dataclass(frozen=True)
class Facts:
    """Pairs of a name and a value. The most important facts are ``prominent``, and shown in large type."""

    pairs: tuple[tuple[str, str], ...]
    prominent: bool = False


@dataclass(frozen=True)
class Commands:
    """Command lines for a shell."""

    lines: tuple[str, ...]


Block = Text | Table | Chart | Gallery | Facts | Commands


@dataclass(frozen=True)
class Section:
    """A section of a page with a heading, which is listed in the table of contents."""

    title: str
    blocks: tuple[Block, ...]
