"""Scores of volumes, made as their slices come: 3-D overlap, and distances between surfaces in mm."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from promise_seg.arrays import BoolArray, Uint8Array
from promise_seg.assessment.measuring import DEFAULT_TOLERANCE, Tolerance, Unit
from promise_seg.assessment.metrics import overlap_scores
from promise_seg.assessment.surfaces import Surfaces
from promise_seg.dataset.checks import CheckedRow

VOLUME_MEASURES = ("dice", "iou", "precision", "recall", "hd95", "assd", "surface_dice")
"""The measures of volumes, in the order of files and tables; the last three need the distance between slices."""
RULE_FOR_EMPTY_VOLUMES = (
    "a slice without the object counts by the voxels that are wrongly predicted in it; if both the ground truth and "
    "the prediction of a volume are empty, every measure is perfect; if only one of them is, every measure is at its "
    "worst (0, or the volume's diagonal for distances), except recall (perfect) where there is nothing to find"
)
_Key = tuple[Path, Path, str, str]
_Spacing = tuple[float, float, float]


def volume_tolerance(tolerance: Tolerance) -> Tolerance:
    """Return the tolerance of the surface Dice of volumes, always in mm: the given one, or 2 mm instead of pixels."""
    return tolerance if tolerance.unit == Unit.MILLIMETRES else Tolerance(DEFAULT_TOLERANCE.value, Unit.MILLIMETRES)


@dataclass(frozen=True)
class VolumeScore:
    """The scores of one volume, or of those of its slices that are rows.

    Args:
        rows: its slices in their order.
        measures: by name; without distances and surface Dice if the places of its slices are not known.
        has_truth, has_prediction: whether there is anything to find, and whether anything is predicted.
        lacking: why there are no distances, in words that follow its name; empty if there are some.
    """

    rows: tuple[CheckedRow, ...]
    measures: dict[str, float]
    has_truth: bool
    has_prediction: bool
    lacking: str = ""

    @property
    def name(self) -> str:
        """The path of the volume."""
        return str(self.rows[0].row.image)

    @property
    def split(self) -> str:
        """The split of its rows."""
        return str(self.rows[0].row.split)

    @property
    def group(self) -> str:
        """The patient, or whatever the column ``group`` names."""
        return self.rows[0].row.group

    @property
    def slices_of_volume(self) -> int:
        """The number of slices in the file, of which not all may be rows."""
        return _count_of(self.rows[0])

    @property
    def is_part(self) -> bool:
        """Whether some of its slices are no rows, so that this is not the whole volume."""
        return len(self.rows) < self.slices_of_volume

    def hashes(self) -> tuple[str, str]:
        """Return the hashes of everything that determines its pixels, and its ground truth."""
        images, truths = ([getattr(row, name) for row in self.rows] for name in ("image_sha256", "truth_sha256"))
        return _sha256(images), _sha256(truths)


def _sha256(hashes: list[str]) -> str:
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def _count_of(row: CheckedRow) -> int:
    return 1 if row.stacking is None else row.stacking.slices


@dataclass
class _Stack:
    """A volume of which not all slices have come yet. Masks are packed, eight voxels to a byte."""

    rows: list[CheckedRow]
    packed: dict[int, tuple[Uint8Array, Uint8Array]] = field(default_factory=dict)

    def masks(self) -> tuple[BoolArray, BoolArray]:
        """Return the predicted and the true mask, (D, H, W)."""
        shape = self.rows[0].height, self.rows[0].width
        parts = [self.packed[row.index] for row in self.rows]
        size = shape[0] * shape[1]
        found = [
            np.stack([np.unpackbits(one[which], count=size).reshape(shape).view(bool) for one in parts])
            for which in (0, 1)
        ]
        return found[0], found[1]


class VolumeScorer:
    """Collects the masks of slices, and scores each volume when it has all of them.

    A volume is the rows that share an image file (or series), a mask, a split and a group, if there are at least two of
    them; a slice that is named twice counts once. Only the masks of volumes that are not complete are kept.

    Args:
        rows: all rows that will come.
        tolerance: that of the evaluation.
    """

    def __init__(self, rows: Sequence[CheckedRow], tolerance: Tolerance = DEFAULT_TOLERANCE) -> None:
        self.tolerance = volume_tolerance(tolerance)
        volumes: dict[_Key, dict[int, CheckedRow]] = {}
        for row in rows:
            if row.is_slice:
                volumes.setdefault(_key(row), {}).setdefault(row.index, row)
        self._order = list(volumes)
        ordered = {key: [slices[index] for index in sorted(slices)] for key, slices in volumes.items()}
        self._stacks = {key: _Stack(slices) for key, slices in ordered.items() if len(slices) > 1}
        self._single = [slices[0] for slices in ordered.values() if len(slices) == 1]
        self._found: dict[_Key, VolumeScore] = {}

    def add(self, checked: CheckedRow, predicted: BoolArray, truth: BoolArray) -> None:
        """Take the masks (H, W) of one row; rows that are no slice of a volume are ignored."""
        key = _key(checked)
        stack = self._stacks.get(key) if checked.is_slice else None
        if stack is None:
            return
        stack.packed[checked.index] = np.packbits(predicted), np.packbits(truth)
        if len(stack.packed) == len(stack.rows):
            self._found[key] = score_volume(stack.rows, *stack.masks(), self.tolerance.value)
            del self._stacks[key]

    def scores(self) -> tuple[VolumeScore, ...]:
        """Return the scores of all complete volumes, in the order of the rows."""
        return tuple(self._found[key] for key in self._order if key in self._found)

    def notes(self) -> tuple[str, ...]:
        """Return what must be said of volumes that are not whole, or have no distances, a line each."""
        scores, notes = self.scores(), []
        single = [row for row in self._single if _count_of(row) > 1]
        if single:
            notes.append(
                f"{len(single)} volume(s) are not scored as such, as only one of their slices is a row, for example "
                f"{single[0].row.image}: 1 of {_count_of(single[0])}"
            )
        parts = [one for one in scores if one.is_part]
        if parts:
            first = parts[0]
            notes.append(
                f"{len(parts)} of {len(scores)} volumes are scored in part, as not all of their slices are rows, for "
                f"example {first.name}: {len(first.rows)} of {first.slices_of_volume}"
            )
        flat = [one for one in scores if one.lacking]
        if flat:
            notes.append(
                f"{len(flat)} of {len(scores)} volumes have no distances and no surface Dice in 3-D, for example "
                f"{flat[0].name}: {flat[0].lacking}"
            )
        return tuple(notes)


def _key(row: CheckedRow) -> _Key:
    return row.row.image, row.row.mask, str(row.row.split), row.row.group


def score_volume(rows: Sequence[CheckedRow], predicted: BoolArray, truth: BoolArray, tolerance: float) -> VolumeScore:
    """Score one volume.

    Args:
        rows: its slices, in their order.
        predicted, truth: the masks, (D, H, W).
        tolerance: that of the surface Dice, in mm.
    """
    hits, found, there = (int(np.count_nonzero(one)) for one in (predicted & truth, predicted, truth))
    measures = overlap_scores(hits, found, there)
    spacing = _spacing_of(rows)
    if isinstance(spacing, str):
        return VolumeScore(tuple(rows), measures, there > 0, found > 0, spacing)
    return VolumeScore(tuple(rows), measures | _distances(predicted, truth, spacing, tolerance), there > 0, found > 0)


def _spacing_of(rows: Sequence[CheckedRow]) -> _Spacing | str:
    """Return the distances in mm between slices, rows and columns, or why there are none."""
    first = rows[0]
    if any(after.index - before.index != 1 for before, after in pairwise(rows)):
        return "not all slices between its first and its last are rows"
    if first.stacking is None or first.stacking.spacing is None:
        return "its slices have no distance" if first.stacking is None else first.stacking.lacking
    if first.spacing is None:
        return "it does not say how large its pixels are"
    return first.stacking.spacing, *first.spacing


def _distances(predicted: BoolArray, truth: BoolArray, spacing: _Spacing, tolerance: float) -> dict[str, float]:
    """Return HD95, ASSD and surface Dice by the rule for empty volumes."""
    if predicted.any() and truth.any():
        found = Surfaces(predicted, truth, tolerance=tolerance, spacing=spacing)
        return {"hd95": found.hd95, "assd": found.average_distance, "surface_dice": found.surface_dice}
    if predicted.any() or truth.any():
        diagonal = float(np.linalg.norm(np.array(truth.shape) * spacing))
        return {"hd95": diagonal, "assd": diagonal, "surface_dice": 0.0}
    return {"hd95": 0.0, "assd": 0.0, "surface_dice": 1.0}
