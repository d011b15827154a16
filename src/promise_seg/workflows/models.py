"""Models as a Python user holds them: one model, or one for each class, with the place that it was loaded from."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from promise_seg.arguments import check_place, checks_arguments, shown, yes_or_no
from promise_seg.errors import SettingsError
from promise_seg.images.formats.source import Source
from promise_seg.images.reading import ALL_CLASSES, Reading, ReadingOptions, make_reading
from promise_seg.inference.apm_cache import caching_apm_outputs
from promise_seg.learning.class_networks import tie_equal
from promise_seg.model import PromiseModel
from promise_seg.prediction.cuts import parse_axes
from promise_seg.prediction.labelled import Labelled, LabelledSlice
from promise_seg.prediction.labelling import Labeller, parse_names
from promise_seg.prediction.predictor import Predictor
from promise_seg.progress import Progress, silent
from promise_seg.sam.backbone import Backbone
from promise_seg.trust.trust_model import TrustModel
from promise_seg.vocabulary import Protocol, Slices
from promise_seg.workflows.by_class import ByClass, Found
from promise_seg.workflows.choices import chosen
from promise_seg.workflows.devices import pick_device
from promise_seg.workflows.encoding import parse_encoder_precision, refuse_for_loaded
from promise_seg.workflows.model_ref import ModelPart, ModelRef


class Model(Predictor):
    """One model, ready to predict, to be evaluated, or to start another training from.

    Args:
        ref: the reference that the user named.
        part: its only model, or that of a class.
        model: the loaded model.
        trust_model: estimates how far the model's own masks can be trusted, if it was calibrated.
        note: why there is no trust model.
    """

    def __init__(
        self, ref: ModelRef, part: ModelPart, model: PromiseModel, trust_model: TrustModel | None = None, note: str = ""
    ) -> None:
        super().__init__(model, trust_model, note)
        self.ref, self.part = ref, part

    def __repr__(self) -> str:
        """Return its name, variant and SAM."""
        config = self.model.config
        return f"Model({self.part.name!r}: {config.variant} on {config.sam} at {config.image_size} px)"

    @property
    def reading(self) -> Reading:
        """How files are read: as the training images were."""
        return self.model.config.reading

    @property
    def sam(self) -> Backbone:
        """The SAM that the model is built around."""
        return self.model.sam

    def reading_as(self, options: ReadingOptions) -> "Model":
        """Return the same model with other options for reading images than in training; the weights are shared.

        Raises:
            SettingsError: naming the invalid option.
        """
        config = self.model.config
        model = copy.copy(self.model)
        model.config = config.model_copy(update={"reading": options.applied_to(config.reading)})
        changed = Model(self.ref, self.part, model, self.trust_model, self.note)
        changed.as_trained = self.as_trained
        return changed

    def labeller(
        self,
        names: str | Sequence[str] = (),
        *,
        instances: bool = False,
        slices: str = Slices.AUTO,
        axes: str | Sequence[str] | None = None,
    ) -> Labeller:
        """Return a labeller that turns images into label maps with this model.

        Args:
            names: names of the segmented classes, ``NAME`` or ``LABEL=NAME``.
            instances: whether labels are the numbers of separate objects.
            slices: how the slices of a volume are combined.
            axes: the axes across which volumes are sliced; see :func:`~promise_seg.predict_folder`.

        Raises:
            SettingsError: if the model has no APM, a name is invalid, or the model cannot separate objects.
        """
        label = label_of(self.model) or 1
        way = chosen(Slices, slices, "--slices")
        return Labeller({label: self}, parse_names(names, [label]), instances, way, parse_axes(axes))


class ClassModels(Mapping[int, Model]):
    """A model for each of several classes of label maps, by class; all read images in the same way.

    Args:
        ref: the reference that the user named.
        models: the model of each class.
    """

    def __init__(self, ref: ModelRef, models: Mapping[int, Model]) -> None:
        self.ref, self._models = ref, dict(models)

    def __getitem__(self, label: int) -> Model:
        """Return the model of a class.

        Raises:
            KeyError: if there is no such class; the message names the existing ones.
        """
        if label not in self._models:
            raise KeyError(f"{label!r}: {self.ref.name} has the classes {', '.join(map(str, self))}")
        return self._models[label]

    def __iter__(self) -> Iterator[int]:
        """Iterate over the classes."""
        return iter(self._models)

    def __len__(self) -> int:
        """Return the number of classes."""
        return len(self._models)

    def __repr__(self) -> str:
        """Return its name and its classes."""
        return f"ClassModels({self.ref.name!r}: classes {', '.join(map(str, self))})"

    @property
    def _first(self) -> Model:
        return next(iter(self._models.values()))

    @property
    def reading(self) -> Reading:
        """How files are read: as the training images were, with all classes of label maps."""
        return of_all_classes(self._first.reading)

    @property
    def sam(self) -> Backbone:
        """The SAM that all models are built around."""
        return self._first.sam

    def reading_as(self, options: ReadingOptions) -> "ClassModels":
        """Return the same models with other options for reading images; see :meth:`Model.reading_as`.

        Raises:
            SettingsError: naming the invalid option.
        """
        return ClassModels(self.ref, {label: one.reading_as(options) for label, one in self.items()})

    def labeller(
        self,
        names: str | Sequence[str] = (),
        *,
        instances: bool = False,
        slices: str = Slices.AUTO,
        axes: str | Sequence[str] | None = None,
    ) -> Labeller:
        """Return a labeller that turns images into label maps with these models; see :meth:`Model.labeller`.

        Raises:
            SettingsError: if separate objects are requested, which takes a single model, or an option is invalid.
        """
        if instances:
            raise SettingsError(
                f"--instances: {self.ref.name} has a model for each of {len(self)} classes, whose objects would share "
                "one instance map. Give the model of one class, such as "
                f"{self._first.part.name}"
            )
        way = chosen(Slices, slices, "--slices")
        return Labeller(dict(self._models), parse_names(names, list(self)), slices=way, axes=parse_axes(axes))

    def predict(self, image: object, index: int | None = None) -> LabelledSlice:
        """Predict a label map (H, W) at the image's original size, with the models' own prompts.

        If several models segment a pixel, the most confident one labels it.

        Args:
            image: a path, pixels (H, W[, 3]) uint8, or a PIL image; see :meth:`Predictor.encode`.
            index: the number of the slice, if the path is of a volume.

        Raises:
            ImageError: if the image cannot be read.
            SettingsError: if a model has no APM.
        """
        return self.labeller().label_image(image, index)

    def predict_volume(
        self,
        volume: str | Path | Source,
        progress: Progress = silent,
        *,
        slices: str = Slices.AUTO,
        axes: str | Sequence[str] | None = None,
    ) -> Labelled:
        """Predict the label map of a volume, with the models' own prompts; each slice is encoded once for all classes.

        Args:
            volume: a path, or what :func:`~promise_seg.images.formats.opening.open_source` returns.
            progress: called for each slice.
            slices: how slices are combined; see :meth:`Predictor.predict_volume`.
            axes: the axes across which the volume is sliced; see :meth:`Predictor.predict_volume`.

        Returns:
            The slices with their labels; ``labels`` is the label map in the shape and order of the file's array.

        Raises:
            ImageError: if the volume cannot be read, or cannot be sliced across these axes.
            SettingsError: if a model has no APM, or an option is invalid.
        """
        labeller = self.labeller(slices=slices, axes=axes)
        if not isinstance(volume, Source):
            if not isinstance(volume, str | Path):
                raise SettingsError(
                    f"volume {shown(volume)}: expected the path of a file. Pixels are predicted for one class at a "
                    f"time: models[{next(iter(self))}].predict_volume takes them"
                )
            check_place(volume, "volume")
            volume = labeller.reading.open(volume)
        return labeller.label(labeller.reading.opened(volume), progress)


AnyModel = Model | ClassModels
ModelLike = str | Path | ModelRef | Model | ClassModels
"""A model, or the name of one; see :class:`~promise_seg.workflows.model_ref.ModelRef`."""


@dataclass(frozen=True)
class OpenModels:
    """The loaded models that a name refers to: what evaluation and reports work on.

    Args:
        ref: the reference that names the models.
        models: as many models as ``ref`` has parts, in their order.
    """

    ref: ModelRef
    models: tuple[PromiseModel, ...]

    def __iter__(self) -> Iterator[tuple[ModelPart, PromiseModel]]:
        """Iterate over the parts and their models."""
        return zip(self.ref.parts, self.models, strict=True)

    @property
    def sam(self) -> Backbone:
        """The SAM that all models are built around."""
        return self.models[0].sam

    def each(
        self, work: Callable[[ModelPart, PromiseModel, Path | None], Found], output: str | Path | None = None
    ) -> Found | ByClass[Found]:
        """Call a function for every model and return its result; for a set, a result for each class.

        Args:
            work: the function; it is given the part, its model, and the folder for its files.
            output: that folder; a set gets a folder for each class in it. ``None`` if nothing is to be written.
        """
        found = {}
        with caching_apm_outputs(self.models):
            for part, model in self:
                folder = None if output is None else Path(output)
                if folder is not None and self.ref.is_class_set:
                    folder /= Path(part.name).name
                found[part.label or 0] = work(part, model, folder)
        return ByClass(found) if self.ref.is_class_set else found[0]

    @property
    def reading(self) -> Reading:
        """How files are read: as in training; for a set, with all classes of label maps."""
        reading = self.models[0].config.reading
        return of_all_classes(reading) if self.ref.is_class_set else reading


def open_models(
    model: "ModelLike | OpenModels",
    *,
    sam: Backbone | str | None = None,
    device: str | torch.device = "auto",
    image_size: int | None = None,
    encoder_precision: str | None = None,
    protocol: str = Protocol.OWN,
    always_segment: bool = False,
) -> OpenModels:
    """Load the models that a name refers to, around one SAM; models that are already loaded are used as they are.

    Args:
        model: a model, or the name of one.
        sam: their SAM or the place of it, if no longer where training found it; for a bare SAM, the SAM to use.
        device: the device for the models.
        image_size: side of the input of a bare SAM, in pixels.
        encoder_precision: the precision of their SAM's encoder; by default that of training.
        protocol: whether a bare SAM gets its images as our own models do, or as the published code does.
        always_segment: also segment images that the model judges to be empty.

    Raises:
        SettingsError: if an option does not apply to the model, or there is no such device.
        CheckpointError: if a model cannot be loaded.
    """
    if not isinstance(model, str | Path | ModelRef):
        refuse_for_loaded(encoder_precision=encoder_precision)
    if isinstance(model, Model | ClassModels):
        refuse_for_loaded(sam=sam, image_size=image_size, always_segment=always_segment or None)
    if isinstance(model, OpenModels):
        return model
    if isinstance(model, Model):
        if model.part.is_bare and protocol == Protocol.REFERENCE:
            raise SettingsError(
                f"protocol={protocol}: the bare SAM that is loaded already gets its images as our own models do. Give "
                f"{model.part.name!r} in place of it, and its SAM as sam"
            )
        part = replace(model.part, label=None)  # alone it is no set, as if its folder was named
        return OpenModels(ModelRef(part.name, (part,)), (model.model,))
    if isinstance(model, ClassModels):
        return OpenModels(model.ref, tuple(one.model for one in model.values()))
    ref, place = ModelRef.resolve(model), pick_device(device)
    encodes = parse_encoder_precision(encoder_precision)
    opened: list[PromiseModel] = []
    for part in ref.parts:
        shared = opened[0].sam if opened else sam
        opened.append(
            part.open(sam=shared, device=place, image_size=image_size, encoder_precision=encodes, protocol=protocol)
        )
        opened[-1].always_segments = always_segment
    tie_equal(opened)
    return OpenModels(ref, tuple(opened))


@checks_arguments("image_size")
def load(
    model: str | Path | ModelRef,
    *,
    sam: Backbone | str | None = None,
    device: str | torch.device = "auto",
    image_size: int | None = None,
    encoder_precision: str | None = None,
    always_segment: bool = False,
) -> AnyModel:
    """Load a model.

    >>> import promise_seg
    >>> model = promise_seg.load("runs/polyp")
    >>> model.predict("frame.png").mask.dtype
    dtype('bool')

    Args:
        model: the output folder of ``promise train``, a checkpoint folder in it, a ``.pt`` file of the published code,
            or ``bare`` for a SAM alone.
        sam: the SAM it belongs to; by default the place noted in the checkpoint. For ``bare``, the SAM to use.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        image_size: side of the input of a bare SAM, in pixels.
        encoder_precision: the precision of SAM's encoder: ``fp32``, ``bf16``, ``fp16`` (on GPUs) or ``int8`` (on CPUs);
            by default that of training.
        always_segment: also segment images that the model judges to be empty; by default their masks are empty.

    Returns:
        A model, or one for each class if training made a set.

    Raises:
        SettingsError: if an image size is given for a trained model, or there is no such device.
        CheckpointError: if the model cannot be loaded.
    """
    if not isinstance(model, ModelRef):
        check_place(model, "model")
    opened = open_models(
        model, sam=sam, device=device, image_size=image_size, encoder_precision=encoder_precision,
        always_segment=yes_or_no(always_segment, "always_segment"),
    )  # fmt: skip
    models = [Model(opened.ref, part, one, *part.find_trust(one)) for part, one in opened]
    if not opened.ref.is_class_set:
        return models[0]
    return ClassModels(opened.ref, dict(zip(opened.ref.labels, models, strict=True)))


def label_of(model: PromiseModel) -> int | None:
    """Return the class of label maps that a model segments, or ``None`` if it does not segment a class."""
    return model.config.reading.label


def of_all_classes(reading: Reading) -> Reading:
    """Return the same reading options for all classes of label maps."""
    return make_reading(reading, label=ALL_CLASSES)
