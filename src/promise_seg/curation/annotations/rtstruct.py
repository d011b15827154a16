"""DICOM structure sets (RTSTRUCT): contours in millimetres, drawn in the slices of a series."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from promise_seg.arrays import Float64Array
from promise_seg.curation.annotations.series_found import FoundSeries, SeriesIndex
from promise_seg.curation.annotations.shapes import (
    AnnotatedImage,
    BrokenShapeError,
    Document,
    Outline,
    Ring,
    Shape,
    ring_of,
)
from promise_seg.errors import ImageError
from promise_seg.images.formats.dicom_files import read_dataset
from promise_seg.images.formats.opening import open_source
from promise_seg.images.formats.orientation import SliceFrame

RTSTRUCT_CLASS = "1.2.840.10008.5.1.4.1.1.481.3"
_AREAS = frozenset({"CLOSED_PLANAR", "CLOSEDPLANAR_XOR", "CLOSED_PLANAR_XOR"})
_SAME_PLANE = 0.05
_ALONG = 0.3
_TO_RAS = np.array([-1.0, -1.0, 1.0])
_MIDDLE = 0.5
_NEAR = 0.25
"""The maximum distance, as a fraction of the thickness, from an image to a contour in it that references no image."""


@dataclass(frozen=True)
class _Contour:
    """A closed contour of a structure: points (N, 3) in mm, LPS+, and the instance that it references, if any."""

    roi: int
    points_mm: Float64Array
    instance: str


def read_rtstruct(path: Path, series: SeriesIndex) -> Document:
    """Read the contours of all structures, and place them in the slices of the referenced series.

    Contours of a structure in the same slice are combined as DICOM defines: a point is inside if it is in an odd number
    of them. An inner contour is thus a hole, as is a contour that a narrow channel (a keyhole) connects to the outer.

    Args:
        path: the structure set.
        series: index of the DICOM images that contain the series.

    Raises:
        ImageError: if the structure set cannot be read.
    """
    header = read_dataset(path)
    document = Document(path)
    names = dict[int, str]()
    for item in header.get("StructureSetROISequence") or []:
        with document.guarded("structure"):
            names[int(item.ROINumber)] = str(item.get("ROIName") or f"structure {int(item.ROINumber)}").strip()
    document.classes = list(dict.fromkeys(names.values()))
    contours = list(_contours(document, header))
    instances = {contour.instance for contour in contours} - {""}
    frames = {str(header.get("FrameOfReferenceUID") or "")} | {
        str(item.get("ReferencedFrameOfReferenceUID") or "") for item in header.get("StructureSetROISequence") or []
    }
    found = series.find(set(_series_named(header)), instances, frames - {""})
    if found is None:
        named = ", ".join(sorted(_series_named(header))) or "none"
        image = AnnotatedImage(f"series {named}", str(path))
        document.images = [image]
        return document
    placed = set[int]()
    # an image without a contour may not be empty if contours are broken or unused
    doubtful = len(document.broken) + (0 if contours else document.unused.total())
    for target in found.targets:
        where = f"{path}: {target}"
        image = AnnotatedImage(target.name, where, image=target, is_complete=bool(contours), undrawn=doubtful)
        document.images.append(image)
        with document.guarded(target.name, image):
            placed |= _place(document, image, found, contours, names)
    document.broken += [
        f"{path}: {names.get(contour.roi, contour.roi)}, contour {number}: does not lie in any image of its series"
        for number, contour in enumerate(contours) if number not in placed
    ]  # fmt: skip
    document.notes += found.notes
    return document


def _series_named(header: Dataset) -> Iterator[str]:
    for frame in header.get("ReferencedFrameOfReferenceSequence") or []:
        for study in frame.get("RTReferencedStudySequence") or []:
            for series in study.get("RTReferencedSeriesSequence") or []:
                if uid := series.get("SeriesInstanceUID"):
                    yield str(uid)


def _contours(document: Document, header: Dataset) -> Iterator[_Contour]:
    for roi in header.get("ROIContourSequence") or []:
        for number, item in enumerate(roi.get("ContourSequence") or []):
            with document.guarded(f"structure {roi.get('ReferencedROINumber')}, contour {number}"):
                kind = str(item.get("ContourGeometricType") or "")
                if kind not in _AREAS:
                    document.unused[f"contour {kind or 'without a type'}"] += 1
                    continue
                flat = np.array([float(value) for value in item.get("ContourData") or []], np.float64)
                if len(flat) % 3 or len(flat) < 9 or not np.isfinite(flat).all():
                    raise BrokenShapeError("has no three points of three finite numbers")
                images = item.get("ContourImageSequence") or [Dataset()]
                instance = str(images[0].get("ReferencedSOPInstanceUID") or "")
                yield _Contour(int(roi.ReferencedROINumber), flat.reshape(-1, 3), instance)


def _place(
    document: Document, image: AnnotatedImage, found: FoundSeries, contours: list[_Contour], names: dict[int, str]
) -> set[int]:
    """Add the contours in an image, which is a series or one of its files; return the indices of handled contours."""
    source = open_source(image.image or found.targets[0])
    if source.frame is None:
        raise ImageError("does not state its position in the patient, so contours cannot be placed")
    seen = set[int]()
    together = defaultdict[tuple[int, int], list[tuple[float, Ring]]](list)
    for number, contour in enumerate(contours):
        if not found.is_whole and contour.instance and contour.instance != found.instances[source.path]:
            continue
        faults = len(document.broken)
        with document.guarded(f"{names.get(contour.roi, contour.roi)}, contour {number}", image):
            index, apart, ring = _in_slices(source.frame, contour.points_mm)
            is_named = bool(contour.instance) and not found.is_whole
            if (0 <= index < len(source) and (found.is_whole or apart < _NEAR)) or is_named:
                seen.add(number)
                together[contour.roi, 0 if is_named else index].append((apart, ring))
        if len(document.broken) > faults:
            seen.add(number)
    for (roi, index), rings in sorted(together.items()):
        nearest = min(apart for apart, _ in rings)
        chosen = tuple(ring for apart, ring in rings if apart - nearest < _SAME_PLANE)
        if len(chosen) < len(rings):
            document.unused["contour between slices, next to a nearer one"] += len(rings) - len(chosen)
        name = names.get(roi, f"structure {roi}")
        image.shapes.append(Shape(Outline((chosen,)), name, ("structure", roi), slice=index))
    return seen


def _in_slices(frame: SliceFrame, points_mm: Float64Array) -> tuple[int, float, Ring]:
    """Return the slice that a contour is in, its distance from the slice as a fraction of the spacing, and its ring.

    DICOM coordinates start at the centre of the first pixel, so half a pixel is added.

    Raises:
        BrokenShapeError: if the contour does not lie in a single slice.
    """
    points = np.concatenate([points_mm * _TO_RAS, np.ones((len(points_mm), 1))], 1)
    indices = (points @ np.linalg.inv(frame.affine).T)[:, :3]
    if np.ptp(indices[:, 0]) > _ALONG:
        raise BrokenShapeError("does not lie in one slice of its series")
    middle = float(indices[:, 0].mean())
    index = int(np.floor(middle + 0.5))
    return index, abs(middle - index), ring_of(indices[:, [2, 1]] + _MIDDLE)
