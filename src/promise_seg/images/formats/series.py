"""A folder of DICOM files that form one volume."""

from collections import defaultdict
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from promise_seg.errors import ImageError, first_line
from promise_seg.images.formats.dicom import DicomImage
from promise_seg.images.formats.dicom_files import PARSE_ERRORS, damaged, in_line, read_dataset
from promise_seg.images.formats.dicom_space import stack_affine
from promise_seg.images.formats.kinds import FileKind, kind_of, suffix_of
from promise_seg.images.formats.limits import check_size
from promise_seg.images.formats.orientation import Axis, SliceFrame
from promise_seg.images.formats.series_parts import SAME_PLACE_MM, heights_mm
from promise_seg.images.formats.source import Array, Scope, Source, Uint8Array
from promise_seg.images.formats.voi import apply_voi, has_voi

_WAY_OUT = "Give each volume a folder of its own, or name single files"


def dicom_files(folder: Path) -> list[Path]:
    """DICOM images directly in a folder, whatever they are called, in order of name; a DICOMDIR is none."""
    files = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    names = [p for p in files if suffix_of(p) in ("", ".dcm") and p.name != "DICOMDIR"]
    return [p for p in names if kind_of(p) == FileKind.DICOM]


def series_in(folder: Path) -> dict[str, list[Path]]:
    """The DICOM files of a folder by their series.

    Raises:
        ImageError: if one of them is damaged.
    """
    found: dict[str, list[Path]] = defaultdict(list)
    for path in dicom_files(folder):
        found[str(read_dataset(path, pixels=False).get("SeriesInstanceUID", ""))].append(path)
    return dict(found)


class DicomSeries(Source):
    """The images of one series, ordered by where they lie in the patient; each is a slice, as acquired.

    Another ``axis`` cuts across the volume that they form, which must then be evenly stacked.

    Args:
        folder: for messages.
        axis: what to cut across.
        files: the files, if the folder holds several series.
    """

    kind = FileKind.SERIES
    is_volume = True

    def __init__(self, folder: Path, axis: Axis = Axis.AUTO, files: list[Path] | None = None) -> None:
        self.path = folder
        files = files if files is not None else self._only_series()
        headers = [(path, read_dataset(path, pixels=False)) for path in files]
        try:
            self._order(headers)
        except PARSE_ERRORS as error:
            raise ImageError(
                f"{folder}: a series with damaged headers: {first_line(error)}. Export it again"
            ) from error
        self._opened: tuple[int, DicomImage] | None = None
        self._cut: Array | None = None
        if axis != Axis.AUTO:
            if self.frame is None:
                raise ImageError(
                    f"{folder}: its images are not evenly stacked, so that they cannot be cut along the {axis} axis. "
                    "Leave --axis out to take them as acquired"
                )
            self.frame = SliceFrame(folder, self.frame.shape, self.frame.affine, axis)
            array = np.stack([self._image(i).values(0) for i in range(len(self.files))])
            self._cut = self.frame.to_slices(array)
            self.spacing = self.frame.spacing[1:]

    def _only_series(self) -> list[Path]:
        found = series_in(self.path)
        if len(found) != 1:
            what = f"{len(found)} series ({in_line(', '.join(sorted(found)))})" if found else "no DICOM images"
            way_out = ". Give each series a folder of its own" if found else ""
            raise ImageError(
                f"{self.path}: {what} there; expected a folder with the DICOM images of one series{way_out}"
            )
        return next(iter(found.values()))

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
            if affine is not None:
                shape = (len(headers), int(first.Rows), int(first.Columns))
                self.frame = SliceFrame(self.path, shape, affine, Axis.AUTO)

    def _by_position(self, headers: list[tuple[Path, Dataset]]) -> list[tuple[Path, Dataset]]:
        directions = np.array([[float(v) for v in h.ImageOrientationPatient] for _, h in headers])
        if np.abs(directions - directions[0]).max() > 0.01:
            raise ImageError(
                f"{self.path}: its images lie in different directions, as scouts and slices do; expected one volume. "
                f"{_WAY_OUT}"
            )
        heights = heights_mm(directions[0], [[float(v) for v in h.ImagePositionPatient] for _, h in headers])
        order = sorted(range(len(headers)), key=lambda i: (heights[i], _number(headers[i])))
        for one, other in pairwise(order):
            if abs(heights[other] - heights[one]) < SAME_PLACE_MM:
                raise ImageError(
                    f"{headers[one][0]} and {headers[other][0]} lie at the same place, as times or echoes of one "
                    f"volume do; expected one volume. {_WAY_OUT}"
                )
        return [headers[i] for i in order]

    def _image(self, index: int) -> DicomImage:
        if self._opened is None or self._opened[0] != index:
            self._opened = (index, DicomImage(self.files[index]))
        return self._opened[1]

    def __len__(self) -> int:
        return len(self.files) if self._cut is None else int(self._cut.shape[0])

    def values(self, index: int) -> Array:
        return self._image(index).values(0) if self._cut is None else self._cut[index]

    def own_window(self, index: int) -> Uint8Array:
        """By each image's own window; by the first one's across the volume."""
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
        if self._cut is None:
            return {}
        assert self.frame is not None
        return {"slice": index, "axis": str(self.frame.axis)}

    def slice_files(self, index: int, scope: Scope) -> list[Path]:
        alone = scope == Scope.PIXEL or (scope == Scope.OWN and has_voi(self._image(index).frame_dataset(0)))
        return [self.files[index]] if self._cut is None and alone else self.files

    @cached_property
    def array(self) -> Array:
        return np.stack([self._image(index).as_stored(0) for index in range(len(self.files))])

    def source_frame(self, index: int) -> tuple[Dataset, int | None]:
        """The data set of a slice as acquired."""
        return self._image(index).dataset, None

    @property
    def is_cut(self) -> bool:
        """Whether slices are across the volume, not as acquired."""
        return self._cut is not None

    @cached_property
    def instance_uids(self) -> frozenset[str]:
        """Of its images."""
        return frozenset(str(dataset.SOPInstanceUID) for dataset in self.datasets())

    def datasets(self) -> list[Dataset]:
        """All images, in their order, without pixels."""
        return [read_dataset(path, pixels=False) for path in self.files]


def _number(header: tuple[Path, Dataset]) -> tuple[Any, ...]:
    path, dataset = header
    return (int(dataset.get("InstanceNumber") or 0), path.name)
