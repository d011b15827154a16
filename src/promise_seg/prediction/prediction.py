"""The prediction of a model for an image: a mask, its candidates, and its prompts."""

import base64
import io
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from PIL import Image

from promise_seg.arrays import BoolArray, Float32Array, IntArray, Uint8Array
from promise_seg.errors import SettingsError
from promise_seg.images.geometry import Geometry
from promise_seg.images.reading import DEFAULT_READING, Reading
from promise_seg.inference.masks import Masks
from promise_seg.prediction.overlay import draw_overlay
from promise_seg.prediction.reading import ImageLike, read_rgb_of_size
from promise_seg.quantities import count_in_words
from promise_seg.rules.postprocessing import PostProcessing
from promise_seg.sam.prompts import Prompts
from promise_seg.vocabulary import MaskChoice

_BY_SCORE = (MaskChoice.SCORE, MaskChoice.LEARNED)


class PromptsInImage(NamedTuple):
    """Pixel indices in the image frame: ``points_xy`` (N, 2) with ``point_labels`` (N,), and ``boxes_xyxy`` (K, 4)."""

    points_xy: Float32Array
    point_labels: IntArray
    boxes_xyxy: Float32Array


@dataclass(frozen=True, eq=False)
class Prediction:
    """A mask and its prompts, in the image frame.

    ``predicted_iou`` is the estimated IoU of the mask, by SAM or a learned head. ``note`` tells if the prompts were
    handled differently than expected.

    Shape: ``mask`` (H, W) bool; ``mask_probs`` (H, W) float32 in [0, 1]; ``points_xy`` (N, 2) pixel indices, integers
        being pixel centres; ``point_labels`` (N,), 1 foreground and 0 background; ``boxes_xyxy`` (K, 4) indices of the
        first and last pixels of each box.
    """

    mask: BoolArray
    mask_probs: Float32Array
    points_xy: Float32Array
    point_labels: IntArray
    predicted_iou: float
    boxes_xyxy: Float32Array = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    candidates: "Candidates | None" = field(default=None, repr=False)
    note: str = ""

    @property
    def box_xyxy(self) -> Float32Array | None:
        """The box (4,) if there is exactly one; otherwise ``None``."""
        return self.boxes_xyxy[0] if len(self.boxes_xyxy) == 1 else None

    @property
    def mask_logits(self) -> Float32Array:
        """The low-resolution mask logits (h, h) over the whole model frame, for use as ``mask_input``.

        Raises:
            ValueError: if the prediction has no candidates, such as that of a large image.
        """
        if self.candidates is None:
            raise ValueError("this prediction has no candidates, so no logits are known")
        return self.candidates.mask_logits[self.candidates.chosen]

    def overlay(self, image: ImageLike, reading: Reading = DEFAULT_READING) -> Uint8Array:
        """Draw mask, points and boxes on an image; return RGB pixels (H, W, 3) uint8.

        Args:
            image: the image that was predicted, or another of the same size: a path, a slice, pixels or a PIL image.
            reading: how a file is read, such as ``model.reading``; needed for anything but plain 8-bit images.

        Raises:
            ImageError: if the image cannot be read.
            SettingsError: if the image and the mask differ in size.
        """
        rgb = read_rgb_of_size(image, reading, self.mask.shape)
        return draw_overlay(rgb, self.mask, self.points_xy, self.point_labels, self.boxes_xyxy)

    def __repr__(self) -> str:
        """Return the size of the mask and of the image, the predicted IoU, and the numbers of prompts."""
        height, width = self.mask.shape
        area, share = int(np.count_nonzero(self.mask)), float(self.mask.mean())
        count = len(self.boxes_xyxy)
        prompts = f"{count_in_words(len(self.points_xy), 'point')}, {count} {'box' if count == 1 else 'boxes'}"
        note = f", {self.note!r}" if self.note else ""
        return (
            f"Prediction(mask of {area} pixels ({share:.1%}) in an image of {height} x {width}, "
            f"predicted IoU {self.predicted_iou:.2f}, {prompts}{note})"
        )

    def _repr_html_(self) -> str:
        """Return the mask as an HTML image, for notebooks."""
        stream = io.BytesIO()
        Image.fromarray(self.mask.astype(np.uint8) * 255).save(stream, "PNG")
        picture = base64.b64encode(stream.getvalue()).decode()
        share = float(self.mask.mean())
        return (
            f'<figure><img alt="mask" src="data:image/png;base64,{picture}" style="max-width:20em">'
            f"<figcaption>{share:.1%} of the image, predicted IoU {self.predicted_iou:.2f}</figcaption></figure>"
        )


