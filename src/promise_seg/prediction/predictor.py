"""The Python API to predict masks and to correct them with points or a box."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, overload

import numpy.typing as npt
import torch
from torch import Tensor

from promise_seg.arrays import Uint8Array
from promise_seg.errors import SettingsError
from promise_seg.features.precision import rounded
from promise_seg.images.framing import ImageInFrame
from promise_seg.inference.encoding import encode_images, with_apm_outputs
from promise_seg.inference.masks import decode_one
from promise_seg.instances.facts import facts_of
from promise_seg.instances.finding import find_instances
from promise_seg.instances.painting import InstanceMap
from promise_seg.instances.proposing import check_makes_map
from promise_seg.model import PromiseModel
from promise_seg.prediction.encoded_image import EncodedImage
from promise_seg.prediction.instances import Instances, spacing_of
from promise_seg.prediction.large_images import LargeImage, blended_prediction, in_tiles, stitched_objects
from promise_seg.prediction.prediction import Prediction, checked_choice, prediction_of, prompts_in_image
from promise_seg.prediction.reading import ImageLike, name_of, opened, read_rgb
from promise_seg.prediction.user_prompts import UserPrompts, to_model_frame
from promise_seg.progress import Progress, silent
from promise_seg.prompting.apm import IMAGE
from promise_seg.sam.features import Features
from promise_seg.sam.prompts import Prompts
from promise_seg.trust.trust_model import Trust, TrustModel
from promise_seg.vocabulary import MaskChoice, Slices

if TYPE_CHECKING:
    from promise_seg.prediction.session import Session
    from promise_seg.prediction.volumes import AnyVolume, Volume


class Predictor:
    """A model ready for prediction, which never reads any ground truth.

    Args:
        model: a model of any variant.
        trust_model: trust model for the masks from the model's own prompts, if the model was calibrated.
        note: why there is no trust model.
    """

    def __init__(self, model: PromiseModel, trust_model: TrustModel | None = None, note: str = "") -> None:
        self.model, self.trust_model, self.note = model.eval(), trust_model, note
        self.as_trained = self.model  # before options for reading images are changed

    def encode(self, image: object, index: int | None = None) -> EncodedImage:
        """Encode an image.

        Args:
            image: a path, read like the files that the model was trained on; grey or RGB pixels (H, W[, 3]) uint8; a
                PIL image; or a :class:`~promise_seg.prediction.reading.Slice`.
            index: index of the slice, if the path is a volume.

        Raises:
            ImageError: if the image cannot be read, is not an image, or is a volume of several slices without an index.
        """
        return self.encode_framed(self.frame(image, index))

    def frame(self, image: object, index: int | None = None) -> ImageInFrame:
        """Read an image and map it to the model frame, as :meth:`encode` does before it runs the encoder.

        Raises:
            ImageError: see :meth:`encode`.
        """
        config = self.model.config
        rgb = read_rgb(image, config.reading, index)
        return ImageInFrame.of(rgb, self.model.sam.image_size, config.fit, config.reading.crop_border)

    def tile(self, rgb: Uint8Array) -> ImageInFrame:
        """Map the pixels (h, w, 3) of a tile, which were read as for the model, to the model frame."""
        return ImageInFrame.of(rgb, self.model.sam.image_size, self.model.config.fit, crop_border=False)

    def encode_framed(self, framed: ImageInFrame, features: Features | None = None) -> EncodedImage:
        """Run the encoder, and the APM's network if it reads the image itself.

        Args:
            framed: an image from :meth:`frame`.
            features: SAM's features, if they were computed before, with all stages that the model reads.
        """
        if features is None:
            features = encode_images(self.model.sam, [framed.pixels()], self.model.stages_read)
        return EncodedImage(with_apm_outputs(self.model, features, self.apm_inputs(framed)), framed.geometry)

    def apm_inputs(self, framed: ImageInFrame) -> dict[str, Tensor]:
        """Return the inputs of an APM that reads the image itself; empty for other APMs."""
        apm = self.model.apm
        if apm is None or apm.image_side is None:
            return {}
        pixels = ImageInFrame(framed.rgb, replace(framed.geometry, side=apm.image_side)).pixels()
        image = torch.from_numpy(pixels)[None].to(self.model.device)
        maps = apm.frozen_maps(image)
        return {IMAGE: image} if maps is None else dict(rounded(maps).tensors)

    @overload
    def predict(
        self,
        image: list[Any] | tuple[Any, ...],
        *,
        points_xy: None = None,
        point_labels: None = None,
        box_xyxy: None = None,
        mask_input: None = None,
        mask_choice: MaskChoice | str | None = None,
    ) -> list[Prediction]: ...

    @overload
    def predict(
        self,
        image: ImageLike | EncodedImage,
        *,
        points_xy: npt.ArrayLike | None = None,
        point_labels: npt.ArrayLike | None = None,
        box_xyxy: npt.ArrayLike | None = None,
        mask_input: npt.ArrayLike | None = None,
        mask_choice: MaskChoice | str | None = None,
    ) -> Prediction: ...

    def predict(
        self,
        image: Any,
        *,
        points_xy: npt.ArrayLike | None = None,
        point_labels: npt.ArrayLike | None = None,
        box_xyxy: npt.ArrayLike | None = None,
        mask_input: npt.ArrayLike | None = None,
        mask_choice: MaskChoice | str | None = None,
    ) -> Prediction | list[Prediction]:
        """Predict a mask at the image's own size.

        Without prompts, the model uses its own prompts. To correct a prediction, change its points and pass them back.
        Points, a box and a mask can be combined or used separately.

        Args:
            image: anything that :meth:`encode` accepts or returns; or a list of these, for a list of predictions, each
                with the model's own prompts.
            points_xy: (N, 2) pixel indices in the image frame, integers being pixel centres.
            point_labels: (N,), 1 for foreground and 0 for background.
            box_xyxy: (4,), indices of the box's first and last pixels: left, top, right, bottom.
            mask_input: (h, h) low-resolution logits, such as ``mask_logits`` of an earlier prediction.
            mask_choice: which of SAM's three masks to take: 0, 1, 2 or score; by default as chosen in training. All
                three are in ``candidates``.

        Raises:
            ImageError: if an image cannot be read.
            SettingsError: if prompts have the wrong shape, lie outside the image or are not numbers, if none are given
                to a model without an APM, or if they are given with a list of images.
        """
        prompts = UserPrompts(points_xy, point_labels, box_xyxy, mask_input)
        choice = checked_choice(mask_choice)
        if not isinstance(image, list | tuple):
            return self._predict_any(image, prompts, choice)
        if not prompts.is_empty:
            raise SettingsError("prompts belong to one image: give images with prompts one by one")
        return [self._predict_any(one, prompts, choice) for one in image]

    def _predict_any(self, image: object, prompts: UserPrompts, choice: MaskChoice | None) -> Prediction:
        if isinstance(image, EncodedImage) or not prompts.is_empty:
            return self._predict(self._encoded(image), [prompts], choice)[0]
        return self._predict_seen(self._seen(image), choice)

    def _seen(self, image: object, index: int | None = None) -> ImageInFrame | LargeImage:
        return in_tiles(image, index, self.model.config.reading, self.frame)

    def _predict_seen(self, seen: ImageInFrame | LargeImage, choice: MaskChoice | None = None) -> Prediction:
        """Predict with the model's own prompts, tile by tile if the image is larger than a tile."""
        if isinstance(seen, ImageInFrame):
            return self._predict(self.encode_framed(seen), [UserPrompts()], choice)[0]
        post = self.model.config.postprocessing
        return blended_prediction(seen, lambda rgb: self._predict_seen(self.tile(rgb), choice), post)

    def predict_sets(
        self,
        image: ImageLike | EncodedImage,
        prompts: Sequence[UserPrompts],
        *,
        mask_choice: MaskChoice | str | None = None,
    ) -> list[Prediction]:
        """Predict a mask for each of several sets of prompts of one image, such as for several objects.

        Args:
            image: anything that :meth:`encode` accepts or returns.
            prompts: any number of sets of prompts, each as for :meth:`predict`.
            mask_choice: see :meth:`predict`.

        Raises:
            ImageError, SettingsError: see :meth:`predict`.
        """
        sets = list(prompts) if isinstance(prompts, Iterable) else [prompts]
        if isinstance(prompts, UserPrompts) or not all(isinstance(one, UserPrompts) for one in sets):
            raise SettingsError("prompts: expected a list of UserPrompts, one for each mask")
        return self._predict(self._encoded(image), sets, checked_choice(mask_choice)) if sets else []

    @torch.no_grad()
    def predict_objects(self, image: ImageLike | EncodedImage, own: Prompts | None = None) -> list[Prediction]:
        """Predict with the model's own prompts, with a separate mask for each set of prompts, often one per object.

        A model has prompts for a limited number of objects, the largest ones (``max_objects`` of the auto-prompter, 16
        by default). :meth:`predict_instances` finds all, and :meth:`predict` gives one mask of all.

        Args:
            image: anything that :meth:`encode` accepts or returns.
            own: the model's own prompts for the image, if they are known already.

        Raises:
            ImageError: if the image cannot be read.
            SettingsError: if the model has no APM.
        """
        encoded, post = self._encoded(image), self.model.config.postprocessing
        own = own or self._own_prompts(encoded)
        masks = decode_one(self.model, encoded.features, own, encoded.geometry, apart=True)
        choice = self._choice(own, None)
        return [
            prediction_of(masks, n, choice, post, prompts_in_image(own, slice(n, n + 1), encoded.geometry))
            for n in range(len(masks.iou))
        ]

    def session(self, image: ImageLike | EncodedImage) -> "Session":
        """Start a session to correct the mask of one image prompt by prompt, with undo and redo.

        Raises:
            ImageError: if the image cannot be read.
        """
        from promise_seg.prediction.session import Session

        return Session(self, self._encoded(image))

    def _encoded(self, image: object) -> EncodedImage:
        if not isinstance(image, EncodedImage):
            return self.encode(image)
        image.check_fits(self.model)
        return image

    def _choice(self, prompts: Prompts, given: MaskChoice | None) -> MaskChoice:
        return self.model.answer_to(prompts).mask_choice if given is None else given

    def _predict(
        self, encoded: EncodedImage, sets: Sequence[UserPrompts], choice: MaskChoice | None
    ) -> list[Prediction]:
        """Decode sets of prompts of the same form together, and return predictions in the order of the sets."""
        by_form: dict[tuple[int, bool, bool], list[int]] = {}
        for number, one in enumerate(sets):
            by_form.setdefault(one.form, []).append(number)
        found: dict[int, Prediction] = {}
        for numbers in by_form.values():
            found |= zip(numbers, self._predict_form(encoded, [sets[n] for n in numbers], choice), strict=True)
        return [found[number] for number in range(len(sets))]

    @torch.no_grad()
    def _predict_form(
        self, encoded: EncodedImage, sets: Sequence[UserPrompts], choice: MaskChoice | None
    ) -> list[Prediction]:
        geometry, post = encoded.geometry, self.model.config.postprocessing
        if sets[0].is_empty:
            own = self._own_prompts(encoded)
            masks = decode_one(self.model, encoded.features, own, geometry)
            chosen = self._choice(own, choice)
            whole = masks.union(chosen)
            chosen = chosen if whole is masks else MaskChoice.FIRST
            return [prediction_of(whole, 0, chosen, post, prompts_in_image(own, slice(None), geometry))] * len(sets)
        prompts = to_model_frame(sets, geometry, self.model.sam.mask_side)
        masks = decode_one(self.model, encoded.features, prompts, geometry)
        chosen = self._choice(prompts, choice)
        note = self.model.answer_to(prompts).note if self.model.ips is not None else ""
        return [
            prediction_of(masks, n, chosen, post, prompts_in_image(prompts, slice(n, n + 1), geometry), note)
            for n in range(len(sets))
        ]

    def check_proposes(self) -> None:
        """Check that the model can propose its own prompts.

        Raises:
            SettingsError: if the model has no APM.
        """
        if self.model.apm is None:
            raise SettingsError(
                f"the variant {self.model.config.variant} has no auto-prompting module: give points or a box, or "
                "use a model of variant apm or apm+ips"
            )

    def _own_prompts(self, encoded: EncodedImage) -> Prompts:
        self.check_proposes()
        return self.model.propose(encoded.features)

    @torch.no_grad()
    def predict_instances(self, image: ImageLike, index: int | None = None) -> Instances:
        """Find each object of an image with its own box and point, taken from the maps of the APM.

        >>> import promise_seg
        >>> found = promise_seg.load("runs/polyp").predict_instances("frame.png")
        >>> found.labels.dtype, len(found) == int(found.labels.max())
        (dtype('uint16'), True)

        Args:
            image: anything that :meth:`encode` accepts.
            index: index of the slice, if the image is a volume.

        Raises:
            ImageError: if the image cannot be read, or has more objects than an instance map can number.
            SettingsError: if the model has no APM that makes a saliency map, or the image is encoded already.
        """
        check_makes_map(self.model)
        if isinstance(image, EncodedImage):
            raise SettingsError("predict_instances measures each object in the pixels: give the image, not encoded")
        spacing = spacing_of(opened(image, self.model.config.reading)[0])
        seen = self._seen(image, index)
        if isinstance(seen, LargeImage):
            return Instances(*stitched_objects(seen, self.objects_in_tile, spacing))
        return self.instances_in(seen, self.encode_framed(seen), spacing, name_of(image, index))

    def objects_in_tile(self, rgb: Uint8Array, name: str = "the image") -> InstanceMap:
        """Find the objects in the pixels (h, w, 3) of a tile; ``name`` is that of the image in messages."""
        framed = self.tile(rgb)
        return find_instances(self.model, self.encode_framed(framed).features, framed.geometry, name=name)

    def instances_in(
        self,
        framed: ImageInFrame,
        encoded: EncodedImage,
        spacing: tuple[float, float] | None = None,
        name: str = "the image",
    ) -> Instances:
        """Find each object of an image that has been read and encoded.

        Args:
            framed: the image, from :meth:`frame`.
            encoded: the encoded image.
            spacing: distances between rows and between columns in mm, if known.
            name: name of the image in messages.

        Raises:
            ImageError: if there are more objects than an instance map can number.
        """
        found = find_instances(self.model, encoded.features, encoded.geometry, name=name)
        return Instances(found.labels, facts_of(found, framed.rgb, spacing))

    def trust(self, image: ImageLike | EncodedImage) -> Trust | None:
        """Return the trust in the mask that :meth:`predict` gives without prompts; ``None`` if not calibrated.

        It does not apply to masks that were corrected by points or a box. For images larger than a tile it is ``None``.

        >>> import promise_seg
        >>> model = promise_seg.load("runs/polyp")
        >>> image = model.encode("frame.png")
        >>> mask, score = model.predict(image).mask, model.trust(image).score
        >>> 0 <= score <= 1
        True

        Raises:
            ImageError: if the image cannot be read.
        """
        if self.trust_model is None:
            return None
        seen = self._encoded(image) if isinstance(image, EncodedImage) else self._seen(image)
        if isinstance(seen, LargeImage):
            return None
        encoded = seen if isinstance(seen, EncodedImage) else self.encode_framed(seen)
        return self.trust_model.trust_in(self.model, encoded.features, encoded.geometry)

    def predict_volume(
        self,
        volume: "AnyVolume",
        progress: Progress = silent,
        *,
        slices: str = Slices.AUTO,
        spacing: Sequence[float] | None = None,
        axes: str | Sequence[str] | None = None,
    ) -> "Volume":
        """Predict every slice of a volume with the model's own prompts, and combine them by the model's rule.

        Slices are streamed: only one slice and the masks of all are in memory; other intermediate data is on disk.

        >>> import numpy as np, promise_seg
        >>> slices = np.zeros((5, 64, 64), np.uint8)
        >>> promise_seg.load("runs/polyp").predict_volume(slices, spacing=(5.0, 0.8, 0.8)).mask.shape
        (5, 64, 64)

        Args:
            volume: a path, the result of :func:`~promise_seg.images.formats.opening.open_source`, or slices (N, H, W)
                or (N, H, W, 3) uint8.
            progress: called after each slice.
            slices: how slices are combined: ``each`` (separately), ``blend``, ``agree``, or ``auto``, the choice that
                :func:`~promise_seg.tune_postprocess` made on validation rows, or ``each`` without such a choice.
            spacing: distances between slices, rows and columns in mm; by default as stated in the file.
            axes: axes to cut across, including the model's own, such as ``axial,coronal``; probabilities are averaged.

        Raises:
            ImageError: if the volume cannot be read or cut across the axes.
            SettingsError: if the model has no APM, or an option is invalid.
        """
        from promise_seg.prediction.volumes import predict_volume

        return predict_volume(self, volume, slices=slices, spacing=spacing, axes=axes, progress=progress)
