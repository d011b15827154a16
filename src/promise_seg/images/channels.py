"""The choice of the channels that become SAM's three inputs, from one file or from the files of one case."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from promise_seg.arrays import Array, Uint8Array
from promise_seg.errors import ImageError, SettingsError, SizeError
from promise_seg.images.channel_files import channels_beside, exchanged, file_of
from promise_seg.images.formats.channel import OneChannel, listed
from promise_seg.images.formats.opening import open_uncached, states_of
from promise_seg.images.formats.source import COLOURS, Source
from promise_seg.images.windows import GreyScale, Window
from promise_seg.vocabulary import Axis

INPUTS = 3
UNUSED = "-"
_EXPECTED = (
    "one to three channels, by number from 0 or by name, and - for an input that stays black: 2,0,1, or DAPI,GFP; or "
    "all for files as they are"
)

Inputs = tuple[Source | None, ...]
"""The sources of the three inputs; ``None`` for one that stays black."""


@dataclass(frozen=True)
class Channels:
    """The channels for SAM's three inputs: one to three selectors, each a number, a name, or ``-`` for none.

    A single channel goes to all three inputs of SAM; with two channels, the third input stays black.
    """

    selectors: tuple[str, ...]

    def __str__(self) -> str:
        return ",".join(self.selectors)

    @property
    def inputs(self) -> tuple[str, ...]:
        """A selector for each of the three inputs."""
        if len(self.selectors) == 1:
            return self.selectors * INPUTS
        return (*self.selectors, *[UNUSED] * INPUTS)[:INPUTS]

    @property
    def names(self) -> tuple[str, ...]:
        """The channels that are chosen by name, without duplicates."""
        return tuple(dict.fromkeys(one for one in self.selectors if one != UNUSED and not is_number(one)))

    @property
    def of_pages(self) -> bool:
        """Whether all channels are chosen by number; a number may then be that of a page of unknown meaning."""
        return not self.names

    @cached_property
    def unused(self) -> tuple[int, ...]:
        """The numbers of the inputs that stay black."""
        return tuple(number for number, word in enumerate(self.inputs) if word == UNUSED)

    def sources(self, source: Source, axis: Axis) -> Inputs:
        """Find the channels of an image in its own file or in files next to it; the result is cached on the open image.

        Raises:
            ImageError: if a channel is missing, or does not fit the others.
        """
        beside = {word: self._beside(source, word) for word in dict.fromkeys(self.inputs) if word != UNUSED}
        key = (self, axis, tuple(states_of(path) for path in beside.values() if path is not None))
        known: dict[object, Inputs] = source.__dict__.setdefault("_inputs", {})
        if key not in known:
            found = {
                word: self._in_file(source, word) if path is None else _opened(source, path, axis)
                for word, path in beside.items()
            }
            known.clear()
            known[key] = tuple(found.get(word) for word in self.inputs)
        return known[key]

    def _beside(self, source: Source, word: str) -> Path | None:
        """Return the separate file of a channel; ``None`` if the channel can only be in the image's own file."""
        if is_number(word) or word.lower() in _lowered(source.channels):
            return None
        return file_of(source.path, word, self.names)

    def _in_file(self, source: Source, word: str) -> Source:
        """Return a channel of the image's own file.

        Raises:
            ImageError: if the file has no such channel.
        """
        names = source.channels
        number = int(word) if is_number(word) else _lowered(names).index(word.lower()) if _has(names, word) else -1
        if not 0 <= number < len(names):
            raise self._missing(source, word)
        return source if len(names) == 1 else OneChannel(source, number)

    def _missing(self, source: Source, word: str) -> ImageError:
        names = source.channels
        found = f"has {len(names)} channels ({listed(names)})" if len(names) > 1 else "has one channel (0)"
        if is_number(word):
            beside = channels_beside(source.path)
            way_out = "Give an image that has it, or another --channels if you train a model"
            if beside:
                way_out = f"Its further channels are in files of their own: choose by name among {', '.join(beside)}"
            needed = f"and so no channel {word}, which the choice of channels {self} needs"
            return ImageError(f"{source.path}: {found}, {needed}. {way_out}")
        expected = exchanged(source.path, word, self.names)
        return ImageError(
            f"{source.path}: {found}, none of them called {word}, which the choice of channels {self} needs, and there "
            f"is no file {expected.name} beside it. Add that file, or give another --channels if you train a model"
        )

    def rgb(self, source: Source, index: int, window: Window, axis: Axis) -> Uint8Array:
        """Read one slice as the input of SAM, (H, W, 3) uint8; each channel has a window of its own.

        Raises:
            ImageError: if a channel is missing or damaged, or does not fit the others.
        """
        scales = window.scales if len(window.scales) == INPUTS else window.scales * INPUTS
        grey: dict[tuple[GreyScale, int], Uint8Array] = {}
        planes = list[Uint8Array | None]()
        for scale, one in zip(scales, self.sources(source, axis), strict=True):
            if one is not None and (scale, id(one)) not in grey:
                grey[scale, id(one)] = _plane(scale.grey(one, index), one)
            planes.append(None if one is None else grey[scale, id(one)])
        sizes = {plane.shape for plane in planes if plane is not None}
        if len(sizes) > 1:
            words = " and ".join(sorted(f"{width} x {height}" for height, width in sizes))
            raise SizeError(f"{source.path}: its channels {self} are {words} pixels. All must have the same size")
        shape = sizes.pop()
        return np.stack([np.zeros(shape, np.uint8) if plane is None else plane for plane in planes], 2)

    def values(self, source: Source, index: int, axis: Axis) -> Array:
        """Return the values of the channels that are used, without duplicates: (H, W, C)."""
        used = {id(one): one for one in self.sources(source, axis) if one is not None}
        return np.stack([one.values(index) for one in used.values()], -1)

    def of_pixels(self, pixels: Uint8Array) -> Uint8Array:
        """Choose channels of an array (H, W) or (H, W, C) by number, or as red, green and blue: (H, W, 3) uint8.

        Raises:
            ImageError: if the array has no such channel.
        """
        planes = pixels[..., None] if pixels.ndim == 2 else pixels
        names = COLOURS if planes.shape[2] in (3, 4) else ()
        chosen = list[Uint8Array]()
        for word in self.inputs:
            number = int(word) if is_number(word) else names.index(word.lower()) if _has(names, word) else -1
            if word == UNUSED:
                chosen.append(np.zeros(planes.shape[:2], np.uint8))
            elif 0 <= number < planes.shape[2]:
                chosen.append(planes[..., number])
            else:
                raise ImageError(
                    f"an image array of {planes.shape[2]} channel(s) has no channel {word}, which the choice of "
                    f"channels {self} needs: give an array with all channels, or the path of the file instead"
                )
        return np.stack(chosen, 2)


