"""Docstrings begin with a sentence or a noun phrase that stands on its own (docs/writing.md)."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FRAGMENTS = frozenset({"Of", "What", "That", "By", "Where", "Which", "From", "Those", "As", "At", "Who"})
"""First words of phrases that only parse after reading the code."""


def docstrings_of(path: Path) -> Iterator[tuple[int, str]]:
    """The line and the text of each docstring in a file, those below variables too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value.strip()


def test_no_docstring_begins_with_a_fragment() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text.splitlines()[0]}"
        for path in sorted((ROOT / "src").rglob("*.py"))
        for line, text in docstrings_of(path)
        if text and (text.split()[0].strip(",.:") in FRAGMENTS or text.startswith("("))
    ]
    assert found == []
