"""What there is to predict in the files and folders that a user names."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from promise_seg.data.formats.dicom_files import SEGMENTATION_CLASSES, read_dataset
from promise_seg.data.formats.kinds import SUFFIXES, FileKind, kind_of, stem_of, suffix_of
from promise_seg.data.formats.opening import open_source
from promise_seg.data.formats.orientation import Axis
from promise_seg.data.formats.series import DicomSeries
from promise_seg.data.formats.source import Source
from promise_seg.errors import ImageError
from promise_seg.hashing import files_sha256


@dataclass(frozen=True)
class Input:
    """One picture or volume. ``stem`` names its outputs; ``files`` are those of a DICOM series."""

    path: Path
    stem: str
    files: tuple[Path, ...] = ()
    below: str = ""
    """The folders between the one that the user named and this, joined by ``_``."""

    @property
    def name(self) -> str:
        """Its path, with the stem where a folder holds several."""
        return f"{self.path}#{self.stem}" if self.files and self.stem != self.path.name else str(self.path)

    def open(self, axis: Axis) -> Source:
        """Its slices.

        Raises:
            ImageError: if it cannot be read.
        """
        return DicomSeries(self.path, axis, list(self.files)) if self.files else open_source(self.path, axis)

    def sha256(self) -> str:
        """Hash of all its bytes."""
        try:
            return files_sha256(list(self.files) or [self.path])
        except OSError as error:
            raise ImageError(f"{self.path}: cannot be read: {error.strerror or error}") from error


def find_inputs(places: Iterable[str | Path]) -> list[Input]:
    """Files named directly, those directly inside of named folders, and the DICOM images anywhere below them.

    DICOM images of one series that say where they lie form one volume; others stand for themselves. Segmentations are
    left out. Where names of files or folders recur, as in a PACS export, those of the folders above go before them.

    Raises:
        ImageError: if a place does not exist, there is nothing to predict, or two outputs would have the same name.
    """
    named = [Path(place) for place in places]
    found: list[Input] = []
    for place in named:
        if place.is_dir():
            found += _pictures(place)
            found += _dicoms(place, (), {place.resolve()})
        elif place.exists():
            found.append(Input(place, stem_of(place)))
        else:
            raise ImageError(f"{place}: no such file or folder")
    if not found:
        raise ImageError(
            f"{', '.join(map(str, named))}: no images there; expected files ending in {', '.join(sorted(SUFFIXES))}, "
            "or DICOM files of any name"
        )
    counts = Counter(one.stem for one in found)
    found = [
        replace(one, stem=f"{one.below}_{one.stem}") if counts[one.stem] > 1 and one.below else one for one in found
    ]
    by_stem: dict[str, Input] = {}
    for one in found:
        other = by_stem.setdefault(one.stem, one)
        if other != one:
            raise ImageError(
                f"{other.path} and {one.path} would both get the mask masks/{one.stem}. Rename one, or predict them "
                "into different folders"
            )
    return list(by_stem.values())


def _visible(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if not p.name.startswith("."))


def _pictures(folder: Path) -> Iterator[Input]:
    """Everything but DICOM, by its suffix."""
    for path in _visible(folder):
        if path.is_file() and SUFFIXES.get(suffix_of(path), FileKind.DICOM) != FileKind.DICOM:
            yield Input(path, stem_of(path))


def _dicoms(folder: Path, names: tuple[str, ...], seen: set[Path]) -> Iterator[Input]:
    """The series and single images of a folder, then of those below it; none twice, whatever links lead to it.

    ``names`` are those of the folders from the one that the user named, without it, to this one.
    """
    below = "_".join(names)
    series: dict[str, list[tuple[Path, bool]]] = {}
    unreadable: list[Input] = []
    for path in _visible(folder):
        if not path.is_file() or suffix_of(path) not in ("", ".dcm") or path.name == "DICOMDIR":
            continue
        try:
            if kind_of(path) != FileKind.DICOM:
                continue
            header = read_dataset(path, pixels=False)
        except ImageError:
            unreadable.append(Input(path, stem_of(path), below=below))  # whoever opens it says why
            continue
        if header.get("SOPClassUID") in SEGMENTATION_CLASSES or "Rows" not in header:
            continue
        placed = "ImagePositionPatient" in header and not int(header.get("NumberOfFrames") or 1) > 1
        series.setdefault(str(header.get("SeriesInstanceUID", "")), []).append((path, placed))
    volumes = [[p for p, placed in files if placed] for files in series.values()]
    volumes = [files for files in volumes if len(files) > 1]
    stacked = {path for files in volumes for path in files}
    for number, files in enumerate(volumes):
        stem = folder.name if len(volumes) == 1 else f"{folder.name}_{number + 1}"
        yield Input(folder, stem, tuple(files), "_".join(names[:-1]))
    yield from (Input(p, stem_of(p), below=below) for files in series.values() for p, _ in files if p not in stacked)
    yield from unreadable
    for inner in _visible(folder):
        if inner.is_dir() and inner.resolve() not in seen:
            seen.add(inner.resolve())
            yield from _dicoms(inner, (*names, inner.name), seen)
