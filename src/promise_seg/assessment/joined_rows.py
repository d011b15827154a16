"""The masks of rows that are slices of a volume, after the slices were combined."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from promise_seg.arrays import BoolArray, Float32Array
from promise_seg.assessment.volume_slices import (
    VolumeRows,
    is_in_time,
    is_whole,
    single_slices,
    slice_key,
    volumes_to_join,
)
from promise_seg.dataset.checks import CheckedRow
from promise_seg.features.store import FeatureStore
from promise_seg.inference.encoding import Sample, model_features
from promise_seg.model import PromiseModel
from promise_seg.rules.volume_rule import VolumeRule
from promise_seg.vocabulary import MaskChoice, MaskKind, Slices
from promise_seg.volumes.collecting import CollectedSlices
from promise_seg.volumes.joining import JoinedVolume
from promise_seg.volumes.stack import Stack, usable
from promise_seg.volumes.whole_slices import IN_TILES


class JoinedSlice(NamedTuple):
    """A slice of a combined volume: its probabilities (H, W) before 3-D cleaning, and its mask (H, W) after it."""

    mask_probs: Float32Array
    mask: BoolArray


def collect_rows(
    model: PromiseModel,
    volume: VolumeRows,
    store: FeatureStore | None,
    *,
    keeps_features: bool,
    mask_choice: MaskChoice | None = None,
) -> CollectedSlices:
    """Return the model's own masks of the rows of a volume, in the order of the slices.

    Args:
        model: a model with an APM, in evaluation mode.
        volume: the volume, or some of its slices.
        store: the feature store.
        keeps_features: whether to keep the features, to decode the slices again.
        mask_choice: the choice among SAM's masks; by default the model's.
    """
    spacing = None if volume.spacing is None else usable(volume.spacing)
    numbers = [row.index for row in volume.rows]
    if len(set(numbers)) < len(numbers):  # slices are separate files, sorted by position
        numbers = list(range(len(numbers)))
    stack = Stack(tuple(numbers), spacing, volume.lacking or ("" if spacing else "its voxel size is not known"))
    collected = CollectedSlices(model, stack, keeps_features=keeps_features, mask_choice=mask_choice)
    for row in volume.rows:
        sample = Sample.of(row, model.sam, model.config.fit)
        collected.add(model_features([sample], model, store), sample.geometry)
    return collected


class JoinedRows:
    """The masks of slices after the slices of each volume were combined.

    A volume is in memory from its first row to its last. Volumes with instance maps are not combined, because their
    objects are separated slice by slice; nor are slices that are read in tiles, or frames of videos.

    Args:
        model: a model with an APM, in evaluation mode.
        rows: all rows that will be asked for.
        rule: how the slices of a volume are combined.
        store: the feature store.
        mask_choice: the choice among SAM's masks; by default the model's.
    """

    def __init__(
        self,
        model: PromiseModel,
        rows: Sequence[CheckedRow],
        rule: VolumeRule,
        store: FeatureStore | None = None,
        mask_choice: MaskChoice | None = None,
    ) -> None:
        self._model, self._rule, self._store, self._mask_choice = model, rule, store, mask_choice
        self._volumes = [*volumes_to_join(rows), *single_slices(rows)] if rule.changes else []
        self._places = {
            slice_key(row): (which, number)
            for which, volume in enumerate(self._volumes)
            for number, row in enumerate(volume.rows)
        }
        self._open: dict[int, JoinedVolume] = {}
        found = (self._places.get(slice_key(row)) for row in rows)
        self._waiting = Counter(place[0] for place in found if place is not None)
        self._notes: dict[str, str] = {}
        self._are_instances = rule.changes and any(row.reading.masks == MaskKind.INSTANCES for row in rows)
        slices = [row for row in rows if row.stacking is not None] if rule.changes else []
        self._are_tiled = not all(map(is_whole, slices))
        self._are_in_time = any(map(is_in_time, slices))

    def of(self, row: CheckedRow) -> JoinedSlice | None:
        """Return the combined mask of a row; ``None`` for rows that are not slices of a combined volume."""
        place = self._places.get(slice_key(row))
        if place is None:
            return None
        which, number = place
        if which not in self._open:
            self._open[which] = self._joined(self._volumes[which])
        joined = self._open[which]
        found = JoinedSlice(joined.probs(number), joined.mask(number))
        self._waiting[which] -= 1
        if self._waiting[which] <= 0:
            self._open.pop(which).close()
        return found

    def _joined(self, volume: VolumeRows) -> JoinedVolume:
        again = self._rule.slices == Slices.AGREE
        collected = collect_rows(self._model, volume, self._store, keeps_features=again, mask_choice=self._mask_choice)
        joined = JoinedVolume(collected, self._rule, self._model.config.postprocessing)
        for words in joined.notes():
            self._notes.setdefault(words, volume.name)
        return joined

    def notes(self) -> tuple[str, ...]:
        """Return a line for each reason why the rule was not applied in full, with the name of an example volume."""
        notes = [f"{name}: {words}" for words, name in self._notes.items()]
        if self._are_instances:
            notes.append("the rule for volumes is not used: objects of instance maps are separated slice by slice")
        if self._are_tiled:
            notes.append(IN_TILES)
        if self._are_in_time:
            notes.append("the rule for volumes is not used for videos: their frames follow one another in time")
        return tuple(notes)
