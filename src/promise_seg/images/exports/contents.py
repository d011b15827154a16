"""What lies in a folder that a user names, and below it; what of it is left out is known, to be said."""

import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from promise_seg.errors import ImageError
from promise_seg.images.formats.dicom import DicomImage
from promise_seg.images.formats.dicom_files import SEGMENTATION_CLASSES, read_dataset
from promise_seg.images.formats.kinds import SUFFIXES, kind_of, suffix_of
from promise_seg.images.formats.series_parts import PlacedImage, read_place
from promise_seg.images.listing import visible

_KNOWN_IMAGES = (
    ".mha", ".mhd", ".nrrd", ".nhdr", ".mgz", ".svs", ".ndpi", ".mrxs", ".czi", ".jp2", ".heic", ".avif", ".webp",
    ".gif",
)  # fmt: skip
UNREAD_SUFFIXES = frozenset(_KNOWN_IMAGES) - set(SUFFIXES)
"""Of images that are not looked for in folders."""


@dataclass
class Contents:
    """Images by how they are found: ``pictures`` directly in the folder, the others at any depth."""

    folder: Path
    pictures: list[Path] = field(default_factory=list)
    """All but DICOM, by suffix."""
    series: dict[tuple[str, ...], list[PlacedImage]] = field(default_factory=dict)
    single: list[Path] = field(default_factory=list)
    """DICOM that says of no place, has several frames, or cannot be read: whoever opens it says why."""
    damaged: list[str] = field(default_factory=list)
    """Why an image of these does not say where it lies."""
    below: list[Path] = field(default_factory=list)
    """Pictures and volumes in folders below, which are not looked for there."""
    unread: list[Path] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    """Why a folder, or what is in it, could not be looked at."""

    def notes(self) -> Iterator[str]:
        """What is left out, in a line for each reason."""
        yield from self.closed
        if self.below:
            yield (
                f"{self.folder}: left out {_several(self.below)} in folders below it, where only DICOM is looked for. "
                "Name these folders too"
            )
        if self.unread:
            yield (
                f"{self.folder}: left out {_several(self.unread)}, of no kind that is looked for in folders. Save as "
                "PNG, TIFF or NIfTI"
            )
        if self.damaged:
            yield f"{_first(self.damaged)}. Left out of its series"


def _first(reasons: list[str]) -> str:
    return reasons[0] + (f" (and {len(reasons) - 1} more in this way)" if len(reasons) > 1 else "")


def _several(paths: list[Path]) -> str:
    return f"{len(paths)} images (the first: {paths[0]})" if len(paths) > 1 else f"1 image ({paths[0]})"


def look_through(folder: Path) -> Contents:
    """What there is in a folder, none twice, whatever links lead to it.

    Raises:
        ImageError: if it cannot be listed. Folders below it that cannot are left out.
    """
    found = Contents(folder)
    _look_at(found, folder, visible(folder), {folder.resolve()})
    return found


def _look_at(found: Contents, folder: Path, paths: Iterable[Path], seen: set[Path]) -> None:
    folders: list[Path] = []
    closed: list[str] = []
    for path in paths:
        try:
            mode = path.stat().st_mode
        except OSError as error:  # no right to look, or a link to nowhere
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
        _add_dicom(found, path)


def _add_dicom(found: Contents, path: Path) -> None:
    """A file of any name, if it is DICOM and holds an image."""
    try:
        if kind_of(path) is not DicomImage:
            return
        header = read_dataset(path, pixels=False)
    except ImageError:
        found.single.append(path)
        return
    if header.get("SOPClassUID") in SEGMENTATION_CLASSES or "Rows" not in header:
        return
    try:
        image = read_place(path, header)
    except ImageError as problem:
        found.damaged.append(str(problem))
        image = None
    if image is None:
        found.single.append(path)
    else:
        found.series.setdefault(image.series, []).append(image)
