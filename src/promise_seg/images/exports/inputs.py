"""Find the images and volumes to predict in files and folders."""

import filecmp
import itertools
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from promise_seg.errors import ImageError, NoImagesError
from promise_seg.images.channels import Channels
from promise_seg.images.exports.cases import joined_cases
from promise_seg.images.exports.contents import Contents, look_through
from promise_seg.images.formats.companions import VolumeWithHeader
from promise_seg.images.formats.dicom import DicomImage
from promise_seg.images.formats.kinds import SUFFIXES, kind_of, stem_of, stem_of_name, suffix_of
from promise_seg.images.formats.opening import open_source
from promise_seg.images.formats.series import DicomSeries
from promise_seg.images.formats.series_files import dicom_files
from promise_seg.images.formats.series_parts import PlacedImage, SeriesPart, divide_series
from promise_seg.images.formats.source import Source
from promise_seg.images.listing import is_litter, name_fault
from promise_seg.images.own_folders import PREDICTION_FOLDERS
from promise_seg.storage.hashing import files_sha256
from promise_seg.storage.object_stores import is_address
from promise_seg.storage.remote_paths import RemotePath, as_path, begin_reading
from promise_seg.vocabulary import Axis

if TYPE_CHECKING:
    from promise_seg.images.exports.input_list import InputList

Note = Callable[[str], object]

_MOST_NAMED = 4  # of the stems that several inputs have


@dataclass(frozen=True, slots=True)
class Input:
    """A single image or a volume.

    ``stem`` names its outputs: a path relative to their folder, with slashes and without suffix. ``files`` are the
    files of a DICOM series.
    """

    path: Path
    stem: str
    files: tuple[Path, ...] = ()
    below: str = ""
    """The folders between the one that the user passed and this one, joined by ``_``; only for DICOM."""
    root: Path = Path()
    """The folder that the user passed, or the folder of the file that the user passed."""
    beside: tuple[Path, ...] = ()
    """The files of its other channels."""

    @property
    def name(self) -> str:
        """The path, with the end of the stem if the folder contains several inputs."""
        end = self.stem.rpartition("/")[2]
        return f"{self.path}#{end}" if self.files and not self.beside and end != self.path.name else str(self.path)

    @property
    def key(self) -> str:
        """The absolute name, which identifies an image independently of the current folder."""
        return key_of(self.name)

    def open(self, axis: Axis) -> Source:
        """Open the slices.

        Raises:
            ImageError: if the input cannot be read.
        """
        return DicomSeries(self.path, axis, list(self.files)) if self.files else open_source(self.path, axis)

    def sha256(self) -> str:
        """Return the hash of all bytes of the input."""
        try:
            return files_sha256(self._all_files())
        except OSError as error:
            raise ImageError(f"{self.path}: cannot be read: {error.strerror or error}") from error

    def state(self) -> list[list[int]]:
        """Return the size and the modification time of each file; while they are the same, so is the hash.

        Raises:
            ImageError: if the input cannot be read.
        """
        try:
            files = [self.path] if _is_single_object(self.path) and not self.beside else self._all_files()
            return [[found.st_size, found.st_mtime_ns] for found in (path.stat() for path in files)]
        except OSError as error:
            raise ImageError(f"{self.path}: cannot be read: {error.strerror or error}") from error

    def _all_files(self) -> list[Path]:
        files = list(self.files) or _files_of(self.path)
        return [*files, *(file for path in self.beside for file in _files_of(path))]


def _is_single_object(path: Path) -> bool:
    """Whether a remote file has no data file next to it, judged by its suffix to avoid fetching the content."""
    named = SUFFIXES.get(suffix_of(path))
    return isinstance(path, RemotePath) and named is not None and not issubclass(named, VolumeWithHeader)


def _files_of(path: Path) -> list[Path]:
    """Return all files of an image or of a folder that holds one series."""
    return dicom_files(path) if path.is_dir() else kind_of(path).files_of(path)


def _nothing(words: str) -> None:
    del words


