"""A folder of DICOM files that form one volume."""

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from promise_seg.arrays import Array, Uint8Array
from promise_seg.errors import ImageError, first_line
from promise_seg.images.formats.dicom import DicomImage
from promise_seg.images.formats.dicom_faults import PARSE_ERRORS, damaged
from promise_seg.images.formats.dicom_files import read_dataset, read_mended
from promise_seg.images.formats.dicom_source import DicomSource, has_one_bit, may_be_corrected
from promise_seg.images.formats.dicom_space import stack_affine, uneven_stack
from promise_seg.images.formats.limits import check_size
from promise_seg.images.formats.notes import in_words
from promise_seg.images.formats.orientation import SliceFrame
from promise_seg.images.formats.series_parts import SAME_PLACE_MM, heights_mm
from promise_seg.images.formats.source import Scope
from promise_seg.images.formats.voi import apply_voi, has_voi
from promise_seg.vocabulary import Axis

_WAY_OUT = "Give each volume a folder of its own, or name single files"


class DicomSeries(DicomSource):
    """The images of one series, ordered by their position in the patient; each is a slice, as acquired.

    Another ``axis`` cuts the volume that they form, which must then be evenly stacked.

    Args:
        folder: folder of the files, for messages.
        axis: axis to cut along; ``auto`` for slices as acquired.
        files: DICOM images of one series.
    """

    kind = "series"
    is_volume = True
    slices_have_places = True

    def __init__(self, folder: Path, axis: Axis, files: Sequence[Path]) -> None:
        self.path = folder
        read = [(path, *read_mended(path, pixels=False)) for path in files]
        headers = [(path, header) for path, header, _ in read]
        self.notes = in_words(folder, (note for _, _, notes in read for note in notes))
        try:
            self.is_bilevel = all(has_one_bit(header) for _, header in headers)
            self._may_be_corrected = any(may_be_corrected(header) for _, header in headers)
            self._order(headers)
        except PARSE_ERRORS as error:
            raise ImageError(
                f"{folder}: a series with damaged headers: {first_line(error)}. Export it again"
            ) from error
        self._opened: tuple[int, DicomImage] | None = None
        if axis != Axis.AUTO:
            unplaced = "its images are not evenly stacked" if self.uneven is None else self.uneven.words
            self._cut_along(axis, self._acquired, unplaced)

    def _order(self, headers: list[tuple[Path, Dataset]]) -> None:
        sizes = {(int(h.Rows), int(h.Columns)) for _, h in headers}
        if len(sizes) > 1:
            words = ", ".join(f"{width} x {height}" for height, width in sorted(sizes))
            raise ImageError(
                f"{self.path}: its images differ in size ({words} pixels); expected one volume. {_WAY_OUT}"
            )
        frames = [path for path, h in headers if int(h.get("NumberOfFrames") or 1) > 1]
        if frames:
            raise ImageError(
                f"{frames[0]}: has several frames, beside {len(headers) - 1} other file(s) of its folder. Name the "
                "file itself, not its folder"
            )
        placed = all(h.get("ImagePositionPatient") and h.get("ImageOrientationPatient") for _, h in headers)
        headers = self._by_position(headers) if placed else sorted(headers, key=_number)
        self.files = [path for path, _ in headers]
        first = headers[0][1]
        check_size(self.path, (len(headers), int(first.Rows), int(first.Columns)))
        if placed and first.get("PixelSpacing"):
            positions = [h.ImagePositionPatient for _, h in headers]
            affine = stack_affine(positions, first.ImageOrientationPatient, first.PixelSpacing)
            self.spacing = float(first.PixelSpacing[0]), float(first.PixelSpacing[1])
            size = int(first.Rows), int(first.Columns)
            if affine is not None:
                self.frame = SliceFrame(self.path, (len(headers), *size), affine, Axis.AUTO)
            else:
                names = [path.name for path in self.files]
                self.uneven = uneven_stack(
                    self.path, size, positions, first.ImageOrientationPatient, first.PixelSpacing, names
                )

    def _by_position(self, headers: list[tuple[Path, Dataset]]) -> list[tuple[Path, Dataset]]:
        directions = np.array([[float(v) for v in h.ImageOrientationPatient] for _, h in headers])
        if np.abs(directions - directions[0]).max() > 0.01:
            raise ImageError(
                f"{self.path}: its images have different directions, like scouts and slices; expected one volume. "
                f"{_WAY_OUT}"
            )
        heights = heights_mm(directions[0], [[float(v) for v in h.ImagePositionPatient] for _, h in headers])
        order = sorted(range(len(headers)), key=lambda i: (heights[i], _number(headers[i])))
        for one, other in pairwise(order):
            if abs(heights[other] - heights[one]) < SAME_PLACE_MM:
                raise ImageError(
                    f"{headers[one][0]} and {headers[other][0]} have the same position, like time points or echoes of "
                    f"one volume; expected one volume. {_WAY_OUT}"
                )
        return [headers[i] for i in order]

    def _image(self, index: int) -> DicomImage:
        kept = self._opened  # read once, as another thread may replace it meanwhile
        if kept is None or kept[0] != index:
            kept = self._opened = index, DicomImage(self.files[index])
        return kept[1]

    def _acquired(self) -> Array:
        return np.stack([self._image(index).values(0) for index in range(len(self.files))])

    def __len__(self) -> int:
        return len(self.files) if self._cut is None else int(self._cut.shape[0])

    def values(self, index: int) -> Array:
        return self._image(index).values(0) if self._cut is None else self._cut[index]

    def as_stored(self, index: int) -> Array:
        """Return the pixel values of a slice as acquired, not rescaled."""
        return self._image(index).as_stored(0) if self._cut is None else self._cut[index]

    def own_window(self, index: int) -> Uint8Array:
        """Apply the window of each image, or that of the first image if the volume is cut along another axis."""
        values = self.values(index)
        facts = self._image(index if self._cut is None else 0).frame_dataset(0)
        try:
            seen = apply_voi(values, facts) if values.ndim == 2 else None
        except PARSE_ERRORS as error:
            raise damaged(self.path, error) from error
        return super().own_window(index) if seen is None else self.shown(seen, values)

    @property
    def is_inverted(self) -> bool:
        return self._image(0 if self._opened is None else self._opened[0]).is_inverted

    def differs_by(self, index: int) -> dict[str, object]:
        return self.corrections if self._cut is None else super().differs_by(index)  # each acquired slice is a file

    @cached_property
    def corrections(self) -> dict[str, object]:
        facts = dict[str, object]()
        for index in range(len(self.files) if self._may_be_corrected else 0):
            if facts := dict(self._image(index).corrections):
                break  # any of them keeps older features apart
        return facts

    def slice_files(self, index: int, scope: Scope) -> list[Path]:
        alone = scope == Scope.PIXEL or (scope == Scope.OWN and has_voi(self._image(index).frame_dataset(0)))
        return [self.files[index]] if self._cut is None and alone else self.files

    @cached_property
    def array(self) -> Array:
        return np.stack([self._image(index).as_stored(0) for index in range(len(self.files))])

    def source_frame(self, index: int) -> tuple[Dataset, int | None]:
        """Return the data set of a slice as acquired."""
        return self._image(index).dataset, None

    def datasets(self) -> list[Dataset]:
        """Return the data sets of all images, in order, without pixels."""
        return [read_dataset(path, pixels=False) for path in self.files]


def _number(header: tuple[Path, Dataset]) -> tuple[Any, ...]:
    path, dataset = header
    return (int(dataset.get("InstanceNumber") or 0), path.name)
