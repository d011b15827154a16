"""The Python API: load a model, predict a mask, correct it with points or a box."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from promise_seg.checkpoint import find_checkpoint, is_reference_file, load_checkpoint
from promise_seg.errors import ImageError, SettingsError
from promise_seg.images.borders import content_box
from promise_seg.images.formats.opening import open_source
from promise_seg.images.formats.source import Source
from promise_seg.images.geometry import Geometry
from promise_seg.images.reading import Reading
from promise_seg.inference.encoding import encode_images
from promise_seg.model import PromiseModel, choose_mask
from promise_seg.sam.backbone import Backbone
from promise_seg.sam.features import Features
from promise_seg.sam.prompts import Prompts
from promise_seg.trust.judging import Trust, TrustModel
from promise_seg.trust.trust_file import find_trust

ImageLike = str | Path | Source | npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Prediction:
    """A mask and the prompts that it came from, in the image frame.

    Shape: ``mask`` (H, W) bool; ``mask_probs`` (H, W) float32 in [0, 1]; ``points_xy`` (N, 2) pixel indices, whole
    numbers being pixel centres; ``point_labels`` (N,), 1 foreground and 0 background; ``predicted_iou`` is SAM's own
    estimate of the mask's IoU.
    """

    mask: npt.NDArray[np.bool_]
    mask_probs: npt.NDArray[np.float32]
    points_xy: npt.NDArray[np.float32]
    point_labels: npt.NDArray[np.int64]
    predicted_iou: float


@dataclass(frozen=True)
class EncodedImage:
    """An image after the encoder: all the heavy work. Any number of predictions can follow."""

    features: Features
    geometry: Geometry


@dataclass(frozen=True)
class Volume:
    """The predictions of a volume's slices, and how to put them together."""

    source: Source
    slices: tuple[Prediction, ...]

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """Bool, in the shape and order of the file's own array: (I, J, K) of NIfTI, (N, H, W) of others."""
        stack = np.stack([one.mask for one in self.slices])
        return stack if self.source.frame is None else self.source.frame.from_slices(stack)


def _as_rgb(image: ImageLike, reading: Reading, index: int | None) -> npt.NDArray[np.uint8]:
    if isinstance(image, str | Path):
        image = open_source(image, reading.axis)
    if isinstance(image, Source):
        if index is None and len(image) > 1:
            raise ImageError(f"{image.path}: has {len(image)} slices; give the index of one, or use predict_volume")
        if not 0 <= (index or 0) < len(image):
            raise ImageError(f"{image.path}: has no slice {index}; it has {len(image)}, counted from 0")
        return reading.window.rgb(image, index or 0)
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ImageError(
            f"an image array must be uint8 of shape (H, W), (H, W, 3) or (H, W, 4), got {array.dtype} {array.shape}"
        )
    return np.repeat(array[..., None], 3, 2) if array.ndim == 2 else np.ascontiguousarray(array[..., :3])


