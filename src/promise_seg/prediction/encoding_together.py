"""Encode an image for several models at once: what they have in common is computed once."""

from collections.abc import Hashable, Mapping
from typing import TypeVar

from promise_seg.images.framing import ImageInFrame
from promise_seg.inference.encoding import seen_by_all
from promise_seg.prediction.predictor import EncodedImage, Predictor
from promise_seg.sam.features import Features

Label = TypeVar("Label", bound=Hashable)


def encode_together(
    predictors: Mapping[Label, Predictor], framed: ImageInFrame, features: Features
) -> dict[Label, EncodedImage]:
    """Return an image as each of several models needs it; APMs that see alike look at it once.

    Args:
        predictors: whose SAMs encode alike.
        framed: the image.
        features: those of SAM: of all stages that one of the models reads.
    """
    found: dict[Label, EncodedImage] = {}
    for label, one in predictors.items():
        if label in found:
            continue
        first = one.model.apm
        if first is None:
            found[label] = one.encode_framed(framed, features)
            continue
        alike = {
            other: apm
            for other, apm in ((other, predictors[other].model.apm) for other in predictors)
            if apm is not None and apm.sees_like(first)
        }
        seen = seen_by_all(list(alike.values()), features.to(one.model.device), one.apm_inputs(framed))
        found |= {other: EncodedImage(each, framed.geometry) for other, each in zip(alike, seen, strict=True)}
    return {label: found[label] for label in predictors}
