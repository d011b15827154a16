"""Tables in Parquet, for programs that read millions of lines: through ``pyarrow``, which is not always installed."""

import csv
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from promise_seg.errors import PromiseError, SettingsError, first_line
from promise_seg.storage.files import replacing

ColumnType = Literal["text", "whole", "number", "yes or no"]
_BLOCK_BYTES = 2**20  # of a CSV, several of which are in memory at once


def is_installed() -> bool:
    """Whether ``pyarrow`` is there."""
    return find_spec("pyarrow") is not None


def check_packages(wanted_by: str) -> None:
    """Raise an error if ``pyarrow`` is missing.

    Args:
        wanted_by: what needs it, for the message.

    Raises:
        SettingsError: that says how it is installed.
    """
    if not is_installed():
        raise SettingsError(
            f"{wanted_by}: needs the Python package pyarrow, which is not installed. Install it: "
            "pip install 'promise-seg[parquet]'"
        )


def parquet_beside(table: Path) -> Path:
    """Return where the Parquet file of a CSV is: beside it, under the same name."""
    return table.with_suffix(".parquet")


def write_parquet(table: Path, types: Mapping[str, ColumnType]) -> None:
    """Write the Parquet file of a CSV beside it, whole or not at all, in memory that does not grow with its lines.

    Cells that are empty are null. Columns have the order of the CSV.

    Args:
        table: a CSV in UTF-8 with a head.
        types: of its columns; those that are not named are text.

    Raises:
        PromiseError: if it cannot be written, or a cell of the CSV is not of the type of its column.
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
                for batch in reader:  # batches by themselves would be held until there are a million rows
                    writer.write_table(pyarrow.Table.from_batches([batch]))
    except pyarrow.ArrowException as error:
        raise PromiseError(
            f"{table}: cannot be written in Parquet: {first_line(error)}. It was changed by another program; remove "
            "it, and give the same command again"
        ) from error


def read_text_rows(path: Path) -> tuple[list[str], Iterator[list[str]]]:
    """Return the names of the columns of a Parquet file, and its rows as text; null is empty text.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is no Parquet file.
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
