"""Colour masks, with a table that maps each colour to a class: Pascal VOC, CVAT, LabelMe, CamVid."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from promise_seg.arrays import IntArray
from promise_seg.curation.annotations.colour_tables import (
    TABLES,
    VOC,
    VOID,
    Colour,
    is_background,
    read_table,
    voc_table,
)
from promise_seg.curation.annotations.shapes import AnnotatedImage, BrokenShapeError, Document, Shape, bitmap_of
from promise_seg.curation.pairing.scanning import scan
from promise_seg.errors import ImageError, SizeError
from promise_seg.images.formats.kinds import stem_of
from promise_seg.images.formats.opening import open_source

CLASSES, OBJECTS = "SegmentationClass", "SegmentationObject"
_BLACK: Colour = (0, 0, 0)
_SHOWN = 3


def table_in(folder: Path) -> Path | None:
    """Return the path of the colour table in a folder, if there is one with a common name."""
    return next((path for name in TABLES if (path := folder / name).is_file()), None)


def read_colour_masks(folder: Path, colours: str | None = None, *, objects: bool = False) -> Document:
    """Read the masks in ``SegmentationClass/`` or, without such a folder, in the folder itself.

    If the table does not list them, black and VOC's colour of outlines are background.

    Args:
        folder: folder of the masks.
        colours: path of the colour table, or ``voc``; by default the table in the folder, or VOC's colours.
        objects: whether to separate objects, which have colours of their own in ``SegmentationObject/``.

    Raises:
        ImageError: if the table cannot be read, there are no masks, or objects cannot be separated.
    """
    found = table_in(folder) if colours is None else None if colours == VOC else Path(colours)
    table = voc_table() if found is None else read_table(found)
    masks, of_objects = folder / CLASSES, folder / OBJECTS
    if not masks.is_dir():
        masks = folder
    if objects and not of_objects.is_dir():
        raise ImageError(
            f"{folder}: the colours do not separate the objects of a class; expected {OBJECTS}/ next to "
            f"{CLASSES}/. Leave --instances out"
        )
    document = Document(folder)
    document.classes = list(dict.fromkeys(name for name in table.values() if not is_background(name)))
    entries = scan(masks).entries
    for entry in entries:
        document.own_files.add(entry.path)
        image = AnnotatedImage(f"{entry.parent}/{entry.stem}".lstrip("/"), str(entry.path))
        document.images.append(image)
        with document.guarded(entry.path.relative_to(folder), image):
            pixels = _codes(entry.path)
            places = _objects(of_objects / entry.parent, entry.stem, pixels) if objects else None
            image.shapes, image.size = _shapes(pixels, table, places), (pixels.shape[1], pixels.shape[0])
            image.is_complete = True
    if not entries:
        raise ImageError(f"{masks}: has no masks; expected images in the colours of {found or 'Pascal VOC'}")
    if found is None and colours is None:
        document.classes = sorted(
            {shape.class_name for image in document.images for shape in image.shapes}, key=_number
        )
        document.notes.append(
            f"{folder}: no table of colours ({', '.join(TABLES)}, or --colours), so classes are numbered as in "
            "the palette of Pascal VOC"
        )
    return document


def _number(name: str) -> int:
    return int(name.rpartition(" ")[2])


def _codes(path: Path) -> IntArray:
    """Return the colours of the pixels as numbers 0xRRGGBB: (H, W) int64."""
    source = open_source(path)
    if len(source) != 1:
        raise ImageError(f"has {len(source)} pages; expected one mask in colour")
    pixels = np.asarray(source.values(0))
    if pixels.dtype != np.uint8:
        raise ImageError(f"has values of {pixels.dtype.itemsize * 8} bits; expected colours of 8 bits")
    colours = np.stack([pixels] * 3, -1) if pixels.ndim == 2 else pixels
    return colours.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1], np.int64)


def _code(colour: Colour) -> int:
    return colour[0] << 16 | colour[1] << 8 | colour[2]


def _objects(folder: Path, stem: str, classes: IntArray) -> IntArray:
    found = [entry.path for entry in scan(folder).entries if not entry.parent and stem_of(entry.path) == stem]
    if len(found) != 1:
        raise ImageError(f"has no mask of its objects in {folder}")
    places = _codes(found[0])
    if places.shape != classes.shape:
        raise SizeError(f"differs in size from the mask of its objects {found[0]}")
    return places


def _shapes(pixels: IntArray, table: Mapping[Colour, str], places: IntArray | None) -> list[Shape]:
    names = {_code(colour): name for colour, name in table.items()}
    for colour in (_BLACK, VOID):
        names.setdefault(_code(colour), "background")
    found = np.unique(pixels)
    if unknown := [int(code) for code in found if int(code) not in names]:
        count = int(np.isin(pixels, unknown).sum())
        listed = ", ".join(str((code >> 16, code >> 8 & 255, code & 255)) for code in unknown[:_SHOWN])
        raise BrokenShapeError(
            f"has {count} pixel(s) in {len(unknown)} colour(s) that the table does not have, such as {listed}. Add "
            "them to the table, or save the mask as PNG if it was compressed as JPEG"
        )
    shapes = list[Shape]()
    for code in (int(one) for one in found):
        if is_background(names[code]):
            continue
        inside = pixels == code
        if places is None:
            shapes.append(Shape(bitmap_of(inside), names[code]))
            continue
        for place in np.unique(places[inside]):
            if int(place) not in (_code(_BLACK), _code(VOID)):
                shapes.append(Shape(bitmap_of(inside & (places == place)), names[code], ("object", int(place))))
    return shapes
