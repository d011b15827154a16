"""Write the tables of a folder of predictions as Parquet, next to the CSV files."""

from pathlib import Path

from promise_seg.errors import SettingsError
from promise_seg.images.own_folders import PREDICTION_OBJECTS, PREDICTION_TABLE
from promise_seg.storage import parquet_files
from promise_seg.storage.parquet_files import ColumnType, parquet_beside

_OPTION = "--parquet"
_SLICES: dict[str, ColumnType] = {
    "slice": "whole", "class": "whole", "width": "whole", "height": "whole", "area_pixels": "whole",
    "area_share": "number", "predicted_iou": "number", "trust": "number", "nothing_here": "yes or no",
    "objects": "whole",
}  # fmt: skip
_OBJECTS: dict[str, ColumnType] = {
    "slice": "whole", "id": "whole", "area_pixels": "whole", "area": "number", "x": "number", "y": "number",
    "left": "number", "top": "number", "right": "number", "bottom": "number", "mean_intensity": "number",
    "score": "number", "predicted_iou": "number", "point_x": "number", "point_y": "number",
}  # fmt: skip
_TABLES = {PREDICTION_TABLE: _SLICES, PREDICTION_OBJECTS: _OBJECTS}


def check_parquet(wanted: bool, part: str | None = None) -> None:
    """Check before a prediction that Parquet can be written, if requested.

    Args:
        wanted: whether Parquet is requested.
        part: the part that is predicted, if any; parts have no tables.

    Raises:
        SettingsError: if a part is predicted, or ``pyarrow`` is not installed.
    """
    if not wanted:
        return
    if part is not None:
        raise SettingsError(f"{_OPTION}: a part has no table. Give it with --merge, which makes the table of all parts")
    parquet_files.check_packages(_OPTION)


def write_tables(folder: Path, *, wanted: bool) -> list[str]:
    """Write the tables as Parquet if requested, and update those that exist.

    Args:
        folder: folder of predictions whose CSV files are complete.
        wanted: whether Parquet is requested; otherwise only existing Parquet files are updated.

    Returns:
        Notes for the user.

    Raises:
        PromiseError: if the tables cannot be written.
    """
    notes = []
    for name, types in _TABLES.items():
        table = folder / name
        there = parquet_beside(table)
        if not table.exists():
            there.unlink(missing_ok=True)
        elif wanted or (there.exists() and parquet_files.is_installed()):
            parquet_files.write_parquet(table, types)
        elif there.exists():
            there.unlink()
            notes.append(f"{there}: was out of date and is removed; pyarrow, which writes it, is not installed")
    return notes