class Candidates:
    """All of SAM's masks for one set of prompts, such as its three answers to an ambiguous click.

    If the auto-prompter's saliency map is mixed into masks, it is mixed into each of them. ``chosen`` is the index of
    the mask that the prediction was made from.

    Shape: ``mask_logits`` (M, h, h) float32, low-resolution logits over the whole model frame, finer than SAM's if the
        map is mixed in; ``predicted_iou`` (M,) float32.
    """

    def __init__(self, masks: Masks, number: int, choice: MaskChoice, post: PostProcessing) -> None:
        self._masks, self._number, self._post = masks, number, post
        self.mask_logits: Float32Array = masks.mask_logits[number].float().cpu().numpy()
        iou = masks.learned_iou if choice == MaskChoice.LEARNED and masks.learned_iou is not None else masks.iou
        self.predicted_iou: Float32Array = iou[number].float().cpu().numpy()
        self.chosen = int(self.predicted_iou.argmax()) if choice in _BY_SCORE else int(choice)

    def __len__(self) -> int:
        return len(self.mask_logits)

    @cached_property
    def mask_probs(self) -> Float32Array:
        """The mask probabilities (M, H, W) in the image frame."""
        return self._masks.probs_of_candidates(self._number)

    @cached_property
    def masks(self) -> BoolArray:
        """The masks (M, H, W) in the image frame, post-processed like the model's own masks."""
        return np.stack([self._post.mask(probs) for probs in self.mask_probs])


def prediction_of(
    masks: Masks,
    number: int,
    choice: MaskChoice,
    post: PostProcessing,
    prompts: PromptsInImage,
    note: str = "",
) -> Prediction:
    """Return the prediction for one of the K sets of prompts of an image."""
    mask_probs = masks.probs_of_set(number, choice)
    return Prediction(
        mask=post.mask(mask_probs),
        mask_probs=mask_probs,
        points_xy=prompts.points_xy,
        point_labels=prompts.point_labels,
        predicted_iou=float(masks.chosen(choice)[1][number]),
        boxes_xyxy=prompts.boxes_xyxy,
        note=note,
        candidates=Candidates(masks, number, choice, post),
    )


def prompts_in_image(prompts: Prompts, sets: slice, geometry: Geometry) -> PromptsInImage:
    """Return the prompts of some sets of a batch of one image, in the image frame."""
    points_xy, labels, boxes = np.zeros((0, 2), np.float32), np.zeros(0, np.int64), np.zeros((0, 4), np.float32)
    if prompts.points_xy_model is not None and prompts.point_labels is not None:
        points_xy = geometry.points_to_image(prompts.points_xy_model[0, sets].flatten(0, 1).cpu().numpy())
        labels = prompts.point_labels[0, sets].flatten().cpu().numpy().astype(np.int64)
    if prompts.boxes_xyxy_model is not None:
        boxes = geometry.box_to_image(prompts.boxes_xyxy_model[0, sets].cpu().numpy())
    return PromptsInImage(points_xy, labels, boxes)


def checked_choice(given: MaskChoice | str | None) -> MaskChoice | None:
    """Return the choice of SAM's mask; ``None`` for the model's own choice.

    Raises:
        SettingsError: if the choice is unknown.
    """
    if given is None:
        return None
    if str(given) not in tuple(MaskChoice):
        raise SettingsError(f"mask_choice {given!r}: expected {', '.join(MaskChoice)}")
    return MaskChoice(str(given))
