"""TIFF with 1 to 32 bits, float, RGB(A), palettes, and pages as slices, read by ``tifffile``."""

import copy
import logging
from functools import cached_property
from math import prod
from pathlib import Path

import numpy as np
import tifffile

from promise_seg.arrays import Array
from promise_seg.errors import ImageError, PromiseError, first_line
from promise_seg.images.formats.channel import listed, unchosen
from promise_seg.images.formats.codes import check_codes
from promise_seg.images.formats.label_values import (
    BLACK_IS_ZERO,
    inverted,
    labels_of_palette,
    white_is_zero_in_tiff,
)
from promise_seg.images.formats.limits import SparingFile, check_size
from promise_seg.images.formats.orientation import lies_on_its_side, upright
from promise_seg.images.formats.source import COLOURS, Scope, Source
from promise_seg.images.formats.tiff_colours import is_stored_as_ycbcr, rgb_of_ycbcr
from promise_seg.images.formats.tiff_images import check_images, own_series
from promise_seg.images.formats.tiff_pages import are_of_unknown_meaning, channel_names, check_chain, pages_of
from promise_seg.images.formats.tiff_sets import files_of_set, no_page, opened
from promise_seg.images.formats.tiff_spacing import pixel_size_of
from promise_seg.vocabulary import Axis

_CODES = (6, 7, 33003, 33004, 33005, 34712, 34892)
"""JPEG and JPEG 2000, by their values of the tag Compression."""

_ALPHA = (tifffile.EXTRASAMPLE.ASSOCALPHA, tifffile.EXTRASAMPLE.UNASSALPHA)
_FAX_CODES = (2, 3, 4)
"""The compressions of fax machines (CCITT), for single bits."""
_OF_VALUES = ("channels", "has_finite_values", "value_range", "array", "percentile_facts", "_percentiles", "_inputs")
"""The attributes that are computed from the values when they are needed."""


