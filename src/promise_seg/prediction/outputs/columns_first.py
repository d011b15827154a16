"""Labels and affines in the axis order of volume formats: columns, rows, slices."""

import numpy as np

from promise_seg.arrays import Array, Float64Array
from promise_seg.prediction.labelled import Labelled

TO_LPS = np.diag([-1.0, -1.0, 1.0])
"""Matrix from RAS+ patient coordinates, which NIfTI uses, to LPS+, which DICOM, NRRD and MetaImage use."""


def labels_columns_first(labelled: Labelled) -> Array:
    """Return the labels (I, J, K) in the axis order of the input and the smallest type that holds them.

    Labels of DICOM series and single images, which define no such order, are in the order columns, rows, slices.
    """
    source = labelled.source
    labels = labelled.stack if source.frame is None else source.frame.from_slices(labelled.stack)
    labels = labels.astype(labelled.dtype)
    return labels if source.columns_first else labels.T


def affine_columns_first(labelled: Labelled) -> Float64Array | None:
    """Return the affine (4, 4) of :func:`labels_columns_first` from voxels to RAS+ mm; ``None`` if unknown."""
    source = labelled.source
    if source.frame is None:
        return None
    affine = source.frame.affine if source.columns_first else source.frame.affine[:, [2, 1, 0, 3]]
    return affine * np.array([*[source.mm_per_unit] * 3, 1.0])[:, None]
