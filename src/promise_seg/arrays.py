"""Types of arrays, named after their content; the docstrings of functions give the shapes."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
"""Values of any type, as stored in a file."""
BoolArray = npt.NDArray[np.bool_]
"""A mask: ``True`` is foreground."""
Uint8Array = npt.NDArray[np.uint8]
"""Pixels of an image, [0, 255]."""
Uint16Array = npt.NDArray[np.uint16]
IntArray = npt.NDArray[np.int64]
LabelArray = npt.NDArray[np.integer]
"""A label map: 0 is background, any other value a class or an object."""
Float32Array = npt.NDArray[np.float32]
"""Probabilities, logits and coordinates."""
Float64Array = npt.NDArray[np.float64]
"""Statistics."""
