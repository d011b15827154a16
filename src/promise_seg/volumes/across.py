"""Average the probabilities of a volume that is cut across several axes."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from promise_seg.arrays import Float32Array
from promise_seg.images.formats.orientation import SliceFrame
from promise_seg.rules.volume_rule import VolumeRule
from promise_seg.volumes.collecting import CollectedSlices
from promise_seg.volumes.joining import JoinedProbs

_BYTES_AT_ONCE = 64 * 2**20
"""Maximum memory in bytes for probabilities in full resolution."""


class Cut(NamedTuple):
    """The slices of a volume across one axis.

    Args:
        collected: all slices; their images may be enlarged compared with the file.
        frame: frame of the slices.
    """

    collected: CollectedSlices
    frame: SliceFrame


class MeanProbs(JoinedProbs):
    """The mean probabilities of a volume over several axes, for the slices of the first axis.

    Slices are combined along each axis by the rule, with the distances along that axis. Memory use does not depend on
    the number of slices: a few slices are computed at a time, each time iterating over all slices of the other axes.

    Args:
        first: cut that defines the slices.
        others: cuts of the same volume across other axes.
        rule, threshold: see :class:`~promise_seg.volumes.joining.JoinedProbs`.
    """

    def __init__(self, first: Cut, others: Sequence[Cut], rule: VolumeRule, threshold: float) -> None:
        super().__init__(first.collected, rule, threshold)
        self._frame = first.frame
        self._others = [(JoinedProbs(one.collected, rule, threshold), one.frame) for one in others]
        count, height, width = self._frame.counts
        self._at_once = min(count, max(1, _BYTES_AT_ONCE // (4 * height * width)))
        self._start, self._means = 0, np.zeros((0, height, width), np.float32)

    def probs(self, number: int) -> Float32Array:
        """Return the mean probabilities (H, W) of a slice, in the image frame."""
        if not 0 <= number - self._start < len(self._means):
            self._start, self._means = number, self._means_from(number)
        return self._means[number - self._start].copy()

    def _means_from(self, start: int) -> Float32Array:
        """Return the mean probabilities (n, H, W) of the slices from ``start`` on, as many as fit in memory."""
        stop = min(start + self._at_once, len(self))
        sums = np.stack([super(MeanProbs, self).probs(number) for number in range(start, stop)])
        for joined, frame in self._others:
            _, height, width = frame.counts
            for number in range(len(joined)):
                plane = cv2.resize(joined.probs(number), (width, height), interpolation=cv2.INTER_AREA)
                moved, axis, place = self._frame.slice_of(frame, number, plane)
                np.moveaxis(sums, axis, 0)[place] += np.moveaxis(moved, axis, 0)[0][start:stop]
        return sums / np.float32(1 + len(self._others))

    def close(self) -> None:
        """Free the space of all temporary files."""
        super().close()
        for joined, _ in self._others:
            joined.close()
