"""The models of the annotator: features of slices, proposals, and answers to prompts, with the code of ``predict``."""

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock

import numpy as np
import torch

from promise_seg.annotator.bits import MaskBits
from promise_seg.annotator.catalogue import Catalogue, readable
from promise_seg.annotator.lru_cache import LruCache
from promise_seg.annotator.objects import Answer, Prompts
from promise_seg.annotator.proposals import answer_of, proposals_of
from promise_seg.annotator.refusals import Refusal
from promise_seg.arrays import Float32Array
from promise_seg.augmentation import view_of
from promise_seg.errors import PromiseError, SettingsError
from promise_seg.features.store import FeatureKey, FeatureStore
from promise_seg.images.geometry import Geometry, shrink_mask
from promise_seg.images.readers import content_sha256
from promise_seg.inference.encoding import encode_images
from promise_seg.prediction.encoded_image import EncodedImage
from promise_seg.prediction.encoding_together import encode_together
from promise_seg.prediction.user_prompts import UserPrompts
from promise_seg.sam.features import Features
from promise_seg.workflows.models import AnyModel, Model, label_of

_KEPT = 8
"""The number of encoded slices that are kept in memory."""
_LOOKED_AT = 512
"""The number of slices whose proposals and trust scores, which are small, are kept in memory."""
_SURE_LOGIT = 8.0
"""The logit of pixels that lie completely inside of the mask from which the model starts."""

Encoded = Mapping[int, EncodedImage]
"""Maps the label of each class to a slice, encoded for the model of the class."""
Proposal = tuple[int, Prompts, Answer]
"""The label of a class, and the prompts and the answer that its model proposes."""
Place = tuple[int | None, int, int]
"""The number of the model, the number of the image, and the index of the slice."""


@dataclass(frozen=True)
class InUse:
    """The models in use by the label of their class, and their common number in the project."""

    models: Mapping[int, Model]
    number: int | None = None

    @property
    def first(self) -> Model:
        """The model that is used for classes without a model of their own."""
        return next(iter(self.models.values()))

    @property
    def proposing(self) -> list[tuple[int, Model]]:
        """The models that make proposals, with their classes; a bare SAM makes none."""
        return [(label, model) for label, model in self.models.items() if model.model.apm is not None]


