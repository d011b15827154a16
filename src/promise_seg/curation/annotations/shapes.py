"""Annotations in the words of none of the programs that write them: images, and the shapes drawn on each."""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as run_lengths

from promise_seg.arrays import BoolArray, Float64Array, IntArray
from promise_seg.errors import ImageError, first_line
from promise_seg.images.formats.limits import max_values

Ring = Float64Array
"""A closed line: (N, 2), (x, y), from the upper left corner of the image; pixel (0, 0) reaches from 0 to 1."""
_ELLIPSE_POINTS = 256
_FAULTS = (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError, RecursionError,
           ImageError)  # fmt: skip


class BrokenShapeError(ImageError):
    """A shape has no area that could be drawn. The message follows the name of the shape."""


@dataclass(frozen=True)
class Outline:
    """Parts that are united, each of one or more rings: a point is inside a part that lies in an odd number of them.

    So the second ring of a part is a hole in the first. ``is_relative`` means that coordinates are fractions of the
    width and the height of the image.

    Raises:
        BrokenShapeError: if there is no part, or one without a ring.
    """

    parts: tuple[tuple[Ring, ...], ...]
    is_relative: bool = False

    def __post_init__(self) -> None:
        if not self.parts or not all(self.parts):
            raise BrokenShapeError("has no outline")


@dataclass(frozen=True)
class Bitmap:
    """A mask (H, W) with its upper left pixel at ``top`` and ``left`` in the image, kept as run lengths."""

    runs: dict[str, Any]
    top: int = 0
    left: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return int(self.runs["size"][1]), int(self.runs["size"][0])

    @property
    def inside(self) -> BoolArray:
        """The mask: (H, W)."""
        return np.asarray(run_lengths.decode(self.runs), np.bool_)


@dataclass(frozen=True)
class Shape:
    """An area of one class, empty if it has none, on one ``slice`` of an image.

    Shapes of one class with equal ``object_id`` are one object; without it each shape is one. ``is_crowd`` says that it
    is a group of objects. Where shapes overlap, one of greater ``height`` is on top.
    """

    area: Outline | Bitmap
    class_name: str
    object_id: Hashable = None
    is_crowd: bool = False
    height: float = 0.0
    slice: int = 0


@dataclass
class AnnotatedImage:
    """An image with its shapes.

    Args:
        name: the name of its file, or a path, as the annotations say it.
        where: the place in the annotations, for messages.
        size: width and height, if the annotations say them.
        shapes: in the order in which they were drawn.
        image: the file itself, if it is known without looking for its name.
        is_finished: ``False`` if nobody has said yet what is on the image.
        is_complete: whether a lack of shapes certainly means that there is nothing.
        split: the name of a split, if the annotations say one.
        undrawn: how many of its shapes cannot be drawn, or have no area, so that a lack of others means nothing.
    """

    name: str
    where: str
    size: tuple[int, int] | None = None
    shapes: list[Shape] = field(default_factory=list)
    image: Path | None = None
    is_finished: bool = True
    is_complete: bool = False
    split: str = ""
    undrawn: int = 0


@dataclass
class Document:
    """All that was read of one file of annotations.

    ``classes`` are the names in the order of the file, if it lists them. ``unused`` counts shapes without an area by
    their kind, such as ``polyline``; ``broken`` has a line for each shape that cannot be drawn, ``notes`` for what else
    is worth saying. ``has_attributes`` says whether the class of a shape is one of its attributes, as in VIA's files.
    """

    path: Path
    images: list[AnnotatedImage] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    unused: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    own_files: set[Path] = field(default_factory=set)
    unread: set[str] = field(default_factory=set)
    has_attributes: bool = False

    @contextmanager
    def guarded(self, where: object, image: AnnotatedImage | None = None) -> Iterator[None]:
        """Note what is wrong with one image or one shape, of ``image``, instead of giving up the whole file."""
        try:
            yield
        except _FAULTS as error:
            reason = f"lacks {error}" if isinstance(error, KeyError) else first_line(error)
            self.broken.append(f"{self.path}: {where}: {reason}")
            if image is not None:
                image.undrawn += 1

    def leave_out(self, image: AnnotatedImage, kind: object) -> None:
        """Count a shape of an image that has no area."""
        self.unused[str(kind)] += 1
        image.undrawn += 1


