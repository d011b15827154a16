"""``promise data show``"""

import random
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from promise_seg.cli.common import console, print_line, rows_of_split, stages_bar
from promise_seg.cli.options import (
    OUTPUT,
    DataArgument,
    SplitOption,
    choice,
    option,
    output_option,
    with_reading,
)
from promise_seg.errors import SettingsError
from promise_seg.vocabulary import Recipe, SplitChoice

if TYPE_CHECKING:
    import numpy as np

    from promise_seg.dataset.checks import CheckedRow
    from promise_seg.images.reading import ReadingOptions

_SIDE = 512  # of the frame that views are made in, in pixels


@with_reading()
def show(
    data: DataArgument,
    output: Annotated[Path, output_option("The picture, a PNG file.")],
    reading: "ReadingOptions",
    count: Annotated[
        int, option("--count", min=1, max=400, about="How many images, or views of one.", panel=OUTPUT)
    ] = 16,
    split: SplitOption = SplitChoice.ALL,
    augmentation: Annotated[
        Recipe | None, choice(Recipe, about="Show views of one image by this recipe", panel=OUTPUT)
    ] = None,
    seed: Annotated[int, option("--seed", min=0, about="Seed of the choice of images.", panel=OUTPUT)] = 0,
) -> None:
    """Draw a contact sheet: images with the outlines of their masks, or augmented views of one image."""
    from PIL import Image

    from promise_seg.dataset.checks import check_rows, divided_warning, image_notes
    from promise_seg.files import write_whole

    if output.suffix.lower() != ".png":
        raise SettingsError(f"-o {output}: expected a name that ends in .png")
    rows = rows_of_split(data, split)
    random.Random(seed).shuffle(rows)
    shown = rows[: 1 if augmentation else count]
    with stages_bar() as progress:
        checked = check_rows(shown, reading.applied_to(), progress)
    if words := divided_warning(shown):
        print_line(f"warning: {words}")
    filled = [row for row in checked if row.foreground_pixels] or checked
    if augmentation is not None:
        picture = _views(filled[0], augmentation, count)
    elif any(row.is_slice for row in checked):  # most slices of a volume hold nothing to look at
        picture = _images(random.Random(seed).sample(filled, min(count, len(filled))))
    else:
        picture = _images(checked)
    if words := checked[0].reading.channel_words:
        print_line(f"channels: {words}")
    for words in image_notes(checked).values():
        print_line(f"warning: {words}")
    write_whole(output, lambda p: Image.fromarray(picture).save(p))
    console.print(f"written: {output}")


def _images(rows: "list[CheckedRow]") -> "np.ndarray":
    """Draw each image with the outlines of its mask, classes or instances."""
    from promise_seg.images.sheets import contact_sheet, outlined
    from promise_seg.vocabulary import MaskKind

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


def _views(row: "CheckedRow", recipe: "Recipe", count: int) -> "np.ndarray":
    from promise_seg.augmentation.sheet import augmentation_sheet
    from promise_seg.images.geometry import Geometry

    geometry = Geometry(row.height, row.width, _SIDE, crop=row.crop)
    image, mask = geometry.image_to_model(row.image()), geometry.mask_to_model(row.mask())
    return augmentation_sheet(image, mask, row.image_sha256, recipe, count, row.reading.without_unused)
