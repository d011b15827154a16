"""Check that the output files of each image exist, quickly enough for millions of images."""

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
"""Name of the subfolder of masks in a folder of predictions."""
_LISTED = 4
"""Maximum number of names listed per file that is looked up in a folder, before files are checked one by one."""
_MOST_LISTED = 100_000


class PartFiles:
    """The masks, overlays and tables of objects in a folder of predictions.

    Paths are handled as text, because creating path objects takes longer than checking that the files exist.

    Args:
        folder: folder of predictions.
        has_objects: whether each image has a table of objects.
    """

    def __init__(self, folder: Path, has_objects: bool) -> None:
        from promise_seg.prediction.objects_table import objects_path  # imports that worker processes do not need
        from promise_seg.prediction.overlay import overlay_path

        self._folder = os.fspath(folder)
        ways = [overlay_path, *([objects_path] if has_objects else [])]
        self._around = [os.fspath(way(Path(), _MARK)).split(_MARK) for way in ways]

    def first_gone(self, stem: str, mask: str) -> str | None:
        """Return the first missing file of an image, relative to the folder; ``None`` if all files exist."""
        for name in (mask, *(f"{before}{stem}{after}" for before, after in self._around)):
            if not os.path.exists(f"{self._folder}{os.sep}{name}"):  # noqa: PTH110
                return name
        return None

    def are_there(self, stems: Iterable[str], mask_suffix: str) -> Iterator[bool]:
        """Yield for each image whether all its files exist.

        Folders are listed instead of checking each file, so the stems of images in one folder should be consecutive.

        Args:
            stems: stems of the images.
            mask_suffix: suffix that follows the stem in the names of the masks.
        """
        for above, inside in itertools.groupby(stems, _above):
            lasts, gone = [stem[len(above) :] for stem in inside], set[str]()
            for before, after in ((f"{MASKS}/", mask_suffix), *self._around):
                gone |= self._gone(f"{self._folder}{os.sep}{before}{above}", lasts, after)
            yield from (last not in gone for last in lasts) if gone else itertools.repeat(True, len(lasts))

    def _gone(self, folder: str, lasts: Sequence[str], after: str) -> set[str]:
        """Return the names in ``lasts`` whose files are missing from a folder.

        Only regular files in the listing are taken as present; all other names are checked one by one.
        """
        listed = set[str]()
        try:
            with os.scandir(folder or os.curdir) as found:
                first = itertools.islice(found, min(_LISTED * len(lasts), _MOST_LISTED))
                listed = {one.name for one in first if one.is_file(follow_symlinks=False)}
        except OSError:
            pass  # each file is checked below
        names = [f"{last}{after}" for last in lasts]
        if listed.issuperset(names):
            return set()
        others = ((last, name) for last, name in zip(lasts, names, strict=True) if name not in listed)
        return {last for last, name in others if not os.path.exists(f"{folder}{name}")}  # noqa: PTH110


class FilesThen(NamedTuple):
    """The state of the files of N images when they were predicted, as input of :func:`files_now`.

    Args:
        files: output files of the predictions.
        folders: folders of the images in their order, each with the names of the next images in it.
        sizes: sizes of the image files in bytes (N).
        changes: modification times of the image files, in nanoseconds since 1970 (N).
        stems: stems of the images, as bytes (N).
        mask_suffix: suffix that follows the stem in the names of the masks.
    """

    files: PartFiles
    folders: list[tuple[bytes, list[bytes]]]
    sizes: NDArray[np.int64]
    changes: NDArray[np.int64]
    stems: list[bytes]
    mask_suffix: str


def files_now(then: FilesThen) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return for each of N images whether its file is unchanged (N), and whether its outputs exist (N)."""
    are_as_then = list[bool]()
    for folder, names in then.folders:
        part = slice(len(are_as_then), len(are_as_then) + len(names))
        are_as_then += have_states(folder, names, then.sizes[part].tolist(), then.changes[part].tolist())
    are_there = then.files.are_there((stem.decode() for stem in then.stems), then.mask_suffix)
    return np.array(are_as_then, bool), np.fromiter(are_there, bool, len(then.stems))


def _above(stem: str) -> str:
    """Return the folder part of a stem, with its trailing slash."""
    return stem[: stem.rfind("/") + 1]
