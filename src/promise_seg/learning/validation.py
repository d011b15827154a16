"""Choose on validation rows, during training, how a model forms its masks from SAM's output and the saliency map."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from promise_seg.assessment.evaluation import Assessment, dice_of_choices
from promise_seg.assessment.overlaps import Overlap, ScoredRows
from promise_seg.dataset.checks import CheckedRow
from promise_seg.features.store import FeatureStore
from promise_seg.inference.masks import Masks, probs_in_image
from promise_seg.inference.rows import DecodedRow, decode_rows
from promise_seg.learning.settings import TrainSettings
from promise_seg.model import PromiseModel
from promise_seg.prompting.apm import Proposal
from promise_seg.prompting.map_in_masks import with_map
from promise_seg.vocabulary import MaskChoice, PromptSource, Protocol

SHARES = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
"""The shares of the APM's saliency in a mask that are tried."""
_FIRST_SHARE = 0.5
_CHOICES = (MaskChoice.FIRST, MaskChoice.SECOND, MaskChoice.THIRD, MaskChoice.SCORE)


class Validated(NamedTuple):
    """The best mean Dice on validation rows, and the choices that give it."""

    dice: float
    mask_choice: MaskChoice
    map_share: float = 0.0


def validate(
    model: PromiseModel, rows: Sequence[CheckedRow], store: FeatureStore | None, settings: TrainSettings
) -> Validated:
    """Return the mean Dice on validation rows with the best choices; with the reference protocol, with the first mask.

    A model with an APM is scored with its own prompts, any other with oracle points. The mean is over objects if each
    is prompted separately. Slices of volumes are scored as volumes if the settings say so.
    """
    source = PromptSource.APM if model.apm is not None else PromptSource.ORACLE
    assessment = Assessment(prompts=source, num_points=settings.num_points, protocol=settings.protocol)
    choices = [MaskChoice.FIRST] if settings.protocol == Protocol.REFERENCE else list(_CHOICES)
    if model.quality is not None:
        choices.append(MaskChoice.LEARNED)
    config = model.config
    model.config = config.model_copy(update={"map_share": 0.0, "presence_threshold": None})
    try:
        found = decode_rows(model, rows, assessment, store)
        decoded = [_kept(one) for one in found]
    finally:
        model.config = config
    scored = ScoredRows(rows, as_volumes=settings.scores_volumes)
    if isinstance(decoded[0].prompts, Proposal) and decoded[0].prompts.regions is not None:
        return _with_maps(decoded, choices, scored)
    if scored.has_volumes and settings.protocol == Protocol.OWN:
        means = {choice: _mean_dice(decoded, choice, 0.0, scored) for choice in choices}
    else:
        dice = [dice_of_choices(one, choices, assessment) for one in decoded]
        means = {choice: float(np.mean([one[choice] for one in dice])) for choice in choices}
    best = max(means, key=lambda choice: means[choice])
    return Validated(means[best], best)


def _kept(decoded: DecodedRow) -> DecodedRow:
    """Return what is needed of a row until all rows are decoded, without its features, in the computer's memory."""
    masks = decoded.masks.to("cpu") if isinstance(decoded.masks, Masks) else decoded.masks
    prompts = None if decoded.prompts is None else decoded.prompts.to("cpu")
    return replace(decoded, own_instances=None, masks=masks, prompts=prompts)


def _with_maps(decoded: Sequence[DecodedRow], choices: Sequence[MaskChoice], scored: ScoredRows) -> Validated:
    """Choose the mask at a typical share of the saliency, and then the share."""
    by_choice = {choice: _mean_dice(decoded, choice, _FIRST_SHARE, scored) for choice in choices}
    choice = max(by_choice, key=lambda one: by_choice[one])
    by_share = {share: _mean_dice(decoded, choice, share, scored) for share in SHARES}
    share = max(by_share, key=lambda one: by_share[one])
    return Validated(by_share[share], choice, share)


def _mean_dice(decoded: Sequence[DecodedRow], choice: MaskChoice, share: float, scored: ScoredRows) -> float:
    overlaps = []
    for one in decoded:
        mask_logits, _ = one.masks.chosen(choice)
        mixed = mask_logits
        if isinstance(one.prompts, Proposal):
            mixed = with_map(mask_logits[None, :, None], one.prompts, share)[0, :, 0]
        mask = probs_in_image(torch.amax(mixed, 0), one.sample.geometry) > 0.5
        overlaps.append(Overlap.of(mask, one.sample.checked.mask()))
    return scored.mean_dice(overlaps)
