"""Measure on validation rows whether SAM's masks improve when they are fed back to it once."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from promise_seg.assessment.evaluation import Assessment
from promise_seg.assessment.overlaps import Overlap, ScoredRows
from promise_seg.dataset.checks import CheckedRow
from promise_seg.features.store import FeatureStore
from promise_seg.inference.rows import decode_rows
from promise_seg.model import PromiseModel
from promise_seg.progress import Progress, counted, silent
from promise_seg.vocabulary import PromptSource


class SecondPass(NamedTuple):
    """Mean Dice on validation rows with the model's own prompts, without a second pass and with one."""

    once: float
    twice: float

    @property
    def helps(self) -> bool:
        """Whether the second pass is better."""
        return self.twice > self.once


@torch.no_grad()
def measure_second_pass(
    model: PromiseModel,
    rows: Sequence[CheckedRow],
    store: FeatureStore | None,
    progress: Progress = silent,
    *,
    as_volumes: bool = False,
) -> SecondPass:
    """Return the mean Dice on rows when SAM is run once, and when its masks are fed back to it.

    Only a SAM that was trained with mask prompts can be expected to gain from its own mask, so this is measured
    instead of assumed. Images without an object are skipped, unless volumes are scored.

    Args:
        model: a model with an auto-prompter; it is put into evaluation mode.
        rows: validation rows that the model was not trained on.
        store: the feature store.
        progress: called for each image, twice.
        as_volumes: whether slices of a volume are scored as one mask in 3-D.
    """
    model.eval()
    scored = ScoredRows(rows, as_volumes=as_volumes)
    seen = [row for row in rows if row.foreground_pixels or scored.has_volumes]
    config, scored, dice = model.config, ScoredRows(seen, as_volumes=as_volumes), list[float]()
    try:
        for second_pass in (False, True):
            model.config = config.model_copy(update={"second_pass": second_pass, "presence_threshold": None})
            overlaps = []
            for row in counted(seen, progress, "trying a second pass"):
                (one,) = decode_rows(model, [row], Assessment(prompts=PromptSource.APM), store)
                overlaps.append(Overlap.of(one.masks.probs(config.mask_choice) > 0.5, row.mask()))
            dice.append(scored.mean_dice(overlaps) if overlaps else 0.0)
    finally:
        model.config = config
    return SecondPass(*dice)
