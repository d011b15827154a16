"""Views into which a window of another view is pasted."""

from dataclasses import dataclass

import numpy as np

from promise_seg.arrays import BoolArray, LabelArray, Uint8Array
from promise_seg.augmentation.windows import Window
from promise_seg.inference.encoding import Sample


@dataclass(frozen=True)
class MixedSample(Sample):
    """A view with a window of another view, from which image, mask and instance map are copied.

    Properties of the file, such as its name and its geometry, are those of the view itself.
    """

    other: Sample
    window: Window

    @classmethod
    def of_two(cls, one: Sample, other: Sample, window: Window) -> "MixedSample":
        """Return a view with a window of another view, which must have the same side."""
        return cls(one.checked, one.view, one.side, one.fit, other, window)

    def image(self) -> Uint8Array:
        return self.window.paste(super().image(), self.other.image())

    def image_at(self, side: int) -> Uint8Array:
        return self.window.paste(super().image_at(side), self.other.image_at(side))

    def mask(self) -> BoolArray:
        return self.window.paste(super().mask(), self.other.mask())

    def instances(self) -> LabelArray:
        """Return the instance map (S, S) int32; objects of the pasted view get numbers of their own."""
        here, there = (sample.astype(np.int32) for sample in (super().instances(), self.other.instances()))
        return self.window.paste(here, np.where(there > 0, there + here.max(), 0))
