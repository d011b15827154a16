"""Choose on validation rows, during training, how a model forms its masks from SAM's output and the saliency map."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch

from promise_seg.arrays import BoolArray
from promise_seg.assessment.evaluation import Assessment, dice_of_choices
from promise_seg.assessment.overlaps import Overlap, ScoredRows
from promise_seg.dataset.checks import CheckedRow
from promise_seg.features.store import FeatureStore
from promise_seg.inference.masks import Masks, probs_in_image
from promise_seg.inference.rows import DecodedRow, decode_rows
from promise_seg.inference.tiled import TiledMasks
from promise_seg.learning.settings import TrainSettings
from promise_seg.model import PromiseModel
from promise_seg.prompting.apm import Proposal
from promise_seg.prompting.map_in_masks import with_map
from promise_seg.vocabulary import MaskChoice, PromptSource, Protocol

MASK_SHARES = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
"""The shares of the APM's saliency in a mask that are tried."""
_TYPICAL_SHARE = 0.5
"""The share with which the masks are compared, before the share is chosen."""
MOST_BYTES_KEPT = 2**30
"""The memory for decoded validation rows that are needed again; a SAM of 1024 px takes about 1 MB for each."""
_CERTAIN = 0.5
"""Pixels with a higher probability are foreground."""
_CHOICES = (MaskChoice.FIRST, MaskChoice.SECOND, MaskChoice.THIRD, MaskChoice.SCORE)

Choice = TypeVar("Choice")


class Validated(NamedTuple):
    """The best mean Dice on validation rows, and the choices that give it."""

    dice: float
    mask_choice: MaskChoice
    map_share: float = 0.0

    @property
    def facts(self) -> dict[str, Any]:
        """The entries of the log; a share of the map of 0 is left out."""
        share = {"map_share": self.map_share} if self.map_share else {}
        return {"val_dice": self.dice, "mask_choice": self.mask_choice} | share


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
        return _validated(
            lambda: map(_kept, decode_rows(model, rows, assessment, store)),
            choices,
            ScoredRows(rows, as_volumes=settings.scores_volumes),
            assessment,
        )
    finally:
        model.config = config


def _validated(
    decode: Callable[[], Iterator[DecodedRow]],
    choices: Sequence[MaskChoice],
    scored: ScoredRows,
    assessment: Assessment,
) -> Validated:
    """Return the best choices; ``decode`` decodes all rows in order, each time that it is called."""
    decoded = decode()
    first = next(decoded)
    has_map = isinstance(first.prompts, Proposal) and first.prompts.regions is not None
    decoded = chain(iter([first]), decoded)  # which forgets it once it was used
    del first
    if has_map:
        return _with_maps(decode, decoded, choices, scored)
    if scored.has_volumes and assessment.protocol == Protocol.OWN:
        overlaps = list[dict[MaskChoice, Overlap]]()
        for row in decoded:
            truth = row.sample.checked.mask()
            overlaps.append({choice: _overlap(row, truth, choice, 0.0) for choice in choices})
        means = {choice: scored.mean_dice([of[choice] for of in overlaps]) for choice in choices}
    else:
        dice_of_rows = [dice_of_choices(row, choices, assessment) for row in decoded]
        means = {choice: float(np.mean([dice[choice] for dice in dice_of_rows])) for choice in choices}
    best = _best(means)
    return Validated(means[best], best)


def _best(means: Mapping[Choice, float]) -> Choice:
    """Return the choice with the highest mean, the first of equal ones."""
    return max(means, key=lambda choice: means[choice])


def _kept(decoded: DecodedRow) -> DecodedRow:
    """Return what is needed of a row until all rows are decoded, without its features, in the computer's memory."""
    masks = decoded.masks.to("cpu") if isinstance(decoded.masks, Masks) else decoded.masks
    prompts = None if decoded.prompts is None else decoded.prompts.to("cpu")
    return replace(decoded, own_instances=None, masks=masks, prompts=prompts)


def _size(decoded: DecodedRow) -> int:
    """Return the memory that the masks and the prompts of a row take, in bytes."""
    masks = decoded.masks.tiles.values() if isinstance(decoded.masks, TiledMasks) else [decoded.masks]
    parts = [value for one in (*masks, decoded.prompts) if one is not None for value in vars(one).values()]
    return sum(part.nbytes for part in parts if isinstance(part, torch.Tensor))


def _with_maps(
    decode: Callable[[], Iterator[DecodedRow]],
    decoded: Iterable[DecodedRow],
    choices: Sequence[MaskChoice],
    scored: ScoredRows,
) -> Validated:
    """Choose the mask at a typical share of the saliency, and then the share.

    The rows are needed twice. The first of them are kept, up to a limit; the others are decoded again.
    """
    kept, size, overlaps = list[DecodedRow](), 0, list[dict[MaskChoice, Overlap]]()
    for row in decoded:
        truth = row.sample.checked.mask()
        overlaps.append({choice: _overlap(row, truth, choice, _TYPICAL_SHARE) for choice in choices})
        size += _size(row)
        if size <= MOST_BYTES_KEPT:
            kept.append(row)
    choice = _best({choice: scored.mean_dice([of[choice] for of in overlaps]) for choice in choices})
    again = kept if len(kept) == len(overlaps) else chain(kept, islice(decode(), len(kept), None))
    of_shares = list[dict[float, Overlap]]()
    for row in again:
        truth = row.sample.checked.mask()
        of_shares.append({share: _overlap(row, truth, choice, share) for share in MASK_SHARES})
    by_share = {share: scored.mean_dice([of[share] for of in of_shares]) for share in MASK_SHARES}
    share = _best(by_share)
    return Validated(by_share[share], choice, share)


def _overlap(row: DecodedRow, truth: BoolArray, choice: MaskChoice, share: float) -> Overlap:
    """Compare a choice among SAM's masks, with a share of the map in it, with the ground truth (H, W)."""
    mask_logits, _ = row.masks.chosen(choice)
    if isinstance(row.prompts, Proposal):
        mask_logits = with_map(mask_logits[None, :, None], row.prompts, share)[0, :, 0]
    mask = probs_in_image(torch.amax(mask_logits, 0), row.sample.geometry) > _CERTAIN
    return Overlap.of(mask, truth)
