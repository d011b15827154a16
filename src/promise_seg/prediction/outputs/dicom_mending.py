"""Repair copies of images' data sets so that a segmentation written by ``highdicom`` can refer to them.

``highdicom`` copies elements from the images unchanged, and so may write files that it cannot read: it requires exactly
the same direction for all slices, and a slice thickness. Files from hospitals round directions differently from slice
to slice, and may leave the thickness empty.
"""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pydicom.valuerep import DSfloat

from promise_seg.arrays import Array, Float64Array
from promise_seg.errors import ImageError
from promise_seg.images.formats.dicom_planes import geometry_of, macro, pixels_apart, plane_of
from promise_seg.images.formats.dicom_source import DicomSource
from promise_seg.prediction.outputs.dicom_elements import completed

_ROUNDING = 1e-5
"""Largest deviation of direction cosines from orthonormality that is kept, if all images have the same directions."""


def images_to_refer_to(source: DicomSource) -> list[Dataset]:
    """Return copies of all images without pixels, with unique identifiers, one direction and a thickness.

    Raises:
        ImageError: if identifiers are missing or ambiguous, or the images differ in direction or spacing by half a
            pixel or more.
    """
    images = [completed(dataset) for dataset in source.datasets()]
    _check_identifiers(source.path, images)
    _one_space(source.path, images)
    frames = [(image, index) for image in images for index in range(int(image.get("NumberOfFrames") or 1))]
    found = [geometry_of(image, index) for image, index in frames]
    known = [geometry for geometry in found if geometry is not None]
    if len(known) < len(frames):
        if len(frames) > 1:
            raise _refusal(source.path, "some of its images do not state their position")
        _leave_unplaced(images[0])
        return images
    before = [plane_of(image, index) for image, index in frames]
    directions = _common_directions(np.stack([directions for _, directions, _ in known]))
    positions, spacing = np.stack([position for position, _, _ in known]), known[0][2]
    thickness = _thickness(images[0], positions, np.cross(*directions))
    if "SharedFunctionalGroupsSequence" in images[0]:
        _set_groups(images[0], positions, directions, spacing, thickness)
    else:
        for image, position in zip(images, positions, strict=True):
            _set_plane(image, position, directions, spacing, thickness)
    apart = pixels_apart([plane_of(image, index) for image, index in frames], before).diagonal()
    if not apart.max() < 0.5:
        raise _refusal(source.path, f"its images differ in direction or spacing, by up to {apart.max():.1f} pixels")
    return images


def _refusal(path: Path, why: str) -> ImageError:
    return ImageError(f"{path}: {why}, so that no DICOM segmentation can refer to it. Choose another --format")


def _check_identifiers(path: Path, images: list[Dataset]) -> None:
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        values = [image.get(name) for image in images]
        if not all(isinstance(value, str) and value for value in values):
            raise _refusal(path, f"some of its images have no single {name}")
        expected = len(images) if name == "SOPInstanceUID" else 1
        if len(set(values)) != expected:
            what = "the same" if expected > 1 else "different"
            raise _refusal(path, f"its images have {what} {name}")


def _one_space(path: Path, images: list[Dataset]) -> None:
    """Set one frame of reference for all images; old and anonymised files lack it, but it must not be empty."""
    stated = [value for image in images if (value := image.get("FrameOfReferenceUID"))]
    values = {str(value) for value in stated}
    if len(values) > 1 or not all(isinstance(value, str) for value in stated):
        raise _refusal(path, "its images are in different frames of reference")
    made = generate_uid(entropy_srcs=["frame of reference of", images[0].SeriesInstanceUID])
    for image in images:
        image.FrameOfReferenceUID = next(iter(values), made)


def _leave_unplaced(image: Dataset) -> None:
    """Remove the incomplete geometry of a single image, such as a radiograph."""
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "SpacingBetweenSlices"):
        if name in image:
            del image[name]
    if not _positive(image.get("SliceThickness")) and "PixelSpacing" in image:
        del image.PixelSpacing  # a segmentation states it together with a thickness or not at all


def _common_directions(directions: Float64Array) -> Float64Array:
    """Return orthogonal unit vectors (2, 3) for images with nearly the same directions (N, 2, 3)."""
    first = directions[0]
    if np.abs(directions - first).max() == 0 and np.abs(first @ first.T - np.eye(2)).max() <= _ROUNDING:
        return first
    across, down = directions.mean(0)
    across = across / np.linalg.norm(across)
    down = down - (down @ across) * across
    return np.stack([across, down / np.linalg.norm(down)])


def _thickness(image: Dataset, positions: Float64Array, normal: Float64Array) -> float:
    """Return the slice thickness in mm: as stated, or the median or stated distance between slices, or 1."""
    measures = (macro(image, 0, "PixelMeasuresSequence") or [image])[0]
    gaps = np.abs(np.diff(positions @ normal))
    between = float(np.median(gaps)) if len(gaps) else None
    stated = (measures.get("SliceThickness"), between, measures.get("SpacingBetweenSlices"))
    return next((float(str(value)) for value in stated if _positive(value)), 1.0)


def _positive(value: object) -> bool:
    try:
        return 0 < float(str(value)) < np.inf
    except ValueError:
        return False


def _decimals(values: Array) -> list[DSfloat]:
    return [DSfloat(float(value), auto_format=True) for value in values]


def _set_plane(
    image: Dataset, position: Float64Array, directions: Float64Array, spacing: Float64Array, thickness: float
) -> None:
    image.ImagePositionPatient = _decimals(position)
    image.ImageOrientationPatient = _decimals(directions.ravel())
    image.PixelSpacing = _decimals(spacing)
    image.SliceThickness = DSfloat(thickness, auto_format=True)
    if "SpacingBetweenSlices" in image:
        del image.SpacingBetweenSlices  # often wrong, and implied by the positions


def _set_groups(
    image: Dataset, positions: Float64Array, directions: Float64Array, spacing: Float64Array, thickness: float
) -> None:
    """Set direction and pixel measures in the shared groups, which ``highdicom`` reads, and a position per frame."""
    plane, measures, shared = Dataset(), Dataset(), Dataset()
    plane.ImageOrientationPatient = _decimals(directions.ravel())
    measures.PixelSpacing, measures.SliceThickness = _decimals(spacing), DSfloat(thickness, auto_format=True)
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [plane], [measures]
    image.SharedFunctionalGroupsSequence = [shared]
    groups = []
    for position in positions:
        place, group = Dataset(), Dataset()
        place.ImagePositionPatient = _decimals(position)
        group.PlanePositionSequence = [place]
        groups.append(group)
    image.PerFrameFunctionalGroupsSequence = groups
