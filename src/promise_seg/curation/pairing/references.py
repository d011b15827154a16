"""Pair DICOM segmentations with the images that they reference by unique identifiers."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydicom.dataset import Dataset

from promise_seg.curation.pairing.matching import ImagePair, Matches
from promise_seg.curation.pairing.scanning import scan
from promise_seg.errors import PromiseError
from promise_seg.images.formats.dicom import DicomImage
from promise_seg.images.formats.dicom_faults import PARSE_ERRORS
from promise_seg.images.formats.dicom_files import SEGMENTATION_CLASSES, read_dataset
from promise_seg.images.formats.kinds import told_by_content

_REFERENCES = ("ReferencedSeriesSequence", "SourceImageSequence", "SharedFunctionalGroupsSequence",
               "PerFrameFunctionalGroupsSequence", "DerivationImageSequence", "ReferencedInstanceSequence")  # fmt: skip


@dataclass
class _Files:
    """The DICOM files of a folder: images by series, and the instances and series that each segmentation references."""

    images: dict[str, dict[str, Path]] = field(default_factory=lambda: defaultdict(dict))
    segmentations: dict[Path, tuple[set[str], set[str]]] = field(default_factory=dict)
    others: list[Path] = field(default_factory=list)
    folders: dict[Path, set[str]] = field(default_factory=lambda: defaultdict(set))


def match_references(folder: Path) -> Matches:
    """Pair each segmentation with the series that it was made from, or with a single file of that series.

    Files other than DICOM are listed as ``unnamed``, DICOM files that are neither images nor segmentations as
    ``unused``.
    """
    contents = scan(folder, divided=True)
    found = Matches(ignored=list(contents.ignored), folders=set(contents.folders))
    dicom = [entry.path for entry in contents.entries if told_by_content(entry.path) is DicomImage]
    files = _read(dicom)
    if not files.segmentations:
        return found
    found.unused = files.others
    found.unnamed = sorted({entry.path for entry in contents.entries} - set(dicom))
    by_image = defaultdict[Path, list[Path]](list)
    for path, (instances, series) in sorted(files.segmentations.items()):
        image = _image_of(files, instances, series)
        if image is None:
            found.masks_alone.append(path)
        elif image.is_dir() and len(files.folders[image]) > 1:
            found.clashes.append(
                f"{path}: segments one of the {len(files.folders[image])} series in {image}; expected a folder for "
                "each series. Move the series into separate folders"
            )
        else:
            by_image[image].append(path)
    for image, masks in by_image.items():
        if len(masks) > 1:
            listed = ", ".join(mask.relative_to(folder).as_posix() for mask in masks)
            found.clashes.append(f"{image}: has several masks: {listed}")
        else:
            found.pairs.append(ImagePair(image, masks[0], image.name, None, ""))
    taken = set(by_image)
    for files_of_series in files.images.values():
        alone = [path for path in files_of_series.values() if not taken & {path, path.parent}]
        if len(alone) == len(files_of_series):
            found.images_alone += alone[:1] if len(alone) == 1 else [alone[0].parent]
        else:
            found.images_alone += alone
    return found


def _read(paths: list[Path]) -> _Files:
    files = _Files()
    for path in paths:
        try:
            header = read_dataset(path, pixels=False)
            if str(header.SOPClassUID) in SEGMENTATION_CLASSES:
                uids = set(_uids(header))
                files.segmentations[path] = uids, {str(one.get("SeriesInstanceUID")) for one in _series(header)}
            elif "Rows" in header:
                series = str(header.get("SeriesInstanceUID") or "")
                files.images[series][str(header.get("SOPInstanceUID") or path)] = path
                files.folders[path.parent].add(series)
            else:
                files.others.append(path)
        except (PromiseError, OSError, *PARSE_ERRORS):
            files.others.append(path)
    return files


def _series(header: Dataset) -> list[Dataset]:
    return list(header.get("ReferencedSeriesSequence") or [])


def _uids(dataset: Dataset) -> Iterator[str]:
    """Yield the identifiers of all instances that a segmentation references, as a whole or frame by frame."""
    if uid := dataset.get("ReferencedSOPInstanceUID"):
        yield str(uid)
    for name in _REFERENCES:
        for item in dataset.get(name) or []:
            yield from _uids(item)


def _image_of(files: _Files, instances: set[str], series: set[str]) -> Path | None:
    """Return the folder of the series that a segmentation references, or a file of it.

    The file is returned if it is the only referenced instance, and either the only file of its series or one of several
    files that segmentations reference. ``None`` is returned if no single series or folder can be determined.
    """
    named = [uid for uid in files.images if instances & set(files.images[uid])] or [
        uid for uid in sorted(series) if uid in files.images
    ]
    if len(named) != 1:
        return None
    own = files.images[named[0]]
    mine = [path for uid, path in own.items() if uid in instances]
    others = set().union(*(names for names, _ in files.segmentations.values())) & set(own)
    if len(mine) == 1 and (len(own) == 1 or len(others) > 1):
        return mine[0]
    places = {path.parent for path in own.values()}
    return places.pop() if len(places) == 1 else None
