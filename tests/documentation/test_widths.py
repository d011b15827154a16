"""Lines of prose are at most 120 characters wide, except in tables, blocks of code and generated pages."""

import pytest

from tests.documentation.pages import PAGES, ROOT, wide_lines

_GENERATED = ROOT / "docs/results"
"""Tables that ``promise benchmark`` wrote."""


@pytest.mark.parametrize("page", [page for page in PAGES if _GENERATED not in page.parents], ids=lambda page: page.name)
def test_prose_is_at_most_120_characters_wide(page):
    assert wide_lines(page) == []


def test_a_wide_line_is_found_unless_it_cannot_be_broken(tmp_path):
    page, wide = tmp_path / "p.md", "word " * 24 + "words"
    link = "https://example.org/" + "x" * 120
    page.write_text(
        f"{wide}\n| {wide} |\n```\n{wide}\n```\n- {link}\n\n{'é' * 60} {'é' * 59}\n- {wide}\n[{link}]({link})\n"
    )
    assert wide_lines(page) == [f"{page}:1: has 125 characters; expected at most 120",
                                f"{page}:9: has 127 characters; expected at most 120"]  # fmt: skip
