"""The type of a drawn scene."""

from dataclasses import dataclass

import numpy as np

from promise_seg.arrays import Uint8Array


@dataclass(frozen=True)
class Scene:
    """A drawn image and the objects in it.

    Shape: ``image`` (S, S, 3) uint8 RGB; ``instances`` (S, S) uint8, 0 for the background and 1, 2, ... for the
        objects, of which only the visible part is labelled.
    """

    image: Uint8Array
    instances: Uint8Array
    kind: str

    def object_ids(self, min_area: float = 0.001, max_area: float = 0.6) -> list[int]:
        """Return the numbers of the objects that cover at least ``min_area`` and at most ``max_area`` of the image."""
        areas = np.bincount(self.instances.ravel())
        pixels = self.instances.size
        return [i for i in range(1, len(areas)) if min_area * pixels <= areas[i] <= max_area * pixels]
