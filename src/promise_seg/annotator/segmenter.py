"""The model as the annotator asks it: features by slice, proposals, and answers to prompts. The code of ``predict``."""

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock

import numpy as np
import torch

from promise_seg.annotator.bits import MaskBits
from promise_seg.annotator.catalogue import Catalogue, readable
from promise_seg.annotator.lru_cache import LruCache
from promise_seg.annotator.objects import Answer, Point, Prompts
from promise_seg.annotator.refusals import Refusal
from promise_seg.arrays import Float32Array
from promise_seg.augmentation import view_of
from promise_seg.errors import PromiseError, SettingsError
from promise_seg.features.store import FeatureKey, FeatureStore
from promise_seg.images.geometry import Geometry, shrink_mask
from promise_seg.images.readers import content_sha256
from promise_seg.inference.encoding import encode_images
from promise_seg.prediction.encoding_together import encode_together
from promise_seg.prediction.prediction import Prediction
from promise_seg.prediction.predictor import EncodedImage
from promise_seg.prediction.user_prompts import UserPrompts, clipped_box, clipped_points
from promise_seg.sam.features import Features
from promise_seg.workflows.models import AnyModel, Model, label_of

_KEPT = 8
"""How many encoded slices are kept in memory."""
_LOOKED_AT = 512
"""The proposals of so many slices are kept in memory; they are small."""
_SURE_LOGIT = 8.0
"""The logit of a pixel that surely belongs to a mask which the model is to start from."""

Encoded = Mapping[int, EncodedImage]
"""A slice as the model of each class needs it."""
Proposal = tuple[int, Prompts, Answer]
"""A class, and the prompts and the mask that its model proposes."""
Place = tuple[int | None, int, int]
"""The number of the model, that of the image, and the slice."""


@dataclass(frozen=True)
class InUse:
    """The models that answer now: one, or one for each class, and the number that the project gave to them."""

    models: Mapping[int, Model]
    number: int | None = None

    @property
    def first(self) -> Model:
        """The model of classes that have none of their own."""
        return next(iter(self.models.values()))

    @property
    def proposing(self) -> list[tuple[int, Model]]:
        """The models that propose, with their classes: not a SAM alone."""
        return [(label, model) for label, model in self.models.items() if model.model.apm is not None]


class Segmenter:
    """One model, or one of each class, and the features of the slices that are being worked at.

    Args:
        model: as it was loaded.
        catalogue: the images.
        store: where features are kept.
        number: that the project gave to the model.

    Classes of the project that have no model of their own are answered by the first.
    """

    def __init__(self, model: AnyModel, catalogue: Catalogue, store: FeatureStore, number: int | None = None) -> None:
        self.in_use = InUse(models_of(model), number)
        self._catalogue, self._store = catalogue, store
        self._encoding = Lock()
        self._encoded: LruCache[Place, Encoded] = LruCache(_KEPT)
        self._trust: LruCache[Place, float] = LruCache(_LOOKED_AT)
        self._proposed: LruCache[Place, list[Proposal]] = LruCache(_LOOKED_AT)

    def use(self, model: AnyModel, number: int) -> None:
        """Answer with another model from now on; what is being answered meanwhile is answered by the one before."""
        self.in_use = InUse(models_of(model), number)
        for kept in (self._encoded, self._trust, self._proposed):
            kept.clear()

    @property
    def proposes(self) -> bool:
        """Whether there are proposals: not of a SAM alone."""
        return bool(self.in_use.proposing)

    def is_ready(self, number: int, index: int) -> bool:
        """Whether the features of a slice are in memory."""
        return (self.in_use.number, number, index) in self._encoded

    def look_ahead(self, number: int, index: int) -> float | None:
        """Return the trust of a slice, and have its features and its proposals ready for when somebody opens it."""
        trust = self.trust(number, index)
        self.proposals(number, index)
        self.encoded(number, index)
        return trust

    def has_proposals(self, number: int, index: int) -> bool:
        """Whether the proposals of a slice were made already, so that they can be had at once."""
        return (self.in_use.number, number, index) in self._proposed

    def encoded(self, number: int, index: int, using: InUse | None = None) -> Encoded:
        """Return a slice encoded: from memory, from the store, or by the encoder.

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
        except PromiseError:  # a full disk is no reason to stop: the features are here
            return

    def proposals(self, number: int, index: int) -> list[Proposal]:
        """Return the classes, prompts and masks that the models propose for a slice; those of nothing are left out.

        They are made once: nobody works at an image that changed since.
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
            geometry = encoded[label].geometry
            predictions = [one for one in model.predict_objects(encoded[label]) if one.mask.any()]
            found += [(label, _prompts_of(one, geometry), _answer_of(one, using)) for one in predictions]
        return found

    def answer(
        self, number: int, index: int, label: int, prompts: Prompts, started_from: MaskBits | None = None,
        candidate: int | None = None,
    ) -> Answer:  # fmt: skip
        """Return the mask for prompts.

        Args:
            number, index: the image and the slice.
            label: the class, whose model is asked.
            prompts: at least one.
            started_from: the mask that the model starts from.
            candidate: which of its masks to take; ``None`` for its own choice.

        Raises:
            Refusal: if the prompts cannot be meant, or the image cannot be read.
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
        return _answer_of(found, using)

    def trust(self, number: int, index: int) -> float | None:
        """Return how far the proposal of a slice can be trusted; ``None`` without proposals.

        It is the expected Dice, or the predicted IoU of a model that was not calibrated; of several, the least.
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
    """Return models by the class that each segments; one that names none is of class 1."""
    return {label_of(model.model) or 1: model} if isinstance(model, Model) else dict(model)


def _prompts_of(one: Prediction, geometry: Geometry) -> Prompts:
    """Return the prompts of a prediction with those outside of the image moved to its edge."""
    inside = clipped_points(one.points_xy, geometry)
    pairs = zip(inside.tolist(), one.point_labels.tolist(), strict=True)
    points = tuple(Point(float(x), float(y), int(label)) for (x, y), label in pairs)
    box = None if one.box_xyxy is None else clipped_box(one.box_xyxy, geometry)
    return Prompts(points, None if box is None else (float(box[0]), float(box[1]), float(box[2]), float(box[3])))


def _answer_of(one: Prediction, using: InUse) -> Answer:
    scores: tuple[float, ...] = ()
    chosen = None
    if one.candidates is not None:
        scores = tuple(float(score) for score in one.candidates.predicted_iou)
        chosen = one.candidates.chosen
    return Answer(MaskBits.of(one.mask), scores, chosen, float(one.predicted_iou), using.number)


def _logits_of(bits: MaskBits, geometry: Geometry, side: int) -> Float32Array:
    """Return the low-resolution logits (side, side) of a mask: sure ones, and unsure where a cell is divided."""
    framed = geometry.mask_to_model(bits.mask(geometry.height, geometry.width))
    share = shrink_mask(torch.from_numpy(framed)[None], side)[0].numpy()
    return np.asarray((share - 0.5) * 2 * _SURE_LOGIT, np.float32)
