"""Write labels as a NumPy array."""

from pathlib import Path

import numpy as np

from promise_seg.arrays import Array
from promise_seg.prediction.labelled import Labelled
from promise_seg.prediction.outputs.reading_back import write_checked


def write_npy(labelled: Labelled, path: Path) -> None:
    """Write labels in the shape and axis order of the input's array; (N, H, W) for volumes without geometry."""
    frame, is_volume = labelled.source.frame, labelled.source.is_volume
    array = np.ascontiguousarray(labelled.labels.astype(labelled.dtype))

    def write(to: Path) -> None:
        with to.open("wb") as file:  # np.save would append its suffix to a path
            np.save(file, array, allow_pickle=False)

    def read(written: Path) -> Array:
        found = np.load(written, allow_pickle=False)
        if not is_volume:
            return found[None]
        return found if frame is None else frame.to_slices(found)

    write_checked(labelled, path, write, read, labelled.stack)
