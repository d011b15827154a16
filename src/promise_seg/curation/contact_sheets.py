"""Contact sheets of a data set: its images with the outlines of their masks, or augmented views of one image."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from promise_seg.arrays import Uint8Array
from promise_seg.augmentation.sheet import augmentation_sheet
from promise_seg.dataset.checks import CheckedRow, check_rows, image_notes
from promise_seg.dataset.manifest import Row
from promise_seg.dataset.split_warnings import divided_warning
from promise_seg.images.geometry import Geometry
from promise_seg.images.reading import Reading
from promise_seg.images.sheets import contact_sheet, outlined
from promise_seg.progress import Progress, silent
from promise_seg.vocabulary import MaskKind, Recipe

_SIDE = 512  # side of the frame that augmented views are made in, in pixels


@dataclass(frozen=True)
class Sheet:
    """A contact sheet, (H, W, 3) uint8, and notes for the user about the images in it, one line each."""

    picture: Uint8Array
    notes: tuple[str, ...]


def draw_sheet(
    rows: Sequence[Row],
    reading: Reading,
    *,
    count: int = 16,
    augmentation: Recipe | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Sheet:
    """Draw a random selection of the images of a data set; for volumes, slices whose masks are not empty.

    Args:
        rows: rows of a manifest.
        reading: how the files are read.
        count: maximum number of images, or number of views of one image.
        augmentation: augmentation recipe; if given, views of a single image are drawn instead.
        seed: seed for the choice of images.
        progress: called for each image that is read.

    Raises:
        ManifestError: if images cannot be used; the message lists all problems of the selected images.
    """
    shown = list(rows)
    random.Random(seed).shuffle(shown)
    shown = shown[: 1 if augmentation else count]
    checked = check_rows(shown, reading, progress)
    divided, channels = divided_warning(shown), checked[0].reading.channel_words
    notes = [f"warning: {divided}"] if divided else []
    notes += [f"channels: {channels}"] if channels else []
    notes += [f"warning: {words}" for words in image_notes(checked).values()]
    filled = [row for row in checked if row.foreground_pixels] or checked
    if augmentation is not None:
        picture = _views(filled[0], augmentation, count)
    elif any(row.is_slice for row in checked):  # most slices of a volume have an empty mask
        picture = _images(random.Random(seed).sample(filled, min(count, len(filled))))
    else:
        picture = _images(checked)
    return Sheet(picture, tuple(notes))


def _images(rows: Sequence[CheckedRow]) -> Uint8Array:
    """Draw each image with the outlines of its mask, its classes or its instances."""
    tiles, captions = [], []
    for row in rows:
        kind = row.reading.masks
        is_one = kind == MaskKind.BINARY or row.reading.label is not None
        classes = [label for label, _ in row.class_pixels] if kind == MaskKind.CLASSES and not is_one else None
        masks = [row.mask()] if is_one else row.instances()
        image = row.image()
        if row.crop is not None:
            kept = (slice(row.crop.top, row.crop.bottom), slice(row.crop.left, row.crop.right))
            image, masks = image[kept], [mask[kept] for mask in masks]
        tiles.append(outlined(image, masks, classes))
        name = row.row.image.name + (f"#{row.index}" if row.is_slice else "")
        captions.append(f"{row.row.split} {name}")
    return contact_sheet(tiles, captions)


def _views(row: CheckedRow, recipe: Recipe, count: int) -> Uint8Array:
    geometry = Geometry(row.height, row.width, _SIDE, crop=row.crop)
    image, mask = geometry.image_to_model(row.image()), geometry.mask_to_model(row.mask())
    return augmentation_sheet(image, mask, row.image_sha256, recipe, count, row.reading.without_unused)
