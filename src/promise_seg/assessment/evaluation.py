"""Run a model over rows with a ground truth and score it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch

from promise_seg.assessment.measuring import DEFAULT_TOLERANCE, Tolerance, measure
from promise_seg.assessment.metrics import Scores, score_mask
from promise_seg.assessment.objects import OBJECT_MEASURES, score_objects
from promise_seg.assessment.reference_scoring import reference_mask, score_by_reference
from promise_seg.dataset.checks import CheckedRow
from promise_seg.errors import SettingsError
from promise_seg.features.encoding import Sample, features_of
from promise_seg.features.store import FeatureStore
from promise_seg.images.geometry import BoolArray
from promise_seg.model import PromiseModel, choose_mask
from promise_seg.postprocessing import NO_POST, PostProcessing, connected_parts
from promise_seg.prompting.oracle import centre_of, oracle_box, oracle_points
from promise_seg.sam.backbone import Decoded
from promise_seg.sam.features import Features
from promise_seg.sam.prompts import Prompts
from promise_seg.vocabulary import MaskChoice, MaskKind, PromptSource, Protocol

_OBJECTS_AT_ONCE = 32


@dataclass(frozen=True)
class Result:
    """Scores of one image, and the IoU that the model itself predicted.

    Where each object of an instance map was prompted for itself, ``scores`` are of the union of all masks, ``objects``
    is how many there were, ``object_dice`` the mean over them, and the predicted IoU a mean too. ``measures`` are the
    others, at the image's own size; none by the reference's protocol. ``is_empty`` says that nothing was predicted.
    ``trust`` and ``nothing_here`` are what the model says of its own mask, where it was calibrated and asked.
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
class Assessment:
    """How to evaluate. ``num_points`` and ``seed`` matter for oracle points only."""

    prompts: PromptSource
    num_points: int = 16
    seed: int = 0
    mask_choice: MaskChoice | None = None
    protocol: Protocol = Protocol.OWN
    tolerance: Tolerance = DEFAULT_TOLERANCE

    def choice_for(self, model: PromiseModel) -> MaskChoice:
        """Which of SAM's masks counts: as given, or the first by the reference's protocol, or as the model chose."""
        return self.mask_choice or (
            MaskChoice.FIRST if self.protocol == Protocol.REFERENCE else model.config.mask_choice
        )

    def prompts_objects(self, row: CheckedRow) -> bool:
        """Whether each object of a row is prompted for itself: those of instance maps, by a user who knows them."""
        return self.prompts.reads_truth and row.reading.masks.kind == MaskKind.INSTANCES

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
    if any(assessment.prompts_objects(sample.checked) for sample in samples):
        raise ValueError("rows with instances are prompted by prompts_for_objects")
    masks = [sample.mask() for sample in samples]
    if source == PromptSource.BOX:
        boxes = torch.from_numpy(np.stack([oracle_box(mask) for mask in masks]))[:, None]
        return Prompts(boxes_xyxy=boxes).to(model.device)
    drawn = []
    for sample, mask in zip(samples, masks, strict=True):
        drawn.append(oracle_points(mask, assessment.num_points, stream or _seeded(assessment, sample)))
    points_xy = torch.from_numpy(np.stack([p for p, _ in drawn]))[:, None]
    labels = torch.from_numpy(np.stack([label for _, label in drawn]))[:, None]
    return Prompts(points_xy=points_xy, point_labels=labels).to(model.device)


def prompts_for_objects(
    sample: Sample, objects: Sequence[BoolArray], assessment: Assessment, rng: np.random.Generator
) -> Prompts:
    """A set of prompts for each object (H, W) of one image: (1, K, ...).

    An object that is too small for the model frame is prompted where it would be.
    """
    masks = [sample.to_frame(mask) for mask in objects]
    for mask, original in zip(masks, objects, strict=True):
        if original.any() and not mask.any():
            x, y = np.round(sample.geometry.points_to_model(centre_of(original))).astype(int)
            mask[min(max(y, 0), sample.side - 1), min(max(x, 0), sample.side - 1)] = True
    if assessment.prompts == PromptSource.BOX:
        return Prompts(boxes_xyxy=torch.from_numpy(np.stack([oracle_box(mask) for mask in masks]))[None])
    drawn = [oracle_points(mask, assessment.num_points, rng) for mask in masks]
    return Prompts(
        points_xy=torch.from_numpy(np.stack([points for points, _ in drawn]))[None],
        point_labels=torch.from_numpy(np.stack([labels for _, labels in drawn]))[None],
    )


