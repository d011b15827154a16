"""Labels and their place as formats of volumes hold them: columns first, then rows, then slices."""

import numpy as np

from promise_seg.arrays import Array, Float64Array
from promise_seg.prediction.labelled import Labelled

TO_LPS = np.diag([-1.0, -1.0, 1.0])
"""The matrix from patient coordinates RAS+, as NIfTI has them, to LPS+, as DICOM, NRRD and MetaImage have them."""


def labels_columns_first(labelled: Labelled) -> Array:
    """Return the labels (I, J, K) in the smallest type that holds them: in the input's order of axes, if it has one.

    Labels of DICOM series and pictures, which have no such order, are columns, rows and slices.
    """
    source = labelled.source
    labels = labelled.stack if source.frame is None else source.frame.from_slices(labelled.stack)
    labels = labels.astype(labelled.dtype)
    return labels if source.columns_first else labels.T


def affine_columns_first(labelled: Labelled) -> Float64Array | None:
    """Return the affine (4, 4) of :func:`labels_columns_first`, from voxels to mm, RAS+; ``None`` if it is unknown."""
    source = labelled.source
    if source.frame is None:
        return None
    return source.frame.affine if source.columns_first else source.frame.affine[:, [2, 1, 0, 3]]
