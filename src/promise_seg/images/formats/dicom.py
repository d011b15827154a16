"""DICOM images: one or many frames, compressed or not, with their own display windows. Read by ``pydicom``."""

import warnings
from functools import cached_property
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut, apply_rescale
from pydicom.pixels.utils import pixel_array

from promise_seg.arrays import Array, Uint8Array
from promise_seg.errors import ImageError
from promise_seg.images.formats import jpeg_decoders
from promise_seg.images.formats.dicom_faults import PARSE_ERRORS, damaged, in_line
from promise_seg.images.formats.dicom_files import SEGMENTATION_CLASSES, check_frames, check_length, read_mended
from promise_seg.images.formats.dicom_padding import padding_mask, padding_notes
from promise_seg.images.formats.dicom_source import DicomSource, has_one_bit
from promise_seg.images.formats.dicom_space import spacing_of, stack_affine, uneven_stack
from promise_seg.images.formats.dicom_tables import goes_beyond_a_byte, is_long_table_of_bytes, look_up
from promise_seg.images.formats.limits import check_size
from promise_seg.images.formats.notes import in_words
from promise_seg.images.formats.orientation import SliceFrame
from promise_seg.images.formats.voi import apply_voi, has_voi, whole_numbers
from promise_seg.vocabulary import Axis

jpeg_decoders.register()

_FIRST_TYPES = (b"UL", b"CS", b"UI", b"DA", b"TM", b"OB", b"SH", b"LO")
_LONGEST_FIRST = 64
_UNREAD_COLOURS = ("HSV", "YBR_PARTIAL_422", "YBR_PARTIAL_420")
"""Interpretations of colours that ``pydicom`` does not convert to RGB."""
_FRAME_ELEMENTS = ("PixelValueTransformationSequence", "FrameVOILUTSequence")


