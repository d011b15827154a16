"""List the images in a folder and its subfolders, with a note about everything that is left out."""

import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from promise_seg.errors import ImageError
from promise_seg.images.exports.path_list import PathList
from promise_seg.images.folder_names import MASK_FOLDERS, plain
from promise_seg.images.formats.dicom import DicomImage
from promise_seg.images.formats.dicom_files import SEGMENTATION_CLASSES, read_mended
from promise_seg.images.formats.kinds import SUFFIXES, kind_of, suffix_of, told_by_content
from promise_seg.images.formats.notes import in_words
from promise_seg.images.formats.series_parts import PlacedImage, read_place, series_of
from promise_seg.images.formats.tiff_sets import files_of_set
from promise_seg.images.listing import is_nobodys, name_fault, visible_and_hidden
from promise_seg.images.own_folders import is_run_or_masks, of_predictions

_KNOWN_IMAGES = (
    ".mha", ".mhd", ".nrrd", ".nhdr", ".mgz", ".svs", ".ndpi", ".mrxs", ".czi", ".jp2", ".heic", ".avif", ".webp",
    ".gif", ".heif",
)  # fmt: skip
_OFTEN_IMAGES = frozenset({
    ".mgh", ".psd", ".svg", ".pdf", ".vsi", ".lif", ".nd2", ".oib", ".oif", ".zvi", ".scn", ".bif", ".img", ".hdr",
    ".par", ".mnc", ".gipl", ".vtk", ".mat", ".h5", ".hdf5", ".mpg", ".mpeg", ".wmv", ".flv", ".ogv", ".mts", ".m2ts",
    ".vob", ".3gp",
})  # fmt: skip
"""Suffixes of images, volumes and videos that are not read unless their content is of a known format."""
_OME_SUFFIXES = (".ome.tif", ".ome.tiff")
_SHOWN = 5
UNREAD_SUFFIXES = frozenset(_KNOWN_IMAGES) - set(SUFFIXES)
"""The suffixes of image files that are not searched for in folders."""
_LABELS_OF_NNUNET = frozenset({"labelstr", "labelsts", "labelsval"})


@dataclass
class Contents:
    """The images of a folder, at any depth.

    Args:
        folder: the folder.
        output: the resolved folder that predictions are written to, which may be in ``folder``.
    """

    folder: Path
    output: Path | None = None
    pictures: PathList = field(default_factory=PathList)
    """Images and volumes other than DICOM."""
    masks: PathList = field(default_factory=PathList)
    """Images and volumes other than DICOM in folders of masks, if there are images elsewhere."""
    series: dict[tuple[str, ...], list[PlacedImage]] = field(default_factory=dict)
    single: list[Path] = field(default_factory=list)
    """DICOM files without a position, with several frames, or unreadable; opening them raises the reason."""
    damaged: list[str] = field(default_factory=list)
    """Reasons why the position of an image cannot be read."""
    unplaced: list[tuple[tuple[str, ...], Path]] = field(default_factory=list)
    """The series and the path of each image without a position."""
    unread: list[Path] = field(default_factory=list)
    no_images: list[Path] = field(default_factory=list)
    """Files whose content is not an image of a known format."""
    no_pixels: list[Path] = field(default_factory=list)
    """DICOM segmentations, and DICOM objects without pixels."""
    hidden: list[Path] = field(default_factory=list)
    """Hidden files and folders, and folders that operating systems leave behind."""
    own: list[Path] = field(default_factory=list)
    """Folders that this program wrote."""
    of_sets: list[Path] = field(default_factory=list)
    """Files of OME-TIFFs of several files, which are read with the first file of each."""
    closed: list[str] = field(default_factory=list)
    """Reasons why a folder or its contents could not be listed."""

    def notes(self) -> Iterator[str]:
        """Yield a line for each reason why files are left out."""
        yield from self.closed
        if self.masks:
            yield (
                f"{self.folder}: left out {_several(list(self.masks))} in folders of masks. If they are images, pass "
                "their folders themselves"
            )
        if self.of_sets:
            yield (
                f"{self.folder}: left out {_first_of(self.of_sets, 'file')} of OME-TIFFs with several files, which are "
                "read with the first file of each"
            )
        if self.own:
            yield (
                f"{self.folder}: left out {_first_of(self.own, 'folder')} that promise-seg wrote. Pass a folder itself "
                "to read the images in it"
            )
        if self.hidden:
            yield (
                f"{self.folder}: left out {_first_of(self.hidden, 'hidden file or folder', 'hidden files and folders')}"
                ". Pass one by itself, or rename it, to read the images in it"
            )
        if self.unread:
            yield (
                f"{self.folder}: left out {_several(self.unread)}, of formats that are not searched for in folders: "
                f"{_kinds(self.unread)}. Save as PNG, TIFF, NIfTI or MP4"
            )
        if lone := [path for series, path in self.unplaced if series in self.series]:
            yield (
                f"{_several(lone)} left out of a series because it has no position, unlike the other images; "
                "predicted separately"
            )
        if self.no_pixels:
            yield (
                f"{self.folder}: left out {len(self.no_pixels)} DICOM segmentation(s) or object(s) without pixels "
                f"(the first: {self.no_pixels[0]})"
            )
        if self.no_images:
            yield (
                f"{self.folder}: left out {len(self.no_images)} file(s) that are not images: {_kinds(self.no_images)} "
                f"(the first: {self.no_images[0]})"
            )
        if self.damaged:
            yield f"{_first(self.damaged)}. Left out of its series"