def ring_of(points: Iterable[Any]) -> Ring:
    """Return a ring of points (x, y).

    Raises:
        BrokenShapeError: if there are fewer than three of them, or one is not a pair of finite numbers.
    """
    try:
        ring = np.array([[float(x), float(y)] for x, y, *_ in points], np.float64).reshape(-1, 2)
    except (TypeError, ValueError, OverflowError):
        raise BrokenShapeError("has points that are not pairs of numbers") from None
    if not np.isfinite(ring).all():
        raise BrokenShapeError("has points that are not finite numbers")
    if len(np.unique(ring, axis=0)) < 3:
        raise BrokenShapeError(f"has {len(np.unique(ring, axis=0))} distinct point(s), but an outline needs three")
    return ring


def polygon(points: Iterable[Any]) -> Outline:
    """Return the area inside one ring of points."""
    return Outline(((ring_of(points),),))


def rectangle(left: float, top: float, width: float, height: float, degrees: float = 0.0) -> Ring:
    """Return the corners of a rectangle, rotated clockwise around its upper left corner."""
    ring = ring_of([(0, 0), (width, 0), (width, height), (0, height)])
    return ring_of(_rotated(ring, degrees) + (float(left), float(top)))


def ellipse(x: float, y: float, radius_x: float, radius_y: float, degrees: float = 0.0) -> Ring:
    """Return an ellipse around its centre, rotated clockwise, as a polygon of 256 corners."""
    angles = np.arange(_ELLIPSE_POINTS) * (2 * np.pi / _ELLIPSE_POINTS)
    radii = abs(float(radius_x)), abs(float(radius_y))
    ring = ring_of(np.stack([radii[0] * np.cos(angles), radii[1] * np.sin(angles)], 1))
    return ring_of(_rotated(ring, degrees) + (float(x), float(y)))


def rotated_around(ring: Ring, degrees: float) -> Ring:
    """Return a ring rotated clockwise around its middle."""
    middle = (ring.min(0) + ring.max(0)) / 2
    return _rotated(ring - middle, degrees) + middle


def _rotated(ring: Ring, degrees: float) -> Ring:
    angle = np.deg2rad(float(degrees))
    cos, sin = np.cos(angle), np.sin(angle)
    return ring @ np.array([[cos, sin], [-sin, cos]])


def bitmap_of(inside: npt.NDArray, top: int = 0, left: int = 0) -> Bitmap:
    """Return a mask (H, W) as a shape's area."""
    return Bitmap(run_lengths.encode(np.asfortranarray(inside, dtype=np.uint8)), top, left)


def bitmap_of_runs(counts: IntArray, size: tuple[int, int], *, by_columns: bool) -> BoolArray:
    """Return a mask (H, W) from the lengths of its runs, of which the first is outside.

    Args:
        counts: (N,), the lengths.
        size: width and height.
        by_columns: whether runs go down the columns, as in COCO, or along the rows.

    Raises:
        BrokenShapeError: if the runs do not fill the mask, or it is too large.
    """
    width, height = size
    if min(size) < 1 or width * height > max_values():
        raise BrokenShapeError(f"has run lengths of {width} x {height} pixels, which cannot be read")
    if len(counts) and (counts.min() < 0 or counts.max() > width * height):
        raise BrokenShapeError("has run lengths that are negative, or longer than the mask")
    if counts.sum() != width * height:
        raise BrokenShapeError(f"has run lengths of {counts.sum()} pixels, but {width} x {height} pixels")
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return flat.reshape(width, height).T if by_columns else flat.reshape(height, width)
