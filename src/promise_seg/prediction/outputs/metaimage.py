"""Labels as a MetaImage, voxel for voxel where the image lies.

Source: https://itk.org/Wiki/ITK/MetaIO/Documentation
"""

import zlib
from pathlib import Path

import numpy as np

from promise_seg.arrays import Array
from promise_seg.images.formats.source import Source
from promise_seg.prediction.labelling import Labelled
from promise_seg.prediction.outputs.reading_back import stack_beside, stored_stack, write_checked

_LPS = np.diag([-1.0, -1.0, 1.0])


def write_metaimage(labelled: Labelled, path: Path) -> None:
    """Write labels in the shape, axis order and place of the input; for a stack of slices as columns, rows and slices.

    Inputs whose position is unknown give a file without directions and origin.
    """
    source = labelled.source
    labels = labelled.stack if source.frame is None else source.frame.from_slices(labelled.stack)
    labels = labels.astype("<u1" if max(labelled.names) < 256 else "<u2")
    columns_first = labels if source.columns_first else labels.T
    array = columns_first if source.is_volume else columns_first[..., 0]
    packed = zlib.compress(array.tobytes(order="F"))
    lines = [
        "ObjectType = Image",
        f"NDims = {array.ndim}",
        "BinaryData = True",
        "BinaryDataByteOrderMSB = False",
        "CompressedData = True",
        f"CompressedDataSize = {len(packed)}",
        *_place(source, array.ndim),
        f"DimSize = {_words(array.shape)}",
        f"ElementType = {'MET_UCHAR' if array.itemsize == 1 else 'MET_USHORT'}",
        "ElementDataFile = LOCAL",
    ]
    content = "\n".join(lines).encode() + b"\n" + packed

    def read(written: Path) -> Array:
        is_placed = source.frame is not None and source.is_volume
        return stack_beside(written, labelled) if is_placed else stored_stack(written)

    write_checked(labelled, path, lambda to: to.write_bytes(content), read, labelled.stack)


def _place(source: Source, dimensions: int) -> list[str]:
    """Return the lines that say where the labels lie."""
    if source.frame is None or dimensions < 3:
        return [] if source.spacing is None or dimensions > 2 else [f"ElementSpacing = {_words(source.spacing[::-1])}"]
    affine = source.frame.affine if source.columns_first else source.frame.affine[:, [2, 1, 0, 3]]
    axes = (_LPS @ affine[:3, :3]).T
    lengths = np.linalg.norm(axes, axis=1)
    return [
        f"TransformMatrix = {_words((axes / lengths[:, None]).ravel())}",
        f"Offset = {_words(_LPS @ affine[:3, 3])}",
        f"ElementSpacing = {_words(lengths)}",
    ]


def _words(values: Array | tuple[float, ...]) -> str:
    return " ".join(repr(value) for value in np.asarray(values).tolist())
