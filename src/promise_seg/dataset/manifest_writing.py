"""Writing manifests: whole or not at all, with every column kept, and paths that hold from their new place."""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from promise_seg.dataset.manifest_file import located, read_file
from promise_seg.errors import ManifestError, PromiseError
from promise_seg.files import write_text
from promise_seg.vocabulary import Split

_PATH_COLUMNS = ("image_name", "mask_name")


@dataclass(frozen=True)
class ManifestTable:
    """The cells of a manifest as they stand in its file. ``lines`` are the rows' line numbers, as in ``Row.where``."""

    path: Path
    header: list[str]
    cells: list[list[str]]
    lines: list[int]

    @classmethod
    def read(cls, path: str | Path) -> "ManifestTable":
        """Read a file that ``read_manifest`` had no complaint about."""
        path = Path(path)
        file = read_file(path)
        return cls(path, file.header, file.cells, file.lines)

    def column(self, name: str) -> int:
        """Of columns with one name the last, as ``scan_manifest`` has it."""
        return len(self.header) - 1 - self.header[::-1].index(name)

    def with_splits(self, splits: Mapping[str, Split]) -> "ManifestTable":
        """The same table with another ``train_type`` for each row, given by its ``where`` (``file:line``)."""
        at = self.column("train_type")
        cells = [list(row) for row in self.cells]
        for row, line in zip(cells, self.lines, strict=True):
            row[at] = str(splits[f"{self.path}:{line}"])
        return replace(self, cells=cells)

    def moved_to(self, path: Path) -> "ManifestTable":
        """The same table for another place: relative paths are rewritten if it lies in another folder."""
        if path.parent.resolve() == self.path.parent.resolve():
            return replace(self, path=path)
        cells = [list(row) for row in self.cells]
        for name in _PATH_COLUMNS:
            at = self.column(name)
            for row in cells:
                if not Path(row[at].strip()).is_absolute():
                    row[at] = path_from(path.parent, located(self.path.parent, row[at]))
        return replace(self, path=path, cells=cells)

    def write(self) -> None:
        """Write it to ``path``.

        Raises:
            PromiseError: if it cannot be written.
        """
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.header)
        writer.writerows(self.cells)
        try:
            write_text(self.path, text.getvalue())
        except UnicodeEncodeError as error:
            name = ascii(error.object[error.start : error.end])
            raise ManifestError(
                f"{self.path}: cannot be written: a file's name has {name}, which is no UTF-8. Rename the file"
            ) from error


def path_from(folder: Path, path: Path) -> str:
    """``path`` relative to a folder, with slashes. Where that leads up, links are followed first, as ``..`` does.

    On another drive (Windows) the path stays absolute.
    """
    if path.absolute().is_relative_to(folder.absolute()):
        return path.absolute().relative_to(folder.absolute()).as_posix()
    target = path.parent.resolve() / path.name
    try:
        return Path(os.path.relpath(target, folder.resolve())).as_posix()
    except ValueError:
        return target.as_posix()


def refuse_existing(paths: Sequence[Path], *, force: bool) -> None:
    """Protect files from being overwritten.

    Raises:
        PromiseError: if one of them is a folder, or exists and ``force`` is not given, or cannot be looked for.
    """
    for path in paths:
        try:
            is_folder, exists = path.is_dir(), path.exists()
        except OSError as error:
            raise PromiseError(f"{path}: cannot be written: {error.strerror or error}. Choose another -o") from error
        if is_folder:
            raise PromiseError(f"{path}: is a folder; expected the name of a CSV, such as {path / 'manifest.csv'}")
        if exists and not force:
            raise PromiseError(f"{path}: exists already. Give --force to overwrite it, or another -o file")
