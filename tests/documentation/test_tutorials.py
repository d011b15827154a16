"""The notebooks in ``docs/tutorials`` run from their first cell to their last, as a reader runs them."""

import os
import sys
from pathlib import Path

import pytest

import promise_seg

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "tutorials").glob("*.ipynb"))
FEWER = {
    "first-steps": {
        '["train"] * 24 + ["val"] * 8 + ["test"] * 8': '["train"] * 4 + ["val"] * 2 + ["test"] * 4',
        "epochs=12": "epochs=1",
        "views=2": "views=1",
        "batch_size=8": "batch_size=4",
    }
}
"""What of a notebook is smaller here than for a reader: nothing but numbers of images, of views and of epochs."""


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    sources = Path(promise_seg.__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(sources), *sys.path]))
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    kept = {number: _texts(cell) for number, cell in enumerate(notebook.cells)}
    _make_small(notebook, FEWER.get(path.stem, {}))
    client = nbclient.NotebookClient(
        notebook, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}, startup_timeout=600
    )
    client.execute()
    assert (tmp_path / "report" / "report.html").is_file()
    assert any(kept.values()), "a notebook is shown with its outputs"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_names_no_machine(path):
    text = path.read_text(encoding="utf-8")
    for place in ("/home/", "/root/", "/tmp/", "/work/", "site-packages"):
        assert place not in text


def test_there_are_notebooks():
    assert NOTEBOOKS


def _make_small(notebook, changes):
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for old, new in changes.items():
        assert sum(cell.source.count(old) for cell in cells) == 1, f"{old} is no longer in the notebook"
        for cell in cells:
            cell.source = cell.source.replace(old, new)


def _texts(cell):
    return [output.get("text") or output.get("data") for output in cell.get("outputs", [])]
