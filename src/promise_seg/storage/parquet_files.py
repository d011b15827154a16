"""Tables in Parquet, for programs that read millions of rows; they need ``pyarrow``, an optional package."""

import csv
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from promise_seg.errors import PromiseError, SettingsError, first_line
from promise_seg.storage.files import replacing

ColumnType = Literal["text", "whole", "number", "yes or no"]
_BLOCK_BYTES = 2**20  # size of the blocks of a CSV, several of which are in memory at once


def is_installed() -> bool:
    """Whether ``pyarrow`` is installed."""
    return find_spec("pyarrow") is not None


def check_packages(wanted_by: str) -> None:
    """Check that ``pyarrow`` is installed.

    Args:
        wanted_by: option or file that needs it, for the message.

    Raises:
        SettingsError: if the package is missing; the message tells how to install it.
    """
    if not is_installed():
        raise SettingsError(
            f"{wanted_by}: needs the Python package pyarrow, which is not installed. Install it: "
            "pip install 'promise-seg[parquet]'"
        )


def parquet_beside(table: Path) -> Path:
    """Return the path of the Parquet file of a CSV: in the same folder, with the same stem."""
    return table.with_suffix(".parquet")


def write_parquet(table: Path, types: Mapping[str, ColumnType]) -> None:
    """Write the Parquet file of a CSV next to it, completely or not at all, in memory independent of its length.

    Empty cells become null. The order of columns is that of the CSV.

    Args:
        table: CSV in UTF-8 with a header row.
        types: maps the names of columns to their types; other columns are text.

    Raises:
        PromiseError: if the file cannot be written, or a cell of the CSV is not of the type of its column.
    """
    import pyarrow
    from pyarrow import csv as tables
    from pyarrow import parquet

    known = {
        "text": pyarrow.string(),
        "whole": pyarrow.int64(),
        "number": pyarrow.float64(),
        "yes or no": pyarrow.bool_(),
    }
    with table.open(encoding="utf-8", newline="") as file:
        head = next(csv.reader(file))
    columns = {name: known[types.get(name, "text")] for name in head}
    reading = tables.ReadOptions(use_threads=False, block_size=_BLOCK_BYTES)
    parsing = tables.ParseOptions(newlines_in_values=True)
    converting = tables.ConvertOptions(column_types=columns, null_values=[""], strings_can_be_null=True)
    try:
        with replacing(parquet_beside(table)) as to:
            reader = tables.open_csv(table, reading, parsing, converting)
            with parquet.ParquetWriter(to, reader.schema) as writer:
                for batch in reader:  # single batches would be kept in memory up to a million rows
                    writer.write_table(pyarrow.Table.from_batches([batch]))
    except pyarrow.ArrowException as error:
        raise PromiseError(
            f"{table}: cannot be written in Parquet: {first_line(error)}. It was changed by another program; remove "
            "it, and give the same command again"
        ) from error


def read_text_rows(path: Path) -> tuple[list[str], Iterator[list[str]]]:
    """Return the names of the columns of a Parquet file, and its rows as text; null becomes empty text.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is not a Parquet file.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
    except pyarrow.ArrowException as error:
        raise ValueError(str(error)) from error

    def rows() -> Iterator[list[str]]:
        for batch in file.iter_batches():
            columns = [column.to_pylist() for column in batch.columns]
            for cells in zip(*columns, strict=True):
                yield ["" if cell is None else str(cell) for cell in cells]

    return list(file.schema_arrow.names), rows()
