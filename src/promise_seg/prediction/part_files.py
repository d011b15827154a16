"""The files of each predicted image, looked for in a way that is fast for millions of them."""

import os
from pathlib import Path

from promise_seg.prediction.objects_table import objects_path
from promise_seg.prediction.overlay import overlay_path

_MARK = "?"


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
