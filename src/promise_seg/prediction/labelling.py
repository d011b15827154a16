"""Turn images into label maps, with one model or one model for each class."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from promise_seg.arrays import Float32Array, Uint8Array
from promise_seg.errors import CheckpointError, ImageError, SettingsError
from promise_seg.images.formats.source import Source
from promise_seg.images.framing import ImageInFrame
from promise_seg.images.masks import LARGEST_LABEL
from promise_seg.images.reading import Reading
from promise_seg.inference.encoding import encode_images, encoding_note
from promise_seg.instances.proposing import check_makes_map
from promise_seg.model import ModelConfig
from promise_seg.prediction.cuts import check_axes, other_cuts
from promise_seg.prediction.encoded_image import EncodedImage
from promise_seg.prediction.encoding_together import encode_together
from promise_seg.prediction.identity import options_between
from promise_seg.prediction.instances import spacing_of, with_offset
from promise_seg.prediction.labelled import Labelled, LabelledSlice, Origin
from promise_seg.prediction.large_images import (
    LargeImage,
    blended_labels,
    in_tiles,
    large_image,
    reads_windows,
    stitched_objects,
    windowed_image,
)
from promise_seg.prediction.predictor import Predictor
from promise_seg.prediction.reading import name_of, opened
from promise_seg.prediction.surest import surest_labels
from promise_seg.prediction.volume_labels import SliceFacts, VolumeLabels, rules_of
from promise_seg.progress import Progress, Stage, counted, silent
from promise_seg.sam.backbone import Backbone
from promise_seg.trust.trust_model import UNGATED, is_ungated
from promise_seg.vocabulary import Axis, MaskKind, Slices
from promise_seg.volumes.whole_slices import IN_TILES, IN_TIME, asks_to_join, frames_are_whole, with_first


class Labeller:
    """One model, or one model for each class, all of which read images in the same way.

    Args:
        predictors: maps each label to the predictor that finds it.
        names: names of the labels; labels without a name get a default one.
        instances: whether labels are the numbers of separate objects instead of classes.
        slices: how the slices of a volume are combined.
        axes: axes across which volumes are cut; by default the axis that the models were trained on.

    Raises:
        CheckpointError: if the models differ in how they read images.
        SettingsError: if a model has no APM, if a name is given for an unknown label, if the model cannot separate
            objects, or if ``instances`` is combined with ``slices`` or ``axes``.
    """

    def __init__(
        self,
        predictors: dict[int, Predictor],
        names: dict[int, str] | None = None,
        instances: bool = False,
        slices: Slices = Slices.AUTO,
        axes: tuple[Axis, ...] = (),
    ) -> None:
        self.predictors, self.instances, self.slices, self.axes = predictors, instances, slices, axes
        self.names_are_given = bool(names)
        if instances and (axes or slices not in (Slices.AUTO, Slices.EACH)):
            option = f"--axes {','.join(axes)}" if axes else f"--slices {slices}"
            raise SettingsError(
                f"{option}: with --instances, objects are separated slice by slice. Leave one of them out"
            )
        first = next(iter(predictors.values())).model
        for label, predictor in predictors.items():
            config = predictor.model.config
            if predictor.model.apm is None:
                raise SettingsError(
                    f"the variant {config.variant} has no auto-prompting module: it needs prompts. Use a "
                    "model of variant apm or apm+ips"
                )
            if _frame(config) != _frame(first.config) or (
                predictor.model.sam.encoder_precision != first.sam.encoder_precision
            ):
                raise CheckpointError(
                    f"the model of class {label} reads images differently from the first; expected the same SAM, "
                    "image size and options for reading. Train the models of all classes with the same options"
                )
        if instances:
            check_makes_map(first)
        given = names or {}
        if unknown := sorted(set(given) - set(predictors)):
            raise SettingsError(
                f"--name {unknown[0]}={given[unknown[0]]}: the model has no label {unknown[0]}; expected one of "
                f"{', '.join(map(str, predictors))}"
            )
        self.names = {
            label: given.get(label, "segmentation" if self.is_binary else f"class {label}") for label in predictors
        }

    @property
    def is_binary(self) -> bool:
        """Whether there is a single label that is not a class of a label map."""
        return len(self.predictors) == 1 and self._first.model.config.reading.label is None

    @property
    def _first(self) -> Predictor:
        return next(iter(self.predictors.values()))

    @property
    def sam(self) -> Backbone:
        """The SAM that the models share."""
        return self._first.model.sam

    @property
    def reading(self) -> Reading:
        """How the models read images."""
        return self._first.model.config.reading

    @property
    def notes(self) -> list[str]:
        """Notes for the user: on trust scores that are missing or less reliable, and on SAM's precision."""
        notes = dict.fromkeys(one.note for one in self.predictors.values() if one.note)
        notes |= dict.fromkeys(UNGATED for one in self.predictors.values() if one.trust_model and is_ungated(one.model))
        if self._encodes_otherwise:
            notes[encoding_note(self._first.model)] = None
        return list(notes)

    @property
    def _encodes_otherwise(self) -> bool:
        return encoding_note(self._first.model) != ""

    def identity(self) -> dict[str, object]:
        """Return everything that determines the predictions."""
        config = self._first.model.config
        hashes = [predictor.as_trained.sha256() for predictor in self.predictors.values()]
        trust_models = [
            None if one.trust_model is None else one.trust_model.sha256() for one in self.predictors.values()
        ]
        of_trust: dict[str, object] = {}
        if any(trust_models):  # so that the identity of folders without trust scores does not change
            of_trust["trust_sha256"] = trust_models
        if self._first.model.always_segments:
            of_trust["always_segments"] = True
        if other := options_between(self.reading, self._first.as_trained.config.reading):
            of_trust["reading"] = other
        if self.instances:
            of_trust["instances"] = True
        if self.slices != Slices.AUTO:
            of_trust["slices"] = str(self.slices)
        if self.axes:
            of_trust["axes"] = ",".join(self.axes)
        if self._encodes_otherwise:
            of_trust["encoder_precision"] = str(self.sam.encoder_precision)
        return of_trust | {
            "names": {str(label): name for label, name in self.names.items()},
            "model_sha256": hashes[0] if len(hashes) == 1 else hashes,
            "sam": config.sam,
            "variant": str(config.variant),
        }

    def label_image(self, image: object, index: int | None = None) -> LabelledSlice:
        """Encode an image once and decode it with every model.

        Where the masks of several models overlap, the label with the highest probability is taken. Models whose
        encoders were trained encode the image separately. A large TIFF is read and labelled window by window.

        Args:
            image: anything that :meth:`Predictor.encode` accepts.
            index: index of the slice, if the image is a volume.
        """
        place, number = opened(image, self.reading, index)
        seen = in_tiles(place, number, self.reading, self._first.frame)
        if isinstance(seen, LargeImage):
            return self.label_large(seen, spacing_of(place))
        return self.label_framed(seen, spacing_of(place), name_of(image, index))

    def label_framed(
        self, framed: ImageInFrame, spacing: tuple[float, float] | None = None, name: str = "the image"
    ) -> LabelledSlice:
        """Label an image in the model frame, which is the same for all models.

        Args:
            framed: the image.
            spacing: distances between rows and between columns in mm, if known.
            name: name of the image in messages.
        """
        large = large_image(framed, self.reading.tiles, name)
        if large is not None:
            return self.label_large(large, spacing)
        encoded = self._encoded(framed)
        if self.instances:
            return self._label_objects(framed, encoded, spacing, name)
        predictions = {label: one.predict(encoded[label]) for label, one in self.predictors.items()}
        probs = np.stack([one.mask_probs for one in predictions.values()])
        masks = np.stack([one.mask for one in predictions.values()])
        origins = {
            label: Origin(
                p.points_xy,
                p.point_labels,
                p.predicted_iou,
                self.predictors[label].trust(encoded[label]),
                p.boxes_xyxy,
            )
            for label, p in predictions.items()
        }
        return LabelledSlice(surest_labels(list(predictions), probs, masks), origins)

    def label_large(
        self, image: LargeImage, spacing: tuple[float, float] | None = None, progress: Progress = silent
    ) -> LabelledSlice:
        """Label a large image tile by tile, without trust scores and prompts.

        Args:
            image: the image.
            spacing: distances between rows and between columns in mm, if known.
            progress: called after each tile.

        Raises:
            ImageError: if a tile cannot be read, or the image has more objects than an instance map can number.
        """
        if self.instances:
            ((label, one),) = self.predictors.items()
            labels, objects = stitched_objects(image, one.objects_in_tile, spacing, progress)
            scores = [each.score for each in objects]
            return LabelledSlice(labels, {label: _origin_of_tiles(scores)}, objects)
        scores_of: dict[int, list[float]] = {label: [] for label in self.predictors}
        tick = Stage(progress, "tiles", sum(map(len, image.grid)))

        def probs_of(rgb: Uint8Array) -> Float32Array:
            encoded = self._encoded(self._first.tile(rgb))
            found = {label: one.predict(encoded[label]) for label, one in self.predictors.items()}
            for label, prediction in found.items():
                if prediction.mask.any():
                    scores_of[label].append(prediction.predicted_iou)
            tick()
            return np.stack([prediction.mask_probs for prediction in found.values()])

        posts = {label: one.model.config.postprocessing for label, one in self.predictors.items()}
        labels = blended_labels(image, probs_of, posts)
        return LabelledSlice(labels, {label: _origin_of_tiles(scores) for label, scores in scores_of.items()})

    def _label_objects(
        self, framed: ImageInFrame, encoded: dict[int, EncodedImage], spacing: tuple[float, float] | None, name: str
    ) -> LabelledSlice:
        """Return the instance map of an image, made by the only model."""
        ((label, one),) = self.predictors.items()
        found = one.instances_in(framed, encoded[label], spacing, name)
        scores = [each.score for each in found.objects]
        origin = Origin(
            np.zeros((0, 2), np.float32), np.zeros(0, np.int64), float(np.mean(scores)) if scores else 0.0,
            one.trust(encoded[label]),
        )  # fmt: skip
        return LabelledSlice(found.labels, {label: origin}, found.objects)

    def _encoded(self, framed: ImageInFrame) -> dict[int, EncodedImage]:
        """Encode the image for each model, sharing SAM's features and the trunk of the APMs where possible."""
        alone = {label: one for label, one in self.predictors.items() if one.model.sam.encoder_learns}
        encoded = {label: one.encode_framed(framed) for label, one in alone.items()}
        others = {label: one for label, one in self.predictors.items() if label not in alone}
        if others:
            stages = {stage for one in self.predictors.values() for stage in one.model.stages_read}
            sam = next(iter(others.values())).model.sam
            encoded |= encode_together(others, framed, encode_images(sam, [framed.pixels()], stages))
        return encoded

    def frame(self, source: Source, index: int) -> ImageInFrame:
        """Read a slice and map it to the model frame.

        Raises:
            ImageError: if the slice cannot be read.
        """
        return self._first.frame(source, index)

    def reads_windows(self, source: Source) -> bool:
        """Whether :meth:`label` reads the image window by window instead of as a whole."""
        return reads_windows(source, self.reading)

    def label(
        self, source: Source, progress: Progress = silent, frames: Iterable[ImageInFrame] | None = None
    ) -> Labelled:
        """Label an image or all slices of a volume.

        Args:
            source: the opened file.
            progress: called after each slice.
            frames: results of :meth:`frame` for all slices, in order, if the caller reads them.

        Raises:
            ImageError: if a slice cannot be read, or the volume cannot be cut across the axes.
        """
        if self.axes:
            check_axes(source, self.reading, self.axes)
        large = windowed_image(source, self.reading)
        if large is not None:
            one = self.label_large(large, source.spacing, progress)
            separate = self.reading.masks == MaskKind.INSTANCES
            return Labelled(source, (one,), self.names, self.is_binary, separate)
        if frames is None:
            frames = (self.frame(source, index) for index in range(len(source)))
        notes = (f"{source.path}: {IN_TIME}",) if source.is_in_time and asks_to_join(self.slices) else ()
        if self._joins(source):
            first, frames = with_first(frames)
            if frames_are_whole(self.reading, first, self.slices, source.path):
                return self._label_volume(source, progress, frames)
            notes = (f"{source.path}: {IN_TILES}",)
        tick, picture = Stage(progress, "predicting", len(source)), None
        slices: list[LabelledSlice] = []
        for framed in frames:
            name = name_of(source, len(slices) if source.is_volume else None)
            slices.append(_after(slices, self.label_framed(framed, source.spacing, name), source))
            picture = None if source.is_volume else framed.rgb
            tick()
        return self._labelled(source, slices, picture, notes)

    def _labelled(
        self, source: Source, slices: Sequence[LabelledSlice], picture: Uint8Array | None, notes: tuple[str, ...]
    ) -> Labelled:
        separate = self.reading.masks == MaskKind.INSTANCES
        return Labelled(source, tuple(slices), self.names, self.is_binary, separate, picture, notes)

    def _joins(self, source: Source) -> bool:
        """Whether the slices of a source are combined; the frames of a video never are."""
        if self.instances or not source.is_volume or source.is_in_time:
            return False
        return bool(self.axes) or any(rule.changes for rule in rules_of(self.predictors, self.slices).values())

    def _label_volume(self, source: Source, progress: Progress, frames: Iterable[ImageInFrame]) -> Labelled:
        """Label all slices of a volume jointly."""
        tick, volume = Stage(progress, "predicting", len(source)), VolumeLabels(self.predictors, self.slices, source)
        for framed in frames:
            volume.add(self._encoded(framed))
            tick()
        if self.axes:
            for cut in other_cuts(source, self.reading, self.axes):
                numbers = counted(range(len(cut)), progress, f"predicting {cut.reading.axis}")
                volume.add_across(cut, (self._encoded(cut.framed(number, self._first.model)) for number in numbers))
        labels, notes = volume.labels()
        slices = [
            LabelledSlice(one, {label: _origin(found) for label, found in facts.items()})
            for one, facts in zip(labels, volume.facts, strict=True)
        ]
        return self._labelled(source, slices, None, notes)


