"""What a training step reads: stored features of one view of each row, and targets made from its mask."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from promise_seg.data.augmentation import View
from promise_seg.data.checks import CheckedRow
from promise_seg.data.geometry import Fit, shrink_mask
from promise_seg.features.encoding import Sample, features_of
from promise_seg.features.store import FeatureStore
from promise_seg.learning.losses import signed_distances
from promise_seg.prompting.oracle import oracle_points
from promise_seg.prompting.prompts import Prompts
from promise_seg.sam.features import Features
from promise_seg.sam.frozen import FrozenSam


class TrainingBatch(NamedTuple):
    """Shape: features of B views; ``target`` (B, h, h) in [0, 1] at the resolution of SAM's low-resolution masks;
    ``signed_distance`` (B, h, h); oracle points (B, 1, N, 2) with labels (B, 1, N)."""

    embedding: Tensor
    stages: Tensor
    target: Tensor
    signed_distance: Tensor
    oracle_points_xy: Tensor
    oracle_labels: Tensor

    @property
    def features(self) -> Features:
        return Features(self.embedding, self.stages)

    @property
    def oracle(self) -> Prompts:
        return Prompts(points_xy=self.oracle_points_xy, point_labels=self.oracle_labels)


@dataclass(frozen=True)
class Draw:
    """One entry of an epoch: which row, which of its views, and the seed of its oracle points."""

    row: int
    view: int
    seed: tuple[int, ...]


class EpochDraws(Sampler[Draw]):
    """Each row once in each epoch, in a new order and in a random one of its views.

    The draws depend only on (seed, epoch), never on what happened before: a run can go on at any epoch.
    """

    def __init__(self, rows: int, views: int, seed: int) -> None:
        self.rows, self.views, self.seed = rows, views, seed
        self.epoch = 0

    def __len__(self) -> int:
        return self.rows

    def __iter__(self) -> Iterator[Draw]:
        rng = np.random.default_rng([self.seed, self.epoch])
        views = rng.integers(0, self.views, self.rows)
        for row in rng.permutation(self.rows):
            yield Draw(int(row), int(views[row]), (self.seed, self.epoch, int(row)))


class TrainingSet(Dataset[TrainingBatch]):
    """Training rows by :class:`Draw`; each item is a batch of one. Masks are kept in memory, a bit a pixel."""

    def __init__(
        self, rows: Sequence[CheckedRow], sam: FrozenSam, store: FeatureStore, fit: Fit, points: tuple[int, int]
    ) -> None:
        self._rows, self._sam, self._store, self._fit = rows, sam, store, fit
        self._num_points, self._num_foreground = points
        self._masks: dict[tuple[str, View], npt.NDArray[np.uint8]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def samples(self, views: int) -> list[Sample]:
        """Every view of every row, the unchanged views first."""
        return [Sample.of(row, self._sam, self._fit, v) for v in range(views) for row in self._rows]

    def _mask(self, sample: Sample) -> npt.NDArray[np.bool_]:
        key = (sample.checked.row.where, sample.view)
        if key not in self._masks:
            self._masks[key] = np.packbits(sample.mask())
        bits = np.unpackbits(self._masks[key], count=sample.side * sample.side)
        return bits.reshape(sample.side, sample.side).astype(bool)

    def __getitem__(self, draw: Draw) -> TrainingBatch:
        sample = Sample.of(self._rows[draw.row], self._sam, self._fit, draw.view)
        features = features_of([sample], self._sam, self._store)
        mask = self._mask(sample)
        target = shrink_mask(torch.from_numpy(mask)[None], self._sam.mask_side)
        rng = np.random.default_rng(draw.seed)
        points_xy, labels = oracle_points(mask, self._num_points, rng, self._num_foreground)
        return TrainingBatch(
            features.embedding,
            features.stages,
            target,
            torch.from_numpy(signed_distances(target[0].numpy() >= 0.5))[None],
            torch.from_numpy(points_xy)[None, None],
            torch.from_numpy(labels)[None, None],
        )


def collate(items: list[TrainingBatch]) -> TrainingBatch:
    return TrainingBatch(*(torch.cat(parts) for parts in zip(*items, strict=True)))
