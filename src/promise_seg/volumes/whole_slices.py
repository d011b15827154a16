"""Check that the slices of a volume can be combined: they must be spatial and no larger than a tile."""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from promise_seg.errors import ImageError
from promise_seg.images.framing import ImageInFrame
from promise_seg.images.geometry import Box
from promise_seg.images.reading import Reading
from promise_seg.images.tiles import NO_TILE
from promise_seg.vocabulary import Slices

IN_TIME = "its frames are a sequence in time, so they are predicted separately"
"""Reason why the frames of a video are not combined, worded to follow its name."""
IN_TILES = "its slices are divided into tiles, so the rule for volumes was not applied"


def are_whole(reading: Reading, height: int, width: int) -> bool:
    """Whether slices of this size, including borders, are no larger than a tile."""
    return reading.tiles is None or not reading.tiles.divides(Box(0, 0, width, height))


def with_first(frames: Iterable[ImageInFrame]) -> tuple[ImageInFrame, Iterator[ImageInFrame]]:
    """Return the first slice of a volume, and an iterator over all slices."""
    rest = iter(frames)
    first = next(rest)
    return first, chain([first], rest)


def frames_are_whole(reading: Reading, first: ImageInFrame, slices: Slices, name: str | Path) -> bool:
    """Whether the slices of a volume are no larger than a tile; all have the size of the first one.

    Args:
        reading: how the model reads images.
        first: the first slice.
        slices: how slices are to be combined.
        name: name of the volume in messages.

    Raises:
        ImageError: if slices are larger than a tile, and the user asks for them to be combined.
    """
    height, width = first.geometry.height, first.geometry.width
    if are_whole(reading, height, width):
        return True
    if reading.tiles is not None and asks_to_join(slices):
        raise ImageError(
            f"{name}: its slices of {width} x {height} pixels are divided into tiles of {reading.tiles.side} pixels; "
            f"--slices {slices} expects slices in one piece. Give --slices {Slices.EACH}, or --tile {NO_TILE} to read "
            "them whole"
        )
    return False


def asks_to_join(slices: Slices) -> bool:
    """Whether the user explicitly asks for slices to be combined."""
    return slices not in (Slices.AUTO, Slices.EACH)
