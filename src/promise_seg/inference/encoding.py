"""Get the features of rows and their views from the store or, if they are missing, from the encoder."""

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from promise_seg.arrays import BoolArray, LabelArray, Uint8Array
from promise_seg.augmentation import AnyView, View, view_of
from promise_seg.dataset.checks import CheckedRow
from promise_seg.features.precision import rounded
from promise_seg.features.store import FeatureKey, FeatureStore
from promise_seg.images.framing import ImageInFrame
from promise_seg.images.geometry import Geometry, resize
from promise_seg.inference.apm_cache import apm_outputs
from promise_seg.model import PromiseModel
from promise_seg.monitoring.hooks import item_ended, step
from promise_seg.parallel.overlapping import Helper
from promise_seg.progress import Progress, Stage, silent
from promise_seg.prompting.apm import IMAGE, AutoPrompter, outputs_of_all
from promise_seg.prompting.oracle import centre_of
from promise_seg.sam.backbone import Backbone
from promise_seg.sam.features import ALL_STAGES, Features
from promise_seg.vocabulary import Fit, ItemOutcome, Recipe, Variant, WorkStep


@dataclass(frozen=True)
class Sample:
    """One view of one row, in the model frame of a SAM."""

    checked: CheckedRow
    view: AnyView
    side: int
    fit: Fit

    @staticmethod
    def of(checked: CheckedRow, sam: Backbone, fit: Fit, view_number: int = 0, recipe: Recipe = Recipe.OWN) -> "Sample":
        """Return a numbered view of a row in the model frame of a SAM; view 0 is the image itself."""
        return Sample(checked, view_of(checked.pixels_sha256, view_number, recipe), sam.image_size, fit)

    @property
    def geometry(self) -> Geometry:
        """The map between the image frame of the row and the model frame."""
        return Geometry(self.checked.height, self.checked.width, self.side, self.fit, self.checked.crop)

    def key(self, sam: Backbone) -> FeatureKey:
        """Return the key of the view's features in the store."""
        return self.key_of(sam.features_sha256)

    def key_of(self, sha256: str) -> FeatureKey:
        """Return the key of the features of the view from a network with this hash."""
        row = self.checked
        return FeatureKey(row.image_sha256, self.fit, self.side, self.view, sha256, row.crop, row.tile)

    def key_at(self, side: int, sha256: str) -> FeatureKey:
        """Return the key of the features of :meth:`image_at` from a network with this hash."""
        key = replace(self.key_of(sha256), side=side)
        return key if isinstance(self.view, View) else replace(key, made_at=self.side)

    def image(self) -> Uint8Array:
        """Return the image that the encoder sees: (S, S, 3) uint8."""
        return self._viewed(self.geometry)

    def image_at(self, side: int) -> Uint8Array:
        """Return the same view of the image in a frame of another side: (side, side, 3) uint8."""
        if isinstance(self.view, View):
            return self._viewed(replace(self.geometry, side=side))
        return resize(self.image(), side, side)  # the effect of other views depends on the size

    def _viewed(self, geometry: Geometry) -> Uint8Array:
        pixels = self.view.apply_to_image(ImageInFrame(self.checked.image(), geometry).pixels())
        return self.checked.reading.without_unused(pixels)

    def mask(self) -> BoolArray:
        """Return the ground truth of :meth:`image`: (S, S) bool."""
        return self.to_frame(self.checked.mask())

    def instances(self) -> LabelArray:
        """Return the instance map of :meth:`image`: (S, S), whose foreground is :meth:`mask`."""
        labels = self.checked.labels().astype(np.uint16)
        return self.view.apply_to_labels(self.geometry.labels_to_model(labels))

    def to_frame(self, mask: BoolArray) -> BoolArray:
        """Map a mask (H, W) from the image frame to (S, S), with the same view as :meth:`image`."""
        return self.view.apply_to_mask(self.geometry.mask_to_model(mask))

    def to_prompt(self, mask: BoolArray) -> BoolArray:
        """Map a mask (H, W) from the image frame to (S, S), to make prompts from it.

        A mask that is too small for the model frame becomes one pixel at its centre. In views other than the image
        itself it stays empty, because the view may have moved it out of the frame.
        """
        found = self.to_frame(mask)
        if self.view == View() and mask.any() and not found.any():
            x, y = np.round(self.geometry.points_to_model(centre_of(mask))).astype(int)
            found[min(max(y, 0), self.side - 1), min(max(x, 0), self.side - 1)] = True
        return found


