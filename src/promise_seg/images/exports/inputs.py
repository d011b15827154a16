"""What there is to predict in the files and folders that a user names."""

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
from promise_seg.images.formats.kinds import SUFFIXES, stem_of
from promise_seg.images.formats.opening import open_source
from promise_seg.images.formats.series import DicomSeries
from promise_seg.images.formats.series_parts import PlacedImage, SeriesPart, divide_series
from promise_seg.images.formats.source import Source
from promise_seg.vocabulary import Axis

Note = Callable[[str], object]


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


def _nothing(words: str) -> None:
    del words


def find_inputs(places: Iterable[str | Path], note: Note = _nothing) -> list[Input]:
    """Files named directly, those directly inside of named folders, and the DICOM images anywhere below them.

    DICOM images of one series that say where they lie form volumes, whatever folders they lie in: one, or several where
    they differ in size or direction, or lie at the same place. Others stand for themselves. Segmentations are left out.
    Where names of files or folders recur, as in a PACS export, those of the folders above go before them.

    Args:
        places: files and folders.
        note: is told, a line each, what is left out, and which series are divided.

    Raises:
        ImageError: if a place does not exist or cannot be looked at, there is nothing to predict, or two outputs would
            have the same name.
    """
    named = [Path(place) for place in places]
    found: list[Input] = []
    for place in named:
        found += _in_folder(place, note) if _is_folder(place) else [Input(place, stem_of(place))]
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


def _is_folder(place: Path) -> bool:
    try:
        return stat.S_ISDIR(place.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        raise ImageError(f"{place}: no such file or folder") from None
    except OSError as error:
        raise ImageError(f"{place}: cannot be opened: {error.strerror or error}") from error
    except ValueError as error:  # a zero byte, among others
        raise ImageError(f"{str(place)!r}: no name that a file can have: {error}") from error


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
    """Each image once, though an export may hold it twice."""
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
    """Named by the folder that holds all their images; by the order of the series and the part's label where needed."""
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
    """The folders from a named one, without it, to one below it."""
    return "_".join(folder.relative_to(place).parts)
