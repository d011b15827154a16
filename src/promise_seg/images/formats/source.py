"""The common interface of all formats: slices of numbers, each with a way to display it."""

from abc import ABC, abstractmethod
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from promise_seg.arrays import Array, Uint8Array
from promise_seg.images.formats.orientation import SliceFrame
from promise_seg.images.formats.uneven import UnevenStack
from promise_seg.images.geometry import Box
from promise_seg.vocabulary import Axis, OutputFormat

COLOURS = ("red", "green", "blue")
"""The names of the channels of pictures in colour."""


class Scope(StrEnum):
    """The scope of a grey level: it depends on the pixel itself, the file's own window, or the whole volume."""

    PIXEL = "pixel"
    OWN = "own"
    VOLUME = "volume"


class Source(ABC):
    """An opened file, or a series of files: one or more slices.

    Each format is a subclass, named once in :mod:`promise_seg.images.formats.kinds`; nothing else tells formats apart,
    but asks the class or the opened file. ``tests/images/formats/contract.py`` holds what every subclass promises.

    Shape: each slice is (H, W) or, in colour, (H, W, 3), in the image frame.

    Args:
        path: what is opened.
        axis: what a volume is cut across, if it can be; others ignore it.

    Raises:
        ImageError: if the file is damaged, too large or of no kind that can be read.
    """

    kind: ClassVar[str]
    """The name of the format in messages."""
    suffixes: ClassVar[tuple[str, ...]] = ()
    """The suffixes of its files, in lower case."""
    signatures: ClassVar[tuple[tuple[int, bytes], ...]] = ()
    """Offsets and bytes at which its files are recognised; any one of them is enough."""
    may_lack_signature: ClassVar[bool] = False
    """Whether a file of its suffixes is read by it although no signature tells the format, as old DICOM files."""
    is_found_by_suffix: ClassVar[bool] = True
    """Whether its files are found in folders by their suffixes; those of DICOM are found by their bytes."""
    may_refer_to_image: ClassVar[bool] = False
    """Whether a mask of this format may say itself which image it belongs to, and must be read beside that image."""

    path: Path
    is_in_time: bool = False
    """Whether its slices follow one another in time and look alike, so that some may be left out."""
    is_volume: bool = False
    """Whether it is a stack by its nature, even if of one slice: predictions for it are written as a stack."""
    frame: SliceFrame | None = None
    """The positions of its slices in the patient, if the file states them."""
    uneven: UnevenStack | None = None
    """The positions of its slices if they are not evenly stacked, so that it has no :attr:`frame`."""
    mm_per_unit: float = 1.0
    """The millimetres of one unit of :attr:`frame`, whose affine is as the file has it."""
    spacing: tuple[float, float] | None = None
    """The distance between a slice's rows and between its columns, in mm, if the file says so."""
    slice_spacing: float | None = None
    """The distance between slices in mm, of a volume without a :attr:`frame` whose file says it all the same."""
    series: str = ""
    """The identifier of the series that a single image is a slice of, if its file says so."""
    slices_have_places: bool = False
    """Whether its slices are matched with those of a mask or an image by their place in space, not by their number."""
    is_oriented: bool = False
    """Whether it has an order of axes of its own, so that even a single slice must be turned to fit another file's."""
    notes: tuple[str, ...] = ()
    """Notes on everything that was read otherwise than the file says: lines that begin with its path."""
    turned: int = 1
    """The orientation by which it was turned upright, as EXIF and TIFF number them; 1 if it is as stored."""
    value_step: float = 0.0
    """The distance between neighbouring values that it can store, where it stores scaled ones."""
    columns_first: bool = False
    """Whether :attr:`array` is (column, row, slice), as NIfTI files are, or (slice, row, column)."""
    several_channels: tuple[str, ...] = ()
    """The names of its channels, empty where they have none, if it has several that are not colours: without a choice
    of them nothing is read."""

    size: tuple[int, int] | None = None
    """The height and width of a file of which windows are read, see :meth:`part`."""

    @abstractmethod
    def __init__(self, path: Path, axis: Axis = Axis.AUTO) -> None: ...

    @classmethod
    def has_signature(cls, head: bytes) -> bool:
        """Return whether the first bytes of a file, unpacked if they are gzip, tell this format."""
        return any(head[at : at + len(magic)] == magic for at, magic in cls.signatures)

    @classmethod
    def resembles(cls, head: bytes) -> bool:
        """Return whether a file that no signature tells may be of this format by its first bytes."""
        del head
        return False

    @classmethod
    def files_of(cls, path: Path) -> list[Path]:
        """Return all files that what is opened at ``path`` consists of, without opening it.

        Raises:
            ImageError: if one of them is missing.
        """
        return [path]

    @abstractmethod
    def __len__(self) -> int:
        """The number of slices."""

    @abstractmethod
    def values(self, index: int) -> Array:
        """One slice, in the units of its modality (Hounsfield units of a CT), colours as 8 bits; NaN for padding.

        Raises:
            ImageError: if it is damaged.
        """

    @cached_property
    def channels(self) -> tuple[str, ...]:
        """The names of all channels that can be chosen, empty where they have none: one of grey, three of colours."""
        return self.several_channels or (COLOURS if self.values(0).ndim == 3 else ("",))

    def channel_values(self, index: int, channel: int) -> Array:
        """One slice of one channel: (H, W), as :meth:`values`, by its number from 0.

        Raises:
            ImageError: if it is damaged.
        """
        values = self.values(index)
        return values if values.ndim == 2 else values[..., channel]

    def by_channels(self) -> "Source":
        """Return the same file as it is where channels are chosen by number: pages of unknown meaning are channels."""
        return self

    @property
    def channel_note(self) -> str | None:
        """A note on channels that are left out where none are chosen: words that follow its path."""
        return None

    def as_stored(self, index: int) -> Array:
        """One slice as labels: palette indices instead of colours, nothing rescaled."""
        return self.values(index)

    def part(self, box: Box) -> "Source | None":
        """Return a window of the only slice as an image of its own; ``None`` where all of it is read anyway."""
        del box
        return None

    def thinned(self, every: int) -> "Source":
        """Return every Nth of its slices, from the first, if :attr:`is_in_time`; else itself."""
        del every
        return self

    def number_of(self, index: int) -> int:
        """Return the number of a slice in the file, of which some may be left out, from 0."""
        return index

    @property
    def incomplete(self) -> str | None:
        """The part that is missing of a file that can be read all the same: words that follow its path."""
        return None

    @property
    def label_note(self) -> str | None:
        """An assumption about a mask in this file, where the file does not tell: words that follow its path."""
        return None

    def own_window(self, index: int) -> Uint8Array:
        """One slice as the file wants to be looked at: 8-bit values as they are, others from lowest to highest."""
        values = self.values(index)
        if values.dtype == np.uint8:
            return self.shown(np.asarray(values, np.uint8), values)
        return self.shown(spread(values, *self.value_range), values)

    def shown(self, grey: Uint8Array, values: Array) -> Uint8Array:
        """Return grey levels for display: inverted if high values mean dark, and black where ``values`` is NaN."""
        seen = 255 - grey if self.is_inverted else grey
        return np.where(np.isnan(values), np.uint8(0), seen) if values.dtype.kind == "f" else seen

    def output_formats(self) -> list[OutputFormat]:
        """Return the format that predictions for it are written in, and behind it one to fall back on.

        By default these are pictures: a PNG, or a TIFF with a page for each slice. What cannot be written in the first
        format, as its file lacks what that needs, is written in the second.
        """
        return [OutputFormat.TIFF if self.is_volume else OutputFormat.PNG]

    @property
    def is_cut(self) -> bool:
        """Whether slices are across what was acquired, so that only their place in space tells which is which."""
        return False

    @property
    def is_inverted(self) -> bool:
        """Whether high values mean dark."""
        return False

    def differs_by(self, index: int) -> dict[str, object]:
        """Return everything except the bytes of the file that determines the result of :meth:`values`."""
        return {"slice": index} if self.is_volume else {}

    def slice_files(self, index: int, scope: Scope) -> list[Path]:
        """Return the files that decide how a slice looks."""
        del index, scope
        return [self.path]

    @cached_property
    def array(self) -> Array:
        """All slices as stored, in the order of the file: (I, J, K[, 3])."""
        return np.stack([self.as_stored(index) for index in range(len(self))])

    @cached_property
    def value_range(self) -> tuple[float, float]:
        """Return the lowest and highest finite value of all slices."""
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
            values = self.values(index).ravel()
            values = values[:: max(1, len(values) // 1_000_000)]
            samples.append(values[np.isfinite(values)])
        together = np.concatenate(samples)
        if not len(together):
            return 0.0, 0.0
        found = np.percentile(together, [low, high])
        return float(found[0]), float(found[1])


def finite_range(values: Array) -> tuple[float, float]:
    """Return the lowest and highest finite value; 0 and 0 if there is none."""
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def spread(values: Array, low: float, high: float) -> Uint8Array:
    """Map ``low`` to ``high`` linearly to 0 to 255, clipped; NaN becomes 0."""
    scaled = (np.asarray(values, np.float64) - low) * (255 / max(high - low, 1e-12))
    return np.round(np.clip(np.nan_to_num(scaled, nan=0.0, posinf=255.0, neginf=0.0), 0, 255)).astype(np.uint8)
