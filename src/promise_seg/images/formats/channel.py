"""One channel of a file with several channels, as a separate source."""

from functools import cached_property
from pathlib import Path

import numpy as np

from promise_seg.arrays import Array
from promise_seg.errors import ImageError
from promise_seg.images.formats.source import Scope, Source

_SHOWN = 12
_INHERITED = (
    "path", "is_volume", "frame", "uneven", "spacing", "slice_spacing", "slices_have_places", "is_oriented", "turned",
    "columns_first", "brightest", "mm_per_unit",
)  # fmt: skip


class OneChannel(Source):
    """The slices (H, W) of one channel, by its number from 0; everything else is as in the file.

    The value range and the percentiles are those of the channel.
    """

    kind = "channel"

    def __init__(self, whole: Source, number: int) -> None:
        self.whole, self.number = whole, number
        for name in _INHERITED:
            setattr(self, name, getattr(whole, name))

    def __len__(self) -> int:
        return len(self.whole)

    def values(self, index: int) -> Array:
        return self.whole.channel_values(index, self.number)

    @cached_property
    def has_finite_values(self) -> bool:
        """Whether any value of any channel is finite: a single channel may be empty."""
        channels = range(len(self.whole.channels))
        found = (self.whole.channel_values(index, number) for index in range(len(self)) for number in channels)
        return any(bool(np.isfinite(values).any()) for values in found)

    @property
    def is_inverted(self) -> bool:
        return self.whole.is_inverted

    @property
    def is_cut(self) -> bool:
        return self.whole.is_cut

    def differs_by(self, index: int) -> dict[str, object]:
        return self.whole.differs_by(index) | {"channel": self.number}

    def slice_files(self, index: int, scope: Scope) -> list[Path]:
        return self.whole.slice_files(index, scope)


def listed(names: tuple[str, ...]) -> str:
    """List channels by their numbers and names: ``0 DAPI, 1 GFP``; of more than 12, the first and the last."""
    words = [f"{number} {name}".strip() for number, name in enumerate(names)]
    return ", ".join(words if len(words) <= _SHOWN else [*words[: _SHOWN - 2], "...", words[-1]])


def unchosen(source: Source, *, of_mask: bool = False) -> ImageError:
    """Return the error for a file with several channels of which none was chosen."""
    names = source.several_channels
    found = f"{source.path}: has {len(names)} channels ({listed(names)})"
    if of_mask:
        return ImageError(
            f"{found}; expected one. Save the one with the labels by itself, and overlapping segments as one label map"
        )
    example = ",".join(map(str, range(min(3, len(names)))))
    return ImageError(
        f"{found}; say in training which of them become the three inputs of SAM, such as --channels {example} (a model "
        "keeps that choice), or save the one that is wanted by itself"
    )
