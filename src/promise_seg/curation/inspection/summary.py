"""Summary statistics of each split of a data set: sizes, objects, intensities, classes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from promise_seg.dataset.checks import CheckedRow
from promise_seg.vocabulary import MaskKind, Split

_QUANTILES = (0, 0.25, 0.5, 0.75, 1)


@dataclass
class SplitSummary:
    """The statistics of one split, updated one image at a time."""

    images: int = 0
    groups: set[str] = field(default_factory=set)
    empty_masks: int = 0
    shares: list[float] = field(default_factory=list)
    low: float = float("inf")
    high: float = float("-inf")
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    classes: Counter[int] = field(default_factory=Counter)
    objects: list[int] = field(default_factory=list)
    object_pixels: list[int] = field(default_factory=list)

    def add(self, checked: CheckedRow, value_range: tuple[float, float]) -> None:
        """Count an image, given the lowest and highest of its values."""
        self.images += 1
        self.groups.add(checked.row.group)
        if checked.foreground_pixels:
            self.shares.append(checked.foreground_pixels / (checked.height * checked.width))
        else:
            self.empty_masks += 1
        self.low, self.high = min(self.low, value_range[0]), max(self.high, value_range[1])
        self.sizes[checked.width, checked.height] += 1
        self.classes.update(label for label, _ in checked.class_pixels)
        if checked.reading.masks == MaskKind.INSTANCES:
            pixels = checked.object_pixels()
            self.objects.append(len(pixels))
            self.object_pixels += pixels

    def as_json(self) -> dict[str, Any]:
        """Return the statistics; ``object_share`` has the quartiles of the image share that non-empty masks cover.

        For instance maps, ``objects_per_image`` and ``object_pixels`` have the quartiles of the number of objects in an
        image and of the number of pixels of an object.
        """
        of_objects = {
            "objects_per_image": _quartiles(self.objects), "object_pixels": _quartiles(self.object_pixels)
        }  # fmt: skip
        return {
            "images": self.images,
            "groups": len(self.groups),
            "empty_masks": self.empty_masks,
            "object_share": _quartiles(self.shares),
            "values": [self.low, self.high] if self.images else [],
            "sizes": {f"{width} x {height}": count for (width, height), count in self.sizes.most_common()},
            "classes": {str(label): count for label, count in sorted(self.classes.items())},
            **(of_objects if self.objects else {}),
        }


def _quartiles(values: Sequence[float]) -> list[float]:
    return [round(float(value), 6) for value in np.quantile(values, _QUANTILES)] if values else []


def new_summary() -> dict[Split, SplitSummary]:
    """Return an empty summary for each split."""
    return {split: SplitSummary() for split in Split}
