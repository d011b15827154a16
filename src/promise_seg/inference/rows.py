"""Decode the masks of rows with a ground truth, in batches."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from promise_seg.arrays import BoolArray
from promise_seg.dataset.checks import CheckedRow
from promise_seg.features.store import FeatureStore
from promise_seg.inference.encoding import Sample, features_for
from promise_seg.inference.masks import Masks, decode_masks
from promise_seg.inference.prompting import PromptPlan, check_prompts, make_prompts, prompts_for_objects
from promise_seg.instances.finding import find_instances
from promise_seg.instances.painting import InstanceMap
from promise_seg.model import PromiseModel
from promise_seg.prompting.apm import Proposal
from promise_seg.sam.features import Features
from promise_seg.sam.prompts import Prompts
from promise_seg.vocabulary import MaskKind

_OBJECTS_AT_ONCE = 32


@dataclass(frozen=True)
class DecodedRow:
    """All masks of one row, and the prompts that they came from.

    ``objects`` are the K masks (H, W) that were prompted for, if each was prompted separately; otherwise there is one
    set of prompts for all of them. ``prompts`` are in the model frame, for this image alone. ``own_instances`` finds
    the separate objects of an image whose ground truth is an instance map, with the model's own prompts.
    """

    sample: Sample
    masks: Masks
    objects: tuple[BoolArray, ...] | None = None
    prompts: Prompts | None = None
    own_instances: Callable[[], InstanceMap] | None = None


@torch.no_grad()
def decode_rows(
    model: PromiseModel,
    rows: Sequence[CheckedRow],
    plan: PromptPlan,
    store: FeatureStore | None = None,
    batch_size: int = 16,
) -> Iterator[DecodedRow]:
    """Decode all masks of each row, in the order of the rows.

    Args:
        model: a model of any variant; it is put into evaluation mode.
        rows: the checked rows.
        plan: the source of prompts.
        store: the feature store; if ``None``, features are encoded and discarded.
        batch_size: how many rows are decoded at once.

    Raises:
        SettingsError: for own points of a model without an APM.
    """
    check_prompts(model, plan.prompts)
    model.eval()
    stream = plan.stream()
    for start in range(0, len(rows), batch_size):
        samples = [Sample.of(row, model.sam, model.config.fit) for row in rows[start : start + batch_size]]
        features = features_for(samples, model, store)
        if plan.prompts_objects(samples[0].checked):
            for number, sample in enumerate(samples):
                rng = stream or plan.rng_of(sample)
                yield _decode_objects(model, sample, features[number : number + 1], plan, rng)
            continue
        prompts = make_prompts(model, features, samples, plan, stream)
        decoded = decode_masks(model, features, prompts, [sample.geometry for sample in samples])
        for number, (sample, masks) in enumerate(zip(samples, decoded, strict=True)):
            own = None
            if sample.checked.reading.masks == MaskKind.INSTANCES and _has_map(prompts):
                own = partial(find_instances, model, features[number : number + 1], sample.geometry)
            yield DecodedRow(sample, masks, prompts=prompts.images(number, number + 1), own_instances=own)


def _has_map(prompts: Prompts) -> bool:
    """Whether these are the model's own prompts, with a map of where objects are."""
    return isinstance(prompts, Proposal) and prompts.saliency_logits is not None


def _decode_objects(
    model: PromiseModel, sample: Sample, features: Features, plan: PromptPlan, rng: np.random.Generator
) -> DecodedRow:
    """Decode each object of one image; an image without any is prompted once, with what says so."""
    objects = tuple(sample.checked.instances())
    nothing = np.zeros((sample.checked.height, sample.checked.width), bool)
    prompts = prompts_for_objects(sample, objects or [nothing], plan, rng)
    parts = [
        decode_masks(model, features, prompts.sets(start, start + _OBJECTS_AT_ONCE), [sample.geometry])[0]
        for start in range(0, prompts.per_image, _OBJECTS_AT_ONCE)
    ]
    mask_logits, iou = (torch.cat([getattr(part, name) for part in parts]) for name in ("mask_logits", "iou"))
    learned = [part.learned_iou for part in parts if part.learned_iou is not None]
    masks = Masks(mask_logits, iou, sample.geometry, torch.cat(learned) if learned else None)
    return DecodedRow(sample, masks, objects or None, prompts)
