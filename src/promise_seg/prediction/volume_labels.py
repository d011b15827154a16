"""Label all slices of a volume jointly, with one model or one model for each class."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from promise_seg.arrays import Uint16Array
from promise_seg.images.formats.orientation import SliceFrame
from promise_seg.images.formats.source import Source
from promise_seg.prediction.cuts import OtherCut
from promise_seg.prediction.encoded_image import EncodedImage
from promise_seg.prediction.prediction import PromptsInImage, prompts_in_image
from promise_seg.prediction.predictor import Predictor
from promise_seg.prediction.surest import surest_labels
from promise_seg.rules.volume_rule import VolumeRule, rule_for
from promise_seg.trust.trust_model import Trust
from promise_seg.vocabulary import Slices
from promise_seg.volumes.across import Cut, MeanProbs
from promise_seg.volumes.collecting import CollectedSlices, KeptFeatures
from promise_seg.volumes.joining import JoinedVolume
from promise_seg.volumes.stack import Stack


class SliceFacts(NamedTuple):
    """The origin of a class in a slice: prompts in the image frame, predicted IoU, and trust in its own mask."""

    prompts: PromptsInImage
    predicted_iou: float
    trust: Trust | None


class VolumeLabels:
    """The slices of one volume, which are added in order, and their labels once all slices have been added.

    Args:
        predictors: maps each label to the predictor that finds it.
        slices: how slices are combined.
        source: the volume.
    """

    def __init__(self, predictors: Mapping[int, Predictor], slices: Slices, source: Source) -> None:
        self._predictors = predictors
        self._rules = rules_of(predictors, slices)
        self._collected = self._begun(source)
        self._frame, self._others = source.frame, list[tuple[dict[int, CollectedSlices], SliceFrame]]()
        self.facts: list[dict[int, SliceFacts]] = []
        """The origins of all classes, slice by slice."""
        self._name = source.path

    def add(self, encoded: Mapping[int, EncodedImage]) -> None:
        """Add the next slice, encoded for each model."""
        facts = {}
        for label, one in self._predictors.items():
            image, collected = encoded[label], self._collected[label]
            proposal = collected.add(image.features, image.geometry)
            prompts = prompts_in_image(proposal, slice(None), image.geometry)
            facts[label] = SliceFacts(prompts, collected.predicted_iou[-1], one.trust(image))
        self.facts.append(facts)

    def _begun(self, source: Source) -> dict[int, CollectedSlices]:
        stack, shared = Stack.of(source), KeptFeatures()
        return {
            label: CollectedSlices(
                one.model, stack, keeps_features=self._rules[label].slices == Slices.AGREE,
                kept=None if one.model.sam.encoder_learns else shared,
            )
            for label, one in self._predictors.items()
        }  # fmt: skip

    def add_across(self, cut: OtherCut, slices: Iterable[Mapping[int, EncodedImage]]) -> None:
        """Add all slices of the volume across another axis, after its own slices.

        Args:
            cut: the volume, cut across the other axis.
            slices: slices in order, each encoded for each model.
        """
        collected = self._begun(cut.source)
        for encoded in slices:
            for label, one in collected.items():
                one.add(encoded[label].features, encoded[label].geometry)
        self._others.append((collected, cut.frame))

    def _joined(self, label: int) -> JoinedVolume:
        collected, rule = self._collected[label], self._rules[label]
        post, probs = self._predictors[label].model.config.postprocessing, None
        if self._others and self._frame is not None:
            others = [Cut(found[label], frame) for found, frame in self._others]
            probs = MeanProbs(Cut(collected, self._frame), others, rule, post.threshold)
        return JoinedVolume(collected, rule, post, probs=probs)

    def labels(self) -> tuple[list[Uint16Array], tuple[str, ...]]:
        """Return the labels (H, W) of each slice, and notes on rules that could not be applied, a line each.

        Where classes overlap, the most probable one is taken.
        """
        joined = {label: self._joined(label) for label in self._collected}
        notes = dict.fromkeys(f"{self._name}: {words}" for one in joined.values() for words in one.notes())
        found = [_labels(joined, number) for number in range(len(self.facts))]
        for one in joined.values():
            one.close()
        return found, tuple(notes)


def _labels(joined: Mapping[int, JoinedVolume], number: int) -> Uint16Array:
    """Return the labels (H, W) of one slice."""
    masks = np.stack([one.mask(number) for one in joined.values()])
    if len(joined) == 1:  # probabilities are not needed
        return np.where(masks[0], next(iter(joined)), 0).astype(np.uint16)
    return surest_labels(list(joined), np.stack([one.probs(number) for one in joined.values()]), masks)


def rules_of(predictors: Mapping[int, Predictor], slices: Slices) -> dict[int, VolumeRule]:
    """Return the rule by which the slices of a volume are combined for each class."""
    return {label: rule_for(one.model.config.volumes, slices) for label, one in predictors.items()}
