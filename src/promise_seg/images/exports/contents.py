"""List the images in a folder and its subfolders, with a note about everything that is left out."""

import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from promise_seg.errors import ImageError
from promise_seg.images.formats.dicom import DicomImage
from promise_seg.images.formats.dicom_files import SEGMENTATION_CLASSES, read_mended
from promise_seg.images.formats.kinds import SUFFIXES, kind_of, suffix_of, told_by_content
from promise_seg.images.formats.notes import in_words
from promise_seg.images.formats.series_parts import PlacedImage, read_place, series_of
from promise_seg.images.listing import name_fault, visible

_KNOWN_IMAGES = (
    ".mha", ".mhd", ".nrrd", ".nhdr", ".mgz", ".svs", ".ndpi", ".mrxs", ".czi", ".jp2", ".heic", ".avif", ".webp",
    ".gif",
)  # fmt: skip
_SHOWN = 5
UNREAD_SUFFIXES = frozenset(_KNOWN_IMAGES) - set(SUFFIXES)
"""The suffixes of image files that are not searched for in folders."""


@dataclass
class Contents:
    """The images of a folder: ``pictures`` are directly in it, DICOM files at any depth."""

    folder: Path
    pictures: list[Path] = field(default_factory=list)
    """Images other than DICOM, recognised by suffix."""
    series: dict[tuple[str, ...], list[PlacedImage]] = field(default_factory=dict)
    single: list[Path] = field(default_factory=list)
    """DICOM files without a position, with several frames, or unreadable; opening them raises the reason."""
    damaged: list[str] = field(default_factory=list)
    """Reasons why the position of an image cannot be read."""
    unplaced: list[tuple[tuple[str, ...], Path]] = field(default_factory=list)
    """The series of images that do not say where they lie."""
    below: list[Path] = field(default_factory=list)
    """Images and volumes in subfolders, where only DICOM is searched for."""
    unread: list[Path] = field(default_factory=list)
    no_images: list[Path] = field(default_factory=list)
    """Files whose content is no image of a known format."""
    no_pixels: list[Path] = field(default_factory=list)
    """DICOM segmentations, and DICOM objects without pixels."""
    closed: list[str] = field(default_factory=list)
    """Reasons why a folder or its contents could not be listed."""

    def notes(self) -> Iterator[str]:
        """Yield one line for each reason why images are left out."""
        yield from self.closed
        if self.below:
            yield (
                f"{self.folder}: left out {_several(self.below)} in subfolders, where only DICOM is searched for. "
                "Pass these folders too"
            )
        if self.unread:
            yield (
                f"{self.folder}: left out {_several(self.unread)}, of formats that are not searched for in folders. "
                "Save as PNG, TIFF or NIfTI"
            )
        if lone := [path for series, path in self.unplaced if series in self.series]:
            yield f"{_several(lone)} left out of a series, whose other images say where they lie: predicted by itself"
        if self.no_pixels:
            yield (
                f"{self.folder}: left out {len(self.no_pixels)} DICOM segmentation(s) or object(s) without pixels "
                f"(the first: {self.no_pixels[0]})"
            )
        if self.no_images:
            yield (
                f"{self.folder}: left out {len(self.no_images)} file(s) that are no images: {_kinds(self.no_images)} "
                f"(the first: {self.no_images[0]})"
            )
        if self.damaged:
            yield f"{_first(self.damaged)}. Left out of its series"


def _first(reasons: list[str]) -> str:
    return reasons[0] + (f" (and {len(reasons) - 1} more for this reason)" if len(reasons) > 1 else "")


def _kinds(paths: list[Path]) -> str:
    """Return how many files there are of each suffix."""
    counts = Counter(path.suffix.lower() or "no suffix" for path in paths)
    shown = [f"{suffix} {count}" for suffix, count in counts.most_common(_SHOWN)]
    return ", ".join(shown) + (" ..." if len(counts) > _SHOWN else "")


def _several(paths: list[Path]) -> str:
    return f"{len(paths)} images (the first: {paths[0]})" if len(paths) > 1 else f"1 image ({paths[0]})"


def look_through(folder: Path) -> Contents:
    """List the contents of a folder, each file once even if several links lead to it.

    Raises:
        ImageError: if the folder cannot be listed. Subfolders that cannot be listed are left out.
    """
    found = Contents(folder)
    _look_at(found, folder, visible(folder), {folder.resolve()})
    return found


def _look_at(found: Contents, folder: Path, paths: Iterable[Path], seen: set[Path]) -> None:
    folders: list[Path] = []
    closed: list[str] = []
    for path in paths:
        if fault := name_fault(path):
            closed.append(f"{fault}. Left out")
            continue
        try:
            mode = path.stat().st_mode
        except OSError as error:  # no permission, or a broken link
            closed.append(f"{path}: left out: {error.strerror or error}")
            continue
        if stat.S_ISDIR(mode):
            folders.append(path)
        elif stat.S_ISREG(mode):
            _add_file(found, path)
    if closed:
        found.closed.append(_first(closed))
    for inner in folders:
        if inner.resolve() not in seen:
            seen.add(inner.resolve())
            try:
                inside = visible(inner)
            except ImageError as problem:
                found.closed.append(f"{problem}. Left out")
            else:
                _look_at(found, inner, inside, seen)


def _add_file(found: Contents, path: Path) -> None:
    is_below = path.parent != found.folder
    named = SUFFIXES.get(suffix_of(path))
    if named is not None and named.is_found_by_suffix:
        (found.below if is_below else found.pictures).append(path)
    elif path.suffix.lower() in UNREAD_SUFFIXES:
        (found.below if is_below else found.unread).append(path)
    else:
        _add_by_content(found, path)


def _add_by_content(found: Contents, path: Path) -> None:
    """Add a file whose name tells nothing by its first bytes."""
    try:
        kind = kind_of(path)
    except ImageError:
        found.single.append(path)
        return
    if kind is DicomImage:
        _add_dicom(found, path)
    elif told_by_content(path) is None:
        found.no_images.append(path)
    elif path.parent == found.folder:
        found.pictures.append(path)
    else:
        found.below.append(path)


def _add_dicom(found: Contents, path: Path) -> None:
    """Add a DICOM file of any name, if it contains an image."""
    try:
        header, notes = read_mended(path, pixels=False)
    except ImageError:
        found.single.append(path)
        return
    if header.get("SOPClassUID") in SEGMENTATION_CLASSES or "Rows" not in header:
        found.no_pixels.append(path)
        return
    try:
        image = read_place(path, header)
    except ImageError as problem:
        found.damaged.append(str(problem))
        image = None
    if image is None:
        lost = [note for note in notes if "ImagePositionPatient" in note]
        found.damaged += in_words(path, lost)
        if not (lost or header.get("ImagePositionPatient") or header.get("NumberOfFrames")):
            found.unplaced.append((series_of(path, header), path))
        found.single.append(path)
    else:
        found.series.setdefault(image.series, []).append(image)
