"""Score the predictions of a model on rows with a ground truth."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from promise_seg.arrays import BoolArray, Float32Array, Float64Array, Uint8Array
from promise_seg.assessment.joined_rows import JoinedRows, JoinedSlice
from promise_seg.assessment.mask_pair import InstanceMaps, Objects
from promise_seg.assessment.measuring import DEFAULT_TOLERANCE, Tolerance, measure
from promise_seg.assessment.metrics import Scores, overlap_scores, score_mask
from promise_seg.assessment.reference_scoring import reference_mask, score_by_reference
from promise_seg.dataset.checks import CheckedRow
from promise_seg.errors import SettingsError
from promise_seg.features.store import FeatureStore
from promise_seg.images.cut_masks import CutMask
from promise_seg.inference.encoding import Sample
from promise_seg.inference.masks import probs_in_image
from promise_seg.inference.prompting import PromptPlan
from promise_seg.inference.rows import DecodedRow, decode_rows
from promise_seg.inference.tiled import TiledMasks
from promise_seg.model import PromiseModel
from promise_seg.progress import Progress, Stage, silent
from promise_seg.rules.postprocessing import NO_POST, PostProcessing, numbered_parts
from promise_seg.rules.volume_rule import EACH_SLICE, VolumeRule, rule_for
from promise_seg.vocabulary import MaskChoice, MaskKind, PromptSource, Protocol, Slices

MaskSink = Callable[[CheckedRow, BoolArray, BoolArray], None]
"""A function that is called with each row and its predicted and true masks, (H, W), as they were scored."""


@dataclass(frozen=True)
class Result:
    """The scores of one image, and the IoU that the model itself predicted.

    If each object of an instance map was prompted separately, ``scores`` are those of the union of all masks,
    ``objects`` is their number, ``object_dice`` the mean Dice over them, and the predicted IoU also a mean over them.
    ``measures`` holds measures by name, at the image's own size; it is empty with the reference's protocol. Measures
    at a threshold that is chosen for all images together have their values at every threshold in ``curves`` (256,); see
    :func:`~promise_seg.assessment.report.values_by_measure`. ``is_empty`` tells that nothing was predicted. ``trust``
    and ``nothing_here`` are set for the own masks of a calibrated model, if requested. ``joined`` is the mask of a
    slice (H, W) after its volume was combined, packed with eight pixels per byte; ``None`` if the slice was scored
    independently.
    """

    checked: CheckedRow
    scores: Scores
    predicted_iou: float
    objects: int | None = None
    object_dice: float | None = None
    measures: dict[str, float] = field(default_factory=dict)
    curves: dict[str, Float32Array] = field(default_factory=dict)
    is_empty: bool = False
    trust: float | None = None
    nothing_here: bool | None = None
    joined: Uint8Array | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Assessment(PromptPlan):
    """The settings of an evaluation: prompts, choice among SAM's masks, tolerance of outlines, and rule for slices.

    Args:
        mask_choice: the choice among SAM's masks; ``None`` for the one made by the model or the protocol.
        tolerance: the tolerance of the surface Dice; its unit is that of all distances.
        slices: how the slices of a volume are combined, with the model's own prompts.
    """

    mask_choice: MaskChoice | None = None
    tolerance: Tolerance = DEFAULT_TOLERANCE
    slices: Slices = Slices.AUTO

    def rule_for(self, model: PromiseModel) -> VolumeRule:
        """Return the rule for volumes; with other prompts than the model's own, or the reference's protocol, slices
        are independent."""
        if self.prompts != PromptSource.APM or self.protocol != Protocol.OWN:
            return EACH_SLICE
        return rule_for(model.config.volumes, self.slices)

    def choice_for(self, model: PromiseModel) -> MaskChoice:
        """Return the choice among SAM's masks: the given one; otherwise the first mask with the reference's protocol,
        or the model's choice for prompts of this form."""
        if self.mask_choice is not None:
            return self.mask_choice
        if self.protocol == Protocol.REFERENCE:
            return MaskChoice.FIRST
        return model.answer_to_form(self.form).mask_choice


def _check_logits(checked: CheckedRow, mask_logits: torch.Tensor) -> None:
    """Raise a :class:`SettingsError` if any mask logit is NaN or infinite."""
    if not bool(mask_logits.isfinite().all()):
        raise SettingsError(
            f"{checked.name}: the model produced NaN or infinite logits: its training diverged. Train again with a "
            "lower --learning-rate"
        )


def _check_numbers(checked: CheckedRow, measures: dict[str, float]) -> None:
    """Raise a :class:`SettingsError` if any measure is NaN or infinite, before it enters a mean."""
    wrong = [f"{name} is {value}" for name, value in measures.items() if not np.isfinite(value)]
    if wrong:
        raise SettingsError(
            f"{checked.row.where}: {checked.name}: {', '.join(wrong)}, expected finite numbers. "
            "Leave the row out, and report this to the authors of promise-seg"
        )


