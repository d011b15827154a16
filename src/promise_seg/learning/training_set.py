"""The training set: stored features of one view of each row, and targets made from its mask."""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from promise_seg.arrays import BoolArray, Float32Array, LabelArray
from promise_seg.augmentation import AnyView, draw_view
from promise_seg.augmentation.views import View
from promise_seg.augmentation.windows import draw_window
from promise_seg.dataset.checks import CheckedRow
from promise_seg.features.store import FeatureStore
from promise_seg.images.geometry import Box, on_mask, shrink_mask
from promise_seg.inference.encoding import Sample, apm_inputs, sam_features
from promise_seg.learning.given import GivenForm, drawn_box, prompts_of_form
from promise_seg.learning.losses import depths_of_instances, signed_distances
from promise_seg.learning.mixed_sample import MixedSample
from promise_seg.learning.settings import TrainSettings
from promise_seg.model import IMAGES
from promise_seg.prompting.apm import IMAGE, AutoPrompter
from promise_seg.prompting.oracle import oracle_points
from promise_seg.prompting.separating import depths
from promise_seg.sam.backbone import Backbone
from promise_seg.sam.features import Features
from promise_seg.sam.prompts import Prompts
from promise_seg.vocabulary import MaskKind, Recipe

_MaskKey = tuple[str, int, Box | None, AnyView]


def _key_of(sample: Sample) -> _MaskKey:
    return sample.checked.row.where, sample.checked.index, sample.checked.tile, sample.view


