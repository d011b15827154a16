"""Find the images and volumes to predict in files and folders."""

import filecmp
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from promise_seg.errors import ImageError
from promise_seg.hashing import files_sha256
from promise_seg.images.exports.contents import look_through
from promise_seg.images.formats.kinds import SUFFIXES, kind_of, stem_of
from promise_seg.images.formats.opening import open_source
from promise_seg.images.formats.series import DicomSeries
from promise_seg.images.formats.series_parts import PlacedImage, SeriesPart, divide_series
from promise_seg.images.formats.source import Source
from promise_seg.images.listing import name_fault
from promise_seg.vocabulary import Axis

Note = Callable[[str], object]


@dataclass(frozen=True)
class Input:
    """A single image or a volume. ``stem`` names its outputs; ``files`` are those of a DICOM series."""

    path: Path
    stem: str
    files: tuple[Path, ...] = ()
    below: str = ""
    """The folders between the one that the user passed and this one, joined by ``_``."""

    @property
    def name(self) -> str:
        """The path, with the stem if the folder contains several inputs."""
        return f"{self.path}#{self.stem}" if self.files and self.stem != self.path.name else str(self.path)

    def open(self, axis: Axis) -> Source:
        """Open the slices.

        Raises:
            ImageError: if the input cannot be read.
        """
        return DicomSeries(self.path, axis, list(self.files)) if self.files else open_source(self.path, axis)

    def sha256(self) -> str:
        """Return the hash of all bytes of the input."""
        try:
            return files_sha256(list(self.files) or kind_of(self.path).files_of(self.path))
        except OSError as error:
            raise ImageError(f"{self.path}: cannot be read: {error.strerror or error}") from error


def _nothing(words: str) -> None:
    del words


def find_inputs(places: Iterable[str | Path], note: Note = _nothing) -> list[Input]:
    """Return the given files, the files directly in the given folders, and DICOM images anywhere below these.

    The DICOM images of one series that have a position form volumes, whatever folders they are in: one volume, or
    several if images differ in size or direction, or share a position. Other images are inputs of their own.
    Segmentations are left out. If names of files or folders occur twice, as in a PACS export, they are prefixed with
    their parent folders.

    Args:
        places: files and folders.
        note: called with a line for everything that is left out, and for series that are divided.

    Raises:
        ImageError: if a place does not exist or cannot be listed, there is nothing to predict, or two outputs would
            have the same name.
    """
    named = [Path(place) for place in places]
    found: list[Input] = []
    for place in named:
        found += _in_folder(place, note) if _is_folder(place) else [Input(place, stem_of(place))]
    if not found:
        raise ImageError(
            f"{', '.join(map(str, named))}: no images found; expected files ending in {', '.join(sorted(SUFFIXES))}, "
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
                f"{other.path} and {one.path} would both be written to masks/{one.stem}. Rename one of them, or "
                "predict them into different folders"
            )
    return list(by_stem.values())


def _is_folder(place: Path) -> bool:
    if fault := name_fault(place):
        raise ImageError(fault)
    try:
        return stat.S_ISDIR(place.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        raise ImageError(f"{place}: no such file or folder") from None
    except OSError as error:
        raise ImageError(f"{place}: cannot be opened: {error.strerror or error}") from error
    except ValueError as error:  # such as a zero byte
        raise ImageError(f"{str(place)!r}: not a valid file name: {error}") from error


def _in_folder(place: Path, note: Note) -> list[Input]:
    contents = look_through(place)
    for words in contents.notes():
        note(words)
    found = [Input(path, stem_of(path)) for path in contents.pictures]
    volumes: list[tuple[int, SeriesPart]] = []
    single = contents.single
    ordered = sorted(contents.series.values(), key=lambda images: (images[0].series_number or 0, images[0].series))
    for number, images in enumerate(ordered):
        parts = divide_series(_without_copies(images, note))
        if len(parts) > 1:
            note(_division(parts))
        volumes += [(number, part) for part in parts if len(part.images) > 1]
        single += [part.images[0].path for part in parts if len(part.images) == 1]
    found += _volumes(place, volumes)
    return found + [Input(path, stem_of(path), below=_joined(path.parent, place)) for path in sorted(single)]


def _without_copies(images: list[PlacedImage], note: Note) -> list[PlacedImage]:
    """Return each image once, even if an export contains it twice."""
    kept: dict[str, PlacedImage] = {}
    copies: dict[Path, Path] = {}
    for image in sorted(images, key=lambda image: image.path):
        first = kept.setdefault(image.uid, image)
        if first is not image and filecmp.cmp(first.path, image.path, shallow=False):
            copies[image.path] = first.path
    if copies:
        copy, first_path = next(iter(copies.items()))
        more = f" (and {len(copies) - 1} more copies)" if len(copies) > 1 else ""
        note(f"{copy}: left out: a copy of {first_path}{more}")
    return [image for image in images if image.path not in copies]


def _division(parts: Sequence[SeriesPart]) -> str:
    images = [image for part in parts for image in part.images]
    volumes = sum(len(part.images) > 1 for part in parts)
    counts = ((volumes, "volume"), (len(parts) - volumes, "single image"))
    made = " and ".join(f"{count} {what}{'s' * (count > 1)}" for count, what in counts if count)
    number = images[0].series_number
    name = "a series" if number is None else f"series {number}"
    ways = dict.fromkeys(word for part in parts for word in part.by)
    return f"{_common_folder(images)}: {name} was divided into {made}: by {', '.join(ways)}"


def _volumes(place: Path, volumes: Iterable[tuple[int, SeriesPart]]) -> Iterator[Input]:
    """Yield volumes named after the folder of all their images, numbered by series and labelled by part if needed."""
    by_folder: dict[Path, list[tuple[int, SeriesPart]]] = {}
    for series, part in volumes:
        by_folder.setdefault(_common_folder(part.images), []).append((series, part))
    for folder, inside in sorted(by_folder.items()):
        counts = Counter(series for series, _ in inside)
        for series, part in inside:
            stem = folder.resolve().name if folder.name in ("", "..") else folder.name
            if len(counts) > 1:
                stem += f"_{sorted(counts).index(series) + 1}"
            if counts[series] > 1:
                stem += f"_{part.label}"
            files = tuple(sorted(image.path for image in part.images))
            yield Input(folder, stem, files, "" if folder == place else _joined(folder.parent, place))


def _common_folder(images: Iterable[PlacedImage]) -> Path:
    return Path(os.path.commonpath([image.path.parent for image in images]))


def _joined(folder: Path, place: Path) -> str:
    """Return the folders from the given one (exclusive) down to one below it, joined by ``_``."""
    return "_".join(folder.relative_to(place).parts)
