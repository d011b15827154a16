"""The prompt error budget: an ablation of the prompts that shows whether they or the decoder limit the result."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from promise_seg.arrays import BoolArray
from promise_seg.assessment.metrics import score_mask
from promise_seg.assessment.statistics import Interval, mean_interval
from promise_seg.assessment.volume_slices import single_slices, volumes_to_join
from promise_seg.dataset.checks import CheckedRow
from promise_seg.features.store import FeatureStore
from promise_seg.inference.encoding import Sample, model_features
from promise_seg.inference.masks import decode_one
from promise_seg.model import PromiseModel
from promise_seg.progress import Progress, counted, silent
from promise_seg.prompting.apm import Proposal
from promise_seg.prompting.jitter import jittered
from promise_seg.prompting.oracle import oracle_box, oracle_points
from promise_seg.rules.volume_rule import rule_for
from promise_seg.sam.features import Features
from promise_seg.sam.prompts import BACKGROUND, FOREGROUND, Prompts
from promise_seg.vocabulary import Slices

COUNTS = (1, 2, 4, 8, 16)
JITTERS = (0.01, 0.02, 0.05, 0.1)
"""The standard deviations of the error of a click, as shares of the side of the model frame."""
OWN = "own prompts"
DRAWS = 5
MAP_ALONE = (
    "the mask for the model's own prompts is the auto-prompter's saliency map alone, so these prompts do not change "
    "it. Moved or fewer own prompts would give the same mask and are left out"
)

SLICES_APART = (
    "own prompts of the prompt error budget segment each slice by itself, without the rule for volumes that was chosen "
    "for this model. Their Dice may therefore differ from that of an evaluation"
)


@dataclass(frozen=True)
class PromptScores:
    """The Dice of each image with one kind of prompts, for each draw.

    ``reads_truth`` tells whether the prompts were made from the ground truth, ``prompts_used`` whether the masks depend
    on the prompts.

    Shape: ``dice`` (draws, images).
    """

    name: str
    reads_truth: bool
    dice: np.ndarray
    prompts_used: bool = True

    def summary(self, groups: Sequence[str], seed: int = 0) -> dict[str, Any]:
        """Return the mean over draws and images, its interval over groups, and the standard deviation over draws."""
        interval: Interval = mean_interval(self.dice.mean(0).tolist(), groups, seed=seed)
        draws = self.dice.mean(1)
        return {
            "prompts": self.name,
            "reads_the_ground_truth": self.reads_truth,
            "prompts_used": self.prompts_used,
            "draws": len(draws),
            "dice": round(interval.mean, 6),
            "interval": interval.as_json(),
            "spread_of_draws": round(float(draws.std(ddof=1)), 6) if len(draws) > 1 else None,
        }


@torch.no_grad()
def prompt_budget(
    model: PromiseModel,
    rows: Sequence[CheckedRow],
    *,
    seed: int = 0,
    store: FeatureStore | None = None,
    progress: Progress = silent,
) -> list[PromptScores]:
    """Score a model with many kinds of prompts, from its own to none at all.

    The kinds are the model's own prompts (unchanged, jittered, and reduced to fewer points), oracle points (also
    jittered), an oracle box, and no prompts. Each image is encoded once. For instance maps, all objects are prompted
    together. If own prompts do not change the mask (:func:`uses_own_prompts`), they are scored only unchanged.

    Args:
        model: a model of any variant; a model without an APM has no own prompts.
        rows: rows with masks.
        seed: the seed of draws and jitters.
        store: the feature store.
        progress: called for each image.
    """
    model.eval()
    per_image, uses_own = [], True
    for row in counted(rows, progress, "prompt error budget"):
        sample = Sample.of(row, model.sam, model.config.fit)
        features = model_features([sample], model, store)
        truth = row.mask()
        found: dict[tuple[str, bool], list[float]] = {}
        for name, reads_truth, prompts in _kinds(model, features, sample, seed):
            if isinstance(prompts, Proposal):
                uses_own = uses_own_prompts(model, prompts)
            probs = decode_one(model, features, prompts, sample.geometry).probs(model.answer_to(prompts).mask_choice)
            predicted = model.config.postprocessing.mask(probs)
            found.setdefault((name, reads_truth), []).append(score_mask(probs, truth, predicted).dice)
        per_image.append(found)
    kinds = list(per_image[0])
    return [
        PromptScores(name, reads, np.array([one[name, reads] for one in per_image]).T, uses_own or name != OWN)
        for name, reads in kinds
    ]


def segments_slices_apart(model: PromiseModel, rows: Sequence[CheckedRow]) -> bool:
    """Whether the budget segments slices by themselves that an evaluation with own prompts combines into volumes."""
    if model.apm is None or not rule_for(model.config.volumes, Slices.AUTO).changes:
        return False
    return bool(volumes_to_join(rows) or single_slices(rows))


def uses_own_prompts(model: PromiseModel, proposal: Proposal) -> bool:
    """Whether the mask for a proposal of the model depends on its points and boxes.

    It does not if the saliency map alone makes the mask, unless SAM's answer to the prompts decides whether there is
    anything to segment.
    """
    config = model.config
    if config.map_share < 1 or proposal.saliency_logits is None:
        return True
    return config.presence_threshold is not None and proposal.presence_logits is None


def _kinds(model: PromiseModel, features: Features, sample: Sample, seed: int) -> Iterator[tuple[str, bool, Prompts]]:
    """Yield the name of each kind of prompts, whether they read the ground truth, and the prompts of each draw."""
    rng = np.random.default_rng([seed, int(sample.checked.image_sha256[:16], 16)])
    side, mask = model.sam.image_size, sample.to_prompt(sample.checked.mask())
    if model.apm is not None:
        own = model.propose(features)
        uses_own = uses_own_prompts(model, own)
        yield OWN, False, own
        for jitter in JITTERS:
            for _ in range(DRAWS):
                shaken = jittered(own, jitter * side, side, rng)  # always, so that the oracle points stay the same
                if uses_own:
                    yield f"{OWN}, jittered by {jitter:.0%}", False, shaken
        for count in COUNTS if uses_own and own.boxes_xyxy_model is None else ():
            if own.points_xy_model is not None and count < own.points_xy_model.shape[2]:
                yield f"own points, {count} of them", False, _fewer(own, count)
    for count in COUNTS:
        for _ in range(DRAWS):
            yield f"oracle points, {count}", True, _oracle(mask, count, rng)
    for jitter in JITTERS:
        for _ in range(DRAWS):
            moved = jittered(_oracle(mask, COUNTS[-1], rng), jitter * side, side, rng)
            yield f"oracle points, {COUNTS[-1]}, jittered by {jitter:.0%}", True, moved
    yield "oracle box", True, Prompts(boxes_xyxy_model=torch.from_numpy(oracle_box(mask))[None, None])
    yield "no prompts", False, Prompts()


def _oracle(mask: BoolArray, count: int, rng: np.random.Generator) -> Prompts:
    points_xy_model, labels = oracle_points(mask, count, rng)
    return Prompts(
        points_xy_model=torch.from_numpy(points_xy_model)[None, None], point_labels=torch.from_numpy(labels)[None, None]
    )


def _fewer(prompts: Prompts, count: int) -> Prompts:
    """Return the first ``count`` points, half of them foreground; an odd number has one more foreground point.

    Raises:
        ValueError: if the prompts have no points.
    """
    if prompts.points_xy_model is None or prompts.point_labels is None:
        raise ValueError("there are no points to take a part of")
    labels = prompts.point_labels[0, 0].cpu()
    kept = []
    for label, wanted in ((FOREGROUND, -(-count // 2)), (BACKGROUND, count // 2)):
        kept += torch.nonzero(labels == label)[:wanted, 0].tolist()
    return Prompts(points_xy_model=prompts.points_xy_model[:, :, kept], point_labels=prompts.point_labels[:, :, kept])
