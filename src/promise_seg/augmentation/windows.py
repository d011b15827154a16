"""Windows of one view pasted into another, with their masks, to show objects in front of other tissue."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

CELLS = 32
"""The number of cells along the side of a frame; the edges of a window are on the borders of cells."""
_LEAST_SHARE, _MOST_SHARE = 0.1, 0.6  # of the area of the frame

Pixels = TypeVar("Pixels", bound=np.generic)


@dataclass(frozen=True)
class Window:
    """A square window of a frame, in cells."""

    left: int
    top: int
    width: int

    def paste(self, onto: npt.NDArray[Pixels], source: npt.NDArray[Pixels]) -> npt.NDArray[Pixels]:
        """Return a copy of ``onto``, (S, S) or (S, S, 3), with this window of ``source``, of the same shape."""
        edges = np.array([self.left, self.left + self.width, self.top, self.top + self.width])
        left, right, top, bottom = np.round(edges * len(onto) / CELLS).astype(int)
        pasted = onto.copy()
        pasted[top:bottom, left:right] = source[top:bottom, left:right]
        return pasted


def draw_window(rng: np.random.Generator) -> Window:
    """Draw a window with 10 to 60 % of the area of the frame.

    Source: Yun et al. 2019, "CutMix"; there the labels of images are mixed, here each pixel keeps its own label.
    """
    width = round(CELLS * float(np.sqrt(rng.uniform(_LEAST_SHARE, _MOST_SHARE))))
    left, top = (int(rng.integers(0, CELLS - width + 1)) for _ in range(2))
    return Window(left, top, width)
