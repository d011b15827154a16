"""Map the values of a modality to the input of SAM: 8 bits in three channels."""

from dataclasses import dataclass

import numpy as np

from promise_seg.arrays import Uint8Array
from promise_seg.errors import ImageError, SettingsError
from promise_seg.images.formats.source import Scope, Source, spread
from promise_seg.images.formats.voi import windowed

PRESETS: dict[str, tuple[float, float]] = {
    "abdomen": (50.0, 400.0),
    "bone": (400.0, 1800.0),
    "brain": (40.0, 80.0),
    "liver": (30.0, 150.0),
    "lung": (-600.0, 1500.0),
    "mediastinum": (50.0, 350.0),
    "soft-tissue": (50.0, 400.0),
    "stroke": (40.0, 40.0),
    "subdural": (75.0, 215.0),
    "temporal-bone": (600.0, 2800.0),
}
"""Level and width in Hounsfield units, as is customary for CT."""

OWN = "own"
PERCENTILES = (0.5, 99.5)
_EXPECTED = (
    f"own, percentile or percentile:LOW,HIGH, LEVEL,WIDTH, or one of {', '.join(PRESETS)}; or three of these joined by "
    "+ for red, green and blue"
)


@dataclass(frozen=True)
class GreyScale:
    """A mapping of values to grey levels: ``own``, between two percentiles, or around a level."""

    text: str
    percentiles: tuple[float, float] | None = None
    level_width: tuple[float, float] | None = None

    def grey(self, source: Source, index: int) -> Uint8Array:
        """Return one slice: (H, W) uint8, or (H, W, 3) in colour.

        Raises:
            ImageError: if the slice is damaged, or in colour where grey values are needed.
        """
        if self.percentiles is not None:
            values = source.values(index)
            return source.shown(spread(values, *source.percentiles(*self.percentiles)), values)
        if self.level_width is not None:
            values = source.values(index)
            if values.ndim == 3:
                raise ImageError(f"{source.path}: a picture in colour; --window {self.text} is for grey values")
            return source.shown(windowed(values, *self.level_width), values)
        return source.own_window(index)


@dataclass(frozen=True)
class Window:
    """The map from values to grey levels: one scale for all three channels, or one for each."""

    scales: tuple[GreyScale, ...]

    @property
    def scope(self) -> Scope:
        """The data that a grey level depends on."""
        if all(scale.level_width is not None for scale in self.scales):
            return Scope.PIXEL
        return Scope.OWN if all(scale.text == OWN for scale in self.scales) else Scope.VOLUME

    @property
    def has_percentiles(self) -> bool:
        """Whether a grey level depends on percentiles."""
        return any(scale.percentiles is not None for scale in self.scales)

    def __str__(self) -> str:
        return "+".join(scale.text for scale in self.scales)

    def rgb(self, source: Source, index: int) -> Uint8Array:
        """Return one slice as the input of SAM: (H, W, 3) uint8.

        Raises:
            ImageError: if the slice is damaged, or in colour where grey values are needed.
        """
        seen = [scale.grey(source, index) for scale in self.scales]
        if len(seen) == 1:
            return seen[0] if seen[0].ndim == 3 else np.repeat(seen[0][..., None], 3, 2)
        if seen[0].ndim == 3:
            raise ImageError(f"{source.path}: a picture in colour; --window {self} is for grey values")
        return np.stack(seen, 2)


def _numbers(text: str) -> tuple[float, float] | None:
    try:
        first, second = (float(part) for part in text.split(","))
    except ValueError:
        return None
    return (first, second) if np.isfinite([first, second]).all() else None


def _parse_scale(text: str) -> GreyScale | None:
    name, _, rest = text.partition(":")
    if text == OWN:
        return GreyScale(text)
    if name == "percentile":
        limits = _numbers(rest) if rest else PERCENTILES
        return GreyScale(text, percentiles=limits) if limits and 0 <= limits[0] < limits[1] <= 100 else None
    if text in PRESETS:
        return GreyScale(text, level_width=PRESETS[text])
    pair = _numbers(text)
    return GreyScale(text, level_width=pair) if pair and pair[1] > 0 else None


def parse_window(text: str) -> Window:
    """Parse the value of ``--window``.

    Raises:
        SettingsError: if the text is not a valid window.
    """
    scales = [_parse_scale(part.strip().lower()) for part in text.split("+")]
    known = tuple(scale for scale in scales if scale is not None)
    if len(known) != len(scales) or len(scales) not in (1, 3):
        raise SettingsError(f"--window {text}: expected {_EXPECTED}")
    return Window(known)


OWN_WINDOW = Window((GreyScale(OWN),))
