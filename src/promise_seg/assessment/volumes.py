"""Scores of whole volumes, made as their slices come: 3-D overlap, and distances between surfaces in mm."""

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
    "slices without the object count by the voxels that are wrongly predicted in them; if a volume's ground truth and "
    "prediction are both empty, every measure is perfect; if one of them is, every measure is at its worst (0, or the "
    "volume's diagonal for distances), except recall (perfect) where there is nothing to find"
)
_Key = tuple[Path, Path, str, str]


def volume_tolerance(tolerance: Tolerance) -> Tolerance:
    """Return the tolerance of the surface Dice of volumes, always in mm: the given one, or 2 mm instead of pixels."""
    return tolerance if tolerance.unit == Unit.MILLIMETRES else Tolerance(DEFAULT_TOLERANCE.value, Unit.MILLIMETRES)


@dataclass(frozen=True)
class VolumeScore:
    """The scores of one volume, or of the range of its slices that the manifest names.

    Args:
        rows: its slices in their order.
        measures: by name; without distances and surface Dice if the distance between its slices is not known.
        has_truth, has_prediction: whether there is anything to find, and whether anything is predicted.
    """

    rows: tuple[CheckedRow, ...]
    measures: dict[str, float]
    has_truth: bool
    has_prediction: bool

    @property
    def name(self) -> str:
        """The path of the volume."""
        return str(self.rows[0].row.image)

    @property
    def group(self) -> str:
        """The patient, or whatever the column ``group`` names."""
        return self.rows[0].row.group

    @property
    def has_distances(self) -> bool:
        """Whether the distance between its slices is known."""
        return _spacing_of(self.rows[0]) is not None

    def hashes(self) -> tuple[str, str]:
        """Return the hashes of everything that determines its pixels, and its ground truth."""
        images, truths = ([getattr(row, name) for row in self.rows] for name in ("image_sha256", "truth_sha256"))
        return _sha256(images), _sha256(truths)


def _sha256(hashes: list[str]) -> str:
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def _spacing_of(row: CheckedRow) -> tuple[float, float, float] | None:
    if row.slice_spacing is None or row.spacing is None:
        return None
    return row.slice_spacing, *row.spacing


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

    A volume is the rows that share an image file (or series), a mask, a split and a group. It is scored only if there
    are at least two, without gaps and without repetitions: only then do its slices form a body. Only the masks of
    volumes that are not complete are kept.

    Args:
        rows: all rows that will come.
        tolerance: that of the evaluation.
    """

    def __init__(self, rows: Sequence[CheckedRow], tolerance: Tolerance = DEFAULT_TOLERANCE) -> None:
        self.tolerance = volume_tolerance(tolerance)
        stacks: dict[_Key, list[CheckedRow]] = {}
        for row in rows:
            if row.is_slice:
                stacks.setdefault(_key(row), []).append(row)
        self._order: list[_Key] = []
        self._stacks: dict[_Key, _Stack] = {}
        self.left_out: list[str] = []
        for key, members in stacks.items():
            ordered = sorted(members, key=lambda row: row.index)
            if any(after.index - before.index != 1 for before, after in pairwise(ordered)):
                self.left_out.append(str(key[0]))
            elif len(ordered) > 1:
                self._order.append(key)
                self._stacks[key] = _Stack(ordered)
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
        """Return what must be said of volumes that are not scored, or not by distances, a line each."""
        found = []
        if self.left_out:
            found.append(
                f"{len(self.left_out)} volume(s) are not scored as a whole, as the rows leave out or repeat slices of "
                f"them, for example {self.left_out[0]}"
            )
        flat = [one.name for one in self.scores() if not one.has_distances]
        if flat:
            found.append(
                f"{len(flat)} volume(s) have no 3-D distances and no surface Dice, as the file does not say how far "
                f"its slices are apart, or they are not evenly stacked, for example {flat[0]}"
            )
        return tuple(found)


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
    spacing = _spacing_of(rows[0])
    if spacing is not None:
        measures |= _distances(predicted, truth, spacing, tolerance)
    return VolumeScore(tuple(rows), measures, has_truth=there > 0, has_prediction=found > 0)


def _distances(
    predicted: BoolArray, truth: BoolArray, spacing: tuple[float, float, float], tolerance: float
) -> dict[str, float]:
    """Return HD95, ASSD and surface Dice by the rule for empty volumes."""
    if predicted.any() and truth.any():
        found = Surfaces(predicted, truth, tolerance=tolerance, spacing=spacing)
        return {"hd95": found.hd95, "assd": found.average_distance, "surface_dice": found.surface_dice}
    if predicted.any() or truth.any():
        diagonal = float(np.linalg.norm(np.array(truth.shape) * spacing))
        return {"hd95": diagonal, "assd": diagonal, "surface_dice": 0.0}
    return {"hd95": 0.0, "assd": 0.0, "surface_dice": 1.0}
