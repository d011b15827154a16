"""Scores of volumes, computed as soon as all their slices are there: 3-D overlap, and surface distances in mm."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from promise_seg.arrays import BoolArray, Uint8Array
from promise_seg.assessment.measuring import DEFAULT_TOLERANCE, Tolerance, Unit
from promise_seg.assessment.metrics import overlap_scores
from promise_seg.assessment.surfaces import Surfaces
from promise_seg.assessment.volume_slices import SliceKey, VolumeRows, slice_key, volumes_of
from promise_seg.dataset.checks import CheckedRow
from promise_seg.volumes.stack import Spacing

HASHES = ("image_sha256", "truth_sha256", "truth_values_sha256")
"""The hashes in the tables of scores: of the pixels, of the ground truth as stored, and of its values in any type."""
VOLUME_MEASURES = ("dice", "iou", "precision", "recall", "hd95", "assd", "surface_dice")
"""The measures of volumes, in the order of files and tables; the last three need the distance between slices."""
RULE_FOR_EMPTY_VOLUMES = (
    "a slice without the object counts by the voxels that are wrongly predicted in it; if both the ground truth and "
    "the prediction of a volume are empty, every measure is perfect; if only one of them is, every measure is at its "
    "worst (0, or the volume's diagonal for distances), except recall (perfect) where there is nothing to find"
)


def volume_tolerance(tolerance: Tolerance) -> Tolerance:
    """Return the tolerance of the surface Dice of volumes, always in mm: the given one, or 2 mm instead of pixels."""
    return tolerance if tolerance.unit == Unit.MILLIMETRES else Tolerance(DEFAULT_TOLERANCE.value, Unit.MILLIMETRES)


@dataclass(frozen=True)
class VolumeScore:
    """The scores of one volume, or of those of its slices that are rows.

    Args:
        volume: the volume with its slices.
        measures: the measures by name; without distances and surface Dice if the spacing of the volume is not known.
        has_truth, has_prediction: whether the ground truth and the prediction have any foreground.
    """

    volume: VolumeRows
    measures: dict[str, float]
    has_truth: bool
    has_prediction: bool

    @property
    def name(self) -> str:
        """The path of the volume."""
        return self.volume.name

    @property
    def group(self) -> str:
        """The patient, or whatever the column ``group`` names."""
        return self.volume.group

    @property
    def rows(self) -> tuple[CheckedRow, ...]:
        """The rows of the slices, in order."""
        return self.volume.rows

    @property
    def split(self) -> str:
        """The split of the rows."""
        return str(self.rows[0].row.split)

    def hashes(self) -> tuple[str, ...]:
        """Return the :data:`HASHES` of the volume, made from those of its slices."""
        return tuple(_sha256([getattr(row, name) for row in self.rows]) for name in HASHES)


def _sha256(hashes: list[str]) -> str:
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


@dataclass
class _Stack:
    """A volume whose slices are being collected; masks are packed, eight voxels per byte."""

    volume: VolumeRows
    packed: dict[SliceKey, tuple[Uint8Array, Uint8Array]] = field(default_factory=dict)

    def masks(self) -> tuple[BoolArray, BoolArray]:
        """Return the predicted and the true mask, each (D, H, W)."""
        shape = self.volume.rows[0].height, self.volume.rows[0].width
        parts = [self.packed[slice_key(row)] for row in self.volume.rows]
        size = shape[0] * shape[1]
        found = [
            np.stack([np.unpackbits(one[which], count=size).reshape(shape).view(bool) for one in parts])
            for which in (0, 1)
        ]
        return found[0], found[1]


class VolumeScorer:
    """Collects the masks of slices, and scores each volume as soon as all its slices are there.

    Rows are grouped into volumes by :func:`~promise_seg.assessment.volume_slices.volumes_of`. Masks are kept only
    until their volume is complete.

    Args:
        rows: all rows that will be added.
        tolerance: the tolerance of the evaluation; for volumes, a tolerance in pixels is replaced by 2 mm.
    """

    def __init__(self, rows: Sequence[CheckedRow], tolerance: Tolerance = DEFAULT_TOLERANCE) -> None:
        self.tolerance = volume_tolerance(tolerance)
        volumes, self._left_out = volumes_of(rows)
        self._stacks = [_Stack(volume) for volume in volumes]
        self._found: list[VolumeScore | None] = [None] * len(volumes)
        self._number = {slice_key(row): number for number, volume in enumerate(volumes) for row in volume.rows}

    def add(self, checked: CheckedRow, predicted: BoolArray, truth: BoolArray) -> None:
        """Add the masks (H, W) of one row; rows that are not slices of a volume are ignored."""
        key = slice_key(checked)
        number = self._number.get(key)
        if number is None or self._found[number] is not None:
            return
        stack = self._stacks[number]
        stack.packed[key] = np.packbits(predicted), np.packbits(truth)
        if len(stack.packed) == len(stack.volume.rows):
            self._found[number] = score_volume(stack.volume, *stack.masks(), self.tolerance.value)
            stack.packed.clear()

    def scores(self) -> tuple[VolumeScore, ...]:
        """Return the scores of all complete volumes, in the order of the rows."""
        return tuple(one for one in self._found if one is not None)

    def notes(self) -> tuple[str, ...]:
        """Return notes, a line each, about volumes that are not scored, are incomplete or have no distances."""
        scores, notes = self.scores(), list(self._left_out)
        parts = [one.volume for one in scores if one.volume.is_part]
        if parts:
            notes.append(
                f"{len(parts)} of {len(scores)} volumes are scored in part, as not all of their slices are rows, for "
                f"example {parts[0].name}: {len(parts[0].rows)} of {parts[0].slices_of_volume}"
            )
        flat = [one.volume for one in scores if one.volume.lacking]
        if flat:
            notes.append(
                f"{len(flat)} of {len(scores)} volumes have no distances and no surface Dice in 3-D, for example "
                f"{flat[0].name}: {flat[0].lacking}"
            )
        return tuple(notes)


def score_volume(volume: VolumeRows, predicted: BoolArray, truth: BoolArray, tolerance: float) -> VolumeScore:
    """Score one volume.

    Args:
        volume: the volume with its slices and spacing.
        predicted, truth: the masks, (D, H, W).
        tolerance: the tolerance of the surface Dice, in mm.
    """
    hits, found, there = (int(np.count_nonzero(one)) for one in (predicted & truth, predicted, truth))
    measures = overlap_scores(hits, found, there)
    if volume.spacing is not None:
        measures |= _distances(predicted, truth, volume.spacing, tolerance)
    return VolumeScore(volume, measures, has_truth=there > 0, has_prediction=found > 0)


def _distances(predicted: BoolArray, truth: BoolArray, spacing: Spacing, tolerance: float) -> dict[str, float]:
    """Return HD95, ASSD and surface Dice by name, with the rule for empty volumes."""
    if predicted.any() and truth.any():
        found = Surfaces(predicted, truth, tolerance=tolerance, spacing=spacing)
        return {"hd95": found.hd95, "assd": found.average_distance, "surface_dice": found.surface_dice}
    if predicted.any() or truth.any():
        diagonal = float(np.linalg.norm(np.array(truth.shape) * spacing))
        return {"hd95": diagonal, "assd": diagonal, "surface_dice": 0.0}
    return {"hd95": 0.0, "assd": 0.0, "surface_dice": 1.0}
