"""Write labels as a MetaImage with the geometry of the image.

Source: https://itk.org/Wiki/ITK/MetaIO/Documentation
"""

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from promise_seg.arrays import Array
from promise_seg.images.formats.metaimage import MetaImageVolume
from promise_seg.images.formats.source import Source
from promise_seg.prediction.labelled import Labelled
from promise_seg.prediction.outputs.columns_first import TO_LPS, affine_columns_first, labels_columns_first
from promise_seg.prediction.outputs.reading_back import stack_beside, stored_stack, write_checked


def write_metaimage(labelled: Labelled, path: Path) -> None:
    """Write labels in the shape, axis order and geometry of the input; a stack of slices as columns, rows, slices.

    For inputs with unknown geometry, the file has no directions and no origin.
    """
    source = labelled.source
    labels = labels_columns_first(labelled)
    array = labels if source.is_volume else labels[..., 0]
    packed = zlib.compress(array.astype(array.dtype.newbyteorder("<")).tobytes(order="F"))
    lines = [
        "ObjectType = Image",
        f"NDims = {array.ndim}",
        "BinaryData = True",
        "BinaryDataByteOrderMSB = False",
        "CompressedData = True",
        f"CompressedDataSize = {len(packed)}",
        *_place(labelled, array.ndim),
        f"DimSize = {_words(array.shape)}",
        f"ElementType = {'MET_UCHAR' if array.itemsize == 1 else 'MET_USHORT'}",
        "ElementDataFile = LOCAL",
    ]
    content = "\n".join(lines).encode() + b"\n" + packed

    def read(written: Path) -> Array:
        is_placed = source.frame is not None and source.is_volume
        return stack_beside(written, labelled) if is_placed else stored_stack(written)

    write_checked(labelled, path, lambda to: to.write_bytes(content), read, labelled.stack)


def _place(labelled: Labelled, dimensions: int) -> list[str]:
    """Return the header lines with the geometry of the labels."""
    affine = affine_columns_first(labelled)
    if dimensions < 3:
        return _place_in_plane(labelled.source)
    if affine is None:
        return []
    axes = (TO_LPS @ affine[:3, :3]).T
    lengths = np.linalg.norm(axes, axis=1)
    return [
        f"TransformMatrix = {_words((axes / lengths[:, None]).ravel())}",
        f"Offset = {_words(TO_LPS @ affine[:3, 3])}",
        f"ElementSpacing = {_words(lengths)}",
    ]


def _place_in_plane(source: Source) -> list[str]:
    """Return the header lines with the geometry of an image of two dimensions."""
    lines = [] if source.spacing is None else [f"ElementSpacing = {_words(source.spacing[::-1])}"]
    if isinstance(source, MetaImageVolume) and source.plane is not None:
        matrix, origin = source.plane
        lines = [f"TransformMatrix = {_words(matrix)}", f"Offset = {_words(origin)}", *lines]
    return lines


def _words(values: Array | Sequence[float]) -> str:
    return " ".join(repr(value) for value in np.asarray(values).tolist())
