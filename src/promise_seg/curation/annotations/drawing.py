"""Draw the masks of annotated images."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from promise_seg.curation.annotations.classes import Classes
from promise_seg.curation.annotations.matching import Annotated, line_about
from promise_seg.curation.annotations.painting import Canvas, Remarks, canvas_for, object_key, object_numbers, paint
from promise_seg.curation.annotations.shapes import Shape
from promise_seg.curation.annotations.writing import MaskFolder
from promise_seg.curation.pairing.layouts import splits_named
from promise_seg.curation.pairing.matching import ImagePair
from promise_seg.errors import ImageError
from promise_seg.images.formats.kinds import stem_of
from promise_seg.images.formats.opening import open_source
from promise_seg.images.formats.source import Source
from promise_seg.progress import Progress, counted
from promise_seg.vocabulary import Axis, DrawnAs, OnTop, Split


@dataclass(frozen=True)
class Style:
    """The user's choices about masks.

    Args:
        drawn_as: the kind of masks.
        on_top: which of two overlapping shapes is on top.
        scale: whether annotations of a copy of the image at another size are scaled.
        below: maps each class to its folder, if each class has a separate mask.
    """

    drawn_as: DrawnAs
    on_top: OnTop
    scale: bool
    below: dict[str, str]


@dataclass
class Drawing:
    """The pairs of images and masks, one list per manifest; remarks on shapes, and a line for each image left out.

    ``across`` names the volumes whose listed slices are counted along another axis than the default, with the axis.
    """

    pairs: list[list[ImagePair]]
    seen: Remarks = field(default_factory=Remarks)
    problems: list[str] = field(default_factory=list)
    across: list[str] = field(default_factory=list)

    def remarks(self, style: Style) -> list[str]:
        """Return notes for the user about the masks, one line each."""
        seen, what = self.seen, "classes" if style.drawn_as == DrawnAs.CLASSES else "objects"
        wins = "later" if style.on_top == OnTop.LATER else "smaller"
        hidden = f" ({seen.hidden} {what} are completely covered)" if seen.hidden else ""
        counts = (
            (seen.clipped, "shape(s) extend beyond the image and were clipped"),
            (seen.tiny, "shape(s) missing from the masks, because they are too small to cover the centre of a pixel"),
            (
                seen.crowds,
                "crowd(s) (iscrowd) left out, because an instance map cannot hold many objects in one outline. If "
                "they are single objects drawn with a brush, export them in another format, such as CVAT for images",
            ),
        )
        lists = (
            ("image(s) left out, because their masks cannot be drawn", self.problems, ""),
            ("shape(s) left out", seen.outside, ""),
            (f"image(s) in which {what} overlap{hidden}", seen.overlapping,
             f"The {wins} shape is on top, unless the annotations state an order; see --on-top"),
            ("image(s) annotated without their EXIF orientation, according to the stated size; the masks were rotated "
             "like the images", seen.as_stored, ""),
            ("image(s) with an EXIF orientation, assumed to be annotated as they are displayed, because the "
             "annotations do not say it. Look at some of them with promise data show", seen.unsure, ""),
            ("image(s) with another size than when they were annotated; the shapes were scaled", seen.scaled, ""),
            ("volume(s) of which the manifest lists slices along another axis than the default", self.across,
             "Read the manifest with this --axis"),
        )  # fmt: skip
        lines = [f"{count} {words}" for count, words in counts if count]
        return lines + [line_about(words, items, rest) for words, items, rest in lists if items]


def draw_all(
    images: Sequence[Annotated], into: MaskFolder, classes: Classes, style: Style, progress: Progress
) -> Drawing:
    """Write the masks of images; images whose masks cannot be drawn are left out and noted.

    Raises:
        PromiseError: if a mask cannot be written.
    """
    drawing = Drawing([[] for _ in (classes.numbers if style.drawn_as == DrawnAs.PER_CLASS else (0,))])
    for one in counted(images, progress, "drawing masks"):
        try:
            source, is_across = _opened(one)
            masks = _draw(one, source, into, classes, style, drawing.seen)
        except ImageError as error:
            drawing.problems.append(str(error))
            continue
        split, slices = _split_of(one, into.root), tuple(one.image.slices or ())
        if is_across and len(set(slices)) == len(source):
            slices = ()  # all slices, whatever axis the manifest is read with
        elif is_across and slices:
            drawing.across.append(f"{one.path} ({one.image.axis})")
        for pairs, mask in zip(drawing.pairs, masks, strict=True):
            pairs.append(ImagePair(one.path, mask, stem_of(one.path), split, "", slices=slices))
    return drawing


def _opened(one: Annotated) -> tuple[Source, bool]:
    """Return an image, cut along the axis that it was annotated along, and whether this is not the default axis."""
    source, axis = open_source(one.path), one.image.axis
    if axis == Axis.AUTO or (source.frame is not None and source.frame.axis == axis):
        return source, False
    return open_source(one.path, axis), source.is_volume


def _draw(
    one: Annotated, source: Source, into: MaskFolder, classes: Classes, style: Style, seen: Remarks
) -> list[Path]:
    named = [replace(shape, class_name=classes.name_of(shape.class_name)) for shape in one.image.shapes]
    wanted = [shape for shape in named if shape.class_name]
    if not wanted and any(not shape.class_name.strip() for shape in one.image.shapes):
        raise ImageError(f"{one.path}: none of its shapes has a class")
    canvas = canvas_for(replace(one.image, shapes=wanted), source, seen, scale=style.scale)
    where = str(one.path)
    if style.drawn_as == DrawnAs.PER_CLASS:
        maps = [paint(canvas, partial(_is_of, name), where, seen, style.on_top) for name in classes.numbers]
        below = [style.below[name] for name in classes.numbers]
        return [into.write(labels, source, place, is_binary=True) for labels, place in zip(maps, below, strict=True)]
    if style.drawn_as == DrawnAs.INSTANCES:
        return [_draw_objects(canvas, source, into, where, style, seen)]
    labels = paint(canvas, lambda shape: classes.numbers[shape.class_name], where, seen, style.on_top)
    return [into.write(labels, source)]


def _is_of(name: str, shape: Shape) -> int:
    return int(shape.class_name == name)


def _draw_objects(canvas: Canvas, source: Source, into: MaskFolder, where: str, style: Style, seen: Remarks) -> Path:
    crowds = sum(shape.is_crowd for shape in canvas.shapes)
    if crowds and crowds == len(canvas.shapes):
        raise ImageError(f"{where}: has only crowds (iscrowd), which are not single objects")
    seen.crowds += crowds
    numbers = object_numbers(where, canvas.shapes)
    of_shape = {id(shape): numbers.get(object_key(shape, index), 0) for index, shape in enumerate(canvas.shapes)}

    def number(shape: Shape) -> int:
        return 0 if shape.is_crowd else of_shape[id(shape)]

    return into.write(paint(canvas, number, where, seen, style.on_top), source)


def _split_of(one: Annotated, folder: Path) -> Split | None:
    """Return the split that the annotations state, otherwise the split in names of folders or the annotation file."""
    inside = one.path.relative_to(folder).parts[:-1] if one.path.is_relative_to(folder) else ()
    ways = (
        splits_named(Path(one.image.split)),
        set().union(*(splits_named(Path(part)) for part in inside)),
        splits_named(Path(re.sub(r"\d+", "", one.document.path.stem))),
    )
    return next((next(iter(found)) for found in ways if len(found) == 1), None)
