"""The base class of single DICOM images and of series."""

from abc import abstractmethod
from collections.abc import Callable
from functools import cached_property

from pydicom.dataset import Dataset

from promise_seg.arrays import Array
from promise_seg.errors import ImageError
from promise_seg.images.formats.label_values import AS_STORED_NOTE
from promise_seg.images.formats.orientation import SliceFrame
from promise_seg.images.formats.source import Source
from promise_seg.vocabulary import Axis, OutputFormat


class DicomSource(Source):
    """Slices of DICOM images: as they were acquired, or cut across the volume that they form."""

    _cut: Array | None = None

    def _cut_along(self, axis: Axis, stack: Callable[[], Array], unplaced: str) -> None:
        """Cut across all slices, as acquired (N, H, W[, 3]).

        Raises:
            ImageError: if they form no volume; ``unplaced`` says why.
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

    @property
    def label_note(self) -> str | None:
        return AS_STORED_NOTE if self.is_inverted else None

    def output_formats(self) -> list[OutputFormat]:
        """Return DICOM-SEG, which fits images as acquired, and NIfTI, which says as well where the labels lie."""
        pictures = super().output_formats()
        if self.is_cut:
            return [OutputFormat.NIFTI, *pictures]
        return [OutputFormat.DICOM_SEG, *(pictures if self.frame is None else [OutputFormat.NIFTI])]

    def differs_by(self, index: int) -> dict[str, object]:
        if self._cut is None or self.frame is None:
            return super().differs_by(index)
        return {"slice": index, "axis": str(self.frame.axis)}

    @abstractmethod
    def source_frame(self, index: int) -> tuple[Dataset, int | None]:
        """Return the data set that a slice as acquired comes from, and the number of its frame if it has several."""

    @abstractmethod
    def datasets(self) -> list[Dataset]:
        """Return the data sets of all images, in their order."""

    @cached_property
    def instance_uids(self) -> frozenset[str]:
        """The UIDs of the images."""
        return frozenset(str(dataset.SOPInstanceUID) for dataset in self.datasets())
