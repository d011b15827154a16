"""The volumes in one DICOM series: scouts, time points and echoes are separated by their headers."""

import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from promise_seg.arrays import Float64Array
from promise_seg.images.formats.dicom_faults import PARSE_ERRORS, damaged

Vector = tuple[float, ...]
Groups = list[list["PlacedImage"]]

SAME_PLACE_MM = 1e-3
"""The distance below which two images are at the same position, in mm along their normal."""
_SAME_DIRECTION = 0.005
_TELLERS = {
    "TemporalPositionIdentifier": "time",
    "EchoNumbers": "echo",
    "AcquisitionNumber": "acquisition",
    "DiffusionBValue": "b-value",
    "TriggerTime": "time",
    "AcquisitionTime": "time",
    "ContentTime": "time",
}
_WORDS = (*_TELLERS.values(), "folder")
"""The criteria that may separate images at the same position, in this order; the folder is that of the file."""


@dataclass(frozen=True)
class PlacedImage:
    """The series and the position of an image, from its header.

    ``position`` is in mm, in the patient's LPS+; ``direction`` has the cosines of rows and columns, if they are known.
    """

    path: Path
    series: tuple[str, ...]
    series_number: int | None
    uid: str
    number: int
    size: tuple[int, int]
    position: Vector
    direction: Vector | None
    tellers: tuple[tuple[int, float, str], ...]
    """The values that may separate it from other images at its position, each as a sort key."""


@dataclass(frozen=True)
class SeriesPart:
    """Images that form one volume, or a single image; ``by`` lists the criteria that separate them from others.

    ``name`` distinguishes a volume within its series: ``direction1_time2``. It is empty if there is only one.
    """

    images: tuple[PlacedImage, ...]
    by: tuple[str, ...] = ()
    name: str = ""