class TiffStack(Source):
    """The pages of a TIFF, which must have the same size; smaller copies of the same image are left out.

    Pages that the file declares as channels are channels of the same slice.
    """

    kind = "tiff"
    suffixes = (".tif", ".tiff")
    signatures = ((0, b"II*\0"), (0, b"MM\0*"), (0, b"II+\0"), (0, b"MM\0+"))

    @classmethod
    def files_of(cls, path: Path) -> list[Path]:
        """Return the file, and the other files of an OME-TIFF of several files."""
        return files_of_set(path)

    def __init__(self, path: Path, axis: Axis = Axis.AUTO) -> None:
        del axis
        self.path, self._files = path, files_of_set(path)
        logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # it also logs the errors that it raises
        try:
            with SparingFile(path) as stored, tifffile.TiffFile(stored) as file:
                check_chain(path, file)
                page = own_series(file)[0].keyframe
                note = check_images(path, file)
                self.notes = (note,) if note else ()
                self._places, self._grid = pages_of(path, file)
                if self._grid.shape[1] > 1:
                    self.several_channels = channel_names(path, file, self._grid.shape[1])
                self._may_be_channels = are_of_unknown_meaning(file)
                self._samples = _samples(page)
                check_size(path, tuple(map(int, page.shape)))
                if page.is_tiled:
                    check_size(path, tuple(map(int, page.chunks)))  # each chunk is decoded as a whole
                self._photometric = page.photometric
                self._is_ycbcr = is_stored_as_ycbcr(path, file, page)
                self._axes = page.axes
                self._dtype = page.dtype
                self._has_alpha = any(kind in _ALPHA for kind in page.extrasamples)
                self._writes_values = page.software.lower().startswith("tifffile") or file.is_imagej
                self._colormap = page.colormap if self._photometric == tifffile.PHOTOMETRIC.PALETTE else None
                tag = page.tags.get("Orientation")
                self.turned = int(tag.value) if tag is not None else 1
                self._bits = int(page.bitspersample)
                if self._dtype == np.uint8 and 1 < self._bits < 8 and self._colormap is None:
                    self.brightest = 2**self._bits - 1
                size = pixel_size_of(file)
                if size is not None:
                    in_plane = size.rows, size.columns
                    self.spacing = in_plane[::-1] if lies_on_its_side(self.turned) else in_plane
                    self.slice_spacing = size.slices
                self._white = BLACK_IS_ZERO
                if self._photometric == tifffile.PHOTOMETRIC.MINISWHITE:
                    is_fax = page.compression in _FAX_CODES
                    self._white = white_is_zero_in_tiff(page.software, page.description, self._bits, is_fax=is_fax)
        except PromiseError:
            raise
        except Exception as error:  # tifffile raises whatever its parsing runs into
            raise damaged_tiff(path, error) from error
        self.is_volume = len(self) > 1
        self._page: tuple[int, Array, bool] | None = None

    def __len__(self) -> int:
        return len(self._grid)

    @cached_property
    def channels(self) -> tuple[str, ...]:
        return self.several_channels or self._samples or super().channels

    @cached_property
    def _as_channels(self) -> "TiffStack":
        other = copy.copy(self)
        for name in _OF_VALUES:
            other.__dict__.pop(name, None)
        other._grid, other.is_volume, other.notes = self._grid.T, False, ()
        other.several_channels = ("",) * len(self._places)
        return other

    def by_channels(self) -> Source:
        """Return the pages as the channels of one slice, if the file does not state their meaning."""
        return self._as_channels if len(self) > 1 and self._may_be_channels and not self.several_channels else self

    @property
    def channel_note(self) -> str | None:
        names = self._samples
        left_out = names[3:] if len(names) > 2 else names[1:]
        if not left_out or (self._dtype == np.uint8 and set(left_out) == {"alpha"}):
            return None
        taken = "0, 1 and 2 are read as red, green and blue" if len(names) > 3 else "0 alone is read"
        return (
            f"has {len(names)} channels ({listed(names)}), of which {taken}. If others are meant, choose them with "
            "--channels"
        )

    @property
    def is_inverted(self) -> bool:
        return self._white.of_image

    @property
    def label_note(self) -> str | None:
        return self._white.note or (None if self.several_channels else self._labels(0)[1])

    def differs_by(self, index: int) -> dict[str, object]:
        """Also record what earlier versions read otherwise, as features of their pixels may have been stored."""
        found = super().differs_by(index)
        if self._photometric == tifffile.PHOTOMETRIC.MINISWHITE and not self.is_inverted:
            found["inverted"] = False
        if self._is_ycbcr:
            found["colours"] = "converted"
        if self.brightest < 255:
            found["bits"] = self._bits
        return found

    def as_stored(self, index: int) -> Array:
        """Return labels: for palettes, see :func:`labels_of_palette`; for 0 as white, :func:`white_is_zero_in_tiff`.

        Raises:
            ImageError: if the file is damaged, or has several channels, or transparency, which may be the mask.
        """
        if self.several_channels:
            raise unchosen(self, of_mask=True)
        return self._labels(index)[0]

    def _labels(self, index: int) -> tuple[Array, str | None]:
        whole, is_see_through = self._decoded(int(self._grid[index, 0]))
        array = _picture(whole)
        if is_see_through:
            raise ImageError(
                f"{self.path}: a mask with transparency, which may be the mask itself. Save it without transparency"
            )
        if self._white.of_labels and array.dtype.kind in "bu":
            return inverted(array, self._bits), None
        if self._colormap is None or array.ndim != 2 or self._writes_values:
            return array, None
        self._looked_up(array, self._colormap)  # raises an error where an index has no colour
        palette = np.asarray(self._colormap.T >> 8, np.uint8)
        return labels_of_palette(array.astype(np.uint8) if array.dtype == bool else array, palette, of_grey=False)

    def slice_files(self, index: int, scope: Scope) -> list[Path]:
        del index, scope
        return self._files

    def _decoded(self, index: int) -> tuple[Array, bool]:
        """Return one page, (H, W) or (H, W, samples), upright, and whether its alpha channel has several values.

        Args:
            index: number of the page among all pages.
        """
        kept = self._page  # read once, as another thread may replace it meanwhile
        if kept is None or kept[0] != index:
            try:
                with SparingFile(self.path) as stored, tifffile.TiffFile(stored) as file:
                    series, number = self._places[index]
                    page, keyframe = file.series[series].pages[number], file.series[series].keyframe
                    if page is None:
                        raise no_page(self.path)
                    with opened(page) as handle:
                        self._check_codes(page, keyframe, handle)
                        array = np.asarray(file.asarray(key=number, series=series, maxworkers=1))
            except PromiseError:
                raise
            except MemoryError:
                raise ImageError(f"{self.path}: not enough memory to decode it") from None
            except Exception as error:  # as above
                raise damaged_tiff(self.path, error) from error
            if np.iscomplexobj(array):
                raise ImageError(f"{self.path}: holds complex numbers; save their magnitude")
            kept = self._page = (index, *self._arranged(array))
        return kept[1:]

    def _check_codes(
        self, page: tifffile.TiffPage | tifffile.TiffFrame, keyframe: tifffile.TiffPage, handle: tifffile.FileHandle
    ) -> None:
        """Check that strips or tiles decode to no more than the page declares; tifffile decodes before it compares."""
        if keyframe.compression in _CODES:
            for at, count in zip(page.dataoffsets, page.databytecounts, strict=False):
                handle.seek(at)
                check_codes(self.path, handle.read(count), prod(keyframe.chunks))

    def _arranged(self, array: Array) -> tuple[Array, bool]:
        """Return a page, (H, W) or (H, W, samples), upright, and whether its alpha channel has several values."""
        if self._axes == "SYX":
            array = np.moveaxis(array, 0, -1)
        elif self._axes not in {"YX", "YXS"}:
            raise ImageError(f"{self.path}: pages with the axes {self._axes}; expected pictures, grey or in colour")
        if self._is_ycbcr:
            array = rgb_of_ycbcr(array)
        is_see_through = self._has_alpha and array.ndim == 3 and len(np.unique(array[..., -1])) > 1
        return upright(array, self.turned), is_see_through

    def _looked_up(self, array: Array, colormap: Array) -> Array:
        """Return the colours (H, W, 3) uint8 of palette indices (H, W); the palette is (3, N)."""
        try:
            colours = colormap[:, array.astype(np.intp)]  # not bool, which would choose, not look up
        except IndexError as error:
            raise damaged_tiff(self.path, error) from error
        return np.moveaxis(colours >> 8, 0, -1).astype(np.uint8)

    def values(self, index: int) -> Array:
        if self.several_channels:
            raise unchosen(self)
        return self._values(_picture(self._decoded(int(self._grid[index, 0]))[0]))

    def channel_values(self, index: int, channel: int) -> Array:
        if not self.several_channels and not self._samples:
            return super().channel_values(index, channel)
        array = self._decoded(int(self._grid[index, channel if self.several_channels else 0]))[0]
        values = self._values(array if self.several_channels else array[..., channel])
        if values.ndim == 3:
            raise ImageError(f"{self.path}: channel {channel} has a palette of its own; save its values instead")
        return values

    def _values(self, array: Array) -> Array:
        if self._colormap is not None and array.ndim == 2:
            return self._looked_up(array, self._colormap)
        if array.dtype == bool or self._bits == 1:
            return np.where(array, 255, 0).astype(np.uint8)
        return array


