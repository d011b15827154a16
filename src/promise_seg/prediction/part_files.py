"""The files of each predicted image, looked for in a way that is fast for millions of them."""

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from promise_seg.prediction.objects_table import objects_path
from promise_seg.prediction.overlay import overlay_path

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


def _above(stem: str) -> str:
    """Return the folders in a stem, with the slash after them."""
    return stem[: stem.rfind("/") + 1]
