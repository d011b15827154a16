"""Drawn inputs of the program of an export."""

import numpy as np
from PIL import Image


def blobs(seed: int, shape: tuple[int, int] = (90, 120)) -> np.ndarray:
    """Smooth random probabilities."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.random((9, 12)).astype(np.float32))
    return np.clip(np.asarray(coarse.resize(shape[::-1], Image.Resampling.BICUBIC)), 0, 1)