def _first(reasons: list[str]) -> str:
    return reasons[0] + (f" (and {len(reasons) - 1} more for this reason)" if len(reasons) > 1 else "")


def _first_of(paths: list[Path], one: str, several: str = "") -> str:
    return f"{len(paths)} {several or one + 's'} (the first: {paths[0]})" if len(paths) > 1 else f"1 {one} ({paths[0]})"


def _kinds(paths: list[Path]) -> str:
    """Return the number of files of each suffix, the most frequent first."""
    counts = Counter(path.suffix.lower() or "no suffix" for path in paths)
    shown = [f"{suffix} {count}" for suffix, count in counts.most_common(_SHOWN)]
    return ", ".join(shown) + (" ..." if len(counts) > _SHOWN else "")


def _several(paths: list[Path]) -> str:
    return _first_of(paths, "image")


def look_through(folder: Path, output: Path | None = None) -> Contents:
    """List the contents of a folder, each file once even if several links lead to it.

    Real folders come before links to folders, so that a file is listed in its real folder.

    Args:
        folder: the folder.
        output: the folder that predictions are written to; its masks are not images even before there is a table.

    Raises:
        ImageError: if the folder cannot be listed. Subfolders that cannot be listed are left out.
    """
    found = Contents(folder, None if output is None else output.resolve())
    seen, links = {folder.resolve()}, list[Path]()
    _look_at(found, folder, visible_and_hidden(folder), seen, links)
    while links:
        _enter(found, links.pop(0), seen, links)
    if not (found.pictures or found.series or found.single):
        found.pictures, found.masks = found.masks, PathList()
    _drop_companions(found)
    found.pictures = _without_parts(found)
    return found


def _enter(found: Contents, folder: Path, seen: set[Path], links: list[Path]) -> None:
    """List a subfolder, unless it was already listed or was written by this program."""
    place = folder.resolve()
    if place in seen:
        return
    seen.add(place)
    try:
        inside = visible_and_hidden(folder)
    except ImageError as problem:
        found.closed.append(f"{problem}. Left out")
        return
    if is_run_or_masks(folder, [path.name for path in inside[0]]):
        found.own.append(folder)
    else:
        _look_at(found, folder, inside, seen, links)


def _look_at(
    found: Contents, folder: Path, inside: tuple[list[Path], list[Path]], seen: set[Path], links: list[Path]
) -> None:
    folders: list[Path] = []
    closed: list[str] = []
    visible, hidden = inside
    found.hidden += [path for path in hidden if not is_nobodys(path)]
    own = of_predictions(folder, [path.name for path in visible], found.output)
    pictures = found.masks if _is_of_masks(folder.relative_to(found.folder)) else found.pictures
    for path in visible:
        if fault := name_fault(path):
            closed.append(f"{fault}. Left out")
            continue
        try:
            mode = path.stat().st_mode
        except OSError as error:  # no permission, or a broken link
            closed.append(f"{path}: left out: {error.strerror or error}")
            continue
        if path.name in own:
            found.own += [path] if stat.S_ISDIR(mode) else []
        elif stat.S_ISDIR(mode):
            (links if path.is_symlink() else folders).append(path)
        elif stat.S_ISREG(mode):
            _add_file(found, pictures, path)
    if closed:
        found.closed.append(_first(closed))
    for inner in folders:
        _enter(found, inner, seen, links)


def _add_file(found: Contents, pictures: PathList, path: Path) -> None:
    named = SUFFIXES.get(suffix_of(path))
    if named is not None and named.is_found_by_suffix:
        pictures.append(path)
    elif path.suffix.lower() in UNREAD_SUFFIXES:
        found.unread.append(path)
    else:
        _add_by_content(found, pictures, path)


def _is_of_masks(folder: PurePath) -> bool:
    """Whether a folder, or a folder above it, has a usual name of a folder of masks."""
    return not {plain(part) for part in folder.parts}.isdisjoint(MASK_FOLDERS | _LABELS_OF_NNUNET)


def _drop_companions(found: Contents) -> None:
    """Remove the data files that headers of volumes refer to from the files that are not images."""
    if found.no_images:
        read = set[Path]()
        for path in found.pictures:
            named = SUFFIXES.get(suffix_of(path))
            try:
                read |= set(named.files_of(path)) if named is not None else set()
            except ImageError:
                continue  # reported when it is opened
        found.no_images = [path for path in found.no_images if path not in read]


def _without_parts(found: Contents) -> PathList:
    """Return the images without the files of OME-TIFFs that are read with another file, which names them."""
    kept, read = PathList(), set[Path]()
    for path in found.pictures:
        if path in read:
            found.of_sets.append(path)
            continue
        kept.append(path)
        if path.name.lower().endswith(_OME_SUFFIXES):
            with suppress(ImageError, OSError):  # reported when it is opened
                read |= set(files_of_set(path))
    return kept


def _add_by_content(found: Contents, pictures: PathList, path: Path) -> None:
    """Add a file whose format cannot be recognized by its suffix; its first bytes decide."""
    try:
        kind = kind_of(path)
    except ImageError:
        found.single.append(path)
        return
    if kind is DicomImage:
        _add_dicom(found, path)
    elif told_by_content(path) is None:
        (found.unread if path.suffix.lower() in _OFTEN_IMAGES else found.no_images).append(path)
    else:
        pictures.append(path)


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