def read_place(path: Path, header: Dataset) -> PlacedImage | None:
    """Read the position from a header; ``None`` if it has none, or several frames.

    Raises:
        ImageError: if the header is damaged.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom parses, and warns, only now
            return _read_place(path, header)
    except PARSE_ERRORS as error:
        raise damaged(path, error) from error


def _read_place(path: Path, header: Dataset) -> PlacedImage | None:
    if not header.get("ImagePositionPatient") or int(header.get("NumberOfFrames") or 1) > 1:
        return None
    direction = header.get("ImageOrientationPatient")
    number = header.get("SeriesNumber")
    return PlacedImage(
        path=path,
        series=series_of(path, header),
        series_number=None if number is None else int(number),
        uid=str(header.get("SOPInstanceUID") or ""),
        number=int(header.get("InstanceNumber") or 0),
        size=(int(header.Rows), int(header.Columns)),
        position=_vector(header.ImagePositionPatient, 3),
        direction=_direction(direction) if direction else None,
        tellers=(*(_key(header.get(name)) for name in _TELLERS), (2, 0.0, str(path.parent))),
    )


def series_of(path: Path, header: Dataset) -> tuple[str, ...]:
    """Return the key of the series of an image: its identifiers, or the folder if there are none."""
    uid = str(header.get("SeriesInstanceUID") or "")
    names = (str(header.get(name) or "") for name in ("PatientID", "StudyInstanceUID"))
    return (*names, uid) if uid else (str(path.parent),)


def _vector(values: Sequence[float], length: int) -> Vector:
    vector = tuple(float(value) for value in values)
    if len(vector) != length or not np.isfinite(vector).all():
        raise ValueError(f"{length} numbers expected for its place, found {vector}")
    return vector


def _direction(values: Sequence[float]) -> Vector:
    vector = _vector(values, 6)
    if not np.linalg.norm(np.cross(vector[:3], vector[3:])) > 0.5:
        raise ValueError(f"its rows and columns do not lie across each other: {vector}")
    return vector


def _key(value: object) -> tuple[int, float, str]:
    """Return a sort key: missing values first, then numbers (and times, which DICOM writes as numbers), then words."""
    if value is None or value == "":
        return (0, 0.0, "")
    try:
        return (1, float(str(value)), "")
    except ValueError:
        return (2, 0.0, str(value))


def divide_series(images: Sequence[PlacedImage]) -> list[SeriesPart]:
    """Divide one series into volumes and single images, independent of their order.

    A volume has one size, one direction, and one image at each position. Images at the same position are separated by
    the first header element, or pair of elements, that separates all of them; otherwise by the order of their numbers.
    """
    ordered = sorted(images, key=lambda image: (image.number, image.path))
    return _divided(ordered, (_by_size, _by_direction, _by_teller))


def _divided(
    images: list[PlacedImage], ways: Sequence[Callable[[list[PlacedImage]], tuple[str, Groups]]]
) -> list[SeriesPart]:
    if not ways:
        return [SeriesPart(tuple(images))]
    word, groups = ways[0](images)
    divisions = [_divided(group, ways[1:]) for group in groups]
    if len(divisions) == 1:
        return divisions[0]
    volumes = [parts for parts in divisions if any(len(part.images) > 1 for part in parts)]
    for number, parts in enumerate(volumes if len(volumes) > 1 else [], 1):
        name = f"{word.replace(' and ', '-')}{number}"
        parts[:] = [replace(part, name="_".join(filter(None, (name, part.name)))) for part in parts]
    return [replace(part, by=(word, *part.by)) for parts in divisions for part in parts]


def _grouped(images: list[PlacedImage], keys: Sequence[Hashable]) -> dict[Hashable, list[PlacedImage]]:
    groups: dict[Hashable, list[PlacedImage]] = defaultdict(list)
    for image, key in zip(images, keys, strict=True):
        groups[key].append(image)
    return groups


def _by_size(images: list[PlacedImage]) -> tuple[str, Groups]:
    groups = _grouped(images, [image.size for image in images])
    return "size", [groups[size] for size in sorted({image.size for image in images})]


def _by_direction(images: list[PlacedImage]) -> tuple[str, Groups]:
    """Group images by direction, up to rounding errors."""
    firsts = np.empty((0, 6))
    keys: list[int] = []
    for image in images:
        if image.direction is None:
            keys.append(-1)
            continue
        near = np.flatnonzero(np.abs(firsts - image.direction).max(1) <= _SAME_DIRECTION)
        keys.append(int(near[0]) if len(near) else len(firsts))
        if not len(near):
            firsts = np.vstack([firsts, image.direction])
    return "direction", list(_grouped(images, keys).values())


def _by_teller(images: list[PlacedImage]) -> tuple[str, Groups]:
    places = _places(images)
    most = max(Counter(places).values())
    if most == 1:
        return "", [images]
    for together in (1, 2):
        for chosen in combinations(range(len(_WORDS)), together):
            keys = [tuple(image.tellers[i] for i in chosen) for image in images]
            if len(set(keys)) == most and len(set(zip(keys, places, strict=True))) == len(images):
                groups = _grouped(images, keys)
                words = dict.fromkeys(_WORDS[i] for i in chosen)
                return " and ".join(words), [groups[key] for key in sorted(set(keys))]
    before: Counter[int] = Counter()
    ranks = []
    for place in places:
        ranks.append(before[place])
        before[place] += 1
    return "order", list(_grouped(images, ranks).values())


def _places(images: list[PlacedImage]) -> list[int]:
    """Return the number of the position of each image; images without a direction all have different ones."""
    direction = images[0].direction
    if direction is None:
        return list(range(len(images)))
    heights = heights_mm(direction, [image.position for image in images])
    order = np.argsort(heights, kind="stable")
    places = np.zeros(len(images), int)
    for one, other in pairwise(order):
        places[other] = places[one] + int(heights[other] - heights[one] >= SAME_PLACE_MM)
    return [int(place) for place in places]


def heights_mm(direction: Sequence[float], positions: Sequence[Sequence[float]]) -> Float64Array:
    """Return the coordinates of images with a common direction along their normal, in mm."""
    normal = np.cross(np.array(direction[:3], np.float64), np.array(direction[3:], np.float64))
    return np.array(positions, np.float64) @ normal
