"""The model that a training starts from, or one for each class."""

from promise_seg.errors import SettingsError
from promise_seg.images.reading import Reading
from promise_seg.learning.settings import TrainSettings
from promise_seg.learning.starting import StartingPoint
from promise_seg.workflows.model_ref import ModelPart, ModelRef, PartKind
from promise_seg.workflows.models import ClassModels, Model, ModelLike


class Starts:
    """The model, or one for each class, that a training starts from.

    Args:
        model: a model, or the name of one.

    Raises:
        SettingsError: if it is a SAM alone, which has no trained parts to start from.
        CheckpointError: if it cannot be read.
    """

    def __init__(self, model: ModelLike) -> None:
        if isinstance(model, Model):
            self.ref = ModelRef(model.part.name, (model.part,))
        else:
            self.ref = model.ref if isinstance(model, ClassModels) else ModelRef.resolve(model)
        self._known: dict[str, StartingPoint] = {}
        self.first = self._read(self.ref.parts[0])

    @property
    def reading(self) -> Reading:
        """How images were read for the model."""
        return self.first.reading.without_masks

    def of_class(self, label: int | None) -> StartingPoint:
        """Return the starting point of the run for a class.

        Raises:
            SettingsError: if this is a set without that class.
        """
        return self._read(self.ref.part_for(label))

    def words(self, settings: TrainSettings) -> str:
        """Return a line with the settings that a training takes from this model unless the user overrides them."""
        reading = self.reading
        crop = "cropped" if reading.crop_border else "not cropped"
        channels = f", channels {reading.channels}" if reading.channels else ""
        apm = f", apm {settings.apm} with {settings.num_points} points" if settings.has_apm else ""
        return (
            f"as {self.ref.name}, unless other options are given: window {reading.window}{channels}, axis "
            f"{reading.axis}, borders {crop}, fit {settings.fit}; trains variant {settings.variant}{apm}"
        )

    def _read(self, part: ModelPart) -> StartingPoint:
        if part.is_bare:
            raise SettingsError(f"--init {part.name}: a SAM alone has nothing to start from; give it with --sam")
        if part.name not in self._known:
            if part.kind == PartKind.REFERENCE or part.checkpoint is None:
                self._known[part.name] = StartingPoint.of_reference(part.name)
            else:
                images = part.training_images()
                self._known[part.name] = StartingPoint.of_checkpoint(part.name, part.checkpoint, images)
        return self._known[part.name]