def _picture(array: Array) -> Array:
    """Return the colours (H, W, 3) or the grey levels (H, W) of a page with any number of samples."""
    if array.ndim == 2:
        return array
    return array[..., :3] if array.shape[2] >= 3 else array[..., 0]


def _samples(page: tifffile.TiffPage) -> tuple[str, ...]:
    """Return the names of the samples of a pixel, or empty names; an empty tuple if there is only one sample."""
    count = int(page.samplesperpixel) if "S" in page.axes else 1
    if count == 1:
        return ()
    of_grey = page.photometric in (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.MINISWHITE)
    names = [*([] if of_grey else COLOURS), *[""] * count][:count]
    for number, kind in enumerate(page.extrasamples, count - len(page.extrasamples)):
        names[number] = "alpha" if kind in _ALPHA else names[number]
    return tuple(names)


def check_segment(path: Path, page: tifffile.TiffPage, data: bytes) -> None:
    """Check, before it is decoded, that a strip or tile does not decode to more than its page declares.

    Raises:
        ImageError: if it does.
    """
    if page.compression in _CODES:
        check_codes(path, data, prod(page.chunks))


def damaged_tiff(path: Path, error: Exception) -> ImageError:
    """Return the error for a TIFF that cannot be parsed or decoded."""
    return ImageError(
        f"{path}: damaged or truncated, or a TIFF of an unusual kind: {first_line(error)}. Save it again as TIFF"
    )
