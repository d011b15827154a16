"""Rows that are slices of a volume, with the masks that they have together."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from promise_seg.arrays import BoolArray, Float32Array
from promise_seg.assessment.volume_slices import Volume, is_in_time, is_whole, single_slices, slice_key, volumes_to_join
from promise_seg.dataset.checks import CheckedRow
from promise_seg.features.store import FeatureStore
from promise_seg.inference.encoding import Sample, model_features
from promise_seg.model import PromiseModel
from promise_seg.vocabulary import MaskChoice, MaskKind, Slices
from promise_seg.volume_rule import VolumeRule
from promise_seg.volumes.collecting import Collected
from promise_seg.volumes.joining import JoinedVolume
from promise_seg.volumes.stack import Stack, usable
from promise_seg.volumes.whole_slices import IN_TILES


class JoinedSlice(NamedTuple):
    """A slice as it is in its volume: probabilities (H, W) before 3-D cleaning, and the mask (H, W) after it."""

    mask_probs: Float32Array
    mask: BoolArray


def collect_rows(
    model: PromiseModel,
    volume: Volume,
    store: FeatureStore | None,
    *,
    keeps_features: bool,
    mask_choice: MaskChoice | None = None,
) -> Collected:
    """Return the model's own masks of the rows of a volume, in their order.

    Args:
        model: in evaluation mode, with an APM.
        volume: of which there may be some slices alone.
        store: of features.
        keeps_features: whether the slices are to be decoded again.
        mask_choice: which of SAM's masks is taken; by default as the model chose.
    """
    spacing = None if volume.spacing is None else usable(volume.spacing)
    numbers = [row.index for row in volume.rows]
    if len(set(numbers)) < len(numbers):  # files of their own, in the order of their places
        numbers = list(range(len(numbers)))
    stack = Stack(tuple(numbers), spacing, volume.lacking or ("" if spacing else "its voxels have no size"))
    collected = Collected(model, stack, keeps_features=keeps_features, mask_choice=mask_choice)
    for row in volume.rows:
        sample = Sample.of(row, model.sam, model.config.fit)
        collected.add(model_features([sample], model, store), sample.geometry)
    return collected


class JoinedRows:
    """The masks of slices as they are in their volumes; one volume at a time is in memory, as long as rows of it come.

    Objects of instance maps are told apart slice by slice, so their volumes are left as they are; so are slices that
    are seen in tiles, and frames of videos.

    Args:
        model: in evaluation mode, with an APM.
        rows: all rows that will come.
        rule: how slices come together.
        store: of features.
        mask_choice: which of SAM's masks is taken; by default as the model chose.
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
        """Return a row as it is in its volume; ``None`` for rows that are not slices of one."""
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

    def _joined(self, volume: Volume) -> JoinedVolume:
        again = self._rule.slices == Slices.AGREE
        collected = collect_rows(self._model, volume, self._store, keeps_features=again, mask_choice=self._mask_choice)
        joined = JoinedVolume(collected, self._rule, self._model.config.postprocessing)
        for words in joined.notes():
            self._notes.setdefault(words, volume.name)
        return joined

    def notes(self) -> tuple[str, ...]:
        """Return what could not be done as the rule says, a line for each reason, with a volume for which it holds."""
        notes = [f"{name}: {words}" for words, name in self._notes.items()]
        if self._are_instances:
            notes.append("the rule for volumes is not used: objects of instance maps are told apart slice by slice")
        if self._are_tiled:
            notes.append(IN_TILES)
        if self._are_in_time:
            notes.append("the rule for volumes is not used for videos: their frames follow one another in time")
        return tuple(notes)
