"""The pages of the documentation fit together: no dead link, no page that the index forgets, layers that exist."""

import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "src").rglob("*.md")])
SOURCES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.*")])


def prose_of(page: Path) -> str:
    """The text of a page without its code blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def links_of(page: Path) -> Iterator[str]:
    """The targets of links and images on a page that are not addresses on the web."""
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose_of(page))):
        if not re.match(r"[a-z]+:", target):
            yield target


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    anchors: set[str] = set()
    counts: Counter[str] = Counter()
    for heading in re.findall(r"^#{1,6} +(.+?) *$", prose_of(page), flags=re.MULTILINE):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        anchors.add(f"{slug}-{counts[slug]}" if counts[slug] else slug)
        counts[slug] += 1
    return anchors


def dead_links(page: Path) -> list[str]:
    dead = []
    for target in links_of(page):
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and anchor not in anchors_of(file)):
            dead.append(target)
    return dead


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_relative_link_is_dead(page: Path) -> None:
    assert dead_links(page) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_heading_stands_twice_on_a_page(page: Path) -> None:
    headings = Counter(re.findall(r"^#{1,6} +.+", prose_of(page), flags=re.MULTILINE))
    assert [heading for heading, count in headings.items() if count > 1] == []


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    (tmp_path / "other.md").write_text("# The *first* heading\n\n```\n# no heading\n```\n# Twice\n# Twice\n")
    page.write_text(
        "[a](other.md#the-first-heading) [b](other.md#twice-1) [c](missing.md) [d](other.md#no-heading)\n"
        "[e](#nowhere) [f](https://example.org/x) `[g](code.md)` [h](other.md#twice-2)\n"
    )
    assert dead_links(page) == ["missing.md", "other.md#no-heading", "#nowhere", "other.md#twice-2"]


def test_every_page_that_the_code_names_exists() -> None:
    named = {
        name for path in SOURCES if path.suffix in {".py", ".yaml", ".j2"} and path != Path(__file__).resolve()
        for name in re.findall(r"\bdocs/[\w./-]+\.md", path.read_text(encoding="utf-8"))
    }  # fmt: skip
    assert named
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_the_index_names_every_page() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / target.partition("#")[0]).resolve() for target in links_of(index)}
    pages = {page for page in PAGES if page.parent == ROOT / "docs" and page != index}
    assert pages <= linked


def test_the_readme_links_to_every_page() -> None:
    readme = ROOT / "README.md"
    linked = {(ROOT / target.partition("#")[0]).resolve() for target in links_of(readme)}
    assert {page for page in PAGES if page.parent == ROOT / "docs"} <= linked


def test_the_drawing_of_the_architecture_has_just_the_packages_that_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawn = re.findall(r"\b(\w+)/(?=\s)", text.split("```")[1])
    modules = re.findall(r"\b(\w+)\.py\b", text.split("```")[1])
    package = ROOT / "src" / "promise_seg"
    packages = {path.parent.name for path in package.glob("*/__init__.py")}
    assert len(drawn) == len(set(drawn))
    assert packages == set(drawn)
    assert {path.stem for path in package.glob("*.py")} - {"__init__"} <= set(modules)


def test_the_drawing_of_the_architecture_has_the_layers_of_the_import_contract() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    names = re.findall(r"\b(\w+)(?:/(?=\s)|\.py\b)", text.split("```")[1])
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    layer_of = {name: number for number, layer in enumerate(layers) for name in re.findall(r"\w+", layer)}
    assert set(names) == set(layer_of)
    besides = {"curation", "demo"}  # drawn beside what is below them, which the drawing says
    places = [layer_of[name] for name in names if name not in besides]
    assert places == sorted(places)


def test_the_table_of_packages_has_those_of_the_drawing() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawn = re.findall(r"\b(\w+)/(?=\s)", text.split("```")[1])
    assert sorted(re.findall(r"^\| `(\w+)/` \|", text, flags=re.MULTILINE)) == sorted(drawn)


def test_files_that_the_recipes_name_exist() -> None:
    prose = prose_of(ROOT / "CONTRIBUTING.md")
    named = set(re.findall(r"`([\w./]+\.py)`", prose))
    files = [path.relative_to(ROOT).as_posix() for path in SOURCES]
    assert len(named) > 15
    assert {name for name in named if not any(f"/{file}".endswith(f"/{name}") for file in files)} == set()


def test_files_that_the_architecture_names_exist() -> None:
    prose = prose_of(ROOT / "docs" / "architecture.md")
    package = ROOT / "src" / "promise_seg"
    named = {name for name in re.findall(r"`([\w/]+(?:/|\.py))`", prose) if name != "src/promise_seg/"}
    assert len(named) > 30
    assert {name for name in named if not (package / name).exists()} == set()
