"""Options for reading a user's files, saved with a model so that new images are read the same way."""

from enum import StrEnum
from pathlib import Path
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

from promise_seg.arrays import Array, Uint8Array
from promise_seg.errors import SettingsError
from promise_seg.images.channels import UNUSED, Channels, Inputs, parse_channels
from promise_seg.images.formats.opening import open_source
from promise_seg.images.formats.source import COLOURS, Source
from promise_seg.images.formats.tiff_slide import open_slide
from promise_seg.images.geometry import Box
from promise_seg.images.masks import LARGEST_LABEL, MaskRule, Threshold
from promise_seg.images.tiles import AUTO_TILE, LEAST_SIDE, NO_TILE, Tiling, make_tiling
from promise_seg.images.windows import OWN, OWN_WINDOW, Window, parse_window
from promise_seg.validation import make_options
from promise_seg.vocabulary import Axis, Channel, MaskKind

ALL_CLASSES = ALL_CHANNELS = "all"
_ALWAYS_NOTED = ("window", "axis", "crop_border", "masks", "label")


def _window(value: Any) -> Window:
    try:
        return value if isinstance(value, Window) else parse_window(str(value))
    except SettingsError as error:
        raise ValueError(str(error)) from None


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _channels(value: Any) -> Channels | None:
    try:
        return value if value is None or isinstance(value, Channels) else parse_channels(str(value))
    except SettingsError as error:
        raise ValueError(str(error)) from None


