"""The Python API: load a model, predict a mask, correct it with points or a box."""

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
from promise_seg.prediction.reading import ImageLike, opened, read_rgb
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
    """A model ready to predict. Nothing here ever reads a ground truth.

    Args:
        model: any variant.
        trust_model: says how far its own masks can be trusted, if it was calibrated.
        note: why there is no trust model.
    """

    def __init__(self, model: PromiseModel, trust_model: TrustModel | None = None, note: str = "") -> None:
        self.model, self.trust_model, self.note = model.eval(), trust_model, note
        self.as_trained = self.model  # which may read images otherwise

    def encode(self, image: object, index: int | None = None) -> EncodedImage:
        """Run the encoder once.

        Args:
            image: a path, read as the files that the model was trained on; pixels (H, W[, 3]) uint8, grey or RGB; an
                image of PIL; or a :class:`~promise_seg.prediction.reading.Slice`.
            index: the slice, where the path is of a volume.

        Raises:
            ImageError: if it cannot be read, is not an image, or is a volume of several slices and none is named.
        """
        return self.encode_framed(self.frame(image, index))

    def frame(self, image: object, index: int | None = None) -> ImageInFrame:
        """Read an image and map it to the model frame: all of :meth:`encode` that comes before the encoder.

        Raises:
            ImageError: see :meth:`encode`.
        """
        config = self.model.config
        rgb = read_rgb(image, config.reading, index)
        return ImageInFrame.of(rgb, self.model.sam.image_size, config.fit, config.reading.crop_border)

    def tile(self, rgb: Uint8Array) -> ImageInFrame:
        """Map the pixels (h, w, 3) of a tile, read as the model reads them, to the model frame."""
        return ImageInFrame.of(rgb, self.model.sam.image_size, self.model.config.fit, crop_border=False)

    def encode_framed(self, framed: ImageInFrame, features: Features | None = None) -> EncodedImage:
        """Run the encoder, and the APM's network if it reads the image itself.

        Args:
            framed: see :meth:`frame`.
            features: SAM's features, if they are known, with all stages that the model reads.
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

        Without prompts the model proposes its own prompts. To correct a prediction, change its points and give them
        back: ``points_xy`` (N, 2) with ``point_labels`` (N,), ``box_xyxy`` (4,), all in the image frame, and
        ``mask_input`` (h, h), the ``mask_logits`` of an earlier prediction, together or by themselves.

        Args:
            image: whatever :meth:`encode` takes or returns; or a list of these, for a list of predictions, each with
                the model's own prompts.
            points_xy: pixel indices, whole numbers being pixel centres.
            point_labels: 1 for foreground, 0 for background.
            box_xyxy: indices of the box's first and last pixels: left, top, right, bottom.
            mask_input: low-resolution logits.
            mask_choice: which of SAM's three masks to take: 0, 1, 2 or score; by default as the model chose in
                training. All three are in ``candidates``.

        Raises:
            ImageError: if an image cannot be read.
            SettingsError: if prompts have the wrong shape, lie outside of the image or are not numbers, if none are
                given to a model without an APM, or if they are given with a list of images.
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
        """Predict with the model's own prompts, tile by tile where the image is larger than a tile."""
        if isinstance(seen, ImageInFrame):
            return self._predict(self.encode_framed(seen), [UserPrompts()], choice)[0]

        def of_tile(rgb: Uint8Array) -> Prediction:
            return self._predict(self.encode_framed(self.tile(rgb)), [UserPrompts()], choice)[0]

        return blended_prediction(seen, of_tile, self.model.config.postprocessing)

    def predict_sets(
        self,
        image: ImageLike | EncodedImage,
        prompts: Sequence[UserPrompts],
        *,
        mask_choice: MaskChoice | str | None = None,
    ) -> list[Prediction]:
        """Predict a mask for each of several sets of prompts of one image, as for several objects.

        Args:
            image: whatever :meth:`encode` takes or returns.
            prompts: any number of sets, each as it would be given to :meth:`predict`.
            mask_choice: see :meth:`predict`.

        Raises:
            ImageError, SettingsError: see :meth:`predict`.
        """
        sets = list(prompts) if isinstance(prompts, Iterable) else [prompts]
        if isinstance(prompts, UserPrompts) or not all(isinstance(one, UserPrompts) for one in sets):
            raise SettingsError("prompts: expected a list of UserPrompts, one for each mask")
        return self._predict(self._encoded(image), sets, checked_choice(mask_choice)) if sets else []

    @torch.no_grad()
    def predict_objects(self, image: ImageLike | EncodedImage) -> list[Prediction]:
        """Predict with the model's own prompts, and keep apart what it asked SAM for separately: often one object.

        The union of these masks is what :meth:`predict` starts from where no prompts are given.

        Args:
            image: whatever :meth:`encode` takes or returns.

        Raises:
            ImageError: if the image cannot be read.
            SettingsError: if the model has no APM.
        """
        encoded, post = self._encoded(image), self.model.config.postprocessing
        own = self._own_prompts(encoded)
        masks, choice = decode_one(self.model, encoded.features, own, encoded.geometry), self._choice(own, None)
        return [
            prediction_of(masks, n, choice, post, prompts_in_image(own, slice(n, n + 1), encoded.geometry))
            for n in range(len(masks.iou))
        ]

    def session(self, image: ImageLike | EncodedImage) -> "Session":
        """Hold one image to be corrected prompt by prompt, with undo and redo.

        Raises:
            ImageError: if it cannot be read.
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
        """Decode sets of one form together, and return predictions in the order of the sets."""
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
            prediction_of(
                masks, number, chosen, post, prompts_in_image(prompts, slice(number, number + 1), geometry), note
            )
            for number in range(len(sets))
        ]

    def check_proposes(self) -> None:
        """Raise an error if the model cannot make prompts of its own.

        Raises:
            SettingsError: if it has no APM.
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
        """Find each object of an image by prompts of its own: a box and a point, from the maps of the APM.

        >>> import promise_seg
        >>> found = promise_seg.load("runs/polyp").predict_instances("frame.png")
        >>> found.labels.dtype, len(found) == int(found.labels.max())
        (dtype('uint16'), True)

        Args:
            image: whatever :meth:`encode` takes.
            index: the slice, where the image is a volume.

        Raises:
            ImageError: if it cannot be read.
            SettingsError: if the model has no APM, or one that makes no map of where objects are.
        """
        check_makes_map(self.model)
        if isinstance(image, EncodedImage):
            raise SettingsError("predict_instances measures each object in the pixels: give the image, not encoded")
        spacing = spacing_of(opened(image, self.model.config.reading)[0])
        seen = self._seen(image, index)
        if isinstance(seen, LargeImage):
            return Instances(*stitched_objects(seen, self.objects_in_tile, spacing))
        return self.instances_in(seen, self.encode_framed(seen), spacing)

    def objects_in_tile(self, rgb: Uint8Array) -> InstanceMap:
        """Find the objects in the pixels (h, w, 3) of a tile."""
        framed = self.tile(rgb)
        return find_instances(self.model, self.encode_framed(framed).features, framed.geometry)

    def instances_in(
        self, framed: ImageInFrame, encoded: EncodedImage, spacing: tuple[float, float] | None = None
    ) -> Instances:
        """The same for an image that is read and encoded.

        Args:
            framed: see :meth:`frame`.
            encoded: the same, encoded.
            spacing: the distance between its rows and between its columns in mm, if it is known.
        """
        found = find_instances(self.model, encoded.features, encoded.geometry)
        return Instances(found.labels, facts_of(found, framed.rgb, spacing))

    def trust(self, image: ImageLike | EncodedImage) -> Trust | None:
        """Return the trust in the mask that :meth:`predict` returns without prompts; ``None`` if not calibrated.

        Of a mask that was corrected by points or a box it says nothing; of one of several tiles there is none.

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
        """Predict every slice of a volume, with the model's own prompts, and join them as the model's rule says.

        Slices stream: in memory are one of them and the masks of all. What else is needed is on the disk meanwhile.

        >>> import numpy as np, promise_seg
        >>> slices = np.zeros((5, 64, 64), np.uint8)
        >>> promise_seg.load("runs/polyp").predict_volume(slices, spacing=(5.0, 0.8, 0.8)).mask.shape
        (5, 64, 64)

        Args:
            volume: a path, what :func:`~promise_seg.images.formats.opening.open_source` returns, or slices (N, H, W) or
                (N, H, W, 3) uint8.
            progress: told of each slice.
            slices: how slices come together: ``each`` by itself, ``blend``, ``agree``, or ``auto``, as was chosen on
                validation rows by :func:`~promise_seg.tune_postprocess`; without such a choice ``each``.
            spacing: the distances between slices, rows and columns in mm; by default as the file says.
            axes: across which it is cut, such as ``axial,coronal``, its own among them: probabilities are averaged.

        Raises:
            ImageError: if it cannot be read or cut so.
            SettingsError: if the model has no APM, or an option cannot be meant.
        """
        from promise_seg.prediction.volumes import predict_volume

        return predict_volume(self, volume, slices=slices, spacing=spacing, axes=axes, progress=progress)
