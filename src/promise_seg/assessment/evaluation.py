"""Run a model over rows with a ground truth and score it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from promise_seg.arrays import BoolArray
from promise_seg.assessment.mask_pair import Objects
from promise_seg.assessment.measuring import DEFAULT_TOLERANCE, Tolerance, measure
from promise_seg.assessment.metrics import Scores, score_mask
from promise_seg.assessment.reference_scoring import reference_mask, score_by_reference
from promise_seg.dataset.checks import CheckedRow
from promise_seg.errors import SettingsError
from promise_seg.features.store import FeatureStore
from promise_seg.inference.encoding import Sample
from promise_seg.inference.masks import probs_in_image
from promise_seg.inference.prompting import PromptPlan
from promise_seg.inference.rows import DecodedRow, decode_rows
from promise_seg.model import PromiseModel
from promise_seg.postprocessing import NO_POST, PostProcessing, connected_parts
from promise_seg.vocabulary import MaskChoice, MaskKind, Protocol


@dataclass(frozen=True)
class Result:
    """Scores of one image, and the IoU that the model itself predicted.

    Where each object of an instance map was prompted for itself, ``scores`` are of the union of all masks, ``objects``
    is how many there were, ``object_dice`` the mean over them, and the predicted IoU a mean too. ``measures`` are all
    measures by their names, at the image's own size; none by the reference's protocol. ``is_empty`` says that nothing
    was predicted. ``trust`` and ``nothing_here`` are what the model says of its own mask, where it was calibrated and
    asked.
    """

    checked: CheckedRow
    scores: Scores
    predicted_iou: float
    objects: int | None = None
    object_dice: float | None = None
    measures: dict[str, float] = field(default_factory=dict)
    is_empty: bool = False
    trust: float | None = None
    nothing_here: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Assessment(PromptPlan):
    """How to evaluate: where prompts come from, which of SAM's masks counts, and how far outlines may be apart.

    Args:
        mask_choice: which of SAM's masks counts; ``None`` for the one that the model or the protocol has chosen.
        tolerance: of the surface Dice; its unit is that of all distances.
    """

    mask_choice: MaskChoice | None = None
    tolerance: Tolerance = DEFAULT_TOLERANCE

    def choice_for(self, model: PromiseModel) -> MaskChoice:
        """Which of SAM's masks counts: as given, or the first by the reference's protocol, or as the model chose."""
        return self.mask_choice or (
            MaskChoice.FIRST if self.protocol == Protocol.REFERENCE else model.config.mask_choice
        )


def _check_numbers(checked: CheckedRow, measures: dict[str, float]) -> None:
    """Refuse measures that are no numbers before they get into any mean."""
    wrong = [f"{name} is {value}" for name, value in measures.items() if not np.isfinite(value)]
    if wrong:
        raise SettingsError(
            f"{checked.row.where}: {checked.name}: {', '.join(wrong)}, expected numbers: this mask cannot be scored. "
            "Leave the row out, and tell the authors of promise-seg of it"
        )


def score_row(
    decoded: DecodedRow,
    choice: MaskChoice,
    assessment: Assessment,
    post: PostProcessing = NO_POST,
    *,
    full: bool = False,
) -> Result:
    """Score the masks of one row.

    Args:
        decoded: its masks.
        choice: which of SAM's masks counts.
        assessment: how to score.
        post: what is done to the mask first, by our own protocol.
        full: with all measures, not the overlap alone.

    Raises:
        SettingsError: if it is to be scored in full, and the mask or one of its measures is not a number.
    """
    mask_logits, iou = decoded.masks.chosen(choice)
    if full and not bool(mask_logits.isfinite().all()):
        raise SettingsError(
            f"{decoded.sample.checked.name}: the model gives a mask that is no numbers: its training diverged. Train "
            "again, with a lower --learning-rate"
        )
    checked, measures = decoded.sample.checked, {}
    if assessment.protocol == Protocol.REFERENCE:
        scores = score_by_reference(decoded.sample, mask_logits.amax(0))
        is_empty = not reference_mask(mask_logits.amax(0)).any()
    else:
        mask_probs, truth = decoded.masks.probs(choice), checked.mask()
        predicted = post.mask(mask_probs)
        is_empty = not predicted.any()
        scores = score_mask(mask_probs, truth, predicted)
        if full:
            objects = _objects(decoded, choice, predicted, post)
            measures = measure(mask_probs, predicted, truth, checked, assessment.tolerance, objects)
    if full:
        _check_numbers(checked, vars(scores) | measures)
    result = Result(checked, scores, float(iou.mean()), measures=measures, is_empty=is_empty)
    if decoded.objects is None:
        return result
    return replace(result, objects=len(decoded.objects), object_dice=_object_dice(decoded, choice, post))


def _object_dice(decoded: DecodedRow, choice: MaskChoice, post: PostProcessing) -> float:
    """The mean over objects that were each prompted separately."""
    pairs = zip(_object_masks(decoded, choice, post), decoded.objects or (), strict=True)
    return float(np.mean([score_mask(found.astype(np.float32), truth).dice for found, truth in pairs]))


def _object_masks(decoded: DecodedRow, choice: MaskChoice, post: PostProcessing) -> list[BoolArray]:
    """The mask (H, W) of each set of prompts."""
    mask_logits, _ = decoded.masks.chosen(choice)
    return [post.mask(probs_in_image(one, decoded.sample.geometry)) for one in mask_logits]


def _objects(decoded: DecodedRow, choice: MaskChoice, predicted: BoolArray, post: PostProcessing) -> Objects | None:
    """Objects of an instance map: those that were prompted separately, or else the connected parts of the mask."""
    if decoded.sample.checked.reading.masks != MaskKind.INSTANCES:
        return None
    if decoded.objects is None:
        return Objects(list(connected_parts(predicted)), decoded.sample.checked.instances())
    return Objects([mask for mask in _object_masks(decoded, choice, post) if mask.any()], decoded.objects)


def dice_of_choices(
    decoded: DecodedRow, choices: Sequence[MaskChoice], assessment: Assessment
) -> dict[MaskChoice, float]:
    """Dice for each way to choose among SAM's masks: of the image, or the mean over its objects."""
    if decoded.objects is not None:
        return {choice: _object_dice(decoded, choice, NO_POST) for choice in choices}
    masks = decoded.masks
    index = {choice: int(masks.iou[0].argmax()) if choice == "score" else int(choice) for choice in choices}
    score = score_logits if assessment.protocol == Protocol.OWN else score_by_reference
    of_mask = {i: score(decoded.sample, masks.mask_logits[0, i]).dice for i in set(index.values())}
    return {choice: of_mask[i] for choice, i in index.items()}


def score_logits(sample: Sample, mask_logits: torch.Tensor) -> Scores:
    """Score low-resolution logits (h, h) at the image's own size."""
    return score_mask(probs_in_image(mask_logits, sample.geometry), sample.checked.mask())


def evaluate(
    model: PromiseModel,
    rows: Sequence[CheckedRow],
    assessment: Assessment,
    *,
    store: FeatureStore | None = None,
    progress: Callable[[], object] = lambda: None,
) -> list[Result]:
    """Score a model on rows.

    Args:
        model: any variant; ``sam`` is the baseline.
        rows: what to score on; the caller chooses the split.
        assessment: where prompts come from, and which of SAM's masks counts; by default what the model chose on its
            validation rows, or always the first by the reference's protocol.
        store: where features are kept; encoded on the spot and forgotten if ``None``.
        progress: called after each image.

    Raises:
        SettingsError: if the model cannot make the prompts asked for, or its masks are no numbers.
    """
    choice = assessment.choice_for(model)
    results = []
    for decoded in decode_rows(model, rows, assessment, store):
        results.append(score_row(decoded, choice, assessment, model.config.postprocessing, full=True))
        progress()
    return results
