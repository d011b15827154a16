"""The base class of DICOM images and series."""

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
    """Slices of DICOM images: as acquired, or cut along another axis of the volume that they form."""

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
            return super().differs_by(index)
        return {"slice": index, "axis": str(self.frame.axis)}

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
