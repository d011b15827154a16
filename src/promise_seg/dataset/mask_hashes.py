"""Hashes of the labels of a mask, and of the mask that a rule makes from them."""

import hashlib
import json

import numpy as np

from promise_seg.arrays import Array
from promise_seg.images.masks import MaskRule


def stored_sha256(labels: Array) -> str:
    """Return the hash of labels (H, W) in the data type of their file.

    Runs, trust models and logs of test looks record it, so it may not change.
    """
    return hashlib.sha256(np.ascontiguousarray(labels).tobytes()).hexdigest()


def values_sha256(labels: Array) -> str:
    """Return a hash of the values of labels (H, W), whatever their data type and byte order.

    Labels of 8 bits have the same hash as in :func:`stored_sha256`.
    """
    whole = labels.dtype.kind in "bui" or bool(np.all(np.isfinite(labels) & (labels == np.round(labels))))
    low, high = (float(labels.min()), float(labels.max())) if labels.size else (0.0, 0.0)
    if not whole:
        kind = "<f8"
    elif low >= 0:
        kind = "u1" if high < 2**8 else "<u2" if high < 2**16 else "<u8" if high < 2**63 else "<f8"
    else:
        kind = "<i8" if low >= -(2**63) and high < 2**63 else "<f8"
    return stored_sha256(labels.astype(kind, copy=False))


def mask_sha256(labels_sha256: str, rule: MaskRule) -> str:
    """Return the hash of everything that determines a mask: the hash of its labels, and how they are interpreted."""
    parts = [labels_sha256, rule.kind, rule.label, rule.threshold]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