class TrainingBatch(NamedTuple):
    """A batch of B views of train rows.

    Shape:
        features: features of the SAM, or images (B, S, S, 3) uint8 if its encoder is trained too; and the inputs that
            the APM takes from the images themselves.
        target: (B, h, h) in [0, 1] at the resolution of SAM's low-resolution masks.
        signed_distance: (B, h, h), see :func:`~promise_seg.learning.losses.signed_distances`.
        oracle_points_xy_model: (B, 1, N, 2) with ``oracle_labels`` (B, 1, N).
        oracle_boxes: (B, 1, 4), with the small errors of a person.
        oracle_target: (B, h, h), the target of points and boxes: the same as ``target``, or one object of an instance
            map.
        inner_distance: (B, m, m), see :func:`~promise_seg.prompting.separating.depths`.
        presence: (B,), 1 if there is an object in the view.
        map_target: (B, m, m) in [0, 1] at the resolution of the APM's maps, or else as ``target``.
        instances: (B, S, S), the number of the object at each pixel, if objects are learned separately.
    """

    features: dict[str, Tensor]
    target: Tensor
    signed_distance: Tensor
    oracle_points_xy_model: Tensor
    oracle_labels: Tensor
    oracle_boxes: Tensor
    oracle_target: Tensor
    inner_distance: Tensor
    presence: Tensor
    map_target: Tensor
    instances: Tensor | None = None

    @property
    def inputs(self) -> Features:
        """The input of the model."""
        return Features(self.features)

    def parts(self, count: int) -> "list[TrainingBatch]":
        """Divide the batch into parts of nearly the same size; no part is empty."""
        size = len(self.target)
        count = min(count, size)
        return [self._part(slice(size * n // count, size * (n + 1) // count)) for n in range(count)]

    def _part(self, images: slice) -> "TrainingBatch":
        features = {name: values[images] for name, values in self.features.items()}
        others = (None if values is None else values[images] for values in self[1:])
        return TrainingBatch._make((features, *others))

    @property
    def oracle(self) -> Prompts:
        """The oracle points of the batch as prompts, one set for each image."""
        return Prompts(points_xy_model=self.oracle_points_xy_model, point_labels=self.oracle_labels)

    def given(self, form: GivenForm) -> Prompts:
        """Return the prompts that a person gives in this form, one set for each image."""
        return prompts_of_form(self.oracle_points_xy_model, self.oracle_labels, self.oracle_boxes, form)


@dataclass(frozen=True)
class Draw:
    """One entry of an epoch: a row, one of its views, and the seed of its oracle points.

    ``for_maps`` is true if the step trains the maps of the APM alone, so that no features of SAM are needed.
    """

    row: int
    view: int
    seed: tuple[int, ...]
    for_maps: bool = False


class EpochDraws(Sampler[Draw]):
    """Each row once per epoch, in random order and in a random one of its views; with 0 views, in a new one.

    The draws depend only on (seed, epoch), so a run can resume at any epoch.

    Args:
        rows: the number of rows.
        views: the number of views of each row.
        seed: seed of the order and of all other draws.
        batch_size: the number of draws in a step.
        decoder_interval: SAM's decoder is used in the first step, and in every n-th after it.
    """

    def __init__(self, rows: int, views: int, seed: int, batch_size: int = 1, decoder_interval: int = 1) -> None:
        self.rows, self.views, self.seed = rows, views, seed
        self.batch_size, self.decoder_interval = batch_size, decoder_interval
        self.epoch = 0

    @classmethod
    def of(cls, settings: TrainSettings, rows: int) -> "EpochDraws":
        """Return the draws of a training on this number of rows."""
        return cls(rows, settings.views, settings.seed, settings.batch_size, settings.decoder_interval)

    def __len__(self) -> int:
        return self.rows

    def size_of(self, step: int) -> int:
        """Return the number of draws in a step of an epoch, from 0; the last step may have fewer than the others."""
        return min(self.batch_size, self.rows - step * self.batch_size)

    def __iter__(self) -> Iterator[Draw]:
        rng = np.random.default_rng([self.seed, self.epoch])
        views = rng.integers(0, self.views, self.rows) if self.views else np.full(self.rows, self.epoch + 1)
        for number, row in enumerate(rng.permutation(self.rows)):
            for_maps = number // self.batch_size % self.decoder_interval != 0
            yield Draw(int(row), int(views[row]), (self.seed, self.epoch, int(row)), for_maps)


class TrainingSet(Dataset[TrainingBatch]):
    """Training rows by :class:`Draw`; each item is a batch of one. Masks are kept in memory with one bit per pixel."""

    def __init__(
        self,
        rows: Sequence[CheckedRow],
        sam: Backbone,
        store: FeatureStore,
        settings: TrainSettings,
        apm: AutoPrompter | None = None,
    ) -> None:
        self._rows, self._sam, self._settings, self._apm = rows, sam, settings, apm
        repeats = settings.views or settings.augmentation == Recipe.NONE
        self._store = store if repeats else None
        sees_images = apm is not None and apm.image_side is not None and apm.frozen_part is None
        self._draws_views = sees_images and settings.augmentation == Recipe.OWN and not sam.encoder_learns
        self._masks: dict[_MaskKey, bytes] = {}
        self._instances: dict[_MaskKey, bytes] = {}
        self._separates = bool(rows) and settings.learns_objects(rows[0].reading.masks)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def stages_read(self) -> tuple[int, ...]:
        """The stages of SAM's encoder that the APM reads."""
        return () if self._apm is None else self._apm.stages_read

    def samples(self, views: int) -> list[Sample]:
        """Return every view of every row, the unchanged views first; these are worth keeping in the feature store."""
        return [self._sample(row, view) for view in range(views) for row in range(len(self._rows))]

    def _sample(self, row: int, view: int) -> Sample:
        return Sample.of(self._rows[row], self._sam, self._settings.fit, view, self._settings.augmentation)

    def _mask(self, sample: Sample) -> BoolArray:
        if not self._settings.views:
            return sample.mask()
        key = _key_of(sample)
        if key not in self._masks:
            self._masks[key] = zlib.compress(np.packbits(sample.mask()).tobytes(), 1)
        packed = np.frombuffer(zlib.decompress(self._masks[key]), np.uint8)
        bits = np.unpackbits(packed, count=sample.side * sample.side)
        return bits.reshape(sample.side, sample.side).astype(bool)

    def _instance_map(self, sample: Sample, *, keep: bool) -> LabelArray:
        """Return the instance map of a view; those that will be used again are kept, compressed."""
        if not keep or not self._settings.views:
            return sample.instances()
        key = _key_of(sample)
        if key not in self._instances:
            self._instances[key] = zlib.compress(sample.instances().tobytes(), 1)
        return np.frombuffer(zlib.decompress(self._instances[key]), np.uint16).reshape(sample.side, sample.side)

    def __getitem__(self, draw: Draw) -> TrainingBatch:
        return self.item(draw)

    def item(self, draw: Draw, *, with_inputs: bool = True) -> TrainingBatch:
        """Return a batch of one; ``with_inputs`` is false if the inputs of the model are already known."""
        is_new = draw.for_maps and self._draws_views
        sample = self._new_view(draw) if is_new else self._sample(draw.row, draw.view)
        mask = sample.mask() if is_new else self._mask(sample)
        target = shrink_mask(torch.from_numpy(mask)[None], self._sam.mask_side)
        rng = np.random.default_rng(draw.seed)
        wanted, oracle_target = mask, target
        if sample.checked.reading.masks == MaskKind.INSTANCES:
            wanted = self._one_object(sample, rng, mask)
            oracle_target = shrink_mask(torch.from_numpy(wanted)[None], self._sam.mask_side)
        points_xy_model, labels = oracle_points(wanted, self._settings.num_points, rng, self._settings.num_foreground)
        coarse = target[0].numpy() >= 0.5
        instances = self._instance_map(sample, keep=not is_new) if self._separates else None
        map_side = None if self._apm is None else self._apm.map_side
        map_target = target if map_side is None else shrink_mask(torch.from_numpy(mask)[None], map_side)
        inputs: dict[str, Tensor] = {}
        if with_inputs:
            inputs = self._image(sample) if is_new else self._inputs(sample, draw)
        return TrainingBatch(
            features=inputs,
            target=target,
            signed_distance=torch.from_numpy(signed_distances(coarse))[None],
            oracle_points_xy_model=torch.from_numpy(points_xy_model)[None, None],
            oracle_labels=torch.from_numpy(labels)[None, None],
            oracle_boxes=torch.from_numpy(drawn_box(wanted, rng))[None, None],
            oracle_target=oracle_target,
            inner_distance=torch.from_numpy(_depths(map_target[0].numpy() >= 0.5, instances))[None],
            presence=torch.tensor([float(mask.any())]),
            map_target=map_target,
            instances=None if instances is None else torch.from_numpy(instances.astype(np.int32))[None],
        )

    def _new_view(self, draw: Draw) -> Sample:
        """Draw a view that was never used before, which is cheap as SAM does not encode it.

        If views are mixed, a random half of them contains a window of such a view of another row.
        """
        view = self._drawn_view(np.random.default_rng([*draw.seed, 1]))
        sample = replace(self._sample(draw.row, 0), view=view)
        rng = np.random.default_rng([*draw.seed, 2])
        if not self._settings.mixes_views or rng.random() < 0.5:
            return sample
        other = replace(self._sample(int(rng.integers(len(self._rows))), 0), view=self._drawn_view(rng))
        return MixedSample.of_two(sample, other, draw_window(rng))

    def _drawn_view(self, rng: np.random.Generator) -> View:
        """Draw a view, with inverted grey levels in the wanted share of them."""
        view, share = draw_view(rng), self._settings.inverted_views
        return view.inverted() if share and rng.random() < share else view

    def _image(self, sample: Sample) -> dict[str, Tensor]:
        return {} if self._apm is None else apm_inputs([sample], self._apm, None)

    def _inputs(self, sample: Sample, draw: Draw) -> dict[str, Tensor]:
        """Return the inputs of the model for a view; the colours of the APM's image change with each draw."""
        if self._sam.encoder_learns:
            inputs = {IMAGES: torch.from_numpy(sample.image())[None]}
        else:
            inputs = dict(sam_features([sample], self._sam, self._store, self.stages_read).tensors)
        if self._apm is None:
            return inputs
        seen = apm_inputs([sample], self._apm, self._store)
        if IMAGE in seen and self._settings.augmentation == Recipe.OWN:
            change = draw_view(np.random.default_rng([*draw.seed, 1])).only_colours()
            changed = change.apply_to_image(seen[IMAGE][0].numpy())
            seen[IMAGE] = torch.from_numpy(sample.checked.reading.without_unused(changed))[None]
        return inputs | seen

    @staticmethod
    def _one_object(sample: Sample, rng: np.random.Generator, union: BoolArray) -> BoolArray:
        """Return the mask of a random object, transformed as the view is; ``union`` if the view shows none of it."""
        labels = sample.checked.labels()
        numbers = np.setdiff1d(labels, [0])
        if not len(numbers):
            return union
        mask = sample.to_frame(labels == numbers[rng.integers(len(numbers))])
        return mask if mask.any() else union


def _depths(mask: BoolArray, instances: LabelArray | None) -> Float32Array:
    """Return the depth of each pixel of a mask (m, m) inside its object, with the objects of (S, S) if given."""
    if instances is None:
        return depths(mask)
    side = len(mask)
    places = ((np.arange(side) + 0.5) * len(instances) / side).astype(np.int64)
    return depths_of_instances(on_mask(instances[np.ix_(places, places)], mask))


def collate(items: list[TrainingBatch]) -> TrainingBatch:
    """Collate single-image batches to a batch of several images."""
    parts: dict[str, Any] = {}
    for name in TrainingBatch._fields:
        values = [getattr(item, name) for item in items]
        if isinstance(values[0], dict):
            parts[name] = {key: torch.cat([value[key] for value in values]) for key in values[0]}
        else:
            parts[name] = None if values[0] is None else torch.cat(values)
    return TrainingBatch(**parts)