def _origin(found: SliceFacts) -> Origin:
    prompts = found.prompts
    return Origin(prompts.points_xy, prompts.point_labels, found.predicted_iou, found.trust, prompts.boxes_xyxy)


def _origin_of_tiles(scores: Sequence[float]) -> Origin:
    """Return the origin of a mask made from several tiles: no prompts, and the mean of the scores."""
    nothing = np.zeros((0, 2), np.float32), np.zeros(0, np.int64)
    return Origin(*nothing, float(np.mean(scores)) if scores else 0.0)


def _after(before: Sequence[LabelledSlice], one: LabelledSlice, source: Source) -> LabelledSlice:
    """Return a slice with its objects renumbered to follow those of the slices before it.

    Raises:
        ImageError: if there are more objects than an instance map can number.
    """
    if one.objects is None or not before:
        return one
    offset = sum(len(each.objects or ()) for each in before)
    if offset + len(one.objects) > LARGEST_LABEL:
        raise ImageError(
            f"{source.path}: its slices have more than {LARGEST_LABEL:,} objects together, the most that a 16-bit "
            "instance map can number. Predict the slices as separate files"
        )
    objects = tuple(replace(each, id=each.id + offset) for each in one.objects)
    return replace(one, labels=with_offset(one.labels, offset), objects=objects)


def _frame(config: ModelConfig) -> tuple[object, ...]:
    """Return the settings that determine the features of a file; models can share features only if these agree."""
    return config.sam_sha256, config.image_size, config.fit, config.reading.without_masks


def parse_names(texts: str | Sequence[str], labels: Sequence[int]) -> dict[int, str]:
    """Parse names of labels: ``LABEL=NAME``, or just ``NAME`` if there is only one label.

    Raises:
        SettingsError: if a text has neither form, or a label gets two different names.
    """
    names: dict[int, str] = {}
    for text in [texts] if isinstance(texts, str) else texts:
        number, sign, name = text.partition("=")
        if not sign and len(labels) == 1:
            number, name = str(labels[0]), text
        if not number.isdecimal() or not name.strip():
            known, example = ", ".join(map(str, labels)), f"{labels[0]}={name.strip() or text}"
            raise SettingsError(f"--name {text}: expected a name for one of the labels {known}, such as {example}")
        if names.setdefault(int(number), name.strip()) != name.strip():
            raise SettingsError(
                f"--name {text}: the label {int(number)} has the name {names[int(number)]!r} already. Give each label "
                "one name"
            )
    return names
