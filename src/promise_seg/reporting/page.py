"""Render sections as a self-contained HTML file."""

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources
from itertools import count
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from promise_seg.reporting.blocks import Block, Section, Table
from promise_seg.reporting.cells import is_nothing, is_numeric, number_of
from promise_seg.reporting.svg import named_svg


def render_page(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """Render an HTML page with its style and script included; it forbids browsers to load anything else.

    Args:
        title: the title of the page.
        subtitle: a line below the title.
        sections: the sections in order; all are listed in the table of contents.
    """
    environment = Environment(
        loader=PackageLoader("promise_seg", "reporting"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.globals.update(column_facts=_column_facts, sort_key=_sort_key)
    script = _part("page.js")
    numbers = count(1)

    def drawing(svg: str, name: str) -> Markup:
        return Markup(named_svg(svg, name, f"chart-{next(numbers)}"))

    return environment.get_template("page.html.j2").render(
        title=title, subtitle=subtitle, sections=sections, kind_of=_kind_of, drawing=drawing,
        style=Markup(_part("page.css")), script=Markup(script), script_sha256=_digest(script),
    )  # fmt: skip


def _part(name: str) -> str:
    return resources.files("promise_seg.reporting").joinpath(name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    """Return the digest by which a browser recognises the page's own script, the only script that it may run."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _kind_of(block: Block) -> str:
    return type(block).__name__.lower()


def _column_facts(table: Table) -> list[dict[str, Any]]:
    """Return the heading of each column, and whether the column is numeric.

    Raises:
        ValueError: if a row has more or fewer cells than the heading.
    """
    for row in table.rows:
        if len(row) != len(table.head):
            raise ValueError(f"a row has {len(row)} cells, but the heading has {len(table.head)}: {row}")
    return [
        {"head": head, "is_numeric": is_numeric([row[number] for row in table.rows])}
        for number, head in enumerate(table.head)
    ]


def _sort_key(cell: str, *, as_number: bool) -> str:
    """Return the key by which the script sorts a cell; empty if it has no value."""
    if is_nothing(cell):
        return ""
    return repr(number_of(cell)) if as_number else cell.casefold()
