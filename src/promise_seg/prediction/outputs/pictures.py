"""Write labels as PNG and TIFF."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from promise_seg.arrays import Array, Uint16Array
from promise_seg.images.formats.tiff_slide import TiffSlide
from promise_seg.images.geometry import Box
from promise_seg.prediction.labelled import Labelled
from promise_seg.prediction.outputs.reading_back import check_same, faults_of_writing, stored_stack, write_checked
from promise_seg.storage.files import Sync, replacing, replacing_folder

LARGEST_WHOLE = 2**26
"""Number of pixels above which an image is written tile by tile."""
_SIDE = 512


def grey_values(labels: Uint16Array, labelled: Labelled) -> Array:
    """Return labels as grey levels: 0 and 255 for a binary mask, the labels themselves for classes and objects."""
    if labelled.is_binary and not labelled.are_instances:
        return np.where(labels > 0, 255, 0).astype(np.uint8)
    return labels.astype(labelled.dtype)


def write_png(labelled: Labelled, path: Path) -> None:
    """Write a PNG; for a volume, write a folder of the same name without the suffix, with a PNG for each slice.

    The files are named by the number of the slice or, for a video, of the frame in the file: ``000.png`` and so on.
    All numbers have as many digits as the last one, but at least three.
    """
    if not labelled.source.is_volume:
        grey = grey_values(labelled.slices[0].labels, labelled)
        write_checked(labelled, path, Image.fromarray(grey).save, stored_stack, grey[None])
        return
    with replacing_folder(path.with_suffix("")) as folder, faults_of_writing(labelled, folder):
        numbers = [labelled.source.number_of(index) for index in range(len(labelled.slices))]
        digits = max(3, len(str(numbers[-1])))
        for number, one in zip(numbers, labelled.slices, strict=True):
            grey, picture = grey_values(one.labels, labelled), folder / f"{number:0{digits}d}.png"
            Image.fromarray(grey).save(picture)
            check_same(stored_stack(picture), grey[None])


def write_tiff(labelled: Labelled, path: Path) -> None:
    """Write a TIFF with a page for each slice; a large image is written tile by tile.

    It is never an OME-TIFF: for a name that ends in ``.ome.tif``, ``tifffile`` would write one and guess its axes.
    """
    if not labelled.source.is_volume and labelled.slices[0].labels.size > LARGEST_WHOLE:
        _write_tiles(labelled, path)
        return
    pages = np.stack([grey_values(one.labels, labelled) for one in labelled.slices])

    def write(to: Path) -> None:
        tifffile.imwrite(to, pages, photometric="minisblack", compression="zlib", metadata=None, ome=False)

    write_checked(labelled, path, write, stored_stack, pages)


def _write_tiles(labelled: Labelled, path: Path) -> None:
    """Write the TIFF of a large image tile by tile, and read it back strip by strip."""
    labels = labelled.slices[0].labels
    height, width = labels.shape
    dtype = grey_values(labels[:1, :1], labelled).dtype

    def tiles() -> Iterator[Array]:
        for top in range(0, height, _SIDE):
            for left in range(0, width, _SIDE):
                yield grey_values(labels[top : top + _SIDE, left : left + _SIDE], labelled)

    with replacing(path, Sync.FILE) as temporary, faults_of_writing(labelled, temporary):
        tifffile.imwrite(
            temporary, tiles(), shape=(height, width), dtype=dtype, tile=(_SIDE, _SIDE), photometric="minisblack",
            compression="zlib", metadata=None, ome=False, bigtiff=labels.nbytes >= 2**31,
        )  # fmt: skip
        written = TiffSlide(temporary)
        for top in range(0, height, _SIDE):
            strip = labels[top : top + _SIDE]
            found = written.window(Box(0, top, width, top + len(strip)))
            check_same(found, grey_values(strip, labelled))
