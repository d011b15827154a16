"""Paint the shapes of an image on top of each other, as a label map, an instance map, or a mask of one class."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from PIL import Image

from promise_seg.arrays import Uint16Array
from promise_seg.curation.annotations.rasterising import Patch, rasterise
from promise_seg.curation.annotations.shapes import AnnotatedImage, Bitmap, BrokenShapeError, Outline, Shape, bitmap_of
from promise_seg.errors import ImageError, SizeError
from promise_seg.images.formats.orientation import upright
from promise_seg.images.formats.source import Source
from promise_seg.images.masks import LARGEST_LABEL
from promise_seg.vocabulary import OnTop

_SIDEWAYS = (5, 6, 7, 8)


@dataclass
class Remarks:
    """Notes on the shapes that were painted.

    ``clipped`` counts shapes that extend beyond the image, ``tiny`` shapes that cover no pixel centre, ``hidden``
    classes or objects that are completely covered, and ``crowds`` crowds that were left out of an instance map.
    ``outside`` has a line for each shape outside of its image.

    ``overlapping`` are images in which different classes or objects overlap; ``as_stored`` are images that were
    annotated without their EXIF orientation, ``unsure`` images for which this is unclear, and ``scaled`` images that
    were annotated at another size.
    """

    clipped: int = 0
    tiny: int = 0
    hidden: int = 0
    crowds: int = 0
    outside: list[str] = field(default_factory=list)
    overlapping: list[str] = field(default_factory=list)
    as_stored: list[str] = field(default_factory=list)
    unsure: list[str] = field(default_factory=list)
    scaled: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Canvas:
    """The frame that shapes are painted in, and the ``shapes`` in this frame.

    ``size`` is the width and height, ``slices`` the number of slices, and ``turned`` the EXIF orientation by which the
    result is turned upright.
    """

    shapes: list[Shape]
    size: tuple[int, int]
    slices: int
    turned: int = 1


def canvas_for(image: AnnotatedImage, source: Source, remarks: Remarks, *, scale: bool) -> Canvas:
    """Return the frame that an image was annotated in.

    Programs usually apply the EXIF orientation when they display an image. If the size that the annotations state is
    that of the stored image instead, the shapes were drawn on the stored image, and are rotated with it.

    Args:
        image: the shapes, and the size that they were drawn at, if it is stated.
        source: the image itself.
        remarks: remarks that notes on the image are added to.
        scale: whether annotations at another size with the same aspect ratio are accepted and scaled.

    Raises:
        ImageError: if the annotations have another size, belong to a single image although this is a volume, or to
            slices that it does not have.
    """
    height, width = source.values(0).shape[:2]
    size, name = (width, height), str(source.path)
    if image.slices is not None:
        if max(image.slices) >= len(source):
            raise ImageError(
                f"{image.where}: annotates the slice {max(image.slices)}, but {source.path} has {len(source)} "
                "slice(s), counted from 0. Give the image that was annotated"
            )
    elif len(source) != 1 and image.image is None:
        raise ImageError(f"{source.path}: has {len(source)} slices, but {image.where} annotates a single image")
    if source.turned != 1 and image.size == (height, width) and source.turned in _SIDEWAYS and width != height:
        remarks.as_stored.append(name)
        return Canvas(image.shapes, image.size, 1, source.turned)
    if image.size in (None, size):
        if source.turned != 1 and not (source.turned in _SIDEWAYS and image.size == size and width != height):
            remarks.unsure.append(name)
        return Canvas(image.shapes, size, len(source))
    if not (scale and _is_copy(image.size, size)):
        hint = ""
        if _is_copy(image.size, size):
            hint = " If it is a copy of the image at another size, pass --scale"
        elif scale:
            hint = " Their proportions differ, so that --scale does not apply. Give the images that were annotated"
        raise SizeError(
            f"{image.where}: was annotated at {image.size[0]} x {image.size[1]} pixels, but {source.path} has "
            f"{width} x {height}.{hint or ' Give the images that were annotated'}"
        )
    remarks.scaled.append(name)
    return Canvas([_scaled(shape, image.size, size) for shape in image.shapes], size, len(source))


def _is_copy(stated: tuple[int, int], size: tuple[int, int]) -> bool:
    """Whether two sizes have the same aspect ratio, to within a pixel of the smaller size."""
    (width, height), (large_width, large_height) = sorted((stated, size))
    return abs(large_width * height - large_height * width) <= max(large_width, large_height) and min(width, height) > 0


def _scaled(shape: Shape, stated: tuple[int, int], size: tuple[int, int]) -> Shape:
    area = shape.area
    if isinstance(area, Bitmap):
        whole = np.zeros((stated[1], stated[0]), np.uint8)
        patch = rasterise(area, stated)
        whole[patch.place] = patch.inside
        resized = Image.fromarray(whole).resize(size, Image.Resampling.NEAREST)
        return replace(shape, area=bitmap_of(np.asarray(resized)))
    if area.is_relative:
        return shape
    factor = np.array(size, np.float64) / stated
    return replace(shape, area=Outline(tuple(tuple(ring * factor for ring in part) for part in area.parts)))


def paint(
    canvas: Canvas, number: Callable[[Shape], int], where: str, remarks: Remarks, on_top: OnTop = OnTop.LATER
) -> Uint16Array:
    """Paint shapes on top of each other.

    Args:
        canvas: the frame and the shapes.
        number: returns the value of a shape; 0 for shapes that are not painted.
        where: path of the image, for remarks.
        remarks: remarks that notes on the shapes are added to.
        on_top: which of two overlapping shapes is on top: the later or the smaller one. A shape with a greater height
            is always on top.

    Returns:
        The map, (N, H, W) uint16 with 0 for background, in the upright orientation.

    Raises:
        ImageError: if there are shapes to paint, but none of them covers a pixel, so that the mask would be wrong.
    """
    width, height = canvas.size
    labels = np.zeros((canvas.slices, height, width), np.uint16)
    overlaps, painted = False, set[int]()
    for shape, patch in _in_order(canvas, number, where, remarks, on_top):
        value = number(shape)
        under = labels[shape.slice][patch.place]
        covered = under[patch.inside]
        overlaps = overlaps or bool(((covered != 0) & (covered != value)).any())
        under[patch.inside] = value
        painted.add(value)
    if overlaps:
        remarks.overlapping.append(where)
        remarks.hidden += len(painted - set(np.unique(labels).tolist()))
    return np.stack([upright(one, canvas.turned) for one in labels])


def _in_order(
    canvas: Canvas, number: Callable[[Shape], int], where: str, remarks: Remarks, on_top: OnTop
) -> list[tuple[Shape, Patch]]:
    patches = list[tuple[Shape, Patch]]()
    wanted = [shape for shape in canvas.shapes if number(shape)]
    for shape in wanted:
        try:
            patch = rasterise(shape.area, canvas.size)
        except BrokenShapeError as error:
            remarks.outside.append(f"{where}: a shape of {shape.class_name or 'no class'} {error}")
            continue
        remarks.clipped += patch.is_clipped
        if patch.inside.any():
            patches.append((shape, patch))
        else:
            remarks.tiny += 1
    if wanted and not patches:
        raise ImageError(f"{where}: none of its {len(wanted)} shape(s) covers a pixel of it")
    if on_top == OnTop.SMALLER:
        return sorted(patches, key=lambda one: (one[0].height, -np.count_nonzero(one[1].inside)))
    return sorted(patches, key=lambda one: one[0].height)


def object_numbers(where: str, shapes: Sequence[Shape]) -> dict[tuple[object, ...], int]:
    """Return the numbers of objects, from 1, keyed by :func:`object_key`; crowds have no number.

    Raises:
        ImageError: if there are more objects than an instance map can hold.
    """
    keys = dict.fromkeys(object_key(shape, index) for index, shape in enumerate(shapes) if not shape.is_crowd)
    if len(keys) > LARGEST_LABEL:
        raise ImageError(
            f"{where}: has {len(keys)} objects, more than the {LARGEST_LABEL} that an instance map can hold"
        )
    return {key: number for number, key in enumerate(keys, 1)}


def object_key(shape: Shape, index: int) -> tuple[object, ...]:
    """Return a key that is equal for all shapes of an object; ``index`` is the position of the shape in its image."""
    return (shape.class_name, index) if shape.object_id is None else (shape.class_name, "object", shape.object_id)