def _seeded(assessment: Assessment, sample: Sample) -> np.random.Generator:
    return np.random.default_rng([assessment.seed, int(sample.checked.image_sha256[:16], 16)])


def _check_numbers(checked: CheckedRow, measures: dict[str, float]) -> None:
    """Refuse measures that are no numbers before they get into any mean."""
    wrong = [f"{name} is {value}" for name, value in measures.items() if not np.isfinite(value)]
    if wrong:
        raise SettingsError(
            f"{checked.row.where}: {checked.name}: {', '.join(wrong)}, expected numbers: this mask cannot be scored. "
            "Leave the row out, and tell the authors of promise-seg of it"
        )


@dataclass(frozen=True)
class DecodedRow:
    """All masks of one row: logits (K, M, h, h) and predicted IoU (K, M) for K sets of prompts.

    ``objects`` are the K masks (H, W) that were prompted for, where each was; otherwise there is one set for all.
    """

    sample: Sample
    mask_logits: torch.Tensor
    iou: torch.Tensor
    objects: tuple[BoolArray, ...] | None = None

    def chosen(self, choice: MaskChoice) -> tuple[torch.Tensor, torch.Tensor]:
        """One of SAM's masks for each set of prompts: (K, h, h) and (K,)."""
        one = choose_mask(Decoded(self.mask_logits[None], self.iou[None]), choice)
        return one.mask_logits[0], one.iou[0]

    def result(
        self, choice: MaskChoice, assessment: Assessment, post: PostProcessing = NO_POST, *, full: bool = False
    ) -> Result:
        """Score it; ``full`` with all measures, not the overlap alone.

        Raises:
            SettingsError: if it is to be scored in full, and it or one of its measures is no number.
        """
        mask_logits, iou = self.chosen(choice)
        if full and not bool(mask_logits.isfinite().all()):
            raise SettingsError(
                f"{self.sample.checked.name}: the model gives a mask that is no numbers: its training diverged. Train "
                "again, with a lower --learning-rate"
            )
        checked, measures = self.sample.checked, {}
        if assessment.protocol == Protocol.REFERENCE:
            scores = assessment.score(self.sample, mask_logits.amax(0))
            is_empty = not reference_mask(mask_logits.amax(0)).any()
        else:
            mask_probs, truth = self._probs(mask_logits.amax(0)), checked.mask()
            predicted = post.mask(mask_probs)
            is_empty = not predicted.any()
            scores = score_mask(mask_probs, truth, predicted)
            if full:
                measures = measure(mask_probs, predicted, truth, checked, assessment.tolerance)
                if checked.reading.masks.kind == MaskKind.INSTANCES:
                    measures = measures | self._object_measures(mask_logits, predicted, post)
        if full:
            _check_numbers(checked, vars(scores) | measures)
        result = Result(checked, scores, float(iou.mean()), measures=measures, is_empty=is_empty)
        if self.objects is None:
            return result
        return replace(result, objects=len(self.objects), object_dice=self._object_dice(mask_logits, post))

    def _object_dice(self, mask_logits: torch.Tensor, post: PostProcessing) -> float:
        """The mean over objects that were each prompted for itself; logits (K, h, h)."""
        pairs = zip(mask_logits, self.objects or (), strict=True)
        masks = [(post.mask(self._probs(one)), truth) for one, truth in pairs]
        return float(np.mean([score_mask(found.astype(np.float32), truth).dice for found, truth in masks]))

    def _object_measures(
        self, mask_logits: torch.Tensor, predicted: BoolArray, post: PostProcessing
    ) -> dict[str, float]:
        """Of the objects that were each prompted for itself, or else of the connected parts of the mask (H, W)."""
        if self.objects is None:
            found, truth = list(connected_parts(predicted)), self.sample.checked.instances()
        else:
            found, truth = [post.mask(self._probs(one)) for one in mask_logits], list(self.objects)
        scores = score_objects([mask for mask in found if mask.any()], truth)
        return {name: getattr(scores, name) for name in OBJECT_MEASURES}

    def probs(self, choice: MaskChoice) -> npt.NDArray[np.float32]:
        """Probabilities (H, W) of all objects together, in the image frame."""
        return self._probs(self.chosen(choice)[0].amax(0))

    def _probs(self, mask_logits: torch.Tensor) -> npt.NDArray[np.float32]:
        """Low-resolution logits (h, h) to probabilities (H, W) in the image frame."""
        return self.sample.geometry.logits_to_image(mask_logits).sigmoid().float().cpu().numpy()

    def dice_of_choices(self, choices: Sequence[MaskChoice], assessment: Assessment) -> dict[MaskChoice, float]:
        """Dice for each way to choose among SAM's masks: of the image, or the mean over its objects."""
        if self.objects is not None:
            return {choice: self._object_dice(self.chosen(choice)[0], NO_POST) for choice in choices}
        index = {choice: int(self.iou[0].argmax()) if choice == "score" else int(choice) for choice in choices}
        of_mask = {i: assessment.score(self.sample, self.mask_logits[0, i]).dice for i in set(index.values())}
        return {choice: of_mask[i] for choice, i in index.items()}


