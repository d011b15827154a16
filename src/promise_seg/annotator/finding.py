"""Find the images that a user gives to the annotator: files, folders, or one manifest."""

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from promise_seg.annotator.catalogue import ProjectImage
from promise_seg.dataset.manifest import Row, read_manifest
from promise_seg.dataset.manifest_file import SUFFIXES
from promise_seg.errors import ImageError, ManifestError
from promise_seg.images.exports.inputs import Input, find_inputs
from promise_seg.images.reading import Reading
from promise_seg.storage.remote_paths import RemotePath, as_path


def find_images(
    places: Iterable[str | Path], reading: Reading, output: Path, note: Callable[[str], object]
) -> list[ProjectImage]:
    """Find the images that a user gives as files, folders, or one manifest.

    Raises:
        ImageError: if there are no images, or they are on another computer.
        ManifestError: if the manifest cannot be used.
    """
    named = [as_path(place) for place in places]
    _refuse_addresses(named)
    rows: dict[Path, Row] = {}
    if len(named) == 1 and named[0].suffix.lower() in SUFFIXES:
        for row in read_manifest(named[0]):
            first = rows.setdefault(row.image.absolute(), row)
            if row.split != first.split:
                raise ManifestError(
                    f"{row.where}: {row.image}: is {row.split} here, and {first.split} in {first.where}; expected one "
                    "split for all slices of an image. Give all of them the same train_type"
                )
        named = [row.image for row in rows.values()]
        _refuse_addresses(named)
        if missing := [path for path in named if not path.exists()]:
            raise ManifestError(f"{rows[missing[0].absolute()].where}: {missing[0]}: no such file or folder")
    elif csvs := [place for place in named if place.suffix.lower() in SUFFIXES]:
        raise ManifestError(f"{csvs[0]}: give one manifest alone, or images and folders without a manifest")
    inputs = [one for one in find_inputs(named, note, output, reading.channels) if not _is_below(one.path, output)]
    if not inputs:
        raise ImageError(f"{', '.join(map(str, named))}: no images found outside the folder of the project, {output}")
    shared = _shared_folders(inputs, note)
    return [
        ProjectImage(
            one, rows.get(one.path.absolute()) or rows.get(one.root.absolute()), bool(one.files) and one.path in shared
        )
        for one in inputs
    ]


def _refuse_addresses(named: Iterable[Path]) -> None:
    """Check that no path is an address of another computer, from which the annotator does not fetch images.

    Raises:
        ImageError: if there is such an address; the message names the first one.
    """
    if (remote := next((path for path in named if isinstance(path, RemotePath)), None)) is not None:
        raise ImageError(
            f"{remote}: the annotator does not fetch images from other computers. Copy them to a folder on this "
            "computer, and give this folder"
        )


def _shared_folders(inputs: Iterable[Input], note: Callable[[str], object]) -> set[Path]:
    """Return the folders that hold several series, and note that these are left out of the manifest."""
    counts = Counter(one.path for one in inputs if one.files)
    shared = {path: count for path, count in counts.items() if count > 1}
    for path, count in shared.items():
        note(
            f"{path}: holds {count} series, which manifest.csv cannot distinguish. Their masks are written, but they "
            "are left out of manifest.csv. To train on them, give each series its own folder before you annotate"
        )
    return set(shared)


def _is_below(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())
