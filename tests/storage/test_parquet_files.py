"""Tables in Parquet say what their CSV says, with types."""

import csv

import pytest
from pyarrow import parquet

from promise_seg.errors import PromiseError, SettingsError
from promise_seg.storage import parquet_files
from promise_seg.storage.parquet_files import check_packages, write_parquet

TYPES = {"count": "whole", "share": "number", "empty": "yes or no"}
HEAD = ("name", "count", "share", "empty")


def write(path, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([HEAD, *rows])
    return path


def test_cells_have_the_types_of_their_columns_and_empty_ones_are_null(tmp_path):
    table = write(tmp_path / "t.csv", [("NA", "3", "0.5", "1"), ("a\nb, ü", "", "", "0"), ("", "-1", "2", "")])
    write_parquet(table, TYPES)
    assert parquet.read_table(tmp_path / "t.parquet").to_pydict() == {
        "name": ["NA", "a\nb, ü", None], "count": [3, None, -1], "share": [0.5, None, 2.0],
        "empty": [True, False, None],
    }  # fmt: skip


def test_a_table_of_a_head_alone_has_its_types(tmp_path):
    write_parquet(write(tmp_path / "t.csv", []), TYPES)
    found = parquet.read_table(tmp_path / "t.parquet")
    assert len(found) == 0
    assert [str(kind) for kind in found.schema.types] == ["string", "int64", "double", "bool"]


def test_it_is_written_block_by_block(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_files, "_BLOCK_BYTES", 1000)
    write_parquet(write(tmp_path / "t.csv", [(f"n{i}", i, i / 8, 0) for i in range(500)]), TYPES)
    file = parquet.ParquetFile(tmp_path / "t.parquet")
    assert file.metadata.num_row_groups > 5
    assert file.read()["count"].to_pylist() == list(range(500))


def test_a_cell_of_another_type_is_refused_and_nothing_is_left(tmp_path):
    table = write(tmp_path / "t.csv", [("a", "many", "", "")])
    with pytest.raises(PromiseError, match=r"t\.csv: cannot be written in Parquet: .*many.*changed by another program"):
        write_parquet(table, TYPES)
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_without_its_package_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(parquet_files, "is_installed", lambda: False)
    with pytest.raises(SettingsError, match=r"--parquet: needs the Python package pyarrow.*'promise-seg\[parquet\]'"):
        check_packages("--parquet")
