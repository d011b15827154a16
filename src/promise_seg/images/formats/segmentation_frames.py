"""Match the frames of a DICOM segmentation with slices by reference, otherwise by position."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from promise_seg.arrays import Float64Array
from promise_seg.errors import ImageError
from promise_seg.images.formats.dicom_planes import Plane, macro, pixels_apart, plane_of
from promise_seg.images.formats.dicom_source import DicomSource

_SAME_PLACE_PIXELS = 1e-3


@dataclass(frozen=True)
class Reference:
    """The source instance of a frame: the numbers of its frames, if stated, and whether pixels correspond."""

    instance: str
    frames: frozenset[int]
    preserved: str | None

    def tells_of(self, instance: str, number: int | None) -> bool:
        """Whether the reference is specific enough to decide about a frame of an instance (``None``: its only one)."""
        return self.instance != instance or number is None or bool(self.frames)

    def names(self, instance: str, number: int | None) -> bool:
        """Whether the reference is to a frame of an instance (``None``: its only one)."""
        return self.instance == instance and (number is None or number in self.frames)


@dataclass(frozen=True, eq=False)
class SegmentationFrames:
    """The references and positions of the frames of a segmentation."""

    path: Path
    references: list[list[Reference]]
    planes: list[Plane | None]
    _apart: "WeakKeyDictionary[DicomSource, Float64Array]" = field(default_factory=WeakKeyDictionary)

    @classmethod
    def of(cls, path: Path, dataset: Dataset) -> "SegmentationFrames":
        """Read the references and positions from a file.

        Raises:
            ImageError: if the file does not describe each frame.
        """
        count = int(dataset.get("NumberOfFrames") or 1)
        described = len(dataset.get("PerFrameFunctionalGroupsSequence") or [])
        if described != count and count > 1:
            raise ImageError(
                f"{path}: describes {described} frames but has {count}, so that it cannot be told where they belong. "
                "Export it again from its source, or as NIfTI"
            )
        frames = range(count)
        return cls(path, [list(_references(dataset, i)) for i in frames], [plane_of(dataset, i) for i in frames])

    @property
    def instances(self) -> set[str]:
        """The UIDs of all source instances of the frames."""
        return {reference.instance for references in self.references for reference in references}

    def of_slice(self, image: DicomSource, index: int) -> list[int]:
        """Return the frames, counted from 0, whose pixels are those of a slice.

        Frames without a reference to corresponding pixels belong to the nearest slice of the same frame of reference,
        if all their corners are less than half a pixel from those of the slice.

        Raises:
            ImageError: if the frames cannot be matched, or none is at the position of a slice.
        """
        dataset, number = image.source_frame(index)
        instance = str(dataset.SOPInstanceUID)
        found, others = [], []
        for frame, references in enumerate(self.references):
            told = [r for r in references if r.preserved == "YES" and r.tells_of(instance, number)]
            if not told:
                others.append(frame)
            elif any(r.names(instance, number) for r in told):
                found.append(frame)
        return sorted(found + self._by_place(image, index, others)) if others else found

    def _by_place(self, image: DicomSource, index: int, frames: list[int]) -> list[int]:
        """Return the frames at the position of a slice; those without a known position are matched by reference."""
        apart = self._pixels_apart(image)[:, frames]
        comparable = np.isfinite(apart[index])
        lying = (apart < 0.5) & (
            apart <= apart.min(0) + _SAME_PLACE_PIXELS
        )  # several slices, if these are times or echoes
        if comparable.any() and not lying.any():
            raise ImageError(
                f"{self.path}: segments other images than {image.path}, or has another pixel grid: none of its "
                "frames is on a slice, to within half a pixel. Resample it to the image"
            )
        found = [frame for frame, lies in zip(frames, lying[index], strict=True) if lies]
        dataset, number = image.source_frame(index)
        instance = str(dataset.SOPInstanceUID)
        for frame in (frame for frame, known in zip(frames, comparable, strict=True) if not known):
            told = [r for r in self.references[frame] if not r.preserved and r.tells_of(instance, number)]
            if not told:
                raise self._untold(image, index, frame)
            if any(r.names(instance, number) for r in told):
                found.append(frame)
        return found

    def _pixels_apart(self, image: DicomSource) -> Float64Array:
        if image not in self._apart:
            planes = ((dataset, int(dataset.get("NumberOfFrames") or 1)) for dataset in image.datasets())
            slices = [plane_of(dataset, index) for dataset, count in planes for index in range(count)]
            self._apart[image] = pixels_apart(slices, self.planes)
        return self._apart[image]

    def _untold(self, image: DicomSource, index: int, frame: int) -> ImageError:
        dataset, number = image.source_frame(index)
        if self.planes[frame] is None:
            why = "nor state their positions"
        elif plane_of(dataset, (number or 1) - 1) is None:
            why = f"and {image.path} has no position"
        else:
            why = f"and is in another frame of reference than {image.path}"
        return ImageError(
            f"{self.path}: does not reference the source images of its frames, {why}, so they cannot be matched. "
            "Export it with references to its source images, or as NIfTI"
        )


def _references(dataset: Dataset, index: int) -> Iterator[Reference]:
    for derivation in macro(dataset, index, "DerivationImageSequence"):
        for source in derivation.get("SourceImageSequence") or []:
            numbers = source.get("ReferencedFrameNumber")
            several = numbers if isinstance(numbers, MultiValue) else [] if numbers is None else [numbers]
            yield Reference(
                str(source.get("ReferencedSOPInstanceUID")),
                frozenset(int(number) for number in several),
                source.get("SpatialLocationsPreserved"),
            )
