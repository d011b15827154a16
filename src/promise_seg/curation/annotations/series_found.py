"""Find the DICOM series that a structure set was drawn on."""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from promise_seg.errors import PromiseError
from promise_seg.images.formats.dicom import DicomImage
from promise_seg.images.formats.dicom_faults import PARSE_ERRORS
from promise_seg.images.formats.dicom_files import SEGMENTATION_CLASSES, read_dataset
from promise_seg.images.formats.kinds import told_by_content
from promise_seg.images.formats.opening import open_source
from promise_seg.images.listing import visible


@dataclass(frozen=True)
class FoundSeries:
    """A series: its folder or its only file, if it is a single volume (``is_whole``), otherwise its separate files.

    ``instances`` are the unique identifiers of the files; ``notes`` state why the series is not a single volume.
    """

    targets: tuple[Path, ...]
    instances: dict[Path, str]
    is_whole: bool
    notes: tuple[str, ...] = ()


@dataclass
class _Files:
    instances: dict[Path, str] = field(default_factory=dict)
    frame: str = ""


class SeriesIndex:
    """An index of the DICOM images in a folder and below it, by series."""

    def __init__(self, folder: Path) -> None:
        self._series = defaultdict[str, _Files](_Files)
        for path in _files(folder):
            try:
                header = read_dataset(path, pixels=False)
                if "Rows" in header and str(header.SOPClassUID) not in SEGMENTATION_CLASSES:
                    files = self._series[str(header.get("SeriesInstanceUID") or path)]
                    files.instances[path] = str(header.get("SOPInstanceUID") or "")
                    files.frame = str(header.get("FrameOfReferenceUID") or "")
            except (PromiseError, OSError, *PARSE_ERRORS):
                continue

    def find(self, series: set[str], instances: set[str], frames: set[str]) -> FoundSeries | None:
        """Return the series of a structure set; ``None`` if none can be determined.

        The series is looked up by the identifiers that the structure set references, otherwise by the instances that
        its contours reference, otherwise by the frame of reference; each must match exactly one series.
        """
        ways = (
            [uid for uid in self._series if uid in series],
            [uid for uid, files in self._series.items() if instances & set(files.instances.values())],
            [uid for uid, files in self._series.items() if files.frame in frames],
        )
        named = next((found for found in ways if len(found) == 1), None)
        return None if named is None else _as_images(self._series[named[0]].instances)


def _files(folder: Path) -> list[Path]:
    found = list[Path]()
    for path in visible(folder):
        if path.is_dir() and not path.is_symlink():
            found += _files(path)
        elif told_by_content(path) is DicomImage or path.suffix.lower() == ".dcm":
            found.append(path)
    return found


def _as_images(instances: dict[Path, str]) -> FoundSeries:
    """Return the series as a single volume if its geometry allows this, otherwise file by file."""
    paths = sorted(instances)
    folders = {path.parent for path in paths}
    whole = paths[0] if len(paths) == 1 else next(iter(folders))
    try:
        if len(folders) > 1:
            why = f"{whole}: the series lies in {len(folders)} folders"
        elif (source := open_source(whole)).frame is not None:
            return FoundSeries((whole,), instances, is_whole=True)
        else:
            why = (
                str(source.uneven.words)
                if source.uneven is not None
                else "it does not state the positions of its slices"
            )
            why = f"{whole}: {why}"
    except PromiseError as error:
        why = str(error)
    return FoundSeries(tuple(paths), instances, False, (f"{why}. So each of its images has its own row and mask",))
