"""Measure on validation rows how prompts of each form are best answered, compared with the bare SAM."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from promise_seg.assessment.metrics import score_mask
from promise_seg.dataset.checks import CheckedRow
from promise_seg.errors import CheckpointError
from promise_seg.features.store import FeatureStore
from promise_seg.inference.masks import probs_in_image
from promise_seg.learning.map_shares import choose_shares
from promise_seg.learning.prompted_images import PromptedImage, prompted_images
from promise_seg.model import PromiseModel
from promise_seg.progress import Progress, silent
from promise_seg.prompting.given_prompts import Answer
from promise_seg.sam.backbone import Decoded
from promise_seg.sam.prompts import Prompts
from promise_seg.storage.files import read_json
from promise_seg.storage.sealed import opened, write_sealed
from promise_seg.validation import faults_of
from promise_seg.vocabulary import MaskChoice, PromptForm

ANSWERS_FILE = "given_prompts.json"
_WAY_OUT = "Delete it, and give the same command again"
_ANSWERS = "answers"
_BARE = Answer(mask_choice=MaskChoice.SCORE, shifted=False)


class MeasuredAnswer(BaseModel):
    """The best answer to prompts of one form, with its mean Dice on validation rows.

    Args:
        form: the form of the prompts.
        answer: the best answer.
        dice: mean Dice with it.
        bare_dice: mean Dice of the bare SAM, with the mask of the highest predicted IoU.
        shifted_dice: mean Dice with the shift and the best mask choice, but without the auto-prompter's map; ``None``
            if the model has no shift.
        dice_without_map: mean Dice of the same answer without the map, if the answer uses the map.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    form: PromptForm
    answer: Answer
    dice: float
    bare_dice: float
    shifted_dice: float | None
    dice_without_map: float | None = None


_NAMES = {
    PromptForm.POINT: "one point", PromptForm.POINTS: "a few points", PromptForm.MANY_POINTS: "many points",
    PromptForm.BOX: "a box", PromptForm.BOX_AND_POINTS: "a box and points",
}  # fmt: skip


def answers_in_words(answers: Sequence[MeasuredAnswer]) -> list[str]:
    """Return lines for the user: the scores of each form of prompts, and what the answers leave out or add."""
    lines = [
        ("val Dice with given prompts (bare SAM in brackets)", [
            f"{_NAMES[one.form]} {one.dice:.3f} ({one.bare_dice:.3f})" for one in answers
        ]),
        ("the trained shift of SAM is not used, because SAM without it is better (Dice with it in brackets)", [
            f"{_NAMES[one.form]} ({one.shifted_dice:.3f})"
            for one in answers if one.shifted_dice is not None and not one.answer.shifted
        ]),
        ("the auto-prompter's saliency map is mixed into the mask, which is better (Dice without it in brackets)", [
            f"{_NAMES[one.form]} ({one.dice_without_map:.3f})" for one in answers if one.dice_without_map is not None
        ]),
    ]  # fmt: skip
    return [f"{title}: {', '.join(parts)}" for title, parts in lines if parts]


@torch.no_grad()
def measure_answers(
    model: PromiseModel, rows: Sequence[CheckedRow], store: FeatureStore | None, progress: Progress = silent
) -> tuple[MeasuredAnswer, ...]:
    """Return the best answer to each form of prompts, by the mean Dice on rows.

    In an image with instances, some objects are prompted, each separately; images without an object are skipped.

    Args:
        model: the trained model; it is put into evaluation mode.
        rows: validation rows that the model was not trained on.
        store: the feature store.
        progress: called for each image.
    """
    has_shift = model.ips is not None
    dice: dict[tuple[PromptForm, Answer], list[float]] = {}
    for one in prompted_images(model, rows, store, progress, "measuring answers to prompts"):
        for form, prompts in one.prompts:
            for shifted in (False, True) if has_shift else (False,):
                for choice, values in _dice_of_choices(model, one, prompts, shifted).items():
                    dice.setdefault((form, Answer(mask_choice=choice, shifted=shifted)), []).extend(values)
    means = {key: float(np.mean(values)) for key, values in dice.items()}
    best = [_best(form, {answer: mean for (of, answer), mean in means.items() if of == form})
            for form in PromptForm if (form, _BARE) in means]  # fmt: skip
    shares = choose_shares(model, {one.form: one.answer for one in best}, rows, store, progress)
    return tuple(_with_share(one, *shares[one.form]) if one.form in shares else one for one in best)


