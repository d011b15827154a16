"""Labels as PNG and as TIFF."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from promise_seg.arrays import Uint16Array
from promise_seg.files import replacing_folder, write_whole
from promise_seg.prediction.labelling import Labelled


def grey_values(labels: Uint16Array, labelled: Labelled) -> npt.NDArray:
    """Return labels as grey values: 0 and 255 for a plain mask, the labels themselves for classes."""
    if labelled.is_binary:
        return np.where(labels > 0, 255, 0).astype(np.uint8)
    return labels.astype(np.uint8) if max(labelled.names) < 256 else labels


def write_png(labelled: Labelled, path: Path) -> None:
    """One PNG; for a volume a folder of that name, without the suffix, with one for each slice: ``000.png`` ..."""
    if not labelled.source.is_volume:
        picture = Image.fromarray(grey_values(labelled.slices[0].labels, labelled))
        write_whole(path, lambda p: picture.save(p))
        return
    with replacing_folder(path.with_suffix("")) as folder:
        for number, one in enumerate(labelled.slices):
            Image.fromarray(grey_values(one.labels, labelled)).save(folder / f"{number:03d}.png")


def write_tiff(labelled: Labelled, path: Path) -> None:
    """A TIFF with a page for each slice."""
    pages = np.stack([grey_values(one.labels, labelled) for one in labelled.slices])
    write_whole(path, lambda p: tifffile.imwrite(p, pages, photometric="minisblack", compression="zlib", metadata=None))