def score_row(
    decoded: DecodedRow,
    choice: MaskChoice,
    assessment: Assessment,
    post: PostProcessing = NO_POST,
    *,
    full: bool = False,
    keep: MaskSink | None = None,
    joined: JoinedSlice | None = None,
) -> Result:
    """Score the masks of one row.

    Args:
        decoded: the masks of the row.
        choice: the choice among SAM's masks.
        assessment: how to score.
        post: the post-processing, with our own protocol.
        full: whether to compute all measures, not only the overlap.
        keep: called with both masks, with our own protocol.
        joined: the mask of the slice after its volume was combined; it replaces the slice's own mask.

    Raises:
        SettingsError: if ``full`` is set, and the mask or one of its measures is NaN or infinite.
    """
    mask_logits, _ = decoded.masks.chosen(choice)
    if full:
        _check_logits(decoded.sample.checked, mask_logits)
    checked, masks_of_objects = decoded.sample.checked, _object_masks(decoded, choice, post)
    measures: dict[str, float] = {}
    curves: dict[str, Float64Array] = {}
    if assessment.protocol == Protocol.REFERENCE:
        scores = score_by_reference(decoded.sample, mask_logits.amax(0))
        is_empty = not reference_mask(mask_logits.amax(0)).any()
    else:
        truth = checked.mask()
        if joined is None:
            mask_probs = decoded.masks.probs(choice)
            predicted = post.mask(mask_probs, decoded.tile_side)
        else:
            mask_probs, predicted = joined
        is_empty = not predicted.any()
        scores = score_mask(mask_probs, truth, predicted)
        if keep is not None:
            keep(checked, predicted, truth)
        if full:
            objects = _objects(decoded, masks_of_objects, predicted)
            measures, curves = measure(mask_probs, predicted, truth, checked, assessment.tolerance, objects)
    if full:
        _check_numbers(checked, vars(scores) | measures)
    kept = {name: curve.astype(np.float32) for name, curve in curves.items()}
    packed, iou = None if joined is None else np.packbits(joined.mask), _predicted_iou(decoded, choice, post)
    result = Result(checked, scores, iou, measures=measures, curves=kept, is_empty=is_empty, joined=packed)
    if decoded.objects is None:
        return result
    return replace(result, objects=len(decoded.objects), object_dice=_object_dice(masks_of_objects, decoded.objects))


def _predicted_iou(decoded: DecodedRow, choice: MaskChoice, post: PostProcessing) -> float:
    if isinstance(decoded.masks, TiledMasks):
        return decoded.masks.predicted_iou(choice, post)
    return decoded.masks.predicted_iou(choice)


def _object_dice(found: Sequence[CutMask], truth: Sequence[CutMask]) -> float:
    """Return the mean Dice over objects that were each prompted separately."""
    pairs = zip(found, truth, strict=True)
    return float(np.mean([overlap_scores(a.shared_pixels(b), a.area, b.area)["dice"] for a, b in pairs]))


def _object_masks(decoded: DecodedRow, choice: MaskChoice, post: PostProcessing) -> list[CutMask]:
    """Return the mask of each object that was prompted separately; empty if objects were not prompted separately."""
    if decoded.objects is None:
        return []
    mask_logits, _ = decoded.masks.chosen(choice)
    geometry = decoded.sample.geometry
    return [CutMask.of(post.mask(probs_in_image(one, geometry))) for one in mask_logits]


def _objects(
    decoded: DecodedRow, masks_of_objects: Sequence[CutMask], predicted: BoolArray
) -> Objects | InstanceMaps | None:
    """Return the objects of an instance map; ``None`` for other masks.

    They are the masks of objects prompted separately. With the model's own prompts, they are the instances that it
    separates or, if it cannot, the connected components of the mask.
    """
    if decoded.sample.checked.reading.masks != MaskKind.INSTANCES:
        return None
    if decoded.own_instances is not None:
        return InstanceMaps(decoded.own_instances(), decoded.sample.checked.labels())
    if decoded.objects is None:
        return InstanceMaps(numbered_parts(predicted), decoded.sample.checked.labels())
    return Objects([mask for mask in masks_of_objects if mask.area], decoded.objects)


def dice_of_choices(
    decoded: DecodedRow, choices: Sequence[MaskChoice], assessment: Assessment
) -> dict[MaskChoice, float]:
    """Return the Dice for each choice among SAM's masks: of the image, or the mean over objects prompted separately."""
    if decoded.objects is not None:
        return {choice: _object_dice(_object_masks(decoded, choice, NO_POST), decoded.objects) for choice in choices}
    score = score_logits if assessment.protocol == Protocol.OWN else score_by_reference
    return {choice: score(decoded.sample, decoded.masks.chosen(choice)[0].amax(0)).dice for choice in choices}


def score_logits(sample: Sample, mask_logits: torch.Tensor) -> Scores:
    """Score low-resolution logits (h, h) at the image's own size."""
    return score_mask(probs_in_image(mask_logits, sample.geometry), sample.checked.mask())


def evaluate(
    model: PromiseModel,
    rows: Sequence[CheckedRow],
    assessment: Assessment,
    *,
    store: FeatureStore | None = None,
    progress: Progress = silent,
    keep: MaskSink | None = None,
    note: Callable[[str], object] = lambda _: None,
) -> list[Result]:
    """Score a model on rows; slices are combined into volumes first, if the model has a rule for that.

    Args:
        model: a model of any variant; ``sam`` is the baseline.
        rows: the rows to score; the caller selects the split.
        assessment: the prompts, and the choice among SAM's masks; by default the choice made on validation rows, or
            always the first with the reference's protocol.
        store: the feature store; if ``None``, features are encoded and discarded.
        progress: called for each image.
        keep: called with the masks of each row as they are scored, with our own protocol.
        note: called with a line about volumes to which the rule cannot be applied in full.

    Raises:
        SettingsError: if the model cannot make the requested prompts, or its masks are NaN or infinite.
    """
    choice = assessment.choice_for(model)
    results = []
    rule = assessment.rule_for(model)
    joined = JoinedRows(model, rows, rule, store, assessment.mask_choice)
    count = Stage(progress, "evaluating", len(rows), assessment.prompts.heading)
    for decoded in decode_rows(model, rows, assessment, store):
        together = joined.of(decoded.sample.checked)
        post = model.config.postprocessing
        results.append(score_row(decoded, choice, assessment, post, full=True, keep=keep, joined=together))
        count()
    for line in joined.notes():
        note(line)
    return results
