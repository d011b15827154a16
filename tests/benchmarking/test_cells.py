"""Where cells are kept."""

from pathlib import Path

import pytest

from promise_seg.benchmarking.cells import Cell, folder_name
from promise_seg.benchmarking.spec import DataSpec, ModelSpec, SamSpec


@pytest.mark.parametrize(
    ("test", "folder"), [("CVC-300", "CVC-300"), ("a/b", "a_b"), ("..", "__"), ("", "_"), ("Kvasir SEG", "Kvasir SEG")]
)
def test_a_test_set_may_be_called_anything(test, folder):
    assert folder_name(test) == folder
    cell = Cell(DataSpec(name="d", manifest=Path("m")), SamSpec(name="s", source="nano"),
                ModelSpec(name="m", variant="ips"), 3)  # fmt: skip
    assert cell.scores_folder(Path("out"), test) == Path("out/d/s/m/seed-3/test") / folder