class DicomImage(DicomSource):
    """A DICOM file with pixels: each frame is a slice, as acquired.

    Another ``axis`` cuts the volume that the frames form, which must then be evenly stacked; for a single image, it is
    ignored.
    """

    kind = "dicom"
    suffixes = (".dcm",)
    signatures = ((128, b"DICM"),)
    may_lack_signature = True
    is_found_by_suffix = False
    may_refer_to_image = True  # as a segmentation

    @classmethod
    def resembles(cls, head: bytes) -> bool:
        """Whether a file begins with an element of DICOM's first groups, without a preamble, as old files do."""
        group, length = head[:2], int.from_bytes(head[4:8], "little")
        explicit = head[4:6] in _FIRST_TYPES
        return group in (b"\x02\0", b"\x08\0") and len(head) > 8 and (explicit or 0 < length <= _LONGEST_FIRST)

    def __init__(self, path: Path, axis: Axis = Axis.AUTO) -> None:
        self.path = path
        self.dataset, notes = read_mended(path)
        self.notes = in_words(path, notes)
        self.is_bilevel = has_one_bit(self.dataset)
        self._decoded: tuple[int, Array] | None = None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._check()
                self._count = int(self.dataset.get("NumberOfFrames") or 1)
                self.is_volume = self._count > 1
                self.spacing = spacing_of(self.dataset)
                self.series = "" if self.is_volume else str(self.dataset.get("SeriesInstanceUID") or "").strip()
                self.frame = self._frame()
        except PARSE_ERRORS as error:
            raise damaged(path, error) from error
        if axis != Axis.AUTO and self.is_volume:
            unplaced = "its frames are not evenly stacked, or have no position"
            unplaced = unplaced if self.uneven is None else self.uneven.words
            self._cut_along(axis, lambda: np.stack([self.values(i) for i in range(self._count)]), unplaced)

    def _check(self) -> None:
        data = self.dataset
        kind = data.get("SOPClassUID")
        if kind in SEGMENTATION_CLASSES:
            raise ImageError(f"{self.path}: a DICOM segmentation, which can be a mask but not an image")
        if "PixelData" not in data:
            name = getattr(kind, "name", kind)
            raise ImageError(f"{self.path}: contains no image: its class is {in_line(name)}")
        high, stored = data.get("HighBit"), data.get("BitsStored")
        if high is not None and stored is not None and int(high) != int(stored) - 1:
            raise ImageError(
                f"{self.path}: its {stored} bits (BitsStored) end at bit {high} (HighBit), not at {int(stored) - 1}; "
                "such pixels cannot be decoded correctly. Export it again"
            )
        colours = data.get("PhotometricInterpretation")
        if colours in _UNREAD_COLOURS and data.get("SamplesPerPixel") == 3:
            raise ImageError(
                f"{self.path}: its colours are {colours} (PhotometricInterpretation); expected RGB, YBR_FULL, "
                "YBR_FULL_422, YBR_ICT, YBR_RCT or a palette. Convert it to RGB"
            )
        shape = (data.get("NumberOfFrames") or 1, data.Rows, data.Columns, data.get("SamplesPerPixel", 1))
        check_size(self.path, tuple(map(int, shape)))
        check_length(self.path, data)
        check_frames(self.path, data)

    def _frame(self) -> SliceFrame | None:
        """Return the position of a single image, or of the frames of an enhanced one if they are evenly stacked."""
        if not self.is_volume:
            return self._single_frame()
        if "PerFrameFunctionalGroupsSequence" not in self.dataset:
            return None
        groups = self.dataset.PerFrameFunctionalGroupsSequence
        shared = self.dataset.get("SharedFunctionalGroupsSequence") or [Dataset()]
        try:
            positions = [group.PlanePositionSequence[0].ImagePositionPatient for group in groups]
            planes = groups[0] if "PlaneOrientationSequence" in groups[0] else shared[0]
            measures = groups[0] if "PixelMeasuresSequence" in groups[0] else shared[0]
            orientation = planes.PlaneOrientationSequence[0].ImageOrientationPatient
            spacing = measures.PixelMeasuresSequence[0].PixelSpacing
        except (AttributeError, IndexError, KeyError):
            return None
        if len(positions) != self._count:
            return None
        affine, size = (
            stack_affine(positions, orientation, spacing),
            (int(self.dataset.Rows), int(self.dataset.Columns)),
        )
        if affine is None:
            names = [f"frame {number}" for number in range(1, self._count + 1)]
            self.uneven = uneven_stack(self.path, size, positions, orientation, spacing, names)
            return None
        self.spacing = float(spacing[0]), float(spacing[1])
        return SliceFrame(self.path, (self._count, *size), affine, Axis.AUTO)

    def _single_frame(self) -> SliceFrame | None:
        data = self.dataset
        if not all(data.get(name) for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")):
            return None
        thickness = float(data.get("SliceThickness") or 0) or 1.0
        affine = stack_affine([data.ImagePositionPatient], data.ImageOrientationPatient, data.PixelSpacing, thickness)
        shape = (1, int(data.Rows), int(data.Columns))
        return None if affine is None else SliceFrame(self.path, shape, affine, Axis.AUTO)

    def __len__(self) -> int:
        return self._count if self._cut is None else int(self._cut.shape[0])

    def as_stored(self, index: int) -> Array:
        """Return the decoded pixel values of a frame, colours as RGB."""
        kept = self._decoded  # read once, as another thread may replace it meanwhile
        if kept is None or kept[0] != index:
            kept = self._decoded = index, self._decode(index)
        return kept[1]

    def _decode(self, index: int) -> Array:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                pixels = pixel_array(self.dataset, index=index, raw=False)
        except MemoryError:
            raise ImageError(f"{self.path}: not enough memory to decode it") from None
        except Exception as error:  # pydicom and its decoders raise whatever they run into
            raise self._undecodable(error) from error
        if pixels.ndim != 2 and (pixels.ndim, pixels.shape[-1]) != (3, 3):
            raise ImageError(f"{self.path}: pixels of {pixels.shape[-1]} values each; expected grey (1) or RGB (3)")
        return pixels

    def _undecodable(self, error: Exception) -> ImageError:
        meta = getattr(self.dataset, "file_meta", None)
        syntax = meta.get("TransferSyntaxUID") if meta is not None else None
        name = getattr(syntax, "name", syntax)
        return ImageError(
            f"{self.path}: its pixels ({in_line(name)}) cannot be decoded: {in_line(error)}. Export it again, "
            "uncompressed if you can"
        )

    def frame_dataset(self, index: int) -> Dataset:
        """Return the elements that define how a frame's values are interpreted, wherever the file stores them."""
        found = Dataset()
        if hasattr(self.dataset, "file_meta"):
            found.file_meta = self.dataset.file_meta  # defines the byte order of tables
        wanted = (
            "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction",
            "VOILUTSequence",
        )  # fmt: skip
        shared = self.dataset.get("SharedFunctionalGroupsSequence") or []
        frames = self.dataset.get("PerFrameFunctionalGroupsSequence") or []
        for group in (*shared[:1], *frames[index : index + 1]):
            for name in _FRAME_ELEMENTS:
                for item in group.get(name) or []:
                    found.update(item)
        for name in wanted:
            if name not in found and name in self.dataset and not self.dataset[name].is_empty:
                found[name] = self.dataset[name]
        return found

    def values(self, index: int) -> Array:
        return self._frame_values(index) if self._cut is None else self._cut[index]

    def _frame_values(self, index: int) -> Array:
        stored = self.as_stored(index)
        try:
            if self.dataset.PhotometricInterpretation == "PALETTE COLOR":
                colours = apply_color_lut(stored, self.dataset)
                if colours.shape[-1] < 3:
                    raise ImageError(f"{self.path}: damaged: its palette has no red, no green or no blue")
                return _eight_bits(colours)
            if stored.ndim == 3:
                bits = int(self.dataset.BitsStored)
                return (
                    _eight_bits(stored) if stored.dtype == np.uint8 else (stored >> max(0, bits - 8)).astype(np.uint8)
                )
            facts = self.frame_dataset(index)
            padding = padding_mask(stored, self.dataset)
            if tables := facts.get("ModalityLUTSequence"):
                values = look_up(stored, tables[0], facts)
            else:
                values = apply_rescale(stored, facts) if "RescaleSlope" in facts else stored
            return values if padding is None else np.where(padding, np.float32(np.nan), values.astype(np.float32))
        except PARSE_ERRORS as error:
            raise damaged(self.path, error) from error

    @cached_property
    def corrections(self) -> dict[str, object]:
        facts = dict[str, object]()
        if any(padding_notes(self.dataset)) and any(
            padding_mask(self.as_stored(index), self.dataset) is not None for index in range(self._count)
        ):
            facts["padding"] = "by its bits"
        if self.is_bilevel and self.values(0).dtype == np.uint8 and not has_voi(self.frame_dataset(0)):
            facts["bits"] = 1
        if any(self._goes_beyond_a_byte(index) for index in range(self._count)):
            facts["table"] = "whole"
        return facts

    def _goes_beyond_a_byte(self, index: int) -> bool:
        tables = self.frame_dataset(index).get("VOILUTSequence")
        try:
            if not tables or not is_long_table_of_bytes(tables[0]):
                return False
            return goes_beyond_a_byte(whole_numbers(self._frame_values(index)), tables[0])
        except PARSE_ERRORS as error:
            raise damaged(self.path, error) from error

    @property
    def is_inverted(self) -> bool:
        return bool(self.dataset.get("PhotometricInterpretation") == "MONOCHROME1")

    def own_window(self, index: int) -> Uint8Array:
        values = self.values(index)
        if values.ndim == 2:
            try:
                seen = apply_voi(values, self.frame_dataset(index if self._cut is None else 0))
            except PARSE_ERRORS as error:
                raise damaged(self.path, error) from error
            if seen is not None:
                return self.shown(seen, values)
        return super().own_window(index)

    def source_frame(self, index: int) -> tuple[Dataset, int | None]:
        """Return the file's data set, and the number of the slice's frame, from 1, if there are several."""
        return self.dataset, index + 1 if self.is_volume else None

    def datasets(self) -> list[Dataset]:
        """Return the file's only data set."""
        return [self.dataset]


def _eight_bits(colours: Array) -> Uint8Array:
    """Convert the colours of a palette, which may have 16 bits, to 8 bits."""
    if colours.dtype == np.uint8:
        return np.asarray(colours, np.uint8)[..., :3]
    return (np.asarray(colours, np.uint16) >> 8).astype(np.uint8)[..., :3]
