"""Predict large images tile by tile, blending masks and stitching objects in bounded memory."""

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from promise_seg.arrays import Array, Float32Array, Uint8Array, Uint16Array
from promise_seg.errors import ImageError, PromiseError
from promise_seg.images.formats.source import Source
from promise_seg.images.framing import ImageInFrame
from promise_seg.images.geometry import Box
from promise_seg.images.reading import Reading
from promise_seg.images.tiles import NO_TILE, Tiling, blended
from promise_seg.instances.facts import FoundObject
from promise_seg.instances.painting import InstanceMap
from promise_seg.instances.stitching import Stitcher
from promise_seg.prediction.prediction import Prediction
from promise_seg.prediction.reading import name_of, opened
from promise_seg.prediction.surest import surest_labels
from promise_seg.progress import Progress, Stage, silent
from promise_seg.rules.postprocessing import PostProcessing

OF_TILES = "of several tiles, blended where they overlap; the prompts of the tiles are left out"
LARGEST_IN_MEMORY = 2**28
"""Size in bytes of the largest map that is kept in memory; a larger map is kept in a temporary file."""
_STRIP_ROWS = 256


@dataclass(frozen=True)
class LargeImage:
    """An image that is larger than a tile, in memory or in a file that is read window by window.

    Args:
        name: name of the image in messages.
        height, width: size of the image in pixels.
        kept: region of the image that the model sees.
        tiles: how the image is divided into tiles.
        pixels: function that returns the pixels (h, w, 3) of a window.
    """

    name: str
    height: int
    width: int
    kept: Box
    tiles: Tiling
    pixels: Callable[[Box], Uint8Array]

    @property
    def grid(self) -> list[list[Box]]:
        """The tiles, row by row."""
        return self.tiles.grid(self.kept)


def large_image(framed: ImageInFrame, tiles: Tiling | None, name: str = "the image") -> LargeImage | None:
    """Return an image in memory as a large image; ``None`` if it fits into one tile."""
    if tiles is None or not tiles.divides(framed.geometry.kept):
        return None
    geometry, rgb = framed.geometry, framed.rgb
    return LargeImage(
        name, geometry.height, geometry.width, geometry.kept, tiles, lambda box: np.ascontiguousarray(rgb[box.slices])
    )


def reads_windows(source: Source, reading: Reading) -> bool:
    """Whether a file is read window by window, because its format allows it and the image is larger than a tile."""
    if source.size is None or reading.tiles is None:
        return False
    height, width = source.size
    return reading.tiles.divides(Box(0, 0, width, height))


def windowed_image(source: Source, reading: Reading) -> LargeImage | None:
    """Return a file as a large image that is read window by window; ``None`` if the file is read as a whole.

    Raises:
        ImageError: if the model crops borders, which requires reading the whole file.
    """
    if source.size is None or reading.tiles is None or not reads_windows(source, reading):
        return None
    if reading.crop_border:
        raise ImageError(
            f"{source.path}: is read by windows, so that its border cannot be found, and the model crops it. Crop the "
            f"file, or read it whole with --tile {NO_TILE}"
        )
    height, width = source.size
    kept = Box(0, 0, width, height)
    return LargeImage(
        str(source.path), height, width, kept, reading.tiles, lambda box: reading.rgb_in(source, 0, box)
    )  # fmt: skip


def in_tiles(
    image: object, index: int | None, reading: Reading, frame: Callable[[object, int | None], ImageInFrame]
) -> ImageInFrame | LargeImage:
    """Return an image in the model frame or, if it is larger than a tile, as a large image.

    Args:
        image: anything that can be predicted.
        index: index of the slice, if the image is a volume.
        reading: how the image is read.
        frame: function that reads an image as a whole and maps it to the model frame.

    Raises:
        ImageError: if the image cannot be read.
    """
    place, number = opened(image, reading, index)
    windowed = windowed_image(place, reading) if isinstance(place, Source) else None
    if windowed is not None:
        return windowed
    framed = frame(place, number)
    return large_image(framed, reading.tiles, name_of(image, index)) or framed