class Reading(BaseModel):
    """Options that determine how files become images and masks; models, runs and scores store them as JSON.

    Options added in later versions are stored only if they differ from their default, which reads files as before.
    Records of earlier versions therefore stay equal to new ones.

    Args:
        window: mapping of values to grey levels.
        channel: colour channel that is used as grey, in all three channels.
        channels: channels that become the three inputs of SAM; ``None`` for files as they are.
        axis: axis along which volumes are cut into slices.
        crop_border: whether the black border is cropped away.
        masks: meaning of the values of masks.
        label: class to segment in label maps; ``None`` for all classes, and for other masks.
        tiles: division of large images into tiles; ``None`` to process images as a whole.
        level: level of a pyramid that is read; 0 is the finest.
        mask_threshold: value above which a mask is foreground. It belongs to the data alone and is never stored.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    window: Annotated[Window, PlainValidator(_window), PlainSerializer(str, return_type=str)] = OWN_WINDOW
    channel: Channel = Channel.ALL
    channels: Annotated[Channels | None, PlainValidator(_channels), PlainSerializer(_text, return_type=str | None)] = (
        None
    )
    axis: Axis = Axis.AUTO
    crop_border: bool = False
    masks: MaskKind = MaskKind.BINARY
    label: int | None = None
    tiles: Tiling | None = None
    level: int = Field(0, ge=0)
    mask_threshold: Threshold | None = Field(None, exclude=True)

    @model_serializer(mode="wrap")
    def _noted(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = serialize(self)
        fields = type(self).model_fields
        return {n: v for n, v in values.items() if n in _ALWAYS_NOTED or getattr(self, n) != fields[n].default}

    def open(self, path: str | Path) -> Source:
        """Open an image, a volume or a folder with a DICOM series.

        Raises:
            ImageError: if the file is missing, damaged, too large or not an image.
        """
        return self.slide(path) or self.opened(open_source(path, self.axis))

    def slide(self, path: str | Path) -> Source | None:
        """Open a large TIFF that is read in windows; ``None`` for files that are read as a whole.

        Raises:
            ImageError: if the file is damaged, or has no such level.
        """
        return open_slide(path, self.level) if self.tiles is not None or self.level else None

    def opened(self, source: Source) -> Source:
        """Prepare an image that is already open in the same way as :meth:`open`."""
        return source.by_channels() if self.channels is not None and self.channels.of_pages else source

    def rgb(self, source: Source, index: int) -> Uint8Array:
        """Read one slice as the input of SAM: (H, W, 3) uint8 in the image frame.

        Raises:
            ImageError: if the slice is damaged, in colour where grey values are needed, or lacks a channel.
        """
        if self.channels is not None:
            return self.channels.rgb(source, index, self.window, self.axis)
        return self.of_pixels(self.window.rgb(source, index))

    def rgb_in(self, source: Source, index: int, box: Box) -> Uint8Array:
        """Read the part of a slice inside a box as :meth:`rgb` does; from large TIFFs, only this part is read.

        Raises:
            ImageError: see :meth:`rgb`.
        """
        part = source.part(box)
        return self.rgb(source, index)[box.slices] if part is None else self.rgb(part, index)

    def values(self, source: Source, index: int) -> Array:
        """Return the original values of a slice: (H, W), or (H, W, C) for colours and channels.

        Raises:
            ImageError: if the slice is damaged, or lacks a channel.
        """
        if self.channels is not None:
            return self.channels.values(source, index, self.axis)
        return source.values(index)

    def inputs(self, source: Source) -> Inputs | None:
        """Return the channels that become the inputs of SAM; ``None`` if none are chosen."""
        return None if self.channels is None else self.channels.sources(source, self.axis)

    def of_pixels(self, rgb: Uint8Array) -> Uint8Array:
        """Turn RGB pixels (H, W, 3), read from a file or given by a user, into the input of SAM (H, W, 3).

        If channels are chosen, the pixels may have any number of channels: (H, W) or (H, W, C).

        Raises:
            ImageError: if the pixels lack a channel.
        """
        if self.channels is not None:
            return self.channels.of_pixels(rgb)
        if self.channel == Channel.ALL:
            return rgb
        number = (Channel.RED, Channel.GREEN, Channel.BLUE).index(self.channel)
        return np.repeat(rgb[..., number : number + 1], 3, 2)

    def without_unused(self, rgb: Uint8Array) -> Uint8Array:
        """Return augmented pixels (S, S, 3) in which the unused inputs are black again."""
        if self.channels is None or not self.channels.unused:
            return rgb
        rgb = rgb.copy()
        rgb[..., self.channels.unused] = 0
        return rgb

    @property
    def pixel_facts(self) -> dict[str, object]:
        """The options that change the pixels of a file, except for ``channels``; empty if all are at their defaults."""
        facts = {"window": str(self.window), "channel": str(self.channel)}
        found: dict[str, object] = {name: value for name, value in facts.items() if value not in (OWN, Channel.ALL)}
        return found | {"level": self.level} if self.level else found

    @property
    def channel_words(self) -> str | None:
        """The channel of each input of SAM: ``red t1, green flair, blue black``; ``None`` if none are chosen."""
        if self.channels is None:
            return None
        inputs = zip(COLOURS, self.channels.inputs, strict=True)
        return ", ".join(f"{colour} {'black' if word == UNUSED else word}" for colour, word in inputs)

    @property
    def without_channels(self) -> "Reading":
        """A copy without the choice of channels, to read a single channel."""
        return self.model_copy(update={"channels": None})

    @property
    def mask_rule(self) -> MaskRule:
        """The rule that turns labels into a mask."""
        return MaskRule(self.masks, self.label, self.mask_threshold)

    @property
    def without_threshold(self) -> "Reading":
        """A copy without the mask threshold, which belongs to the data alone."""
        return self.model_copy(update={"mask_threshold": None})

    @property
    def without_masks(self) -> "Reading":
        """A copy without the options for masks, which determines only how images are read."""
        return self.model_copy(update={"masks": MaskKind.BINARY, "label": None, "mask_threshold": None})

    def of_class(self, label: int) -> "Reading":
        """Return a copy for one class of label maps."""
        return self.model_copy(update={"masks": MaskKind.CLASSES, "label": label, "mask_threshold": None})


KeptReading = Annotated[Reading, AfterValidator(lambda reading: reading.without_threshold)]
"""A reading as a model and a run save it, without the mask threshold."""
DEFAULT_READING = Reading()


def parse_classes(text: str) -> list[int] | None:
    """Parse the value of ``--class``, such as ``2`` or ``1,2,5``; ``None`` for all classes.

    Raises:
        SettingsError: if the classes are not whole numbers from 1 to 65535.
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
    """Reading options as a user gives them on the command line; ``None`` leaves an option as it is.

    Args:
        window, channel, channels, axis, crop_border, mask_threshold: as in :class:`Reading`.
        label: class of a label map, several classes as ``1,2,5``, or ``all``.
        instances: whether masks are instance maps.
        tile: side of a tile in pixels; ``none`` for whole images; ``auto`` for the side that training chooses or chose.
        overlap: number of pixels that neighbouring tiles share.
        level: level of a pyramid that is read.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    window: str | None = None
    channel: str | None = None
    channels: str | None = None
    axis: str | None = None
    label: int | str | None = None
    mask_threshold: Threshold | None = None
    crop_border: bool | None = None
    instances: bool = False
    tile: int | str | None = None
    overlap: int | None = None
    level: int | None = None

    def applied_to(self, base: Reading = DEFAULT_READING) -> Reading:
        """Return a copy of ``base`` with the given options.

        Raises:
            SettingsError: if an option is invalid; the message names the option.
        """
        changes: dict[str, Any] = {}
        if self.window is not None:
            changes["window"] = parse_window(self.window)
        if self.axis is not None:
            changes["axis"] = _word(Axis, self.axis, "--axis")
        if self.channel is not None and self.channels is not None:
            raise SettingsError("--channel and --channels: each says which channels are read; give one of them")
        if self.channel is not None:
            changes |= {"channel": _word(Channel, self.channel, "--channel"), "channels": None}
        if self.channels is not None:
            changes |= {"channel": Channel.ALL, "channels": parse_channels(self.channels)}
        if self.crop_border is not None:
            changes["crop_border"] = self.crop_border
        if self.level is not None:
            if self.level < 0:
                raise SettingsError(f"--level {self.level}: expected a whole number from 0, the finest level")
            changes["level"] = self.level
        changes["tiles"] = self._tiles(base.tiles)
        return base.model_copy(update=changes | self._of_masks())

    @property
    def chooses_tiles(self) -> bool:
        """Whether training chooses the side of the tiles."""
        return self.tile == AUTO_TILE

    def check_overlaps(self, reading: Reading) -> None:
        """Check that an overlap given with ``--tile auto`` has tiles in training to apply to.

        Raises:
            SettingsError: if ``reading``, made with these options, has no tiles.
        """
        if self.chooses_tiles and self.overlap is not None and reading.tiles is None:
            raise SettingsError(
                f"--overlap {self.overlap}: --tile {AUTO_TILE} is as in training, which was without tiles. Give a side"
            )

    def _tiles(self, base: Tiling | None) -> Tiling | None:
        if self.overlap is not None and self.overlap < 0:
            raise SettingsError(f"--overlap {self.overlap}: expected 0 pixels or more, up to half of a tile")
        if self.tile is None or self.chooses_tiles:
            if self.overlap is None or (base is None and self.chooses_tiles):
                return base
            if base is None:
                raise SettingsError(f"--overlap {self.overlap}: tiles are not used without --tile; give it, too")
            return make_tiling(base.side, self.overlap)
        if self.tile == NO_TILE:
            if self.overlap is not None:
                raise SettingsError(f"--overlap {self.overlap}: there are no tiles with --tile {NO_TILE}")
            return None
        if not str(self.tile).isdecimal():
            raise SettingsError(
                f"--tile {self.tile}: expected {AUTO_TILE}, {NO_TILE} or the side of a tile in pixels, from "
                f"{LEAST_SIDE}"
            )
        overlap = self.overlap
        if overlap is None and base is not None and 2 * base.overlap <= int(self.tile):
            overlap = base.overlap
        return make_tiling(int(self.tile), overlap)

    def _of_masks(self) -> dict[str, Any]:
        """Return the fields of a reading that the given mask options determine; empty if no such option is given."""
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
        """Return the options that turn ``base`` into ``reading``; if ``base`` is ``None``, any reading."""
        names = set(ReadingOptions.model_fields) & set(Reading.model_fields) - {"label", "mask_threshold"}
        changes = {
            name: getattr(reading, name)
            for name in names
            if base is None or getattr(reading, name) != getattr(base, name)
        }
        if "window" in changes:
            changes["window"] = str(reading.window)
        if "channels" in changes:
            changes["channels"] = str(reading.channels or ALL_CHANNELS)
            if "channel" in changes:  # give only one of them, as each resets the other
                del changes["channel" if reading.channels else "channels"]
        if base is None or reading.tiles != base.tiles:
            changes["tile"] = NO_TILE if reading.tiles is None else reading.tiles.side
            changes["overlap"] = None if reading.tiles is None else reading.tiles.overlap
        return ReadingOptions(
            **changes, label=reading.label, instances=reading.masks == MaskKind.INSTANCES,
            mask_threshold=reading.mask_threshold,
        )  # fmt: skip

    @property
    def arguments(self) -> list[str]:
        """The given options as arguments of a command line."""
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
    """Return ``base`` with a user's options, see :class:`ReadingOptions`; other options keep their values.

    Raises:
        SettingsError: if an option is invalid; the message names the option.
    """
    return make_options(ReadingOptions, **options).applied_to(base or DEFAULT_READING)
