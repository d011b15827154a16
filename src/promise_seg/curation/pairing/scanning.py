"""Scan a folder for images to be paired and for files of unknown formats, ignoring files left by the system."""

import unicodedata
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from promise_seg.images.formats.dicom import DicomImage
from promise_seg.images.formats.kinds import SUFFIXES, kind_of, stem_of, suffix_of, told_by_content
from promise_seg.images.formats.pictures import Picture
from promise_seg.images.listing import is_nobodys, visible, visible_and_hidden

_OF_PROGRAMS = frozenset({"node_modules", "site-packages", "__pycache__"})
_COMPANIONS = frozenset({".csv", ".json", ".txt"})


def composed(name: str) -> str:
    """Return a name in Unicode's composed form (NFC), in which names are compared: macOS may take letters apart."""
    return unicodedata.normalize("NFC", name)


@dataclass(frozen=True)
class Entry:
    """An image or mask file, or a folder that is a single image: a DICOM series.

    ``parent`` is its folder relative to the scanned folder, with slashes; empty at the top.
    """

    path: Path
    parent: str
    stem: str

    @property
    def key(self) -> tuple[str, str]:
        """The folder and the stem, by which images and masks are matched, in the form of :func:`composed`."""
        return composed(self.parent), composed(self.stem)


@dataclass
class Scan:
    """The contents of a folder.

    ``ignored`` are files with unknown suffixes, ``texts`` are tables and other text files, ``hidden`` are hidden files
    and folders and those of installed packages, and ``folders`` are the scanned folders.
    """

    entries: list[Entry] = field(default_factory=list)
    ignored: list[Path] = field(default_factory=list)
    texts: list[Path] = field(default_factory=list)
    hidden: list[Path] = field(default_factory=list)
    folders: set[Path] = field(default_factory=set)


def subfolders(folder: Path) -> list[Path]:
    """Return the immediate subfolders of a folder, in order of name, without those of programs."""
    return [path for path in visible(folder) if path.is_dir() and not is_of_programs(path)]


def is_of_programs(folder: Path) -> bool:
    """Whether a folder holds the packages of Python or Node.js, whose images are nobody's data."""
    return folder.name in _OF_PROGRAMS or (folder / "pyvenv.cfg").is_file()


def _is_companion(path: Path) -> bool:
    return path.suffix.lower() in _COMPANIONS


def _is_image_without_suffix(path: Path) -> bool:
    """Whether a file is an image by its content although its suffix is unknown: ``1.2.840.99``, ``a.jfif``."""
    if _is_companion(path):
        return False
    told = told_by_content(path)
    return told is Picture or (told is not None and (not path.suffix or path.suffix[1:].isdecimal()))


def is_series(folder: Path) -> bool:
    """Whether a folder directly contains DICOM files, by suffix, or by content of the first file if none has one."""
    files = [path for path in visible(folder) if path.is_file() and not _is_companion(path)]
    suffixes = {suffix_of(path) for path in files}
    if any(SUFFIXES.get(suffix) is DicomImage for suffix in suffixes):
        return True
    return suffixes == {""} and kind_of(files[0]) is DicomImage


def _none(below: str) -> set[str]:
    del below
    return set()


def _are_single(folder: Path, stems: set[str]) -> bool:
    files = [path for path in visible(folder) if path.is_file() and not _is_companion(path)]
    return bool(files) and all(composed(stem_of(path)) in stems for path in files)


def scan(
    folder: Path,
    series: Collection[tuple[str, str]] = (),
    singly: Callable[[str], set[str]] = _none,
    *,
    divided: bool = False,
) -> Scan:
    """Scan a folder and all its subfolders; a folder that does not exist is empty.

    Args:
        folder: the folder; it is never treated as a series itself.
        series: keys of subfolders that are one entry whatever they contain, as the mask of a series may be any file.
        singly: maps a subfolder, relative to this one, to the composed stems of the files in it that are separate
            entries even if they are DICOM. If all of its files are among them, the subfolder is not a series.
        divided: whether all DICOM files are separate entries.
    """
    contents = Scan()
    if folder.is_dir():
        _scan_into(contents, folder, "", frozenset(series), None if divided else singly, frozenset())
    return contents


def _scan_into(
    found: Scan,
    folder: Path,
    parent: str,
    series: frozenset[tuple[str, str]],
    singly: Callable[[str], set[str]] | None,
    above: frozenset[Path],
) -> None:
    found.folders.add(folder)
    above = above | {folder.resolve()}
    paths, hidden = visible_and_hidden(folder)
    found.hidden += [path for path in hidden if not is_nobodys(path)]
    for path in paths:
        if path.is_dir():
            if path.resolve() in above:
                continue  # a link that leads back up
            if is_of_programs(path):
                found.hidden.append(path)
                continue
            below = f"{parent}/{path.name}" if parent else path.name
            whole = singly is not None and is_series(path) and not _are_single(path, singly(below))
            if (composed(parent), composed(path.name)) in series or whole:
                found.folders |= set(_all_folders(path))
                found.entries.append(Entry(path, parent, path.name))
            else:
                _scan_into(found, path, below, series, singly, above)
        elif suffix_of(path) or _is_image_without_suffix(path):
            found.entries.append(Entry(path, parent, stem_of(path)))
        else:
            (found.texts if _is_companion(path) else found.ignored).append(path)


def _all_folders(folder: Path) -> Iterator[Path]:
    yield folder
    yield from (path for path in folder.rglob("*") if path.is_dir())
