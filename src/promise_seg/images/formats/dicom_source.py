"""The base class of DICOM images and series."""

from abc import abstractmethod
from collections.abc import Callable
from functools import cached_property

import numpy as np
from pydicom.dataset import Dataset

from promise_seg.arrays import Array, Uint8Array
from promise_seg.errors import ImageError
from promise_seg.images.formats.dicom_padding import padding_notes
from promise_seg.images.formats.dicom_tables import is_long_table_of_bytes
from promise_seg.images.formats.label_values import AS_STORED_NOTE
from promise_seg.images.formats.orientation import SliceFrame
from promise_seg.images.formats.source import Source
from promise_seg.vocabulary import Axis, OutputFormat


def may_be_corrected(dataset: Dataset) -> bool:
    """Whether an image may have :attr:`DicomSource.corrections`, by its header."""
    tables = dataset.get("VOILUTSequence")
    return has_one_bit(dataset) or any(padding_notes(dataset)) or bool(tables and is_long_table_of_bytes(tables[0]))


def has_one_bit(dataset: Dataset) -> bool:
    """Whether the pixels of an image have a single bit, by its header."""
    return bool(dataset.get("BitsStored") == 1)


class DicomSource(Source):
    """Slices of DICOM images: as acquired, or cut along another axis of the volume that they form."""

    is_bilevel: bool = False
    """Whether its pixels have a single bit, so that 1 is white."""
    _cut: Array | None = None

    def _cut_along(self, axis: Axis, stack: Callable[[], Array], unplaced: str) -> None:
        """Cut the stack of acquired slices (N, H, W[, 3]), returned by ``stack``, along an axis.

        Raises:
            ImageError: if the slices do not form a volume; ``unplaced`` is the reason.
        """
        if self.frame is None:
            raise ImageError(
                f"{self.path}: {unplaced}, so they cannot be cut along the {axis} axis. Omit --axis to read them as "
                "acquired"
            )
        self.frame = SliceFrame(self.path, self.frame.shape, self.frame.affine, axis)
        self._cut, self.spacing = self.frame.to_slices(stack()), self.frame.spacing[1:]

    @property
    def is_cut(self) -> bool:
        return self._cut is not None

    @cached_property
    def has_finite_values(self) -> bool:
        """Whether any value is a number, which holds for all DICOM images: NaN is padding, and is shown as black."""
        return True

    @property
    def label_note(self) -> str | None:
        return AS_STORED_NOTE if self.is_inverted else None

    def output_formats(self) -> list[OutputFormat]:
        """Return DICOM-SEG for images as acquired, and NIfTI, which also stores the position of the labels."""
        pictures = super().output_formats()
        if self.is_cut:
            return [OutputFormat.NIFTI, *pictures]
        return [OutputFormat.DICOM_SEG, *(pictures if self.frame is None else [OutputFormat.NIFTI])]

    def differs_by(self, index: int) -> dict[str, object]:
        if self._cut is None or self.frame is None:
            return super().differs_by(index) | self.corrections
        return {"slice": index, "axis": str(self.frame.axis)} | self.corrections

    @cached_property
    def corrections(self) -> dict[str, object]:
        """The rare facts about pixels that early versions read in another way; they keep stored features apart."""
        return {}

    def own_window(self, index: int) -> Uint8Array:
        values = self.values(index)
        if self.is_bilevel and values.ndim == 2 and values.dtype == np.uint8:
            return self.shown(np.asarray(values * np.uint8(255), np.uint8), values)
        return super().own_window(index)

    @abstractmethod
    def source_frame(self, index: int) -> tuple[Dataset, int | None]:
        """Return the data set of an acquired slice, and the number of its frame, from 1, if there are several."""

    @abstractmethod
    def datasets(self) -> list[Dataset]:
        """Return the data sets of all images, in order."""

    @cached_property
    def instance_uids(self) -> frozenset[str]:
        """The UIDs of the images."""
        return frozenset(str(dataset.SOPInstanceUID) for dataset in self.datasets())