def encode_images(sam: Backbone, images: Sequence[Uint8Array], stages: Collection[int] = ALL_STAGES) -> Features:
    """Encode images (S, S, 3) and keep the given stages; return float32 features on the CPU, rounded to float16.

    On a CPU, images are encoded one at a time, so the features of an image never depend on other images. On a GPU,
    several are encoded at once: rounding depends on the number of images, but never on their content.
    """
    with torch.no_grad():
        parts = []
        for start in range(0, len(images), sam.images_at_once):
            parts += _encoded(sam, images[start : start + sam.images_at_once], stages)
        return Features.cat(parts)


def _encoded(sam: Backbone, images: Sequence[Uint8Array], stages: Collection[int]) -> list[Features]:
    """Encode images together or, if the device has too little memory, in halves."""
    try:
        some = sam.encode(torch.from_numpy(np.stack(images)))
        return [rounded(some.with_stages(stages).to("cpu"))]
    except torch.OutOfMemoryError:
        if len(images) == 1:
            raise
    middle = len(images) // 2
    return _encoded(sam, images[:middle], stages) + _encoded(sam, images[middle:], stages)


def encode_one(sample: Sample, sam: Backbone, stages: Collection[int] = ALL_STAGES) -> Features:
    """Encode one view of one row: the unit of work that a loop, processes or a cluster can map over samples.

    The result depends only on the arguments, and nothing is stored.
    """
    with step(WorkStep.READ, sample.key(sam).digest()):
        image = sample.image()
    return encode_images(sam, [image], stages)


def encode_missing(
    samples: Sequence[Sample],
    sam: Backbone,
    store: FeatureStore,
    progress: Progress = silent,
    stages: Collection[int] = ALL_STAGES,
) -> int:
    """Add missing features to the store; return the number of views that were encoded.

    Each view is stored as soon as it is encoded, so an interrupted run can resume. Meanwhile, another thread reads the
    next images and stores the previous features. Features of an encoder that is being trained are never stored.
    """
    if sam.encoder_learns:
        return 0
    count, encoded, at_once = Stage(progress, "encoding", len(samples)), 0, sam.images_at_once
    known = set[FeatureKey]()

    def read(start: int) -> list[tuple[FeatureKey, float, Uint8Array | None]]:
        """Return the keys and start times of some samples, with the images of those that are not in the store."""
        found: list[tuple[FeatureKey, float, Uint8Array | None]] = []
        for sample in samples[start : start + at_once]:
            key = sample.key(sam)
            is_known = key in known or store.has(key, stages)
            known.add(key)
            begun = time.monotonic()
            with nullcontext() if is_known else step(WorkStep.READ, key.digest()):
                found.append((key, begun, None if is_known else sample.image()))
        return found

    def write(key: FeatureKey, begun: float, features: Features) -> None:
        with step(WorkStep.WRITE, key.digest()):
            store.put(key, features)
        item_ended("encode", key.digest(), ItemOutcome.DONE, time.monotonic() - begun)

    with Helper() as helper:
        for _, found in helper.ahead(range(0, len(samples), at_once), read):
            missing = [(key, begun, image) for key, begun, image in found() if image is not None]
            if missing:
                features = encode_images(sam, [image for *_, image in missing], stages)
                for number, (key, begun, _) in enumerate(missing):
                    helper.write(partial(write, key, begun, features[number : number + 1]))
                encoded += len(missing)
            for key, _, image in found():
                if image is None:
                    helper.write(partial(store.note_use, key))
                    item_ended("encode", key.digest(), ItemOutcome.ALREADY_THERE)
                count()
    return encoded


def sam_features(
    samples: Sequence[Sample], sam: Backbone, store: FeatureStore | None, stages: Collection[int] = ALL_STAGES
) -> Features:
    """Return the features of a batch, each entry from the store or, if it is missing, from the encoder.

    Args:
        samples: the views of the batch.
        sam: the SAM that encodes missing entries.
        store: the store; all features have its precision, or half precision if it is ``None``.
        stages: the stages of the encoder that are read.
    """
    if sam.encoder_learns:
        store = None
    parts = []
    for sample in samples:
        found = store.get(sample.key(sam), stages) if store is not None else None
        if found is None:
            found = encode_one(sample, sam, stages)
            if store is not None:
                store.put(sample.key(sam), found)
                found = store.rounded(found)
        parts.append(found)
    return Features.cat(parts)


