"""The manifest: a CSV or Parquet file with the columns ``image_name,train_type,mask_name``."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from numbers import Real
from pathlib import Path
from typing import Any

from promise_seg.arguments import check_place, is_truth_value, shown
from promise_seg.dataset.manifest_file import KNOWN_COLUMNS, REQUIRED_COLUMNS, located, read_file
from promise_seg.dataset.shares import DEFAULT_VAL_SHARE
from promise_seg.errors import ManifestError, SettingsError
from promise_seg.storage.remote_paths import as_path, begin_reading
from promise_seg.vocabulary import Split

_MOST_SHOWN = 4
_MOST_LISTED = 20


@dataclass(frozen=True)
class Row:
    """One image or volume of a manifest.

    ``where`` is ``file:line``, for messages; ``group`` names the rows that must stay in the same split; ``slices`` are
    the first and last slice to use, counted from 0, ``None`` for all; ``every`` is N if only every Nth of them is used.
    ``is_of_owner`` tells that the group is not from the manifest, but from the patient, study or series that the DICOM
    file names.
    """

    where: str
    image: Path
    mask: Path
    split: Split
    group: str
    slices: tuple[int, int] | None = None
    extra: tuple[tuple[str, str], ...] = ()
    """The names and cells of the other columns."""
    every: int = 1
    is_of_owner: bool = False

    @property
    def has_group(self) -> bool:
        """Whether the row has a group other than its own image."""
        return self.group != str(self.image)


def read_manifest(path: str | Path) -> list[Row]:
    """Read a manifest; paths are relative to its folder or are addresses, and extra columns are allowed.

    ``manifest_file.py`` defines the separators and encodings.

    Rows with the same ``group`` (a video, a patient) stay together in any split made here. A column ``slice`` selects
    one slice of a volume, a range (``10-40``), or every Nth slice of the volume or of a range (``:5``, ``10-40:5``).

    Raises:
        ManifestError: if rows cannot be used; the message has one line for each of the first 20, and the number of
            the others.
        SettingsError: if ``path`` is not a path.
    """
    check_place(path, "manifest")
    rows, problems = scan_manifest(path)
    raise_all(problems)
    return rows


def scan_manifest(path: str | Path) -> tuple[list[Row], list[str]]:
    """Return the rows that can be used, and a message for each row that cannot.

    Raises:
        ManifestError: if the file as a whole cannot be used.
        SettingsError: if the file is in Parquet, and ``pyarrow`` is not installed.
    """
    path = as_path(path)
    begin_reading()
    file = read_file(path)
    rows, problems = [], []
    for line, cells in zip(file.lines, file.cells, strict=True):
        where = f"{path}:{line}"
        record = {
            name: cell.strip() for name, cell in zip_longest(file.header, cells[: len(file.header)], fillvalue="")
        }
        if problem := _problem_of_cells(file.header, cells, record):
            problems.append(f"{where}: {problem}")
            continue
        split = record["train_type"].lower()
        if split not in set(Split):
            problems.append(f"{where}: unknown train_type {record['train_type']!r}; expected {', '.join(Split)}")
            continue
        text, colon, step = record.get("slice", "").partition(":")
        slices, every = _slices(text), _whole_number(step) if colon else 1
        if isinstance(slices, str) or not every:
            problems.append(
                f"{where}: slice {record['slice']!r}; expected a number from 0, the first and last as 10-40, or every "
                "Nth as :5 or 10-40:5"
            )
            continue
        try:
            image, mask = (located(path.parent, record[name]) for name in ("image_name", "mask_name"))
        except SettingsError as error:
            problems.append(f"{where}: {error}")
            continue
        group = record.get("group") or str(image)
        extra = tuple((name, record[name]) for name in file.header if name not in KNOWN_COLUMNS)
        rows.append(Row(where, image, mask, Split(split), group, slices, extra, every))
    return rows, problems


def _problem_of_cells(header: Sequence[str], cells: Sequence[str], record: Mapping[str, str]) -> str | None:
    """Return why the cells of a row do not fit the header: too many of them, or a required one is empty."""
    surplus = [cell.strip() for cell in cells[len(header) :] if cell.strip()]
    if surplus:
        listed = ", ".join(map(repr, surplus[:_MOST_SHOWN])) + (", ..." if len(surplus) > _MOST_SHOWN else "")
        return (
            f"found {listed} beyond the last column of the header, {header[-1]}; expected at most {len(header)} cells. "
            'Put cells that contain the separator in quotes, as in "a,b.png", or name the further columns in the header'
        )
    empty = [name for name in REQUIRED_COLUMNS if not record[name]]
    if not empty:
        return None
    is_short = len(cells) < len(header)
    reason = f", because the row ends after {len(cells)} of {len(header)} cells" if is_short else ""
    return f"column(s) {', '.join(empty)} are empty{reason}; every row needs an image, a split and a mask"


def _slices(text: str) -> tuple[int, int] | str | None:
    """Return the first and last slice, or the text itself if it is neither a number nor a range."""
    if not text:
        return None
    parts = [_whole_number(part) for part in text.split("-", 1)]
    first, last = parts[0], parts[-1]
    return text if first is None or last is None or first > last else (first, last)


def _whole_number(text: str) -> int | None:
    """Return a whole number from 0; ``None`` if it is not such a number, or has more digits than Python converts."""
    try:
        return int(text) if text.isdecimal() else None
    except ValueError:
        return None


def raise_all(problems: Sequence[str]) -> None:
    """Raise one :class:`ManifestError` with a line for each problem, if there are any; after 20, only their number."""
    if problems:
        count = "" if len(problems) == 1 else f"{len(problems)} problems:\n"
        more = len(problems) - _MOST_LISTED
        rest = [f"and {more} more; promise data check lists them by kind"] if more > 0 else []
        raise ManifestError(count + "\n".join([*problems[:_MOST_LISTED], *rest]))


def of_split(rows: Sequence[Row], split: Split) -> list[Row]:
    """Return the rows of one split, in their order."""
    return [row for row in rows if row.split == split]


def check_share(share: Any) -> None:
    """Check that a share of validation rows is between 0 and 1.

    Raises:
        SettingsError: if it is not.
    """
    is_number = isinstance(share, Real) and not is_truth_value(share)
    if not is_number or not 0 < share < 1:  # nor NaN
        raise SettingsError(f"val_share {shown(share)}: expected a share between 0 and 1, such as {DEFAULT_VAL_SHARE}")


def with_files_together(rows: Sequence[Row]) -> list[Row]:
    """Return the rows, with all rows of the same image file in one group where the manifest gives them none.

    Rows with a group keep it; a row without a group gets that of another row of its file, whatever path leads to it.
    """
    files = [file_of(row) for row in rows]
    group_of: dict[Path, str] = {}
    for has_group in (True, False):
        for row, file in zip(rows, files, strict=True):
            if row.has_group == has_group:
                group_of.setdefault(file, row.group)
    return [
        row if row.has_group or group_of[file] == row.group else replace(row, group=group_of[file])
        for row, file in zip(rows, files, strict=True)
    ]


def file_of(row: Row) -> Path:
    """Return the resolved path of a row's image; the path itself if it cannot be resolved, as reading it will fail."""
    try:
        return row.image.resolve()
    except (OSError, RuntimeError):  # for example, links that point to each other
        return row.image