def is_number(word: str) -> bool:
    """Whether a word is the number of a channel; ``0001`` is a name, as in names of files."""
    return word.isdecimal() and str(int(word)) == word


def parse_channels(text: str) -> Channels | None:
    """Parse the value of ``--channels``; ``None`` for ``all``, which reads files as they are.

    Raises:
        SettingsError: if the text is not a valid choice of channels.
    """
    selectors = tuple(part.strip() for part in text.split(","))
    if selectors == ("all",):
        return None
    if not 1 <= len(selectors) <= INPUTS or not all(selectors) or set(selectors) == {UNUSED}:
        raise SettingsError(f"--channels {text}: expected {_EXPECTED}")
    return Channels(selectors)


def _opened(image: Source, path: Path, axis: Axis) -> Source:
    """Open the file of a channel, and check that it fits the image.

    Raises:
        ImageError: if it has several channels, or if its size or position differs from that of the image.
    """
    if path == image.path:
        return image
    one = open_uncached(path, axis)
    if one.several_channels:
        raise ImageError(f"{path}: has {len(one.several_channels)} channels; expected one, as a file of {image.path}")
    if len(one) != len(image):
        raise SizeError(
            f"{path} has {len(one)} slice(s), but {image.path}, another channel of the same image, has {len(image)}. "
            "All must have the same size"
        )
    if image.frame is not None and one.frame is not None:
        frame = one.frame.in_units_of(image.frame, one.mm_per_unit / image.mm_per_unit)
        image.frame.like_this(frame, one.array)
        if image.frame.axis == Axis.AUTO and not np.allclose(image.frame.affine, frame.affine, atol=1e-3):
            raise ImageError(
                f"{path}: its slices do not lie where those of {image.path} do, another channel of the same image. "
                "Resample it to that one"
            )
    return one


def _plane(grey: Uint8Array, source: Source) -> Uint8Array:
    if grey.ndim == 3:
        if (grey != grey[..., :1]).any():
            raise ImageError(f"{source.path}: a picture in colour; expected one channel of grey. Save it as greyscale")
        grey = grey[..., 0]
    return grey


def _lowered(names: tuple[str, ...]) -> list[str]:
    return [name.lower() for name in names]


def _has(names: tuple[str, ...], word: str) -> bool:
    return word.lower() in _lowered(names)