class Segmenter:
    """One model, or one for each class, with a cache of the features of recent slices.

    Args:
        model: the loaded model.
        catalogue: the images of the project.
        store: the store of features.
        number: the number of the model in the project.

    Classes without a model of their own are answered by the first model.
    """

    def __init__(self, model: AnyModel, catalogue: Catalogue, store: FeatureStore, number: int | None = None) -> None:
        self.in_use = InUse(models_of(model), number)
        self._catalogue, self._store = catalogue, store
        self._encoding = Lock()
        self._encoded: LruCache[Place, Encoded] = LruCache(_KEPT)
        self._trust: LruCache[Place, float] = LruCache(_LOOKED_AT)
        self._proposed: LruCache[Place, list[Proposal]] = LruCache(_LOOKED_AT)

    def use(self, model: AnyModel, number: int) -> None:
        """Use another model from now on; running requests are still answered by the previous model."""
        self.in_use = InUse(models_of(model), number)
        for kept in (self._encoded, self._trust, self._proposed):
            kept.clear()

    @property
    def proposes(self) -> bool:
        """Whether the models make proposals, which a bare SAM does not."""
        return bool(self.in_use.proposing)

    def is_ready(self, number: int, index: int) -> bool:
        """Whether the features of a slice are in memory."""
        return (self.in_use.number, number, index) in self._encoded

    def look_ahead(self, number: int, index: int) -> float | None:
        """Compute the features and proposals of a slice in advance, and return its trust score, see :meth:`trust`."""
        trust = self.trust(number, index)
        self.proposals(number, index)
        self.encoded(number, index)
        return trust

    def has_proposals(self, number: int, index: int) -> bool:
        """Whether the proposals of a slice have been computed already."""
        return (self.in_use.number, number, index) in self._proposed

    def encoded(self, number: int, index: int, using: InUse | None = None) -> Encoded:
        """Return the features of a slice from memory, from the store, or by running the encoder.

        Raises:
            Refusal: if the image cannot be read.
        """
        using = using or self.in_use
        key = (using.number, number, index)
        if (found := self._encoded.get(key)) is not None:
            return found
        with self._encoding:
            if (found := self._encoded.get(key)) is None:
                found = self._encode(number, index, using)
                self._encoded.put(key, found)
        return found

    def _encode(self, number: int, index: int, using: InUse) -> Encoded:
        source = self._catalogue.source(number)
        first, models = using.first, using.models
        with readable(source.path.name):
            framed = first.frame(source, index)
            if first.model.sam.encoder_learns:
                return {label: one.encode_framed(framed) for label, one in models.items()}
            stages = {stage for one in models.values() for stage in one.model.stages_read}
            config, sha256 = first.model.config, content_sha256(source, index, first.reading)
            geometry = framed.geometry
            key = FeatureKey(
                sha256, config.fit, geometry.side, view_of(sha256, 0), first.model.sam.features_sha256, geometry.crop
            )
            features = self._store.get(key, stages)
            if features is None:
                features = encode_images(first.model.sam, [framed.pixels()], stages)
                self._put(key, features)
                features = self._store.rounded(features)
            return encode_together(models, framed, features)

    def _put(self, key: FeatureKey, features: Features) -> None:
        try:
            self._store.put(key, features)
        except PromiseError:  # for example on a full disk; the features are still in memory
            return

    def proposals(self, number: int, index: int) -> list[Proposal]:
        """Return the classes, prompts and masks that the models propose for a slice; empty masks are left out.

        They are computed once, because an image that changes on disk can no longer be edited.
        """
        using = self.in_use
        key = (using.number, number, index)
        if (found := self._proposed.get(key)) is None:
            found = self._proposals(number, index, using)
            self._proposed.put(key, found)
        return found

    def _proposals(self, number: int, index: int, using: InUse) -> list[Proposal]:
        encoded, found = self.encoded(number, index, using), []
        for label, model in using.proposing:
            found += [(label, *one) for one in proposals_of(model, encoded[label], using.number)]
        return found

    def answer(
        self, number: int, index: int, label: int, prompts: Prompts, started_from: MaskBits | None = None,
        candidate: int | None = None,
    ) -> Answer:  # fmt: skip
        """Return the answer of a model to prompts.

        Args:
            number, index: the number of the image, and the index of the slice.
            label: the label of the class whose model is used.
            prompts: at least one prompt.
            started_from: the mask that the model gets as an input, if any.
            candidate: the index of the candidate mask to use; ``None`` for the model's own choice.

        Raises:
            Refusal: if the prompts are not possible, or the image cannot be read.
        """
        using = self.in_use
        encoded = self.encoded(number, index, using)
        label = label if label in using.models else next(iter(using.models))
        model, image = using.models[label], encoded[label]
        side = model.model.sam.mask_side
        points = [(point.x, point.y) for point in prompts.points] or None
        labels = [point.label for point in prompts.points] or None
        logits = None if started_from is None else _logits_of(started_from, image.geometry, side)
        try:
            given = UserPrompts(points, labels, prompts.box, logits)
            (found,) = model.predict_sets(image, [given], mask_choice=None if candidate is None else str(candidate))
        except SettingsError as error:
            raise Refusal(422, "invalid", str(error)) from error
        return answer_of(found, using.number)

    def trust(self, number: int, index: int) -> float | None:
        """Return the trust score of the proposal of a slice, 0 to 1; ``None`` without proposals.

        It is the expected Dice, or the predicted IoU if the model is not calibrated; the lowest of all models.
        """
        using = self.in_use
        key = (using.number, number, index)
        if (known := self._trust.get(key)) is not None or not using.proposing:
            return known
        encoded, found = self.encoded(number, index, using), []
        for label, model in using.proposing:
            trust = model.trust(encoded[label])
            found.append(model.predict(encoded[label]).predicted_iou if trust is None else trust.score)
        self._trust.put(key, float(min(found)))
        return float(min(found))


def models_of(model: AnyModel) -> dict[int, Model]:
    """Return models by the label of the class that they segment; a model without a class has label 1."""
    return {label_of(model.model) or 1: model} if isinstance(model, Model) else dict(model)


def _logits_of(bits: MaskBits, geometry: Geometry, side: int) -> Float32Array:
    """Return the logits (side, side) float32 of a mask: -8 outside, 8 inside, in between in cells on its outline."""
    framed = geometry.mask_to_model(bits.mask(geometry.height, geometry.width))
    share = shrink_mask(torch.from_numpy(framed)[None], side)[0].numpy()
    return np.asarray((share - 0.5) * 2 * _SURE_LOGIT, np.float32)