def key_of(name: str) -> str:
    """Return the absolute name of an input, with the links in its folder resolved; the input itself may be a link.

    An address is returned unchanged.
    """
    if is_address(name):
        return name
    path = Path(name).absolute()
    return str(path.resolve() if path.name == ".." else path.parent.resolve() / path.name)


def find_inputs(
    places: Iterable[str | Path],
    note: Note = _nothing,
    output: str | Path | None = None,
    channels: Channels | None = None,
) -> Sequence[Input]:
    """Return the given files, and the images and volumes in the given folders, at any depth.

    Outputs for a folder keep its tree: the stem of ``images/p1/a.png`` is ``p1/a`` if ``images`` was given. If outputs
    of several places would have the same name, all names start below the common folder of the places.

    The DICOM images of one series that have a position form volumes, whatever folders they are in: one volume, or
    several if images differ in size or direction, or share a position. Other images are separate inputs.
    Segmentations are left out. If names of DICOM files or their folders occur twice, as in a PACS export, they are
    prefixed with their parent folders.

    Args:
        places: files and folders, or addresses of them; files below an address are recognized by their names.
        note: called with a line for everything that is left out, and for series that are divided.
        output: folder that predictions are written to; predictions in it are not read as images.
        channels: channels of the model; files that are channels of one case become one input.

    Raises:
        ImageError: if a place does not exist or cannot be listed, there is nothing to predict (``NoImagesError``), or
            two outputs would have the same name.
    """
    named = [as_path(place) for place in places]
    if any(isinstance(place, RemotePath) for place in named):
        begin_reading()
    into = None if output is None else as_path(output)
    found: list[Input] = []
    for place in named:
        if isinstance(place, RemotePath):
            found += inputs_at(place, into, note)
        elif _is_folder(place):
            contents = look_through(place, into)
            for words in contents.notes():
                note(words)
            pictures = _pictures(place, contents)
            is_all = len(named) == 1 and not (contents.series or contents.single or (channels and channels.names))
            if is_all and pictures and pictures.have_own_stems:
                return pictures
            found += [*pictures, *(replace(one, root=place) for one in _dicom(place, contents, note))]
        else:
            found.append(Input(place, stem_of(place), root=place.parent))
    if not found:
        raise NoImagesError(
            f"{', '.join(map(str, named))}: no images found; expected files ending in {', '.join(sorted(SUFFIXES))}, "
            "or DICOM files of any name"
        )
    once: dict[tuple[str, tuple[Path, ...]], Input] = {}
    for one in joined_cases(found, channels, note):
        once.setdefault((one.key, one.files), one)
    return _with_names_of_their_own(list(once.values()))


def _with_names_of_their_own(found: list[Input]) -> list[Input]:
    """Give each input a unique stem.

    Raises:
        ImageError: if that is not possible, as for ``a.png`` and ``a.jpg`` in one folder.
    """
    counts = Counter(one.stem for one in found)
    found = [
        replace(one, stem=f"{one.below}_{one.stem}") if counts[one.stem] > 1 and one.below else one for one in found
    ]
    roots: dict[str, set[Path]] = {}
    for one in found:
        roots.setdefault(one.stem, set()).add(one.root.resolve())
    if any(len(several) > 1 for several in roots.values()):
        found = _below_shared_folder(found)
    by_stem: dict[str, list[Input]] = {}
    for one in found:
        by_stem.setdefault(one.stem, []).append(one)
    if clashes := [several for several in by_stem.values() if len(several) > 1]:
        first, second = clashes[0][:2]
        others = ", ".join(several[0].stem for several in clashes[1:_MOST_NAMED])
        unnamed = f" and {len(clashes) - _MOST_NAMED} more" if len(clashes) > _MOST_NAMED else ""
        more = f". The same is true of {others}{unnamed}" if others else ""
        raise ImageError(
            f"{first.path} and {second.path} would both be written to masks/{first.stem}{more}. Rename one of them, or "
            "predict them into different folders"
        )
    return found


