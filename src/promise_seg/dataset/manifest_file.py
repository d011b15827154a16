"""Read the cells of a manifest file, whatever program wrote it."""

import codecs
import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from promise_seg.errors import ManifestError, first_line
from promise_seg.storage.object_stores import is_address
from promise_seg.storage.parquet_files import check_packages, read_text_rows
from promise_seg.storage.remote_paths import RemotePath, as_path

REQUIRED_COLUMNS = ("image_name", "train_type", "mask_name")
KNOWN_COLUMNS = (*REQUIRED_COLUMNS, "group", "slice")
PARQUET = ".parquet"
SUFFIXES = (".csv", PARQUET)
"""The endings that distinguish a manifest from an image; any other file given as a manifest is read as text."""
HELP = "See docs/data-format.md for an example."

_SEPARATORS = (",", ";", "\t")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_START_BYTES = 4096
_LINE_FOR_EXCEL = re.compile(r"\Asep=[,;\t](?=[\r\n])", re.IGNORECASE)


@dataclass(frozen=True)
class ManifestFile:
    """The header and the non-empty rows of a manifest file; ``lines`` are the line numbers of the rows, from 1.

    Names in the header are stripped, and known names are in lower case.
    """

    header: list[str]
    cells: list[list[str]]
    lines: list[int]


def read_file(path: Path) -> ManifestFile:
    """Read a CSV with commas, semicolons or tabs, in UTF-8 or in UTF-16 with a byte order mark, or a Parquet file.

    Raises:
        ManifestError: if the file is missing or cannot be read, lacks a required column, has no rows, or has a known
            column more than once.
        SettingsError: if the file is in Parquet, and ``pyarrow`` is not installed.
    """
    records = _rows_of_parquet(path) if path.suffix.lower() == PARQUET else _rows_of_text(path)
    if not records:
        raise ManifestError(f"{path}: the file is empty; expected the columns {', '.join(REQUIRED_COLUMNS)}. {HELP}")
    (line, names), *rows = records
    header = _header(names)
    missing = [name for name in REQUIRED_COLUMNS if name not in header]
    if missing:
        raise ManifestError(f"{path}:{line}: missing column(s) {', '.join(missing)}; found {', '.join(header)}. {HELP}")
    repeated = [name for name in KNOWN_COLUMNS if header.count(name) > 1]
    if repeated:
        raise ManifestError(
            f"{path}:{line}: column(s) {', '.join(repeated)} are there more than once; found {', '.join(header)}. Keep "
            "one of each, and rename or remove the others"
        )
    if not rows:
        raise ManifestError(f"{path}: has a header but no rows. {HELP}")
    return ManifestFile(header, [cells for _, cells in rows], [line for line, _ in rows])


def _rows_of_text(path: Path) -> list[tuple[int, list[str]]]:
    text = _LINE_FOR_EXCEL.sub("", _text(path))  # the empty line is still counted
    return _records(path, text, _separator(path, text))


def _rows_of_parquet(path: Path) -> list[tuple[int, list[str]]]:
    """Return the column names and the rows of a Parquet file, numbered like the lines of an equivalent CSV.

    Raises:
        ManifestError: if the file cannot be read.
        SettingsError: if ``pyarrow`` is not installed.
    """
    check_packages(str(path))
    try:
        names, rows = read_text_rows(path)
        return [(1, names), *((number, cells) for number, cells in enumerate(rows, 2) if any(map(str.strip, cells)))]
    except FileNotFoundError:
        raise ManifestError(_no_such_file(path)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise ManifestError(f"{path}: cannot be read as a Parquet file: {reason}. {HELP}") from error


def located(folder: Path, name: str) -> Path:
    """Return the path that a cell names, relative to the folder of the manifest.

    If no such file exists, backslashes are read as slashes, and ``~/`` as the user's home folder, provided that this
    file exists. The folder may be at an address, and the cell may hold an address itself.

    Raises:
        SettingsError: if an address is invalid, or the path leads out of the address of the manifest.
    """
    if is_address(name.strip()):
        return as_path(name.strip())
    if isinstance(folder, RemotePath):
        return folder.beside(name.strip())
    path = folder / name.strip()
    if "\\" in name and not _exists(path):
        slashed = folder / name.strip().replace("\\", "/")
        if _exists(slashed):
            return slashed
    if name.strip().startswith("~/") and not _exists(path):
        at_home = Path(name.strip()).expanduser()
        if _exists(at_home):
            return at_home
    return path


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # the name is too long or the folder cannot be listed; opening the file gives the reason
        return False


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ManifestError(_no_such_file(path)) from None
    except IsADirectoryError:
        raise ManifestError(
            f"{path}: is a folder; expected a CSV. Make one from a folder of images and masks: "
            f"promise data make {path} -o DATA.csv"
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        if isinstance(path, RemotePath):  # the reason says all that is needed
            raise ManifestError(f"{path}: {reason}") from error
        raise ManifestError(f"{path}: cannot be read as a CSV: {reason}. {HELP}") from error
    is_utf_16 = data.startswith(_UTF_16)
    if not is_utf_16 and b"\0" in data[:_START_BYTES]:
        raise ManifestError(
            f"{path}: cannot be read as a CSV: found bytes of value 0, as in Excel workbooks, images and UTF-16 "
            "without a byte order mark. Save it as UTF-8; in Excel, choose the type CSV UTF-8"
        )
    try:
        return data.decode("utf-16" if is_utf_16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        if is_utf_16:
            raise ManifestError(
                f"{path}: cannot be read as a CSV in UTF-16: {error.reason}. Save it as UTF-8"
            ) from error
        line = len((data[: error.start] + b".").splitlines())
        raise ManifestError(
            f"{path}:{line}: cannot be read as a CSV in UTF-8: found the byte 0x{data[error.start]:02x}, as in "
            "other encodings (Latin-1, Windows-1252). Save it as UTF-8; in Excel, choose the type CSV UTF-8"
        ) from error


def _no_such_file(path: Path) -> str:
    return f"{path}: no such file. Expected a CSV with the columns {', '.join(REQUIRED_COLUMNS)}. {HELP}"


def _separator(path: Path, text: str) -> str:
    """Return the separator with which the header has the most required columns."""

    def found(separator: str) -> int:
        names = _header(next((cells for _, cells in _records(path, text, separator, most=1)), []))
        return len(set(REQUIRED_COLUMNS) & set(names))

    return max(_SEPARATORS, key=found)


def _records(path: Path, text: str, separator: str, most: int | None = None) -> list[tuple[int, list[str]]]:
    """Return the first ``most`` non-empty rows (``None`` for all), each with the number of the line that it ends in."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    found: list[tuple[int, list[str]]] = []
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                found.append((reader.line_num, cells))
            if len(found) == most:
                break
    except csv.Error as error:
        raise ManifestError(f"{path}:{reader.line_num}: cannot be read as a CSV: {error}. {HELP}") from error
    return found


def _header(names: list[str]) -> list[str]:
    """Return the header with known names in lower case, unless another column has that name."""
    stripped = [name.strip() for name in names]
    return [
        name.lower() if name.lower() in KNOWN_COLUMNS and name.lower() not in stripped else name for name in stripped
    ]
