"""Encode an image for several models at once, and compute shared parts only once."""

from collections.abc import Hashable, Mapping
from typing import TypeVar

from promise_seg.images.framing import ImageInFrame
from promise_seg.inference.encoding import with_outputs_of_all
from promise_seg.prediction.encoded_image import EncodedImage
from promise_seg.prediction.predictor import Predictor
from promise_seg.sam.features import Features

Label = TypeVar("Label", bound=Hashable)


def encode_together(
    predictors: Mapping[Label, Predictor], framed: ImageInFrame, features: Features
) -> dict[Label, EncodedImage]:
    """Encode an image for each of several models, running a trunk that several APMs share only once.

    Args:
        predictors: maps each label to its predictor; their SAMs must give the same features.
        framed: the image.
        features: SAM's features of the image, with all stages that any of the models reads.
    """
    found: dict[Label, EncodedImage] = {}
    for label, one in predictors.items():
        if label in found:
            continue
        first = one.model.apm
        if first is None:
            found[label] = one.encode_framed(framed, features)
            continue
        sharing = {
            other: apm
            for other, apm in ((other, predictors[other].model.apm) for other in predictors)
            if apm is not None and apm.shares_trunk(first)
        }
        joined = with_outputs_of_all(list(sharing.values()), features.to(one.model.device), one.apm_inputs(framed))
        found |= {other: EncodedImage(each, framed.geometry) for other, each in zip(sharing, joined, strict=True)}
    return {label: found[label] for label in predictors}
