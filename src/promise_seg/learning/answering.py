"""Measure on validation rows how prompts of each form are answered best, and never worse than by the bare SAM."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from promise_seg.arrays import BoolArray
from promise_seg.assessment.metrics import score_mask
from promise_seg.dataset.checks import CheckedRow
from promise_seg.errors import CheckpointError
from promise_seg.features.store import FeatureStore
from promise_seg.files import read_json
from promise_seg.given_prompts import Answer
from promise_seg.inference.encoding import Sample, model_features
from promise_seg.inference.masks import probs_in_image
from promise_seg.model import PromiseModel
from promise_seg.progress import Progress, counted, silent
from promise_seg.prompting.oracle import boxes_around, points_in_masks
from promise_seg.sam.backbone import Decoded
from promise_seg.sam.features import Features
from promise_seg.sam.prompts import Prompts
from promise_seg.sealed import opened, write_sealed
from promise_seg.validation import faults_of
from promise_seg.vocabulary import MaskChoice, MaskKind, PromptForm

ANSWERS_FILE = "given_prompts.json"
_WAY_OUT = "Delete it, and give the same command again"
_ANSWERS = "answers"
_MOST_OBJECTS = 8  # of an image with many
_POINTS = {
    PromptForm.POINT: (1, 1, 1), PromptForm.POINTS: (2, 4), PromptForm.MANY_POINTS: (8, 16), PromptForm.BOX: (0,),
    PromptForm.BOX_AND_POINTS: (1,),
}  # fmt: skip
"""How many points are given, in several draws, for each form."""
_BARE = Answer(mask_choice=MaskChoice.SCORE, shifted=False)


class MeasuredAnswer(BaseModel):
    """The best answer to prompts of a form, and mean Dice on validation rows.

    Args:
        form: of the prompts.
        answer: the best one.
        dice: with it.
        bare_dice: of the bare SAM, with the mask that it scores best.
        shifted_dice: with the shift and the best choice of a mask; ``None`` if the model has none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    form: PromptForm
    answer: Answer
    dice: float
    bare_dice: float
    shifted_dice: float | None

    @property
    def words(self) -> str:
        """One line for the user."""
        name = {
            PromptForm.POINT: "one point", PromptForm.POINTS: "a few points", PromptForm.MANY_POINTS: "many points",
            PromptForm.BOX: "a box", PromptForm.BOX_AND_POINTS: "a box and points",
        }[self.form]  # fmt: skip
        line = f"prompted with {name}: val Dice {self.dice:.3f}, bare SAM {self.bare_dice:.3f}"
        if self.shifted_dice is None or self.answer.shifted:
            return line
        return f"{line}; the shift is worse at it ({self.shifted_dice:.3f}) and is left out there"


@torch.no_grad()
def measure_answers(
    model: PromiseModel, rows: Sequence[CheckedRow], store: FeatureStore | None, progress: Progress = silent
) -> tuple[MeasuredAnswer, ...]:
    """Return the best answer to each form of prompts, by the mean Dice on rows.

    Of an image with instances, some objects are prompted, each for itself; images without an object are passed over.

    Args:
        model: that was trained; it is put into evaluation mode.
        rows: that it was not trained on.
        store: of features.
        progress: told of each image.
    """
    model.eval()
    has_shift = model.ips is not None
    dice: dict[tuple[PromptForm, Answer], list[float]] = {}
    for row in counted([row for row in rows if row.foreground_pixels], progress, "measuring answers to prompts"):
        sample = Sample.of(row, model.sam, model.config.fit)
        features = model_features([sample], model, store)
        rng = np.random.default_rng(int(row.pixels_sha256[:16], 16))
        objects = _objects(sample, rng)
        for form, prompts in _prompts(sample, objects, rng):
            for shifted in (False, True) if has_shift else (False,):
                for choice, values in _dice_of_choices(model, features, prompts, sample, objects, shifted).items():
                    dice.setdefault((form, Answer(mask_choice=choice, shifted=shifted)), []).extend(values)
    means = {key: float(np.mean(values)) for key, values in dice.items()}
    return tuple(_best(form, {answer: mean for (of, answer), mean in means.items() if of == form})
                 for form in PromptForm if (form, _BARE) in means)  # fmt: skip


def write_answers(folder: Path, answers: Sequence[MeasuredAnswer]) -> None:
    """Write them into the folder of a run."""
    write_sealed(folder / ANSWERS_FILE, {_ANSWERS: [one.model_dump(mode="json") for one in answers]})


def read_answers(folder: Path) -> tuple[MeasuredAnswer, ...]:
    """Read what :func:`write_answers` wrote; empty if there is nothing.

    Raises:
        CheckpointError: if it is damaged.
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
    """Return the answers in the content of a file; earlier versions wrote the list alone, without its hash.

    Raises:
        ValueError: if it is something else, or does not have its hash.
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


def _objects(sample: Sample, rng: np.random.Generator) -> list[BoolArray]:
    """Masks (H, W) of what is prompted for."""
    if sample.checked.reading.masks != MaskKind.INSTANCES:
        return [sample.checked.mask()]
    labels = sample.checked.labels()  # a mask for each of many objects would not fit into memory
    objects = [number for number in np.setdiff1d(labels, [0]) if sample.to_frame(labels == number).any()]
    return [labels == objects[number] for number in rng.permutation(len(objects))[:_MOST_OBJECTS]]


def _prompts(
    sample: Sample, objects: Sequence[BoolArray], rng: np.random.Generator
) -> Iterator[tuple[PromptForm, Prompts]]:
    """Sets of prompts, one for each object, in every form."""
    masks = [sample.to_frame(mask) for mask in objects]
    if not masks:
        return
    boxes = boxes_around(masks)[None]
    for form, counts in _POINTS.items():
        has_box = form in (PromptForm.BOX, PromptForm.BOX_AND_POINTS)
        for count in counts:
            parts = {"boxes_xyxy_model": boxes} if has_box else {}
            if count:
                points, labels = points_in_masks(masks, count, [rng] * len(masks))
                parts |= {"points_xy_model": points[None], "point_labels": labels[None]}
            yield form, Prompts(**parts)


def _dice_of_choices(
    model: PromiseModel,
    features: Features,
    prompts: Prompts,
    sample: Sample,
    objects: Sequence[BoolArray],
    shifted: bool,
) -> dict[MaskChoice, list[float]]:
    """The Dice of each object, for every way to choose among SAM's masks."""
    decoded = model.sam_masks(features, prompts.to(model.device), shifted=shifted)
    numbers = _chosen_numbers(decoded)
    found: dict[MaskChoice, list[float]] = {choice: [] for choice in numbers}
    for which, truth in enumerate(objects):
        of_mask = [
            score_mask(probs_in_image(mask_logits, sample.geometry), truth).dice
            for mask_logits in decoded.mask_logits[0, which]
        ]
        for choice, chosen in numbers.items():
            found[choice].append(of_mask[chosen[which]])
    return found


def _chosen_numbers(decoded: Decoded) -> dict[MaskChoice, list[int]]:
    """The number of the mask that each choice takes, for each set of the only image."""
    sets = decoded.iou.shape[1]
    numbers = {choice: [int(choice)] * sets for choice in (MaskChoice.FIRST, MaskChoice.SECOND, MaskChoice.THIRD)}
    numbers[MaskChoice.SCORE] = decoded.iou[0].argmax(-1).tolist()
    if decoded.learned_iou is not None:
        numbers[MaskChoice.LEARNED] = decoded.learned_iou[0].argmax(-1).tolist()
    return numbers