def _decode_objects(
    model: PromiseModel, sample: Sample, features: Features, assessment: Assessment, rng: np.random.Generator
) -> DecodedRow:
    """Each object of one image; an image without any is prompted once, with what says so."""
    objects = tuple(sample.checked.instances())
    nothing = np.zeros((sample.checked.height, sample.checked.width), bool)
    prompts = prompts_for_objects(sample, objects or [nothing], assessment, rng).to(model.device)
    parts = [
        model.decode(features, prompts.sets(start, start + _OBJECTS_AT_ONCE))
        for start in range(0, prompts.per_image, _OBJECTS_AT_ONCE)
    ]
    mask_logits, iou = (torch.cat([getattr(part, name)[0] for part in parts]) for name in ("mask_logits", "iou"))
    return DecodedRow(sample, mask_logits, iou, objects or None)


@torch.no_grad()
def decode_rows(
    model: PromiseModel,
    rows: Sequence[CheckedRow],
    assessment: Assessment,
    store: FeatureStore | None = None,
    batch_size: int = 16,
) -> Iterator[DecodedRow]:
    """All masks of each row, in their order."""
    check_prompts(model, assessment.prompts)
    model.eval()
    stream = np.random.default_rng(assessment.seed) if assessment.protocol == Protocol.REFERENCE else None
    for start in range(0, len(rows), batch_size):
        samples = [Sample.of(row, model.sam, model.config.fit) for row in rows[start : start + batch_size]]
        features = features_of(samples, model.sam, store).to(model.device)
        if assessment.prompts_objects(samples[0].checked):
            for number, sample in enumerate(samples):
                rng = stream or _seeded(assessment, sample)
                yield _decode_objects(model, sample, features[number : number + 1], assessment, rng)
            continue
        decoded = model.decode(features, make_prompts(model, features, samples, assessment, stream))
        for sample, mask_logits, iou in zip(samples, decoded.mask_logits, decoded.iou, strict=True):
            yield DecodedRow(sample, mask_logits, iou)


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
        SettingsError: if the model cannot make the prompts asked for, or its masks are no numbers.
    """
    choice = assessment.choice_for(model)
    results = []
    for decoded in decode_rows(model, rows, assessment, store):
        results.append(decoded.result(choice, assessment, model.config.postprocessing, full=True))
        progress()
    return results
