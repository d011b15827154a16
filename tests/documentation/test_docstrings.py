"""Docstrings begin with a sentence or a noun phrase that stands on its own (docs/writing.md)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

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


def public_without_docstring() -> Iterator[str]:
    """Public classes, functions and methods without a docstring, but for methods that override a documented one."""
    classes: dict[str, ast.ClassDef] = {}
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "src").rglob("*.py"))}
    for tree in trees.values():
        classes |= {node.name: node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}

    def inherits(owner: ast.ClassDef, name: str) -> bool:
        for base in owner.bases:
            base_name = base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")
            known = classes.get(base_name)
            if known is None:
                if base_name not in ("object", ""):
                    return True  # of a library, which documents its own methods
                continue
            own = {node.name: node for node in known.body if isinstance(node, ast.FunctionDef)}
            if (name in own and ast.get_docstring(own[name])) or inherits(known, name):
                return True
        return False

    for path, tree in trees.items():
        place = path.relative_to(ROOT)
        for node in tree.body:
            if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
                continue
            if not ast.get_docstring(node):
                yield f"{place}:{node.lineno}: {node.name}"
            for method in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
                    overloaded = any(getattr(one, "id", "") == "overload" for one in method.decorator_list)
                    if not overloaded and not ast.get_docstring(method) and not inherits(node, method.name):
                        yield f"{place}:{method.lineno}: {node.name}.{method.name}"


@pytest.mark.slow
def test_every_public_name_is_documented() -> None:
    assert list(public_without_docstring()) == []
