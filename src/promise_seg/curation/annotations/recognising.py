"""Detect the format of annotations from the content of files, and read them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from promise_seg.curation.annotations.coco import is_coco, read_coco
from promise_seg.curation.annotations.colour_masks import CLASSES, read_colour_masks, table_in
from promise_seg.curation.annotations.colour_tables import VOC
from promise_seg.curation.annotations.cvat import read_cvat
from promise_seg.curation.annotations.documents import beginning_of, read_json, words_for
from promise_seg.curation.annotations.geojson import is_geojson, read_geojson
from promise_seg.curation.annotations.label_studio import is_label_studio, read_label_studio
from promise_seg.curation.annotations.labelme import is_labelme, read_labelme
from promise_seg.curation.annotations.rtstruct import RTSTRUCT_CLASS, read_rtstruct
from promise_seg.curation.annotations.series_found import SeriesIndex
from promise_seg.curation.annotations.shapes import Document
from promise_seg.curation.annotations.via import is_via, is_via_3, is_via_csv, read_via, read_via_csv
from promise_seg.curation.annotations.yolo import YOLO_CLASSES, classes_in, read_yolo
from promise_seg.dataset.manifest_file import REQUIRED_COLUMNS
from promise_seg.errors import ImageError, PromiseError, SettingsError
from promise_seg.images.formats.dicom import DicomImage
from promise_seg.images.formats.dicom_faults import PARSE_ERRORS, damaged
from promise_seg.images.formats.dicom_files import read_dataset
from promise_seg.images.formats.kinds import told_by_content
from promise_seg.images.listing import visible
from promise_seg.vocabulary import AnnotationFormat

_JSON = frozenset({".json", ".geojson"})
_YAML = frozenset({".yaml", ".yml"})


@dataclass(frozen=True)
class Wishes:
    """The user's choices that readers need.

    Args:
        images: folder of the images.
        attribute: attribute of VIA regions that holds the class.
        colours: path of the colour table, or ``voc``.
        objects: whether objects must be separated.
    """

    images: Path
    attribute: str | None = None
    colours: str | None = None
    objects: bool = False

    @cached_property
    def series(self) -> SeriesIndex:
        """The DICOM series among the images."""
        return SeriesIndex(self.images)


JSON_FORMATS: dict[AnnotationFormat, tuple[Callable[[Any], bool], Callable[[Path, Any, Wishes], Document]]] = {
    AnnotationFormat.COCO: (is_coco, lambda path, value, _: read_coco(path, value)),
    AnnotationFormat.LABELME: (is_labelme, lambda path, value, _: read_labelme(path, value)),
    AnnotationFormat.GEOJSON: (is_geojson, lambda path, value, _: read_geojson(path, value)),
    AnnotationFormat.LABEL_STUDIO: (is_label_studio, lambda path, value, _: read_label_studio(path, value)),
    AnnotationFormat.VIA: (is_via, lambda path, value, wishes: read_via(path, value, wishes.attribute)),
}
"""The JSON formats: a function that detects each, and a function that reads it. The first match is used."""
_KNOWN = (
    "files of COCO, LabelMe, CVAT, Label Studio, VIA or QuPath, a DICOM structure set, YOLO's data.yaml or "
    "classes.txt, or colour masks with a table (--colours)"
)
_EXPECTED = (
    "expected COCO (images and annotations), LabelMe (shapes and imagePath), Label Studio (a list of tasks), VIA 2 "
    "(_via_img_metadata, or images with regions) or GeoJSON (features)"
)


def read_annotations(path: Path, wishes: Wishes, kind: AnnotationFormat | None = None) -> Document | None:
    """Read an annotation file, a YOLO list of classes with its labels, or a folder of colour masks.

    Args:
        path: the file or folder, from :func:`annotation_files`.
        wishes: further choices that readers need.
        kind: the format, if the user gives it; otherwise it is detected.

    Returns:
        The annotations; ``None`` for a DICOM file that is not a structure set, unless ``kind`` is given.

    Raises:
        ImageError: if it cannot be read, or has another or an unknown format.
    """
    if path.is_dir() or kind == AnnotationFormat.COLOUR_MASKS:
        return read_colour_masks(path if path.is_dir() else path.parent, wishes.colours, objects=wishes.objects)
    if kind == AnnotationFormat.YOLO or (kind is None and _is_yolo(path)):
        return read_yolo(path)
    if kind == AnnotationFormat.CVAT or (kind is None and path.suffix.lower() == ".xml"):
        return read_cvat(path)
    if kind in (AnnotationFormat.VIA, None) and is_via_csv(path):
        return read_via_csv(path, wishes.attribute)
    if kind == AnnotationFormat.RTSTRUCT or (kind is None and _may_be_dicom(path)):
        if str(read_dataset(path, pixels=False).SOPClassUID) == RTSTRUCT_CLASS:
            try:
                return read_rtstruct(path, wishes.series)
            except PARSE_ERRORS as error:
                raise damaged(path, error) from error
        if kind is not None:
            raise ImageError(f"{path}: a DICOM file, but not a structure set (RTSTRUCT)")
        return None
    return _read_json(path, wishes, kind)


def _read_json(path: Path, wishes: Wishes, kind: AnnotationFormat | None) -> Document:
    _refuse_other_files(path)
    value = read_json(path)
    for name, (fits, read) in JSON_FORMATS.items():
        if kind in (None, name) and fits(value):
            return read(path, value, wishes)
    if is_via_3(value):
        raise ImageError(f"{path}: a project of VIA 3. Open it in VIA and export it as COCO")
    if kind is None:
        what, expected = "not a known format of annotations", _EXPECTED
    else:
        fitting = next((name for name, (fits, _) in JSON_FORMATS.items() if fits(value)), None)
        what, expected = f"not {kind}", "leave --format out" if fitting is None else f"it looks like --format {fitting}"
    raise ImageError(f"{path}: holds {words_for(value)}, which is {what}; {expected}")


def _refuse_other_files(path: Path) -> None:
    """Check that a file that is not named as JSON begins as a list or an object of JSON.

    Raises:
        ImageError: if it does not.
    """
    if path.suffix.lower() in _JSON or not path.is_file():
        return
    first_line = next((line for line in beginning_of(path).splitlines() if line.strip()), "")
    if first_line.lstrip()[:1] in {"{", "["}:
        return
    if all(name in first_line.lower() for name in REQUIRED_COLUMNS):
        raise ImageError(
            f"{path}: a manifest, which all commands read as it is; expected annotations: {_KNOWN}. To check it, use "
            "promise data check"
        )
    raise ImageError(f"{path}: not a known format of annotations; expected {_KNOWN}")


def _may_be_dicom(path: Path) -> bool:
    return path.suffix.lower() == ".dcm" or told_by_content(path) is DicomImage


def _is_yolo(path: Path) -> bool:
    return path.name in YOLO_CLASSES or path.suffix.lower() in _YAML


def annotation_files(path: Path, kind: AnnotationFormat | None = None, colours: str | None = None) -> Sequence[Path]:
    """Return the files to read for a path that a user gives: the file itself, or all annotations in and below a folder.

    For a folder with colour masks this is the folder itself, and with YOLO's list of classes it is this list.

    Raises:
        ImageError: if the path does not exist, or a folder has no annotations.
        SettingsError: if the format or the colours do not apply to the path.
    """
    if not path.exists():
        raise ImageError(f"{path}: no such file or folder")
    if path.is_file():
        if kind == AnnotationFormat.COLOUR_MASKS or (kind is None and colours is not None):
            raise SettingsError(f"{path}: a file; expected the folder of the colour masks")
        return [path]
    if colours is not None or kind == AnnotationFormat.COLOUR_MASKS:
        if colours not in (None, VOC) and not Path(str(colours)).is_file():
            raise SettingsError(f"--colours {colours}: no such file; expected a table of colours, or {VOC}")
        return [path]
    if kind is None and ((path / CLASSES).is_dir() or (table_in(path) and not classes_in(path))):
        return [path]
    classes = classes_in(path)
    if classes is not None and kind in (AnnotationFormat.YOLO, None):
        return [classes]
    found = [file for file in _below(path) if _may_be(file, kind)]
    if not found and kind is not None and any(_may_be(file, None) for file in _below(path)):
        raise ImageError(
            f"{path}: no file there or below can be of --format {kind}, but some can be of another format. Leave "
            "--format out to have it recognised"
        )
    if not found:
        raise ImageError(f"{path}: no annotations there or below; expected {_KNOWN}")
    return found


def _below(folder: Path) -> Iterator[Path]:
    for path in visible(folder):
        if not path.is_dir():
            yield path
        elif not path.is_symlink():
            yield from _below(path)


def _may_be(path: Path, kind: AnnotationFormat | None) -> bool:
    """Whether a file in a folder may contain annotations; JSON and XML files are only examined when they are read."""
    suffix = path.suffix.lower()
    if suffix in _JSON:
        return kind is None or kind in JSON_FORMATS
    if suffix == ".xml":
        return kind in (AnnotationFormat.CVAT, None)
    if suffix == ".csv":
        return kind in (AnnotationFormat.VIA, None) and is_via_csv(path)
    return kind in (AnnotationFormat.RTSTRUCT, None) and _is_structure_set(path)


def _is_structure_set(path: Path) -> bool:
    try:
        return _may_be_dicom(path) and str(read_dataset(path, pixels=False).SOPClassUID) == RTSTRUCT_CLASS
    except PromiseError:
        return False