def _with_share(one: MeasuredAnswer, share: float, dice: float) -> MeasuredAnswer:
    """Return the same answer with a share of the saliency map in its mask, and the Dice with it."""
    answer = one.answer.model_copy(update={"map_share": share})
    return one.model_copy(update={"answer": answer, "dice": dice, "dice_without_map": one.dice})


def write_answers(folder: Path, answers: Sequence[MeasuredAnswer]) -> None:
    """Write the answers into the folder of a run."""
    write_sealed(folder / ANSWERS_FILE, {_ANSWERS: [one.model_dump(mode="json") for one in answers]})


def read_answers(folder: Path) -> tuple[MeasuredAnswer, ...]:
    """Read the answers that :func:`write_answers` wrote; empty if there is no file.

    Raises:
        CheckpointError: if the file is damaged.
    """
    path = folder / ANSWERS_FILE
    if not path.exists():
        return ()
    try:
        return tuple(MeasuredAnswer.model_validate(one) for one in _listed(read_json(path)))
    except ValidationError as error:
        raise CheckpointError(
            f"{path}: not as promise train writes it: {faults_of(error, MeasuredAnswer)}. {_WAY_OUT}"
        ) from error
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}. {_WAY_OUT}") from error


def _listed(content: Any) -> list[Any]:
    """Return the answers in the content of a file; earlier versions wrote a bare list without a hash.

    Raises:
        ValueError: if the content is something else, or does not match its hash.
    """
    found = opened(content).get(_ANSWERS) if isinstance(content, dict) else content
    if not isinstance(found, list):
        raise ValueError(f"it holds no list of {_ANSWERS}")
    return found


def _best(form: PromptForm, means: dict[Answer, float]) -> MeasuredAnswer:
    answer = max(means, key=lambda one: means[one])
    shifted = [mean for one, mean in means.items() if one.shifted]
    return MeasuredAnswer(
        form=form, answer=answer, dice=means[answer], bare_dice=means[_BARE],
        shifted_dice=max(shifted) if shifted else None,
    )  # fmt: skip


def _dice_of_choices(
    model: PromiseModel, one: PromptedImage, prompts: Prompts, shifted: bool
) -> dict[MaskChoice, list[float]]:
    """Return the Dice of each object for every way to choose among SAM's masks."""
    decoded = model.sam_masks(one.features, prompts.to(model.device), shifted=shifted)
    numbers = _chosen_numbers(decoded)
    found: dict[MaskChoice, list[float]] = {choice: [] for choice in numbers}
    for which, truth in enumerate(one.objects):
        of_mask = [
            score_mask(probs_in_image(mask_logits, one.sample.geometry), truth).dice
            for mask_logits in decoded.mask_logits[0, which]
        ]
        for choice, chosen in numbers.items():
            found[choice].append(of_mask[chosen[which]])
    return found


def _chosen_numbers(decoded: Decoded) -> dict[MaskChoice, list[int]]:
    """Return the index of the mask that each choice takes, for each set of prompts of the only image."""
    sets = decoded.iou.shape[1]
    numbers = {choice: [int(choice)] * sets for choice in (MaskChoice.FIRST, MaskChoice.SECOND, MaskChoice.THIRD)}
    numbers[MaskChoice.SCORE] = decoded.iou[0].argmax(-1).tolist()
    if decoded.learned_iou is not None:
        numbers[MaskChoice.LEARNED] = decoded.learned_iou[0].argmax(-1).tolist()
    return numbers