def apm_inputs(samples: Sequence[Sample], apm: AutoPrompter, store: FeatureStore | None) -> dict[str, Tensor]:
    """Return the inputs of an APM that reads images, in addition to SAM's features, by name, on the CPU.

    These are the maps of the APM's frozen part, which are stored, or the images if it has no frozen part. They are
    empty for an APM that does not read images.
    """
    if apm.image_side is None:
        return {}
    parts = [_apm_input(sample, apm, apm.image_side, store).tensors for sample in samples]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _apm_input(sample: Sample, apm: AutoPrompter, side: int, store: FeatureStore | None) -> Features:
    key = None
    if apm.frozen_part is not None:
        key = sample.key_at(side, apm.frozen_sha256)
        found = None if store is None else store.get(key, ())
        if found is not None:
            return found
    image = torch.from_numpy(sample.image_at(side))[None]
    maps = apm.frozen_maps(image.to(apm.device))
    if key is None or maps is None:
        return Features({IMAGE: image})
    found = rounded(maps.to("cpu"))
    if store is not None:
        store.put(key, found)
        found = store.rounded(found)
    return found


@torch.no_grad()
def model_features(samples: Sequence[Sample], model: PromiseModel, store: FeatureStore | None) -> Features:
    """Return all inputs of a model for a batch, on its device: SAM's features, and the outputs of its APM.

    The APM runs on one image at a time, so its outputs never depend on other images.
    """
    features, apm = sam_features(samples, model.sam, store, model.stages_read).to(model.device), model.apm
    if apm is None or apm.image_side is None:
        return features
    parts = []
    for number, sample in enumerate(samples):
        of_image = features[number : number + 1]
        outputs = apm_outputs(sample.key(model.sam), apm, partial(_run_apms, sample, of_image, store))
        parts.append(Features({**of_image.tensors, **outputs}))
    return Features.cat(parts)


def _run_apms(
    sample: Sample, features: Features, store: FeatureStore | None, prompters: Sequence[AutoPrompter]
) -> list[dict[str, Tensor]]:
    """Return the outputs of each of several APMs for one image, given its SAM features."""
    return outputs_of_all(prompters, _with_inputs(features, apm_inputs([sample], prompters[0], store)))


@torch.no_grad()
def with_apm_outputs(model: PromiseModel, features: Features, inputs: Mapping[str, Tensor]) -> Features:
    """Return SAM's features of one image together with the outputs of the model's APM, on the model's device.

    Args:
        model: the model whose APM is run, if it has one.
        features: SAM's features.
        inputs: see :func:`apm_inputs`.
    """
    if model.apm is None:
        return features.to(model.device)
    (joined,) = with_outputs_of_all([model.apm], features.to(model.device), inputs)
    return joined


@torch.no_grad()
def with_outputs_of_all(
    prompters: Sequence[AutoPrompter], features: Features, inputs: Mapping[str, Tensor]
) -> list[Features]:
    """Return SAM's features of one image together with the outputs of an APM, for each of several APMs.

    Args:
        prompters: APMs on one device that need the same inputs; see :func:`outputs_of_all`.
        features: SAM's features, on that device.
        inputs: see :func:`apm_inputs`.
    """
    outputs = outputs_of_all(prompters, _with_inputs(features, inputs))
    return [Features({**features.tensors, **of_one}) for of_one in outputs]


def _with_inputs(features: Features, inputs: Mapping[str, Tensor]) -> Features:
    return Features({**features.tensors, **Features(inputs).to(features.embedding.device).tensors})


def encoding_note(model: PromiseModel) -> str:
    """Return a note on a SAM that encodes with another precision than in training, or an empty string."""
    now, before = model.sam.encoder_precision, model.config.encoder_precision
    if now == before or model.config.variant == Variant.SAM:
        return ""
    return f"SAM encodes with {now}; the model was trained, chosen and calibrated with {before}"
