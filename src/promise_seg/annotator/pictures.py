"""Slices of images of any format, windowed and encoded as PNG."""

import io
from typing import Any

import numpy as np
from PIL import Image

from promise_seg.annotator.catalogue import Catalogue, readable
from promise_seg.annotator.refusals import invalid
from promise_seg.annotator.upcoming import middle
from promise_seg.arrays import Uint8Array
from promise_seg.images.formats.source import spread

THUMBNAIL_SIDE = 160


class Pictures:
    """The PNG images that the page shows.

    Args:
        catalogue: the images of the project.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._windows: dict[int, dict[str, float] | None] = {}

    def pixels(self, number: int, index: int, low: float | None = None, high: float | None = None) -> bytes:
        """Return a slice as PNG, windowed as for the model, or from the value ``low`` (black) to ``high`` (white).

        Raises:
            Refusal: if the image cannot be read, has no such slice, or cannot have such a window.
        """
        self._catalogue.check_slice(number, index)
        if (low is None) != (high is None):
            raise invalid("low, high", "give both or neither")
        if low is None or high is None:
            return _png(self._rgb(number, index))
        if not low < high:
            raise invalid("low, high", "expected low < high")
        source = self._catalogue.source(number)
        with readable(source.path.name):
            values = self._catalogue.reading.values(source, index)
            if values.ndim != 2:
                raise invalid("low, high", "this image is in colour, so it has no window")
            return _png(source.shown(spread(values, low, high), values))

    def thumbnail(self, number: int) -> bytes:
        """Return the middle slice as PNG, reduced to at most 160 x 160 pixels."""
        rgb = self._rgb(number, middle(int(self._catalogue.row(number)["slices"])))
        small = Image.fromarray(rgb)
        small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        return _png(np.asarray(small))

    def window(self, number: int) -> dict[str, float] | None:
        """Return the range of an image's values, ``lowest`` to ``highest``, and its window, ``low`` to ``high``.

        ``None`` for colours and 8-bit grey levels, which need no window. It is computed once per image, because it may
        need all slices of a volume.
        """
        self._catalogue.check_unchanged(number)
        if number not in self._windows:
            self._windows[number] = self._window(number)
        return self._windows[number]

    def _window(self, number: int) -> dict[str, float] | None:
        source, reading = self._catalogue.source(number), self._catalogue.reading
        with readable(source.path.name):
            values = reading.values(source, 0)
            if values.ndim != 2 or values.dtype == np.uint8:
                return None
            lowest, highest = source.value_range
            seen = reading.window.scales[0].grey(source, 0)
            grey = 255 - seen if source.is_inverted else seen
            black, white = values[(grey == 0) & np.isfinite(values)], values[(grey == 255) & np.isfinite(values)]
        low = float(black.max()) if black.size else lowest
        high = float(white.min()) if white.size else highest
        if not low < high:
            low, high = lowest, highest
        return {"lowest": lowest, "highest": highest, "low": low, "high": high}

    def _rgb(self, number: int, index: int) -> Uint8Array:
        source = self._catalogue.source(number)
        with readable(source.path.name):
            return self._catalogue.reading.rgb(source, index)


def _png(pixels: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=1)
    return stream.getvalue()
