"""Choose on validation rows the share of the auto-prompter's map in the masks for a person's prompts."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from promise_seg.assessment.metrics import score_mask
from promise_seg.dataset.checks import CheckedRow
from promise_seg.features.store import FeatureStore
from promise_seg.inference.masks import probs_in_image
from promise_seg.learning.prompted_images import PromptedImage, prompted_images
from promise_seg.model import PromiseModel, choose_mask
from promise_seg.progress import Progress
from promise_seg.prompting.given_prompts import Answer
from promise_seg.prompting.map_in_masks import MapAsAsked
from promise_seg.sam.prompts import Prompts
from promise_seg.vocabulary import PromptForm

ANSWER_SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
"""The shares that are tried: the share of the map never exceeds that of SAM's own answer."""
_NO_BETTER = 0.002  # the gain in Dice that justifies a larger share


@torch.no_grad()
def choose_shares(
    model: PromiseModel,
    answers: Mapping[PromptForm, Answer],
    rows: Sequence[CheckedRow],
    store: FeatureStore | None,
    progress: Progress,
) -> dict[PromptForm, tuple[float, float]]:
    """Return the share for each form of prompts that a share improves, and the mean Dice of objects with it.

    It is the smallest share whose Dice is within 0.002 of the best one. This takes another pass over the images,
    because SAM's best answer has to be known.

    Args:
        model: the trained model; it is put into evaluation mode.
        answers: SAM's best answer to each form of prompts.
        rows: validation rows that the model was not trained on.
        store: the feature store.
        progress: called for each image.
    """
    if model.apm is None or not model.apm.helps_answers:
        return {}
    dice: dict[PromptForm, list[list[float]]] = {form: [] for form in answers}
    for one in prompted_images(model, rows, store, progress, "measuring the map in answers"):
        saliency_logits = model.apm.saliency_of(one.features)
        if saliency_logits is None:
            raise ValueError(f"an APM of the kind {type(model.apm).__name__} must have a map of features of its images")
        for form, prompts in one.prompts:
            dice[form] += _dice_of_shares(model, one, prompts, answers[form], saliency_logits)
    means = {form: np.mean(values, 0) for form, values in dice.items() if values}
    chosen = {form: int(np.argmax(mean >= mean.max() - _NO_BETTER)) for form, mean in means.items()}
    return {form: (ANSWER_SHARES[number], float(means[form][number])) for form, number in chosen.items() if number}


def _dice_of_shares(
    model: PromiseModel, one: PromptedImage, prompts: Prompts, answer: Answer, saliency_logits: Tensor
) -> list[list[float]]:
    """Return the Dice of each object, with each of :data:`ANSWER_SHARES`."""
    prompts = prompts.to(model.device)
    decoded = model.sam_masks(one.features, prompts, shifted=answer.shifted)
    mask_logits = choose_mask(decoded, answer.mask_choice).mask_logits[:, :, None]
    asked = MapAsAsked.of(mask_logits, saliency_logits, prompts, model.sam.image_size)
    mixed = [(asked.with_share(share) if share else mask_logits)[0, :, 0] for share in ANSWER_SHARES]
    return [
        [score_mask(probs_in_image(masks[which], one.sample.geometry), truth).dice for masks in mixed]
        for which, truth in enumerate(one.objects)
    ]
