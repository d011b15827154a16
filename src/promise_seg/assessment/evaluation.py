"""Run a model over rows with a ground truth and score it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch

from promise_seg.assessment.metrics import Scores, score_mask
from promise_seg.assessment.reference_scoring import score_by_reference
from promise_seg.data.checks import CheckedRow
from promise_seg.errors import SettingsError
from promise_seg.features.encoding import Sample, features_of
from promise_seg.features.store import FeatureStore
from promise_seg.model import MaskChoice, PromiseModel, choose_mask
from promise_seg.prompting.oracle import oracle_box, oracle_points
from promise_seg.prompting.prompts import Prompts
from promise_seg.protocol import Protocol
from promise_seg.sam.features import Features
from promise_seg.sam.frozen import Decoded


class PromptSource(StrEnum):
    """Where the prompts of an evaluation come from. Those of ``oracle`` and ``box`` are made from the ground truth."""

    APM = "apm"
    ORACLE = "oracle"
    BOX = "box"
    NONE = "none"

    @property
    def reads_truth(self) -> bool:
        return self in (PromptSource.ORACLE, PromptSource.BOX)

    @property
    def label(self) -> str:
        """How results are headed everywhere, so that oracle numbers are never taken for automatic ones."""
        return {
            PromptSource.APM: "own points (automatic)",
            PromptSource.ORACLE: "oracle points (from the ground truth)",
            PromptSource.BOX: "oracle box (from the ground truth)",
            PromptSource.NONE: "no prompts",
        }[self]


@dataclass(frozen=True)
class Result:
    """Scores of one image, and the IoU that the model itself predicted."""

    checked: CheckedRow
    scores: Scores
    predicted_iou: float


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """How to evaluate. ``num_points`` and ``seed`` matter for oracle points only."""

    prompts: PromptSource
    num_points: int = 16
    seed: int = 0
    mask_choice: MaskChoice | None = None
    protocol: Protocol = Protocol.OWN

    def choice_for(self, model: PromiseModel) -> MaskChoice:
        """Which of SAM's masks counts: as given, or the first by the reference's protocol, or as the model chose."""
        return self.mask_choice or ("0" if self.protocol == Protocol.REFERENCE else model.config.mask_choice)

    def score(self, sample: Sample, mask_logits: torch.Tensor) -> Scores:
        """Score low-resolution logits (h, h) by this protocol."""
        return (score_logits if self.protocol == Protocol.OWN else score_by_reference)(sample, mask_logits)


def check_prompts(model: PromiseModel, source: PromptSource) -> None:
    """Refuse prompts that a model cannot make.

    Raises:
        SettingsError: for own points of a model without APM.
    """
    if source == PromptSource.APM and model.apm is None:
        raise SettingsError(
            f"--prompts apm: the variant {model.config.variant} has no auto-prompting module. "
            "Choose oracle, box or none, or a model of variant apm or apm+ips."
        )


def make_prompts(
    model: PromiseModel,
    features: Features,
    samples: Sequence[Sample],
    assessment: Assessment,
    stream: np.random.Generator | None = None,
) -> Prompts:
    """Prompts for a batch, from the model itself or from the ground truth.

    Oracle points depend on (seed, image), not on the order of the rows, unless they are drawn from a ``stream``.
    """
    source = assessment.prompts
    if source == PromptSource.NONE:
        return Prompts()
    if source == PromptSource.APM:
        return model.propose(features).as_prompts()
    masks = [sample.mask() for sample in samples]
    if source == PromptSource.BOX:
        boxes = torch.from_numpy(np.stack([oracle_box(mask) for mask in masks]))[:, None]
        return Prompts(boxes_xyxy=boxes).to(model.device)
    drawn = []
    for sample, mask in zip(samples, masks, strict=True):
        rng = stream or np.random.default_rng([assessment.seed, int(sample.checked.image_sha256[:16], 16)])
        drawn.append(oracle_points(mask, assessment.num_points, rng))
    points_xy = torch.from_numpy(np.stack([p for p, _ in drawn]))[:, None]
    labels = torch.from_numpy(np.stack([label for _, label in drawn]))[:, None]
    return Prompts(points_xy=points_xy, point_labels=labels).to(model.device)


@torch.no_grad()
def decode_rows(
    model: PromiseModel,
    rows: Sequence[CheckedRow],
    assessment: Assessment,
    store: FeatureStore | None = None,
    batch_size: int = 16,
) -> Iterator[tuple[CheckedRow, Sample, torch.Tensor, torch.Tensor]]:
    """All masks of each row: yields the row, its sample, mask logits (M, h, h) and predicted IoU (M,)."""
    check_prompts(model, assessment.prompts)
    model.eval()
    stream = np.random.default_rng(assessment.seed) if assessment.protocol == Protocol.REFERENCE else None
    for start in range(0, len(rows), batch_size):
        samples = [Sample.of(row, model.sam, model.config.fit) for row in rows[start : start + batch_size]]
        features = features_of(samples, model.sam, store).to(model.device)
        decoded = model.decode(features, make_prompts(model, features, samples, assessment, stream))
        for sample, mask_logits, iou in zip(samples, decoded.mask_logits, decoded.iou, strict=True):
            yield sample.checked, sample, mask_logits[0], iou[0]


def score_logits(sample: Sample, mask_logits: torch.Tensor) -> Scores:
    """Score low-resolution logits (h, h) at the image's own size."""
    mask_probs = sample.geometry.logits_to_image(mask_logits).sigmoid().float().cpu().numpy()
    return score_mask(mask_probs, sample.checked.mask())


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
        SettingsError: if the model cannot make the prompts asked for.
    """
    choice = assessment.choice_for(model)
    results = []
    for checked, sample, mask_logits, iou in decode_rows(model, rows, assessment, store):
        chosen = choose_mask_of_one(mask_logits, iou, choice)
        results.append(Result(checked, assessment.score(sample, chosen[0]), float(chosen[1])))
        progress()
    return results


def choose_mask_of_one(
    mask_logits: torch.Tensor, iou: torch.Tensor, choice: MaskChoice
) -> tuple[torch.Tensor, torch.Tensor]:
    """:func:`~promise_seg.model.choose_mask` for one image: (M, h, h) to (h, h), (M,) to a scalar."""
    chosen = choose_mask(Decoded(mask_logits[None, None], iou[None, None]), choice)
    return chosen.mask_logits[0, 0], chosen.iou[0, 0]