def blended_labels(
    image: LargeImage, probs_of: Callable[[Uint8Array], Float32Array], labels: dict[int, PostProcessing]
) -> Uint16Array:
    """Return the label map (H, W) of a large image; where labels overlap, the most probable one is taken.

    Args:
        image: the image.
        probs_of: function from the pixels of a tile to the probabilities (C, h, w) of the labels.
        labels: maps each label to its post-processing, in the order of the probabilities.
    """
    numbers, posts = list(labels), list(labels.values())
    found: Uint16Array = room_for((image.height, image.width), np.uint16)
    strips = blended(image.grid, image.tiles.overlap, lambda box: probs_of(image.pixels(box)))
    if not any(post.reshapes for post in posts):
        thresholds = np.array([post.threshold for post in posts], np.float32)[:, None, None]
        for box, probs in strips:
            found[box.slices] = surest_labels(numbers, probs, probs > thresholds)
        return found
    whole: Float32Array = room_for((len(posts), image.height, image.width), np.float32)
    for box, probs in strips:
        whole[(slice(None), *box.slices)] = probs
    for probs, post in zip(whole, posts, strict=True):
        probs[~post.mask(probs, image.tiles.side)] = -1
    for top in range(0, image.height, _STRIP_ROWS):
        rows = whole[:, top : top + _STRIP_ROWS]
        found[top : top + _STRIP_ROWS] = surest_labels(numbers, rows, rows >= 0)
    return found


def blended_prediction(
    image: LargeImage, predict: Callable[[Uint8Array], Prediction], post: PostProcessing
) -> Prediction:
    """Return the prediction of a large image, blended from those of its tiles, without their prompts."""
    whole: Float32Array = room_for((image.height, image.width), np.float32)
    scores: list[float] = []

    def probs_of(box: Box) -> Float32Array:
        found = predict(image.pixels(box))
        if found.mask.any():
            scores.append(found.predicted_iou)
        return found.mask_probs[None]

    for box, probs in blended(image.grid, image.tiles.overlap, probs_of):
        whole[box.slices] = probs[0]
    return Prediction(
        mask=post.mask(whole, image.tiles.side),
        mask_probs=whole,
        points_xy=np.zeros((0, 2), np.float32),
        point_labels=np.zeros(0, np.int64),
        predicted_iou=float(np.mean(scores)) if scores else 0.0,
        note=OF_TILES,
    )


def stitched_objects(
    image: LargeImage,
    objects_of: Callable[[Uint8Array, str], InstanceMap],
    spacing: tuple[float, float] | None = None,
    progress: Progress = silent,
) -> tuple[Uint16Array, tuple[FoundObject, ...]]:
    """Return the instance map (H, W) of a large image, and the measurements of each object.

    Args:
        image: the image.
        objects_of: function that finds the objects in the pixels of a tile; it also gets the name of the image.
        spacing: distances between rows and between columns in mm, if known.
        progress: called after each tile.

    Raises:
        ImageError: if there are more objects than an instance map can number.
    """
    labels: Uint16Array = room_for((image.height, image.width), np.uint16)
    stitcher, grid = Stitcher(labels, image.kept, spacing, image.name), image.grid
    tick = Stage(progress, "tiles", sum(map(len, grid)))
    for boxes, below in zip(grid, [*grid[1:], None], strict=True):
        for box in boxes:
            rgb = image.pixels(box)
            stitcher.add(box, objects_of(rgb, image.name), rgb)
            tick()
        stitcher.end_row(None if below is None else below[0].top)
    return labels, stitcher.finished()


def strips_of(labels: Array) -> Iterator[Array]:
    """Yield a label map (H, W) in strips of up to 256 rows."""
    yield from (labels[top : top + _STRIP_ROWS] for top in range(0, len(labels), _STRIP_ROWS))


def room_for(shape: tuple[int, ...], dtype: type[np.generic]) -> Array:
    """Return an array of zeros; a large array is kept in a temporary file that is deleted when it is no longer used.

    Raises:
        PromiseError: if the disk for temporary files is full.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if size <= LARGEST_IN_MEMORY:
        return np.zeros(shape, dtype)
    try:
        with tempfile.TemporaryFile() as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            return np.memmap(file, dtype, "w+", shape=shape)
    except OSError as error:
        raise PromiseError(
            f"{tempfile.gettempdir()}: no room for a map of {size / 1e9:.1f} GB: {error.strerror}. Free space there, "
            "or set $TMPDIR to a folder with more"
        ) from error
