"""Annotations, independent of the format that they were read from: images, and the shapes drawn on each."""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as run_lengths

from promise_seg.arrays import Array, BoolArray, Float64Array, IntArray
from promise_seg.errors import ImageError, first_line
from promise_seg.images.formats.limits import max_values
from promise_seg.vocabulary import Axis

Ring = Float64Array
"""A closed line: (N, 2) points (x, y) in pixels from the upper left corner; pixel (0, 0) extends from 0 to 1."""
_ELLIPSE_POINTS = 256
_FAULTS = (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError, RecursionError,
           ImageError)  # fmt: skip


class BrokenShapeError(ImageError):
    """A shape has no area that can be drawn. The message is a predicate that follows the name of the shape."""


@dataclass(frozen=True)
class Outline:
    """The union of parts with one or more rings each: a point is inside a part if it is in an odd number of its rings.

    The second ring of a part is thus a hole in the first. ``is_relative`` means that coordinates are fractions of the
    width and height of the image.

    Raises:
        BrokenShapeError: if there is no part, or a part has no ring.
    """

    parts: tuple[tuple[Ring, ...], ...]
    is_relative: bool = False

    def __post_init__(self) -> None:
        if not self.parts or not all(self.parts):
            raise BrokenShapeError("has no outline")


@dataclass(frozen=True)
class Bitmap:
    """A mask (H, W) whose upper left pixel is at row ``top`` and column ``left`` of the image, kept as run lengths."""

    runs: dict[str, Any]
    top: int = 0
    left: int = 0

    @property
    def size(self) -> tuple[int, int]:
        """The width and height."""
        return int(self.runs["size"][1]), int(self.runs["size"][0])

    @property
    def inside(self) -> BoolArray:
        """The mask, (H, W) bool."""
        return np.asarray(run_lengths.decode(self.runs), np.bool_)


@dataclass(frozen=True)
class Shape:
    """An area of a class, whose name is empty if it has none, on one ``slice`` of an image.

    Shapes of a class with equal ``object_id`` are one object; without an ``object_id``, each shape is an object.
    ``is_crowd`` marks a group of objects. Where shapes overlap, the shape with the greater ``height`` is on top.
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
        name: name or path of its file, as stated in the annotations.
        where: place in the annotations, for messages.
        size: width and height, if the annotations state them.
        shapes: the shapes, in the order in which they were drawn.
        image: path of the file, if it is known without a search by name.
        is_finished: whether the image has been annotated.
        is_complete: whether an image without shapes certainly contains no object.
        split: name of a split, if the annotations state it.
        undrawn: number of shapes that cannot be drawn or have no area; if there are any, an image without other shapes
            does not count as empty.
        slices: indices of the slices that were annotated, if it is a volume of which only some were.
        axis: axis along which a volume was cut into slices, if the annotations state it.
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
    slices: list[int] | None = None
    axis: Axis = Axis.AUTO


@dataclass
class Document:
    """The content of an annotation file.

    ``classes`` are the names of classes in the order of the file, if it lists them. ``unused`` counts shapes without an
    area by kind, such as ``polyline``; ``broken`` has a line for each shape that cannot be drawn, ``notes`` has further
    lines for the user. ``own_files`` are images that are annotations themselves, ``unread`` the stems of files that
    cannot be read. ``has_attributes`` is whether the class of a shape is one of its attributes, as in VIA.
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
        """Catch errors in an image, or in a shape of ``image``, and record them instead of rejecting the whole file."""
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
    """Return a ring of points (x, y); further values of a point are ignored.

    Raises:
        BrokenShapeError: if there are fewer than three distinct points, or a point is not a pair of finite numbers.
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
    """Return the area inside a single ring of points."""
    return Outline(((ring_of(points),),))


def rectangle(left: float, top: float, width: float, height: float, degrees: float = 0.0) -> Ring:
    """Return the corners of a rectangle, rotated clockwise by ``degrees`` around its upper left corner."""
    ring = ring_of([(0, 0), (width, 0), (width, height), (0, height)])
    return ring_of(_rotated(ring, degrees) + (float(left), float(top)))


def ellipse(x: float, y: float, radius_x: float, radius_y: float, degrees: float = 0.0) -> Ring:
    """Return an ellipse with the centre (x, y), rotated clockwise by ``degrees``, as a polygon with 256 corners."""
    angles = np.arange(_ELLIPSE_POINTS) * (2 * np.pi / _ELLIPSE_POINTS)
    radii = abs(float(radius_x)), abs(float(radius_y))
    ring = ring_of(np.stack([radii[0] * np.cos(angles), radii[1] * np.sin(angles)], 1))
    return ring_of(_rotated(ring, degrees) + (float(x), float(y)))


def rotated_around(ring: Ring, degrees: float) -> Ring:
    """Return a ring rotated clockwise by ``degrees`` around the centre of its bounding box."""
    middle = (ring.min(0) + ring.max(0)) / 2
    return _rotated(ring - middle, degrees) + middle


def _rotated(ring: Ring, degrees: float) -> Ring:
    angle = np.deg2rad(float(degrees))
    cos, sin = np.cos(angle), np.sin(angle)
    return ring @ np.array([[cos, sin], [-sin, cos]])


def bitmap_of(inside: Array, top: int = 0, left: int = 0) -> Bitmap:
    """Return a mask (H, W) as the area of a shape."""
    return Bitmap(run_lengths.encode(np.asfortranarray(inside, dtype=np.uint8)), top, left)


def bitmap_of_runs(counts: IntArray, size: tuple[int, int], *, by_columns: bool) -> BoolArray:
    """Return a mask (H, W) bool from its run lengths; the first run is background.

    Args:
        counts: run lengths in pixels, (N,).
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