def _below_shared_folder(found: list[Input]) -> list[Input]:
    """Prefix each stem with the path from the common folder of all places to the place of the input."""
    roots = {one.root: one.root.resolve() for one in found}
    try:
        shared = os.path.commonpath([str(place).replace("://", ":/", 1) for place in roots.values()])
    except ValueError:  # on different drives
        return found
    above = {root: place.relative_to(shared) for root, place in roots.items()}
    return [replace(one, stem=(above[one.root] / one.stem).as_posix()) for one in found]


def inputs_at(place: RemotePath, output: Path | None, note: Note) -> list[Input]:
    """Return the image at an address, or the images below it, recognized by their names.

    Raises:
        ImageError: if nothing exists at the address, or it cannot be listed.
    """
    try:
        if suffix_of(place) or not place.is_prefix():  # reading it will show whether it exists
            return [Input(place, stem_of(place), root=place.parent)]
        files = [path for path in place.objects() if not _is_left_out(path, place, output)]
    except FileNotFoundError:
        raise ImageError(f"{place}: no such file or folder") from None
    except OSError as error:
        raise ImageError(f"{place}: cannot be listed: {error.strerror}") from error
    dicom = [path for path in files if SUFFIXES[suffix_of(path)] is DicomImage]
    if dicom:
        note(
            f"{dicom[0]}: left out, with {len(dicom) - 1:,} more DICOM files: series are put together from folders of "
            "this computer. Copy them to one, or name single files"
        )
    left = set(dicom)
    stems = ((path, (path.parent.relative_to(place) / stem_of(path)).as_posix()) for path in files if path not in left)
    return [Input(path, stem, root=place) for path, stem in stems]


def _is_left_out(path: RemotePath, place: RemotePath, output: Path | None) -> bool:
    """Whether an object is not an image, is hidden, or was written as a prediction."""
    if not suffix_of(path) or any(map(is_litter, map(Path, path.relative_to(place).parts))):
        return True
    if not isinstance(output, RemotePath) or not path.is_relative_to(output):
        return False
    return path.relative_to(output).parts[0] in PREDICTION_FOLDERS


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


def _pictures(place: Path, contents: Contents) -> "InputList":
    """Return the images of a folder that are not DICOM files, and remove them from its contents."""
    from promise_seg.images.exports.input_list import InputList

    return InputList.of_files(place, _with_stems(place, contents.pictures.taken()))


def _with_stems(place: Path, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    for folder, inside in itertools.groupby(names, os.path.dirname):
        before = (Path(folder).relative_to(place) / "_").as_posix()[:-1]
        for name in inside:
            yield name, before + stem_of_name(name.rpartition(os.sep)[2])


def _dicom(place: Path, contents: Contents, note: Note) -> list[Input]:
    volumes: list[tuple[int, SeriesPart]] = []
    single = contents.single
    ordered = sorted(contents.series.values(), key=lambda images: (images[0].series_number or 0, images[0].series))
    for number, images in enumerate(ordered):
        parts = divide_series(_without_copies(images, note))
        if len(parts) > 1:
            note(_division(parts))
        volumes += [(number, part) for part in parts if len(part.images) > 1]
        single += [part.images[0].path for part in parts if len(part.images) == 1]
    return list(_volumes(place, volumes)) + [
        Input(path, stem_of(path), below=_joined(path.parent, place)) for path in sorted(single)
    ]


def _without_copies(images: list[PlacedImage], note: Note) -> list[PlacedImage]:
    """Return the images without identical copies, which an export may contain."""
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
                stem += f"_{part.name}"
            files = tuple(sorted(image.path for image in part.images))
            yield Input(folder, stem, files, "" if folder == place else _joined(folder.parent, place))


def _common_folder(images: Iterable[PlacedImage]) -> Path:
    return Path(os.path.commonpath([image.path.parent for image in images]))


def _joined(folder: Path, place: Path) -> str:
    """Return the names of the folders from ``place`` (exclusive) down to ``folder``, joined by ``_``."""
    return "_".join(folder.relative_to(place).parts)
