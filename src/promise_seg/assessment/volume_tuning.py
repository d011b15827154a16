"""Choose on validation rows how the slices of a volume are combined, and how the mask is cleaned in 3-D."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from promise_seg.arrays import BoolArray
from promise_seg.assessment.joined_rows import collect_rows
from promise_seg.assessment.metrics import overlap_scores
from promise_seg.assessment.tuning import LEAST_GAIN
from promise_seg.assessment.volume_slices import VolumeRows, volumes_to_join
from promise_seg.dataset.checks import CheckedRow
from promise_seg.features.store import FeatureStore
from promise_seg.model import PromiseModel
from promise_seg.progress import Progress, Stage, silent
from promise_seg.rules.volume_rule import EACH_SLICE, VolumeRule
from promise_seg.vocabulary import Slices
from promise_seg.volumes.carrying import Carried
from promise_seg.volumes.components import clean
from promise_seg.volumes.joining import JoinedVolume
from promise_seg.volumes.packed import PackedMasks

WIDTHS = (0.5, 1.0, 1.5)
"""Standard deviations of the kernel along the stack, in multiples of the median slice distance of the volumes."""
CARRIED_SHARES = (0.3, 0.5)
LEAST_SHARES = (0.01, 0.05, 0.2)
"""Minimum sizes of connected components, as shares of the median volume of an object."""
_MOST_VOLUMES = 20


@dataclass(frozen=True)
class TunedVolumes:
    """The chosen rule for volumes, and the mean 3-D Dice on validation volumes.

    Args:
        chosen: the rule; independent slices without 3-D cleaning if nothing helps.
        dice, dice_without, best_dice: the mean Dice over volumes with the chosen rule, with independent slices, and
            with the best candidate.
        volumes: the number of volumes.
        tried: the number of candidates.
    """

    chosen: VolumeRule
    dice: float
    dice_without: float
    best_dice: float
    volumes: int
    tried: int


class _Scale(NamedTuple):
    """The scale of validation volumes: the median distance of slices, and the median volume of the foreground."""

    step_mm: float
    object_mm3: float | None


class _InWays(NamedTuple):
    """The masks of a volume for each way of combining its slices, and the volume of a voxel."""

    masks: list[PackedMasks]
    voxel_mm3: float | None


def tune_volumes(
    model: PromiseModel,
    rows: Sequence[CheckedRow],
    store: FeatureStore | None = None,
    progress: Progress = silent,
    ways: Sequence[Slices] = tuple(Slices),
) -> TunedVolumes | None:
    """Score every candidate on the volumes of validation rows, and choose the simplest good rule.

    The way of combining slices is chosen first, then the cleaning in 3-D. Among the candidates within
    :data:`~promise_seg.assessment.tuning.LEAST_GAIN` of the best, the simplest is chosen. At most 20 volumes are used.

    Args:
        model: the model, with the post-processing of slices that was chosen before; it is not changed.
        rows: validation rows, never test rows; only those in volumes of
            :func:`~promise_seg.assessment.volume_slices.volumes_to_join` are used.
        store: the feature store.
        progress: called twice for each volume.
        ways: the ways of combining slices to try; independent slices are always tried.

    Returns:
        The chosen rule with its scores; ``None`` if the model has no APM, or there are no volumes.
    """
    if model.apm is None:
        return None
    model.eval()
    volumes = volumes_to_join(rows)
    volumes = volumes[:: max(1, -(-len(volumes) // _MOST_VOLUMES))]
    if not volumes:
        return None
    scale = _scale_of(volumes)
    tick = Stage(progress, "tuning volumes", 2 * len(volumes))
    joinings = [one for one in ways_to_join(scale.step_mm) if one.slices in ways or one.slices == Slices.EACH]
    found, kept = [], []
    for volume in volumes:
        one = _in_ways(model, volume, store, joinings)
        found.append(_dices(one.masks, volume))
        kept.append(one)
        tick()
    scores = np.mean(found, 0)
    way = simplest(scores)
    cleanings = ways_to_clean(joinings[way], scale.object_mm3)
    found = []
    for volume, one in zip(volumes, kept, strict=True):
        found.append(_dices((_cleaned(one.masks[way], rule, one.voxel_mm3) for rule in cleanings), volume))
        tick()
    cleaned = np.mean(found, 0)
    best = simplest(cleaned)
    return TunedVolumes(
        cleanings[best], float(cleaned[best]), float(scores[0]), float(max(cleaned.max(), scores.max())), len(volumes),
        len(joinings) + len(cleanings) - 1,
    )  # fmt: skip


def ways_to_join(step_mm: float) -> list[VolumeRule]:
    """Return the candidate ways of combining slices, the simplest first; ``step_mm`` is the distance of slices."""
    base = VolumeRule(step_mm=_rounded(step_mm))
    widths = [_rounded(width * step_mm) for width in WIDTHS]
    blends = [base.model_copy(update={"slices": Slices.BLEND, "blend_mm": width}) for width in widths]
    agreeing = [
        base.model_copy(update={"slices": Slices.AGREE, "carry": carry, "carried": share, "blend_mm": width})
        for width in (0.0, *widths[:2])
        for carry in ("box", "mask")
        for share in CARRIED_SHARES
    ]
    return [base, *blends, *agreeing]


def ways_to_clean(rule: VolumeRule, object_mm3: float | None) -> list[VolumeRule]:
    """Return the candidate rules that add 3-D cleaning to a rule for combining slices, the simplest first."""
    sizes = () if object_mm3 is None else tuple(_rounded(share * object_mm3) for share in LEAST_SHARES)
    found = [
        rule.model_copy(update={"fill_holes": holes, "least_mm3": least, "keep": keep})
        for holes in (False, True)
        for least, keep in ((0.0, "all"), *((size, "all") for size in sizes), (0.0, "largest"))
    ]
    return sorted(found, key=lambda one: one.fill_holes + bool(one.least_mm3) + (one.keep == "largest"))


def simplest(scores: Sequence[float] | np.ndarray) -> int:
    """Return the index of the first candidate within :data:`LEAST_GAIN` of the best."""
    values = np.asarray(scores, np.float64)
    return int(np.flatnonzero(values >= values.max() - LEAST_GAIN)[0])


def _scale_of(volumes: Sequence[VolumeRows]) -> _Scale:
    known = [one for one in volumes if one.spacing is not None]
    steps = [one.spacing[0] for one in known if one.spacing is not None]
    step = float(np.median(steps)) if steps else EACH_SLICE.step_mm
    sizes = [
        sum(row.foreground_pixels for row in one.rows) * float(np.prod(one.spacing))
        for one in known
        if one.spacing is not None and any(row.foreground_pixels for row in one.rows)
    ]
    return _Scale(step, float(np.median(sizes)) if sizes else None)


def _in_ways(
    model: PromiseModel, volume: VolumeRows, store: FeatureStore | None, ways: Sequence[VolumeRule]
) -> _InWays:
    """Return the masks of one volume for each way of combining its slices.

    Ways that differ only in their kernel share the masks carried from slice to slice.
    """
    again = any(way.slices == Slices.AGREE for way in ways)
    collected = collect_rows(model, volume, store, keeps_features=again)
    post, known, found = model.config.postprocessing, dict[tuple[str, float], Carried](), list[PackedMasks]()
    for way in ways:
        key = way.carry, way.carried
        if way.slices == Slices.AGREE and key not in known and len(collected) > 1:
            known[key] = Carried(collected, way, post.threshold)
        found.append(JoinedVolume(collected, way, post, known.get(key)).masks)
    for carried in known.values():
        carried.close()
    collected.close()
    return _InWays(found, collected.stack.voxel_mm3)


def _cleaned(masks: PackedMasks, rule: VolumeRule, voxel_mm3: float | None) -> PackedMasks:
    copied = masks.copied()
    clean(copied, rule, voxel_mm3)
    return copied


def _dices(found: Iterable[PackedMasks], volume: VolumeRows) -> list[float]:
    """Return the 3-D Dice of each of several predicted masks of one volume."""
    truth = [row.mask() for row in volume.rows]
    return [_dice(masks, truth) for masks in found]


def _dice(masks: PackedMasks, truth: Sequence[BoolArray]) -> float:
    hits, found, there = np.sum(list(_counts(masks, truth)), 0).tolist()
    return overlap_scores(hits, found, there)["dice"]


def _counts(masks: PackedMasks, truth: Sequence[BoolArray]) -> Iterator[tuple[int, int, int]]:
    for number, right in enumerate(truth):
        mask = masks[number]
        yield int((mask & right).sum()), int(mask.sum()), int(right.sum())


def _rounded(value: float) -> float:
    """Round a number to three significant digits."""
    return float(f"{value:.3g}")
