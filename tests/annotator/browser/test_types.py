"""The types that the page's comments give are right, where the TypeScript compiler is installed."""

import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
PAGE = FOLDER.parents[2] / "src/promise_seg/annotator/page"


def compiler():
    """The command of the TypeScript compiler, as it is installed or as npx has kept it; nothing is fetched."""
    if installed := shutil.which("tsc"):
        return [installed]
    npx = shutil.which("npx")
    if npx is None:
        pytest.skip("neither tsc nor npx, which comes with Node.js, is on this machine")
    kept = [npx, "--offline", "--yes", "-p", "typescript", "tsc"]
    if subprocess.run([*kept, "--version"], capture_output=True, check=False).returncode:
        pytest.skip("tsc is not on this machine; `npx --yes -p typescript tsc --version` fetches it")
    return kept


@pytest.mark.slow
def test_the_types_of_the_page_are_right():
    command = [*compiler(), "-p", FOLDER / "tsconfig.json"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def test_nothing_is_inline_or_from_elsewhere():
    html = (PAGE / "index.html").read_text()
    assert " style=" not in html
    assert "<script>" not in html
    assert " onclick" not in html
    for path in PAGE.rglob("*.*"):
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text, path
        assert "https://" not in text, path


def test_files_are_small_enough_to_read():
    longest = {path.name: len(path.read_text().splitlines()) for path in PAGE.rglob("*.*")}
    assert [name for name, lines in longest.items() if lines > 400] == []


def test_lines_are_at_most_120_characters_wide():
    scripts = [path for suffix in ("js", "css") for path in PAGE.rglob(f"*.{suffix}")]
    lines = {f"{path.name}:{n}": line for path in scripts for n, line in enumerate(path.read_text().splitlines(), 1)}
    assert len(scripts) > 30
    assert [place for place, line in lines.items() if len(line) > 120] == []
