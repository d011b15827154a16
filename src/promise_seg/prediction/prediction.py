"""The prediction of a model for an image: a mask, its candidates, and the prompts that it came from."""

import base64
import io
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from promise_seg.errors import SettingsError
from promise_seg.images.geometry import Geometry
from promise_seg.images.reading import DEFAULT_READING, Reading
from promise_seg.inference.masks import Masks
from promise_seg.postprocessing import PostProcessing
from promise_seg.prediction.overlay import draw_overlay
from promise_seg.prediction.reading import ImageLike, read_rgb_of_size
from promise_seg.sam.prompts import Prompts
from promise_seg.vocabulary import MaskChoice

_BY_SCORE = (MaskChoice.SCORE, MaskChoice.LEARNED)


class PromptsInImage(NamedTuple):
    """Pixel indices in the image frame: ``points_xy`` (N, 2) with ``point_labels`` (N,), and ``boxes_xyxy`` (K, 4)."""

    points_xy: npt.NDArray[np.float32]
    point_labels: npt.NDArray[np.int64]
    boxes_xyxy: npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Prediction:
    """A mask and the prompts that it came from, in the image frame.

    Shape: ``mask`` (H, W) bool; ``mask_probs`` (H, W) float32 in [0, 1]; ``points_xy`` (N, 2) pixel indices, whole
    numbers being pixel centres; ``point_labels`` (N,), 1 foreground and 0 background; ``boxes_xyxy`` (K, 4) indices of
    the first and last pixels of each box; ``predicted_iou`` is the estimate of the mask's IoU, SAM's own or a learned
    one. ``note`` says if these prompts were answered in another way than one would think.
    """

    mask: npt.NDArray[np.bool_]
    mask_probs: npt.NDArray[np.float32]
    points_xy: npt.NDArray[np.float32]
    point_labels: npt.NDArray[np.int64]
    predicted_iou: float
    boxes_xyxy: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    candidates: "Candidates | None" = field(default=None, repr=False)
    note: str = ""

    @property
    def box_xyxy(self) -> npt.NDArray[np.float32] | None:
        """The only box (4,); ``None`` if there is none, or several."""
        return self.boxes_xyxy[0] if len(self.boxes_xyxy) == 1 else None

    @property
    def mask_logits(self) -> npt.NDArray[np.float32]:
        """The low-resolution logits (h, h) of the mask, over the whole model frame: a ``mask_input`` to feed back.

        Raises:
            ValueError: if the prediction was made by hand and has no candidates.
        """
        if self.candidates is None:
            raise ValueError("this prediction has no candidates, so no logits are known")
        return self.candidates.mask_logits[self.candidates.chosen]

    def overlay(self, image: ImageLike, reading: Reading = DEFAULT_READING) -> npt.NDArray[np.uint8]:
        """Draw mask, points and boxes on an image; returns a picture (H, W, 3) uint8.

        Args:
            image: the image that was predicted, or another of its size: a path, a slice, pixels or an image of PIL.
            reading: how a file is read, as ``model.reading``, where it is not a plain picture.

        Raises:
            ImageError: if it cannot be read.
            SettingsError: if it has another size than the mask.
        """
        rgb = read_rgb_of_size(image, reading, self.mask.shape)
        return draw_overlay(rgb, self.mask, self.points_xy, self.point_labels, self.boxes_xyxy)

    def _repr_html_(self) -> str:
        """The mask as a picture, in notebooks."""
        stream = io.BytesIO()
        Image.fromarray(self.mask.astype(np.uint8) * 255).save(stream, "PNG")
        picture = base64.b64encode(stream.getvalue()).decode()
        share = float(self.mask.mean())
        return (
            f'<figure><img alt="mask" src="data:image/png;base64,{picture}" style="max-width:20em">'
            f"<figcaption>{share:.1%} of the image, predicted IoU {self.predicted_iou:.2f}</figcaption></figure>"
        )


class Candidates:
    """All of SAM's masks for one set of prompts; its three answers where a click is ambiguous.

    Where the auto-prompter's map has a share in answers, it has it in each of them.

    Shape: ``mask_logits`` (M, h, h) float32, low-resolution logits over the whole model frame, finer than SAM's where
        the map is; ``predicted_iou`` (M,) float32. ``chosen`` is the number of the one that the prediction's mask was
        made from.
    """

    def __init__(self, masks: Masks, number: int, choice: MaskChoice, post: PostProcessing) -> None:
        self._masks, self._number, self._post = masks, number, post
        self.mask_logits: npt.NDArray[np.float32] = masks.mask_logits[number].float().cpu().numpy()
        iou = masks.learned_iou if choice == MaskChoice.LEARNED and masks.learned_iou is not None else masks.iou
        self.predicted_iou: npt.NDArray[np.float32] = iou[number].float().cpu().numpy()
        self.chosen = int(self.predicted_iou.argmax()) if choice in _BY_SCORE else int(choice)

    def __len__(self) -> int:
        return len(self.mask_logits)

    @cached_property
    def mask_probs(self) -> npt.NDArray[np.float32]:
        """The probabilities (M, H, W) in the image frame."""
        return self._masks.probs_of_candidates(self._number)

    @cached_property
    def masks(self) -> npt.NDArray[np.bool_]:
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
    """The prediction for one of the K sets of prompts of an image."""
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
    """Return some of the sets of prompts of the only image of a batch, in its own frame."""
    points_xy, labels, boxes = np.zeros((0, 2), np.float32), np.zeros(0, np.int64), np.zeros((0, 4), np.float32)
    if prompts.points_xy_model is not None and prompts.point_labels is not None:
        points_xy = geometry.points_to_image(prompts.points_xy_model[0, sets].flatten(0, 1).cpu().numpy())
        labels = prompts.point_labels[0, sets].flatten().cpu().numpy().astype(np.int64)
    if prompts.boxes_xyxy_model is not None:
        boxes = geometry.box_to_image(prompts.boxes_xyxy_model[0, sets].cpu().numpy())
    return PromptsInImage(points_xy, labels, boxes)


def checked_choice(given: MaskChoice | str | None) -> MaskChoice | None:
    """Return which of SAM's masks is meant; ``None`` for the model's own choice.

    Raises:
        SettingsError: if there is no such choice.
    """
    if given is None:
        return None
    if str(given) not in tuple(MaskChoice):
        raise SettingsError(f"mask_choice {given!r}: expected {', '.join(MaskChoice)}")
    return MaskChoice(str(given))