def split_off_validation(rows: Sequence[Row], *, share: float = DEFAULT_VAL_SHARE, seed: int = 0) -> list[Row]:
    """Turn about ``share`` of the ``train`` rows into ``val``, without dividing a group or a file with several rows.

    No file is opened: give rows that are :func:`~promise_seg.dataset.owners.grouped` to keep patients together.

    Raises:
        SettingsError: if the share is not between 0 and 1.
        ManifestError: if there are no train rows, or fewer than two groups of them.
    """
    check_share(share)
    grouped = with_files_together(rows)
    train = of_split(grouped, Split.TRAIN)
    groups = sorted({row.group for row in train})
    where = rows[0].where.rsplit(":", 1)[0]
    if not train:
        raise ManifestError(
            f"{where}: no train rows. Give some rows the split train, or let promise data split assign all of them"
        )
    if len(groups) < 2:
        source = ", by the patients that their DICOM files name" if any(row.is_of_owner for row in train) else ""
        raise ManifestError(
            f"{where}: no val rows, and too few groups of train rows ({len(groups)}{source}) to take validation rows "
            "from. Add val rows"
        )
    random.Random(seed).shuffle(groups)
    chosen: set[str] = set()
    taken = 0
    for group in groups[:-1]:
        if taken >= share * len(train):
            break
        chosen.add(group)
        taken += sum(row.group == group for row in train)
    return [
        replace(row, split=Split.VAL) if row.split == Split.TRAIN and one.group in chosen else row
        for row, one in zip(rows, grouped, strict=True)
    ]
