"""Find out whether many images of a data set are dark, so that another window may show their objects better."""

from collections import defaultdict

import numpy as np

from promise_seg.arrays import Uint8Array
from promise_seg.dataset.checks import CheckedRow
from promise_seg.images.windows import OWN_WINDOW

FEW_LEVELS = 64
"""An image whose grey levels from the 0.5th to the 99.5th percentile span less than this has a low contrast."""
LEAST_SHARE = 0.1
"""The share of images with a low contrast from which stretching is recommended."""
_MOST_VALUES = 1_000_000


class Contrasts:
    """The range of grey levels of each image; that of a volume is the range of all its slices together."""

    def __init__(self) -> None:
        self._lows: dict[str, float] = defaultdict(lambda: 255.0)
        self._highs: dict[str, float] = defaultdict(float)

    def add(self, row: CheckedRow, image: Uint8Array) -> None:
        """Measure an image.

        Args:
            row: the row of the image, or of a slice of a volume; one that is read with another window than the usual
                one is left out.
            image: its pixels as they are passed to SAM, (H, W, 3).
        """
        if row.reading.window != OWN_WINDOW:
            return
        step = max(1, int(np.ceil(np.sqrt(image.size / _MOST_VALUES))))
        low, high = np.percentile(image[::step, ::step], (0.5, 99.5))
        name = str(row.row.image)
        self._lows[name], self._highs[name] = min(low, self._lows[name]), max(high, self._highs[name])

    def advice(self) -> str | None:
        """Return a sentence that names the window to try, or ``None`` if the contrast is good enough."""
        spans = {name: high - self._lows[name] for name, high in self._highs.items()}
        low = {name: span for name, span in spans.items() if 0 < span < FEW_LEVELS}
        if not low or len(low) < LEAST_SHARE * len(spans):
            return None
        first, span = next(iter(low.items()))
        return (
            f"low contrast: {len(low)} of {len(spans)} images use less than a quarter of the 256 grey levels (first "
            f"{first}: {span:.0f}). Try --window percentile:0,100, which stretches each image from its lowest to its "
            "highest value, and compare both on val rows"
        )
