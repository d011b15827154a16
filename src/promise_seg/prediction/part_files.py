"""The files of each predicted image, looked for in a way that is fast for millions of them."""

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from promise_seg.images.exports.file_states import have_states

_MARK = "?"
MASKS = "masks"
"""The folder of masks in a folder of predictions."""
_LISTED = 4
"""How many names are listed for each that is looked for in a folder, at most, before each is looked for by itself."""
_MOST_LISTED = 100_000


class PartFiles:
    """The masks, overlays and tables of objects in a folder of predictions.

    Paths are put together as text: to make objects of them takes longer than to look whether the files are there.

    Args:
        folder: of the predictions.
        has_objects: whether a table of objects belongs to each image.
    """

    def __init__(self, folder: Path, has_objects: bool) -> None:
        from promise_seg.prediction.objects_table import objects_path  # whose libraries worker processes do not need
        from promise_seg.prediction.overlay import overlay_path

        self._folder = os.fspath(folder)
        ways = [overlay_path, *([objects_path] if has_objects else [])]
        self._around = [os.fspath(way(Path(), _MARK)).split(_MARK) for way in ways]

    def first_gone(self, stem: str, mask: str) -> str | None:
        """Return the first file of an image that is not there, below the folder; ``None`` if all are."""
        for name in (mask, *(f"{before}{stem}{after}" for before, after in self._around)):
            if not os.path.exists(f"{self._folder}{os.sep}{name}"):  # noqa: PTH110
                return name
        return None

    def are_there(self, stems: Iterable[str], mask_suffix: str) -> Iterator[bool]:
        """Yield whether all files of each image are there.

        A folder in which many are looked for is listed, instead of asking for each file: where several are in one
        folder, their stems should follow each other.

        Args:
            stems: of the images.
            mask_suffix: what follows the stem in the names of their masks.
        """
        for above, inside in itertools.groupby(stems, _above):
            lasts, gone = [stem[len(above) :] for stem in inside], set[str]()
            for before, after in ((f"{MASKS}/", mask_suffix), *self._around):
                gone |= self._gone(f"{self._folder}{os.sep}{before}{above}", lasts, after)
            yield from (last not in gone for last in lasts) if gone else itertools.repeat(True, len(lasts))

    def _gone(self, folder: str, lasts: Sequence[str], after: str) -> set[str]:
        """Return those of some names whose files are not in a folder.

        Only what is seen as a regular file counts as listed; for everything else, the system is asked.
        """
        listed = set[str]()
        try:
            with os.scandir(folder or os.curdir) as found:
                first = itertools.islice(found, min(_LISTED * len(lasts), _MOST_LISTED))
                listed = {one.name for one in first if one.is_file(follow_symlinks=False)}
        except OSError:
            pass  # said of each file
        names = [f"{last}{after}" for last in lasts]
        if listed.issuperset(names):
            return set()
        others = ((last, name) for last, name in zip(lasts, names, strict=True) if name not in listed)
        return {last for last, name in others if not os.path.exists(f"{folder}{name}")}  # noqa: PTH110


class FilesThen(NamedTuple):
    """The question about the files of N images: whether they are there, and are still as they were.

    Args:
        files: of the predictions.
        folders: the folders of the images in their order, each with the names of the images that are next in it.
        sizes: of the images' files, in bytes (N).
        changes: when these were changed, in nanoseconds since 1970 (N).
        stems: of the images, as bytes (N).
        mask_suffix: what follows the stem in the names of their masks.
    """

    files: PartFiles
    folders: list[tuple[bytes, list[bytes]]]
    sizes: NDArray[np.int64]
    changes: NDArray[np.int64]
    stems: list[bytes]
    mask_suffix: str


def files_now(then: FilesThen) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return of images (N) whether the file of each is as it was (N), and whether its predictions are there (N)."""
    are_as_then = list[bool]()
    for folder, names in then.folders:
        part = slice(len(are_as_then), len(are_as_then) + len(names))
        are_as_then += have_states(folder, names, then.sizes[part].tolist(), then.changes[part].tolist())
    are_there = then.files.are_there((stem.decode() for stem in then.stems), then.mask_suffix)
    return np.array(are_as_then, bool), np.fromiter(are_there, bool, len(then.stems))


def _above(stem: str) -> str:
    """Return the folders in a stem, with the slash after them."""
    return stem[: stem.rfind("/") + 1]