class Predictor:
    """A model ready to predict. Nothing here ever reads a ground truth.

    Args:
        model: any variant.
        judge: of its own masks, if it was calibrated.
        note: why there is no judge.
    """

    def __init__(self, model: PromiseModel, judge: TrustModel | None = None, note: str = "") -> None:
        self.model, self.judge, self.note = model.eval(), judge, note

    def encode(self, image: ImageLike, index: int | None = None) -> EncodedImage:
        """Run the encoder once.

        Args:
            image: a path, read as the files that the model was trained on, or RGB or grey pixels (H, W[, 3]) uint8.
            index: of the slice, where the path is of a volume.

        Raises:
            ImageError: if it cannot be read or is no such array, or is a volume of several slices and none is named.
        """
        config = self.model.config
        rgb = _as_rgb(image, config.reading, index)
        height, width = rgb.shape[:2]
        crop = content_box(rgb) if config.crop_border else None
        geometry = Geometry(height, width, self.model.sam.image_size, config.fit, crop)
        features = encode_images(self.model.sam, [geometry.image_to_model(rgb)])
        return EncodedImage(features.to(self.model.device), geometry)

    @torch.no_grad()
    def predict(
        self,
        image: ImageLike | EncodedImage,
        *,
        points_xy: npt.ArrayLike | None = None,
        point_labels: npt.ArrayLike | None = None,
        box_xyxy: npt.ArrayLike | None = None,
    ) -> Prediction:
        """Predict a mask at the image's own size.

        Without prompts the model proposes its own points. To correct a prediction, change its points and give them
        back: ``points_xy`` (N, 2) with ``point_labels`` (N,), or ``box_xyxy`` (4,), all in the image frame.

        Raises:
            ImageError: if the image cannot be read.
            SettingsError: if prompts have the wrong shape, or none are given to a model without APM.
        """
        encoded = image if isinstance(image, EncodedImage) else self.encode(image)
        prompts = self._prompts(encoded, points_xy, point_labels, box_xyxy)
        chosen = choose_mask(self.model.decode(encoded.features, prompts), self.model.config.mask_choice)
        mask_probs = encoded.geometry.logits_to_image(chosen.mask_logits[0, 0]).sigmoid().float().cpu().numpy()
        return Prediction(
            mask=self.model.config.postprocessing.mask(mask_probs),
            mask_probs=mask_probs,
            points_xy=encoded.geometry.points_to_image(_numpy(prompts.points_xy, (0, 2), np.float32)),
            point_labels=_numpy(prompts.point_labels, (0,), np.int64),
            predicted_iou=float(chosen.iou[0, 0]),
        )

    def trust(self, image: ImageLike | EncodedImage) -> Trust | None:
        """How far to trust the mask that :meth:`predict` gives without prompts; ``None`` if not calibrated.

        Of a mask that was corrected by points or a box it says nothing.

        >>> encoded = model.encode("frame.png")               # doctest: +SKIP
        >>> model.predict(encoded).mask, model.trust(encoded).score  # doctest: +SKIP

        Raises:
            ImageError: if the image cannot be read.
        """
        if self.judge is None:
            return None
        encoded = image if isinstance(image, EncodedImage) else self.encode(image)
        return self.judge.judge(self.model, encoded.features, encoded.geometry)

    def predict_volume(self, volume: str | Path | Source, progress: Callable[[], object] = lambda: None) -> Volume:
        """Predict every slice of a volume, with the model's own prompts.

        Args:
            volume: a path, or what :func:`~promise_seg.images.formats.opening.open_source` returns.
            progress: called after each slice.

        Raises:
            ImageError: if it cannot be read.
            SettingsError: if the model has no APM.
        """
        source = volume if isinstance(volume, Source) else open_source(volume, self.model.config.axis)
        found = []
        for index in range(len(source)):
            found.append(self.predict(self.encode(source, index)))
            progress()
        return Volume(source, tuple(found))

    def _prompts(
        self,
        encoded: EncodedImage,
        points_xy: npt.ArrayLike | None,
        point_labels: npt.ArrayLike | None,
        box_xyxy: npt.ArrayLike | None,
    ) -> Prompts:
        if points_xy is None and point_labels is None and box_xyxy is None:
            if self.model.apm is None:
                raise SettingsError(
                    f"the variant {self.model.config.variant} has no auto-prompting module: give points or a box, or "
                    "use a model of variant apm or apm+ips"
                )
            return self.model.propose(encoded.features).as_prompts()
        points = labels = box = None
        if points_xy is not None:
            given = np.asarray(points_xy, np.float32)
            if given.ndim != 2 or given.shape[1] != 2:
                raise SettingsError(f"points_xy must be (N, 2), got {given.shape}")
            points = torch.from_numpy(encoded.geometry.points_to_model(given))[None, None]
        if point_labels is not None:
            labels = torch.from_numpy(np.asarray(point_labels, np.int64))[None, None]
        if box_xyxy is not None:
            corners = np.asarray(box_xyxy, np.float32)
            if corners.shape != (4,):
                raise SettingsError(f"box_xyxy must be (4,), got {corners.shape}")
            box = torch.from_numpy(encoded.geometry.points_to_model(corners.reshape(2, 2))).reshape(1, 1, 4)
        return Prompts(points_xy=points, point_labels=labels, boxes_xyxy=box).to(self.model.device)


def _numpy(values: Tensor | None, empty: tuple[int, ...], dtype: type) -> npt.NDArray:
    """The only set of prompts of the only image, or nothing."""
    return np.zeros(empty, dtype) if values is None else values[0, 0].cpu().numpy().astype(dtype)


def load(checkpoint: str | Path, *, sam: Backbone | str | None = None, device: str | torch.device = "cpu") -> Predictor:
    """Load a trained model.

    >>> model = promise_seg.load("runs/polyp")            # doctest: +SKIP
    >>> mask = model.predict("frame.png").mask            # doctest: +SKIP

    Args:
        checkpoint: the output folder of ``promise train``, or a checkpoint folder in it.
        sam: the SAM it belongs to; by default the place noted in the checkpoint.
        device: such as ``cpu``, ``cuda`` or ``mps``.

    Raises:
        CheckpointError: if it cannot be loaded.
    """
    model = load_checkpoint(checkpoint, sam, device)
    if is_reference_file(checkpoint):
        return Predictor(model, None, f"no trust scores: {checkpoint} is not calibrated; promise convert it first")
    return Predictor(model, *find_trust(find_checkpoint(checkpoint), model))
