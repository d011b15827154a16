"""The gallery of worst cases, as images embedded in a page."""

import base64
import io
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

from promise_seg.arrays import Uint8Array
from promise_seg.assessment.evaluation import Assessment, Result
from promise_seg.features.store import FeatureStore
from promise_seg.images.sheets import outlined
from promise_seg.model import PromiseModel
from promise_seg.reporting.blocks import Gallery, Picture
from promise_seg.reporting.document import Worst
from promise_seg.reporting.drawing import draw_prediction

_HEIGHT, _WIDTH = 220, 330  # the maximum for each of the three images in a strip
_GAP = 4
_QUALITY = 85


def worst_cases(
    model: PromiseModel,
    results: Sequence[Result],
    facts: Sequence[Worst],
    assessment: Assessment,
    store: FeatureStore | None = None,
) -> Gallery:
    """Draw a strip per image: the image, the outline of the ground truth, and the prediction with its prompts.

    Args:
        model: the model that was evaluated.
        results: the results of the images, in order.
        facts: the facts for the caption of each image.
        assessment: how the images were evaluated.
        store: the feature store.
    """
    pictures = []
    for result, fact in zip(results, facts, strict=True):
        row = result.checked
        image = row.image()
        drawn = draw_prediction(model, row, assessment, store, result.joined)
        strip = strip_of([image, outlined(image, [row.mask()]), drawn])
        alt = f"{fact.image}: the image, the outline of the ground truth, and the prediction (Dice {fact.dice:.3f})"
        pictures.append(Picture(data_uri(strip), alt, caption_of(fact)))
    return Gallery(
        tuple(pictures),
        f"The lowest Dice first; {assessment.prompts.heading}. From the left: the image, the outline of the ground "
        "truth, the prediction. Green points are foreground, red ones background.",
    )


def caption_of(fact: Worst) -> str:
    """Return the caption of a strip."""
    words = [
        fact.image,
        f"Dice {fact.dice:.3f}",
        f"IoU {fact.iou:.3f}",
        f"object {100 * fact.share:.2f} % of the image",
    ]
    return ", ".join(words if fact.trust is None else [*words, f"trust {fact.trust:.3f}"])


def strip_of(pictures: Sequence[Uint8Array]) -> Uint8Array:
    """Put images (H, W, 3) of equal size next to each other with white gaps, each scaled to fit 330 x 220 px."""
    height, width = pictures[0].shape[:2]
    scale = min(_HEIGHT / height, _WIDTH / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    scaling = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    parts: list[Uint8Array] = []
    for picture in pictures:
        if parts:
            parts.append(np.full((size[1], _GAP, 3), 255, np.uint8))
        parts.append(np.asarray(cv2.resize(picture, size, interpolation=scaling), np.uint8))
    return np.concatenate(parts, 1)


def data_uri(picture: Uint8Array) -> str:
    """Encode an image (H, W, 3), uint8 RGB, as JPEG in a data URI."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=_QUALITY, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
