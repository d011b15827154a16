"""The choices by which a user's files are read, and kept beside a model so that new images are read the same way."""

from enum import StrEnum
from typing import Annotated, Any

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    SerializerFunctionWrapHandler,
    model_serializer,
)

from promise_seg.arrays import Uint8Array
from promise_seg.errors import SettingsError
from promise_seg.images.formats.source import Source
from promise_seg.images.masks import LARGEST_LABEL, MaskRule, Threshold
from promise_seg.images.windows import OWN, OWN_WINDOW, Window, parse_window
from promise_seg.vocabulary import Axis, Channel, MaskKind

ALL_CLASSES = "all"
_ALWAYS_NOTED = ("window", "axis", "crop_border", "masks", "label")


def _window(value: Any) -> Window:
    try:
        return value if isinstance(value, Window) else parse_window(str(value))
    except SettingsError as error:
        raise ValueError(str(error)) from None


class Reading(BaseModel):
    """The way in which files become images and masks. A model keeps it, and so do runs and scores, as JSON with these
    names.

    An option that came after the first ones is noted only where it is not at its default, which reads files as they
    were read before it came: so what was written before stays equal to what is written now.

    Args:
        window: how values become grey.
        channel: which colour channel is taken as grey, in all three channels.
        axis: what volumes are cut across.
        crop_border: whether the black border is cropped away.
        masks: what the values of masks mean.
        label: the class of label maps that is wanted; ``None`` for all of them, and for other masks.
        mask_threshold: grey values of masks above it are foreground. It belongs to the data alone and is never noted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    window: Annotated[Window, PlainValidator(_window), PlainSerializer(str, return_type=str)] = OWN_WINDOW
    channel: Channel = Channel.ALL
    axis: Axis = Axis.AUTO
    crop_border: bool = False
    masks: MaskKind = MaskKind.BINARY
    label: int | None = None
    mask_threshold: Threshold | None = Field(None, exclude=True)

    @model_serializer(mode="wrap")
    def _noted(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = serialize(self)
        fields = type(self).model_fields
        return {n: v for n, v in values.items() if n in _ALWAYS_NOTED or getattr(self, n) != fields[n].default}

    def rgb(self, source: Source, index: int) -> Uint8Array:
        """Read one slice as SAM is to see it: (H, W, 3) uint8 in the image frame.

        Raises:
            ImageError: if it is damaged, or in colour where grey values are needed.
        """
        return self.of_pixels(self.window.rgb(source, index))

    def of_pixels(self, rgb: Uint8Array) -> Uint8Array:
        """Return RGB pixels (H, W, 3), of a file or given by a user, as SAM is to see them."""
        if self.channel == Channel.ALL:
            return rgb
        number = (Channel.RED, Channel.GREEN, Channel.BLUE).index(self.channel)
        return np.repeat(rgb[..., number : number + 1], 3, 2)

    @property
    def pixel_facts(self) -> dict[str, object]:
        """The part of this reading that determines the pixels, beside the file; empty if they are as in the file."""
        facts = {"window": str(self.window), "channel": str(self.channel)}
        return {name: value for name, value in facts.items() if value not in (OWN, Channel.ALL)}

    @property
    def mask_rule(self) -> MaskRule:
        """The rule by which labels become a mask."""
        return MaskRule(self.masks, self.label, self.mask_threshold)

    @property
    def without_threshold(self) -> "Reading":
        """The same, apart from what belongs to the data alone."""
        return self.model_copy(update={"mask_threshold": None})

    @property
    def without_masks(self) -> "Reading":
        """The same, apart from what concerns masks: how images are read."""
        return self.model_copy(update={"masks": MaskKind.BINARY, "label": None, "mask_threshold": None})

    def of_class(self, label: int) -> "Reading":
        """The same, for one class of label maps."""
        return self.model_copy(update={"masks": MaskKind.CLASSES, "label": label, "mask_threshold": None})


KeptReading = Annotated[Reading, AfterValidator(lambda reading: reading.without_threshold)]
"""Return the reading as a model and a run save it."""
DEFAULT_READING = Reading()


def parse_classes(text: str) -> list[int] | None:
    """Return the classes that a user names, ``2`` or ``1,2,5``; ``None`` for all.

    Raises:
        SettingsError: if they are not numbers.
    """
    if text == ALL_CLASSES:
        return None
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and 0 < int(part) <= LARGEST_LABEL for part in parts):
        raise SettingsError(
            f"--class {text}: expected whole numbers from 1, as the masks hold them: 2, or 1,2,5, or {ALL_CLASSES}"
        )
    return sorted({int(part) for part in parts})


class ReadingOptions(BaseModel):
    """The options by which a user wants files to be read, in the words of the command line; what is ``None`` is as it
    would be anyway.

    Args:
        window, channel, axis, crop_border, mask_threshold: as in :class:`Reading`.
        label: one class, several as ``1,2,5``, or ``all`` of a label map.
        instances: whether masks are instance maps.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    window: str | None = None
    channel: str | None = None
    axis: str | None = None
    label: int | str | None = None
    mask_threshold: Threshold | None = None
    crop_border: bool | None = None
    instances: bool = False

    def applied_to(self, base: Reading = DEFAULT_READING) -> Reading:
        """Return a reading that differs from ``base`` where something is given.

        Raises:
            SettingsError: naming the option that cannot be meant.
        """
        changes: dict[str, Any] = {}
        if self.window is not None:
            changes["window"] = parse_window(self.window)
        if self.axis is not None:
            changes["axis"] = _word(Axis, self.axis, "--axis")
        if self.channel is not None:
            changes["channel"] = _word(Channel, self.channel, "--channel")
        if self.crop_border is not None:
            changes["crop_border"] = self.crop_border
        return base.model_copy(update=changes | self._of_masks())

    def _of_masks(self) -> dict[str, Any]:
        """The given options about masks: all that a reading needs, or none."""
        values = {"label": self.label, "instances": self.instances or None, "mask_threshold": self.mask_threshold}
        given = [_option(name) for name, value in values.items() if value is not None]
        if len(given) > 1:
            raise SettingsError(f"{' and '.join(given)}: each says what the values of masks mean; give one of them")
        if not given:
            return {}
        if self.mask_threshold is not None and not 0 <= self.mask_threshold < LARGEST_LABEL:  # nor NaN
            raise SettingsError(
                f"--mask-threshold {self.mask_threshold:g}: expected a value that masks hold, from 0 to less than "
                f"{LARGEST_LABEL}, such as 127, or 0.5 for probabilities"
            )
        masks, label = MaskKind.INSTANCES if self.instances else MaskKind.BINARY, None
        if self.label is not None:
            masks, wanted = MaskKind.CLASSES, parse_classes(str(self.label))
            label = wanted[0] if wanted is not None and len(wanted) == 1 else None
        return {"masks": masks, "label": label, "mask_threshold": self.mask_threshold}

    @staticmethod
    def that_give(reading: Reading, base: Reading | None = DEFAULT_READING) -> "ReadingOptions":
        """Return the options that make ``reading`` of ``base``; with ``None``, of any reading."""
        names = set(ReadingOptions.model_fields) & set(Reading.model_fields) - {"label", "mask_threshold"}
        changes = {
            name: getattr(reading, name)
            for name in names
            if base is None or getattr(reading, name) != getattr(base, name)
        }
        if "window" in changes:
            changes["window"] = str(reading.window)
        return ReadingOptions(
            **changes, label=reading.label, instances=reading.masks == MaskKind.INSTANCES,
            mask_threshold=reading.mask_threshold,
        )  # fmt: skip

    @property
    def words(self) -> list[str]:
        """Return the given options as words of a command line."""
        words = []
        for name, value in self:
            if value is None or (name == "instances" and not value):
                continue
            if isinstance(value, bool):
                words.append(_option(name) if value else f"--no-{_option(name)[2:]}")
            else:
                words += [_option(name), str(value)]
        return words


NO_OPTIONS = ReadingOptions()


def _word(words: type[StrEnum], text: str, option: str) -> StrEnum:
    if text not in tuple(words):
        raise SettingsError(f"{option} {text}: expected {', '.join(words)}")
    return words(text)


def _option(name: str) -> str:
    """Return the name of the option on the command line."""
    return f"--{'class' if name == 'label' else name.replace('_', '-')}"


def make_reading(base: Reading | None = None, **options: Any) -> Reading:
    """Return a reading by a user's options, see :class:`ReadingOptions`; what is not given is as in ``base``.

    Raises:
        SettingsError: naming the option that cannot be meant.
    """
    return ReadingOptions(**options).applied_to(base or DEFAULT_READING)
