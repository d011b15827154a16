"""Write manifests, completely or not at all, with every column kept and paths adapted to the new folder."""

import csv
import io
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from pathlib import Path

from promise_seg.dataset.manifest_file import PARQUET, located, read_file
from promise_seg.errors import PromiseError
from promise_seg.storage.files import write_text
from promise_seg.storage.remote_paths import RemotePath, as_path
from promise_seg.vocabulary import Split

_PATH_COLUMNS = ("image_name", "mask_name")
_NOT_CSV = (PARQUET, ".xls", ".xlsx", ".ods")


class Written(StrEnum):
    """Words on what became of a file that was to be written."""

    NEW = "written"
    REPLACED = "replaced"
    UNCHANGED = "unchanged"


@dataclass(frozen=True)
class ManifestTable:
    """The cells of a manifest as in its file; ``lines`` are the line numbers of the rows, as in ``Row.where``."""

    path: Path
    header: list[str]
    cells: list[list[str]]
    lines: list[int]

    @classmethod
    def read(cls, path: str | Path) -> "ManifestTable":
        """Read the cells of a file that ``read_manifest`` accepted."""
        path = as_path(path)
        file = read_file(path)
        return cls(path, file.header, file.cells, file.lines)

    def with_splits(self, splits: Mapping[str, Split]) -> "ManifestTable":
        """Return the table with a new ``train_type`` for each row, keyed by ``Row.where`` (``file:line``)."""
        at = self.header.index("train_type")
        cells = [list(row) for row in self.cells]
        for row, line in zip(cells, self.lines, strict=True):
            row[at] = str(splits[f"{self.path}:{line}"])
        return replace(self, cells=cells)

    def moved_to(self, path: Path) -> "ManifestTable":
        """Return the table for another file; relative paths are rewritten if that file is in another folder."""
        if path.parent.resolve() == self.path.parent.resolve():
            return replace(self, path=path)
        cells = [list(row) for row in self.cells]
        for name in _PATH_COLUMNS:
            at = self.header.index(name)
            for row in cells:
                if not Path(row[at].strip()).is_absolute():
                    row[at] = path_from(path.parent, located(self.path.parent, row[at]))
        return replace(self, path=path, cells=cells)

    @property
    def text(self) -> str:
        """The content of the file that :meth:`write` writes."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.header)
        writer.writerows(self.cells)
        return text.getvalue()

    def write(self) -> None:
        """Write the table to ``path``.

        Raises:
            PromiseError: if the file cannot be written, or a name is not valid UTF-8.
        """
        write_text(self.path, self.text)


def path_from(folder: Path, path: Path) -> str:
    """Return ``path`` relative to a folder, with slashes.

    Links are resolved first if the relative path contains ``..``. On another drive (Windows) the path stays absolute;
    an address is returned unchanged. A name that begins with a space is prefixed with ``./``, because spaces around a
    cell of a manifest are ignored.

    Raises:
        PromiseError: if the name ends with a space.
    """
    cell = _relative(folder, path)
    if cell != cell.rstrip():
        raise PromiseError(f"{path}: its name ends with a space, which a manifest cannot hold. Rename the file")
    return cell if cell == cell.lstrip() else f"./{cell}"


def _relative(folder: Path, path: Path) -> str:
    if isinstance(path, RemotePath):
        return str(path)
    if path.absolute().is_relative_to(folder.absolute()):
        return path.absolute().relative_to(folder.absolute()).as_posix()
    target = path.parent.resolve() / path.name
    try:
        return Path(os.path.relpath(target, folder.resolve())).as_posix()
    except ValueError:
        return target.as_posix()


def write_new(tables: Sequence[ManifestTable], *, force: bool) -> dict[Path, Written]:
    """Write tables that belong together, unless any of their files exists with different content.

    Files with the same content are left alone, so that a command interrupted between two files can be repeated.

    Returns:
        for each file, whether it was written, replaced another or was left alone.

    Raises:
        PromiseError: if a file with different content exists and ``force`` is not set, before anything is written; or
            if a file cannot be written.
    """
    refuse_others(tables, force=force)
    outcomes = {table.path: _outcome(table) for table in tables}
    for table in tables:
        if outcomes[table.path] != Written.UNCHANGED:
            table.write()
    return outcomes


def _outcome(table: ManifestTable) -> Written:
    if _is_there(table):
        return Written.UNCHANGED
    return Written.REPLACED if table.path.exists() else Written.NEW


def refuse_others(tables: Sequence[ManifestTable], *, force: bool) -> None:
    """Check that no file would be overwritten by a table with different content.

    Raises:
        PromiseError: as in :func:`refuse_existing`.
    """
    refuse_existing([table.path for table in tables if not _is_there(table)], force=force)


def _is_there(table: ManifestTable) -> bool:
    try:
        return table.path.read_bytes() == table.text.encode()
    except (OSError, ValueError):
        return False


def refuse_existing(paths: Sequence[Path], *, force: bool) -> None:
    """Check that CSV files can be written to paths without overwriting anything.

    Raises:
        PromiseError: if a path is a folder, has the ending of another format (Parquet, a spreadsheet), exists while
            ``force`` is not set, or cannot be accessed.
    """
    for path in paths:
        if path.suffix.lower() in _NOT_CSV:
            raise PromiseError(
                f"-o {path}: what is written is a CSV; expected a name such as {path.with_suffix('.csv')}"
            )
        try:
            is_folder, exists = path.is_dir(), path.exists()
        except OSError as error:
            raise PromiseError(f"{path}: cannot be written: {error.strerror or error}. Choose another -o") from error
        if is_folder:
            raise PromiseError(f"{path}: is a folder; expected the name of a CSV, such as {path / 'manifest.csv'}")
        if exists and not force:
            raise PromiseError(f"{path}: already exists. Pass --force to overwrite it, or choose another -o")


def slice_ranges(slices: Collection[int]) -> list[str]:
    """Return the indices of slices as cells of the column ``slice``: ``3-7`` for a range, ``9`` for a single slice."""
    ordered = sorted(set(slices))
    breaks = [0, *(n + 1 for n, (one, other) in enumerate(pairwise(ordered)) if other != one + 1), len(ordered)]
    parts = [ordered[first:last] for first, last in pairwise(breaks)]
    return [str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts if part]
