"""Find the files of a folder that form its DICOM series."""

from collections import defaultdict
from pathlib import Path

from promise_seg.errors import ImageError
from promise_seg.images.formats.dicom import DicomImage
from promise_seg.images.formats.dicom_faults import in_line
from promise_seg.images.formats.dicom_files import SEGMENTATION_CLASSES, read_dataset
from promise_seg.images.formats.kinds import kind_of, suffix_of


def dicom_files(folder: Path) -> list[Path]:
    """Return the DICOM files directly in a folder, by content, sorted by name; a DICOMDIR is left out."""
    files = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    names = [p for p in files if suffix_of(p) in ("", *DicomImage.suffixes) and p.name != "DICOMDIR"]
    return [p for p in names if kind_of(p) is DicomImage]


def files_of_series(folder: Path) -> list[Path]:
    """Return the DICOM files of a folder that contains one series.

    Segmentations, and files without pixels such as structure sets and reports, are ignored.

    Raises:
        ImageError: if the folder contains no series or several, or one of its files is damaged.
    """
    found: dict[str, list[Path]] = defaultdict(list)
    segmentations: dict[str, list[Path]] = defaultdict(list)
    for path in dicom_files(folder):
        header = read_dataset(path, pixels=False)
        is_one = str(header.get("SOPClassUID")) in SEGMENTATION_CLASSES
        if "Rows" not in header and "Image" not in header.SOPClassUID.name:  # an image without it is damaged
            continue
        (segmentations if is_one else found)[str(header.get("SeriesInstanceUID", ""))].append(path)
    found = found or segmentations
    if len(found) != 1:
        what = f"{len(found)} series ({in_line(', '.join(sorted(found)))})" if found else "no DICOM images"
        way_out = ". Give each series a folder of its own" if found else ""
        raise ImageError(f"{folder}: {what} there; expected a folder with the DICOM images of one series{way_out}")
    return next(iter(found.values()))
