"""The Python of README, docs and docstrings runs as it stands there."""

import doctest
import importlib
from pathlib import Path

import pytest

from tests.documentation.pages import PAGES, ROOT, read_page

PYTHON_PAGES = [page for page in map(read_page, PAGES) if any(block.language == "python" for block in page.blocks)]
SOURCES = ROOT / "src"
DOCUMENTED = [path for path in sorted(SOURCES.rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]


def test_the_readme_has_python_to_run():
    assert "README.md" in {page.name for page in PYTHON_PAGES}


@pytest.mark.slow
@pytest.mark.parametrize("page", PYTHON_PAGES, ids=lambda page: page.name)
def test_the_python_of_a_page_runs_from_top_to_bottom(page, provide):
    """In one namespace, as a reader would type it; an error names the line of the page."""
    for package in page.imports:
        pytest.importorskip(package)
    provide(page.needs)
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block in page.blocks:
        if block.language == "python" and not block.skipped_because:
            source = "\n" * (block.line - 1) + block.code
            exec(compile(source, str(page.path), "exec"), namespace)


@pytest.mark.slow
@pytest.mark.parametrize("path", DOCUMENTED, ids=lambda path: path.relative_to(SOURCES).as_posix())
def test_the_examples_of_docstrings_give_what_they_show(path, provide):
    """All find the same files: the run ``runs/polyp``, ``frame.png``, ``ct.nii.gz`` and ``polyps.csv``."""
    provide(["runs/polyp", "frame.png", "ct.nii.gz", "polyps.csv"])
    module = importlib.import_module(module_name(path))
    results = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert results.attempted
    assert results.failed == 0


def module_name(path: Path) -> str:
    parts = path.relative_to(SOURCES).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_no_example_is_left_out():
    assert [path for path in DOCUMENTED if "+SKIP" in path.read_text(encoding="utf-8")] == []
