"""The common interface of all formats: slices of values, and their display as grey levels."""

from abc import ABC, abstractmethod
from enum import StrEnum
from functools import cached_property
from math import gcd
from pathlib import Path
from typing import ClassVar

import numpy as np

from promise_seg.arrays import Array, Uint8Array
from promise_seg.errors import ImageError
from promise_seg.images.formats.orientation import SliceFrame
from promise_seg.images.formats.uneven import UnevenStack
from promise_seg.images.geometry import Box
from promise_seg.vocabulary import Axis, OutputFormat

COLOURS = ("red", "green", "blue")
"""The names of the channels of images in colour."""


class Scope(StrEnum):
    """The data that a grey level depends on: the pixel itself, the file's own window, or the whole volume."""

    PIXEL = "pixel"
    OWN = "own"
    VOLUME = "volume"


class Source(ABC):
    """An opened file, or a series of files: one or more slices.

    Each format is a subclass, listed only in :mod:`promise_seg.images.formats.kinds`; other code does not distinguish
    formats, but asks the class or the opened file. ``tests/images/formats/contract.py`` tests the common contract.

    Shape: each slice is (H, W) or, in colour, (H, W, 3), in the image frame.

    Args:
        path: file or folder to open.
        axis: axis along which a volume is cut, if possible; other formats ignore it.

    Raises:
        ImageError: if the file is damaged, too large or of an unknown format.
    """

    kind: ClassVar[str]
    """The name of the format in messages."""
    suffixes: ClassVar[tuple[str, ...]] = ()
    """The suffixes of its files, in lower case."""
    signatures: ClassVar[tuple[tuple[int, bytes], ...]] = ()
    """Offsets and bytes by which its files are recognised; one match is enough."""
    may_lack_signature: ClassVar[bool] = False
    """Whether files with its suffixes are read although no signature matches, like old DICOM files."""
    is_found_by_suffix: ClassVar[bool] = True
    """Whether its files are found in folders by suffix; DICOM files are found by content."""
    may_refer_to_image: ClassVar[bool] = False
    """Whether a mask of this format may refer to the image that it belongs to, and must be read with this image."""

    path: Path
    is_in_time: bool = False
    """Whether its slices are consecutive in time and similar, so that some may be left out."""
    is_volume: bool = False
    """Whether it is a stack, even if of only one slice: predictions for it are written as a stack."""
    frame: SliceFrame | None = None
    """The positions of its slices in the patient, if the file states them."""
    uneven: UnevenStack | None = None
    """The positions of its slices if they are not evenly stacked, so it has no :attr:`frame`."""
    mm_per_unit: float = 1.0
    """The millimetres per unit of :attr:`frame`, whose affine is that of the file."""
    spacing: tuple[float, float] | None = None
    """The distance between rows and between columns of a slice, in mm, if the file states it."""
    slice_spacing: float | None = None
    """The distance between slices in mm, for a volume without a :attr:`frame` whose file states it."""
    series: str = ""
    """The identifier of the series of a single image, if its file states it."""
    slices_have_places: bool = False
    """Whether its slices are matched with those of a mask or an image by position in space, not by number."""
    is_oriented: bool = False
    """Whether it has its own axis order, so that even a single slice may have to be turned to fit another file."""
    notes: tuple[str, ...] = ()
    """Notes on everything that was not read as the file states it: lines that begin with its path."""
    turned: int = 1
    """The EXIF or TIFF orientation by which it was turned upright; 1 if it is as stored."""
    value_step: float = 0.0
    """The distance between neighbouring values if it stores scaled ones; otherwise 0."""
    brightest: int = 255
    """The highest possible 8-bit value, which is shown as white: less than 255 if values are stored with fewer bits."""
    columns_first: bool = False
    """Whether :attr:`array` is (column, row, slice), as in NIfTI files, instead of (slice, row, column)."""
    several_channels: tuple[str, ...] = ()
    """The names of its channels, or empty names, if it has several that are not colours; then a choice is required."""

    size: tuple[int, int] | None = None
    """The height and width of a file that is read in windows, see :meth:`part`."""

    @abstractmethod
    def __init__(self, path: Path, axis: Axis = Axis.AUTO) -> None: ...

    @classmethod
    def has_signature(cls, head: bytes) -> bool:
        """Whether the first bytes of a file, decompressed if they are gzip, match a signature of this format."""
        return any(head[at : at + len(magic)] == magic for at, magic in cls.signatures)

    @classmethod
    def resembles(cls, head: bytes) -> bool:
        """Whether a file without a known signature may be of this format by its first bytes."""
        del head
        return False

    @classmethod
    def files_of(cls, path: Path) -> list[Path]:
        """Return all files of the image at ``path``, without opening it.

        Raises:
            ImageError: if a file is missing.
        """
        return [path]

    @abstractmethod
    def __len__(self) -> int:
        """The number of slices."""

    @abstractmethod
    def values(self, index: int) -> Array:
        """Return one slice in the units of its modality (Hounsfield units for CT); padding is NaN.

        Colours are red, green and blue, of 8 bits or, if the file stores more, in its own range of values.

        Raises:
            ImageError: if the slice is damaged.
        """

    @cached_property
    def channels(self) -> tuple[str, ...]:
        """The names of all channels to choose from, or empty names: one for grey images, three for colours."""
        return self.several_channels or (COLOURS if self.values(0).ndim == 3 else ("",))

    def channel_values(self, index: int, channel: int) -> Array:
        """Return one slice of a channel, by its number from 0: (H, W), in the units of :meth:`values`.

        Raises:
            ImageError: if the slice is damaged.
        """
        values = self.values(index)
        return values if values.ndim == 2 else values[..., channel]

    def by_channels(self) -> "Source":
        """Return the source to use if channels are chosen by number: pages of unknown meaning become channels."""
        return self

    @property
    def channel_note(self) -> str | None:
        """A note, to follow the path, on channels that are left out if none are chosen."""
        return None

    def as_stored(self, index: int) -> Array:
        """Return one slice as labels: palette indices instead of colours, nothing rescaled."""
        return self.values(index)

    def part(self, box: Box) -> "Source | None":
        """Return a window of the only slice as a separate image; ``None`` if the file is always read as a whole."""
        del box
        return None

    def thinned(self, every: int) -> "Source":
        """Return a source with every Nth slice, from the first, if :attr:`is_in_time`; otherwise itself."""
        del every
        return self

    def number_of(self, index: int) -> int:
        """Return the number of a slice in the file, from 0, counting slices that are left out."""
        return index

    @property
    def incomplete(self) -> str | None:
        """A note, to follow the path, on the missing part of an incomplete file that can be read."""
        return None

    @property
    def label_note(self) -> str | None:
        """A note, to follow the path, on an assumption about a mask in this file."""
        return None

    def own_window(self, index: int) -> Uint8Array:
        """Return one slice for display, uint8: by default, 8-bit values as they are, others from lowest to highest.

        Values of fewer than 8 bits are stretched to 8.
        """
        values = self.values(index)
        if values.dtype == np.uint8:
            return self.shown(values if self.brightest == 255 else spread(values, 0, self.brightest), values)
        return self.shown(spread(values, *self.value_range), values)

    def shown(self, grey: Uint8Array, values: Array) -> Uint8Array:
        """Return grey levels for display: inverted if high values mean dark, and black where ``values`` is NaN.

        Raises:
            ImageError: if all values of all slices are NaN or infinite.
        """
        seen = 255 - grey if self.is_inverted else grey
        if values.dtype.kind != "f":
            return seen
        if not np.isfinite(values).any() and not self.has_finite_values:
            raise ImageError(
                f"{self.path}: has no finite value: all its {'voxels' if self.is_volume else 'pixels'} are NaN or "
                "infinite; expected grey levels. Export it again from its source"
            )
        return np.where(np.isnan(values), np.uint8(0), seen)

    def output_formats(self) -> list[OutputFormat]:
        """Return the format that predictions for it are written in, and then a fallback, if there is one.

        The default is a PNG, or a TIFF with a page for each slice. The fallback is used if the file lacks information
        that the first format requires.
        """
        return [OutputFormat.TIFF if self.is_volume else OutputFormat.PNG]

    @property
    def is_cut(self) -> bool:
        """Whether slices are cut across the acquired ones, so they can be matched only by their position in space."""
        return False

    @property
    def is_inverted(self) -> bool:
        """Whether high values mean dark."""
        return False

    def differs_by(self, index: int) -> dict[str, object]:
        """Return all facts except the bytes of the file that determine the result of :meth:`values`."""
        return {"slice": index} if self.is_volume else {}

    @cached_property
    def percentile_facts(self) -> dict[str, object]:
        """All facts except those of :meth:`differs_by` that determine the result of :meth:`percentiles`.

        Raises:
            ImageError: if the first slice is damaged.
        """
        values = self.values(0)
        return sampling_facts(values.size, len(COLOURS)) if values.ndim == 3 else {}

    def slice_files(self, index: int, scope: Scope) -> list[Path]:
        """Return the files that determine the pixels of a slice."""
        del index, scope
        return [self.path]

    @cached_property
    def array(self) -> Array:
        """All slices as stored, in the order of the file: (I, J, K[, 3])."""
        return np.stack([self.as_stored(index) for index in range(len(self))])

    @cached_property
    def has_finite_values(self) -> bool:
        """Whether any value of any slice is finite."""
        return any(bool(np.isfinite(self.values(index)).any()) for index in range(len(self)))

    @cached_property
    def value_range(self) -> tuple[float, float]:
        """The lowest and highest finite value of all slices."""
        ranges = [finite_range(self.values(i)) for i in range(len(self))]
        return min(low for low, _ in ranges), max(high for _, high in ranges)

    def percentiles(self, low: float, high: float) -> tuple[float, float]:
        """Return two percentiles over all slices, from at most a million values of each."""
        known: dict[tuple[float, float], tuple[float, float]] = self.__dict__.setdefault("_percentiles", {})
        if (low, high) not in known:
            known[low, high] = self._find_percentiles(low, high)
        return known[low, high]

    def _find_percentiles(self, low: float, high: float) -> tuple[float, float]:
        samples = []
        for index in range(len(self)):
            values = self.values(index)
            values = values.ravel()[:: sampling_step(values.size, len(COLOURS) if values.ndim == 3 else 1)]
            samples.append(values[np.isfinite(values)])
        together = np.concatenate(samples)
        if not len(together):
            return 0.0, 0.0
        found = np.percentile(together, [low, high])
        return float(found[0]), float(found[1])


def sampling_step(values: int, colours: int) -> int:
    """Return N for which every Nth of all values (H, W, colours) is a sample of about a million from all colours."""
    step = max(1, values // 1_000_000)
    return step if gcd(step, colours) == 1 else step + 1


def sampling_facts(values: int, colours: int) -> dict[str, object]:
    """Return facts if earlier versions sampled one colour alone, so that their stored features are not used."""
    return {"sample": "all colours"} if gcd(max(1, values // 1_000_000), colours) > 1 else {}


def finite_range(values: Array) -> tuple[float, float]:
    """Return the lowest and highest finite value; 0 and 0 if there is none."""
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def spread(values: Array, low: float, high: float) -> Uint8Array:
    """Map the range from ``low`` to ``high`` linearly to 0 to 255, clipped; NaN becomes 0."""
    scaled = (np.asarray(values, np.float64) - low) * (255 / max(high - low, 1e-12))
    return np.round(np.clip(np.nan_to_num(scaled, nan=0.0, posinf=255.0, neginf=0.0), 0, 255)).astype(np.uint8)
