"""DICOM structure sets, against drawings of scikit-image in the pixels of each slice."""

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.filereader import dcmread

from promise_seg.errors import ImageError, ManifestError, PromiseError
from tests.curation.annotations.helpers import HOLE, LARGE, LOWER, STAR, accepted, drawn, iou, run
from tests.files import make_dicom, write_series

SIZE = (220, 160)
SPACING = (0.5, 0.8)
"""Between rows, and between columns, in mm."""
TILTED = (0.8, 0.6, 0.0, -0.6, 0.8, 0.0)


@pytest.fixture
def folder(tmp_path):
    def make(name="ct", **more):
        volume = np.zeros((5, 160, 220), np.int16)
        volume += np.arange(5, dtype=np.int16)[:, None, None]
        return write_series(tmp_path / "data" / name, volume, spacing=SPACING, **more)

    make.root = tmp_path / "data"
    return make


def headers(series):
    found = [dcmread(path, stop_before_pixels=True) for path in series.iterdir() if path.name.startswith("slice")]
    return sorted(found, key=lambda header: int(header.InstanceNumber))


def contour(header, ring, *, kind="CLOSED_PLANAR", named=True, above_mm=0.0):
    """A ring in pixels, whose corner is that of the first pixel, as DICOM has it: mm from its centre."""
    across, down = np.array(header.ImageOrientationPatient, float).reshape(2, 3)
    points = [
        np.array(header.ImagePositionPatient, float) + across * SPACING[1] * (x - 0.5) + down * SPACING[0] * (y - 0.5)
        + np.cross(across, down) * above_mm
        for x, y in ring
    ]  # fmt: skip
    item = Dataset()
    item.ContourGeometricType, item.NumberOfContourPoints = kind, len(points)
    item.ContourData = [f"{value:.5f}" for point in points for value in point]
    if named:
        image = Dataset()
        image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
        item.ContourImageSequence = [image]
    return item


def write(path, of, structures, *, series=True, frame=True):
    """A structure set of structures by name, each a list of contours."""
    dataset = make_dicom(np.zeros((2, 2), np.uint8), sop_class="1.2.840.10008.5.1.4.1.1.481.3")
    for name in ("Rows", "Columns", "PixelData", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated"):
        delattr(dataset, name)
    first, rois, contours = of[0], [], []
    dataset.FrameOfReferenceUID = first.FrameOfReferenceUID if frame else "1.2.3"
    if series:
        one, study, whole = Dataset(), Dataset(), Dataset()
        one.SeriesInstanceUID = first.SeriesInstanceUID
        study.RTReferencedSeriesSequence = [one]
        whole.RTReferencedStudySequence, whole.FrameOfReferenceUID = [study], first.FrameOfReferenceUID
        dataset.ReferencedFrameOfReferenceSequence = [whole]
    for number, (name, items) in enumerate(structures.items(), 3):
        roi, own = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName, own.ReferencedROINumber, own.ContourSequence = number, name, number, items
        rois.append(roi)
        contours.append(own)
    dataset.StructureSetROISequence, dataset.ROIContourSequence = rois, contours
    dataset.save_as(path, enforce_file_format=True)
    return path


def masks_of(manifest, label):
    return [row.mask() for row in accepted(manifest, label=label)]


@pytest.mark.parametrize("orientation", [(1, 0, 0, 0, 1, 0), TILTED, (1, 0, 0, 0, 0, -1)])
@pytest.mark.parametrize("named", [True, False])
def test_contours_lie_in_their_slices(folder, tmp_path, orientation, named):
    of = headers(folder(orientation=orientation))
    structures = {
        "GTV 1": [contour(of[1], STAR, named=named), contour(of[3], LOWER, named=named)],
        "Liver": [contour(of[2], ring, named=named) for ring in (LARGE, HOLE, LOWER)],
    }  # fmt: skip
    write(folder.root / "ct/rs.dcm", of, structures)  # beside its series, as archives hand it out
    result = run(folder.root, tmp_path / "m.csv")
    assert result.classes == {"GTV 1": 1, "Liver": 2}
    assert result.pairs[0].mask.name == "ct.nii.gz"
    target, liver = masks_of(tmp_path / "m.csv", 1), masks_of(tmp_path / "m.csv", 2)
    assert [bool(mask.any()) for mask in target] == [False, True, False, True, False]
    assert iou(target[1], drawn(STAR)) >= 0.99
    assert iou(target[3], drawn(LOWER)) >= 0.99
    assert [bool(mask.any()) for mask in liver] == [False, False, True, False, False]
    assert iou(liver[2], drawn(LARGE, HOLE) | drawn(LOWER)) >= 0.99


def test_a_keyhole_is_a_hole(folder, tmp_path):
    of = headers(folder())
    ring = [*LARGE, LARGE[0], *[HOLE[0], *HOLE[:0:-1]], HOLE[0], LARGE[0]]
    write(folder.root / "rs.dcm", of, {"x": [contour(of[0], ring)]})
    run(folder.root / "rs.dcm", tmp_path / "m.csv", images=folder.root)
    assert iou(masks_of(tmp_path / "m.csv", 1)[0], drawn(LARGE, HOLE)) >= 0.99


@pytest.mark.parametrize(("series", "frame"), [(True, False), (False, True), (False, False)])
def test_the_series_is_found_among_others(folder, tmp_path, series, frame):
    folder("other")
    of = headers(folder("ct"))
    write(folder.root / "rs.dcm", of, {"x": [contour(of[1], STAR)]}, series=series, frame=frame)
    result = run(folder.root, tmp_path / "m.csv")
    assert [pair.image.name for pair in result.pairs] == ["ct"]
    assert result.grouped_by.startswith("by ")


def test_an_uneven_series_gets_a_row_for_each_image(folder, tmp_path):
    series = folder()
    of = headers(series)
    next(path for path in series.iterdir() if dcmread(path).InstanceNumber == 2).unlink()
    write(folder.root / "rs.dcm", of, {"x": [contour(of[2], LARGE), contour(of[2], HOLE), contour(of[4], STAR)]})
    result = run(folder.root, tmp_path / "m.csv")
    assert len(result.pairs) == 4
    assert any("each of its images has its own row and mask" in line for line in result.remarks)
    masks = [row.mask() for row in accepted(tmp_path / "m.csv")]
    by_number = {int(dcmread(pair.image).InstanceNumber): mask for pair, mask in zip(result.pairs, masks, strict=True)}
    assert iou(by_number[3], drawn(LARGE, HOLE)) >= 0.99
    assert iou(by_number[5], drawn(STAR)) >= 0.99
    assert not by_number[1].any()


def test_contours_of_an_uneven_series_that_name_no_image_or_none_of_its_images(folder, tmp_path):
    series = folder()
    of = headers(series)
    next(path for path in series.iterdir() if dcmread(path).InstanceNumber == 2).unlink()
    structures = {"x": [contour(of[2], STAR, named=False), contour(of[1], LARGE, named=False), contour(of[1], LOWER)]}
    write(folder.root / "rs.dcm", of, structures)
    result = run(folder.root, tmp_path / "m.csv")
    assert sum("does not lie in any image of its series" in line for line in result.remarks) == 1
    drawn_on = {int(dcmread(pair.image).InstanceNumber): row.mask() for pair, row in
                zip(result.pairs, accepted(tmp_path / "m.csv"), strict=True)}  # fmt: skip
    assert iou(drawn_on[3], drawn(STAR)) >= 0.99
    assert not drawn_on[1].any()


def test_a_series_is_not_empty_where_all_contours_are_broken(folder, tmp_path):
    of = headers(folder())
    broken = contour(of[0], STAR)
    broken.ContourData = ["1", "2", "3", "4"]
    write(folder.root / "rs.dcm", of, {"x": [broken]})
    with pytest.raises(ManifestError, match="no masks could be made"):
        run(folder.root, tmp_path / "m.csv", empty=True)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda dataset: setattr(dataset, "StructureSetROISequence", []),
        lambda dataset: delattr(dataset, "ROIContourSequence"),
        lambda dataset: delattr(dataset.ROIContourSequence[0], "ReferencedROINumber"),
        lambda dataset: delattr(dataset.ROIContourSequence[0], "ContourSequence"),
        lambda dataset: delattr(dataset.ROIContourSequence[0].ContourSequence[0], "ContourGeometricType"),
        lambda dataset: delattr(dataset.ROIContourSequence[0].ContourSequence[0], "ContourData"),
        lambda dataset: delattr(dataset.StructureSetROISequence[0], "ROINumber"),
        lambda dataset: delattr(dataset.StructureSetROISequence[0], "ROIName"),
        lambda dataset: delattr(dataset, "ReferencedFrameOfReferenceSequence"),
    ],
)
def test_a_structure_set_that_lacks_something(folder, tmp_path, spoil):
    of = headers(folder())
    path = write(folder.root / "rs.dcm", of, {"x": [contour(of[1], STAR)]})
    dataset = dcmread(path)
    spoil(dataset)
    dataset.save_as(path)
    try:
        result = run(folder.root, tmp_path / "m.csv")
    except PromiseError:
        assert not (tmp_path / "m.csv").exists()
    else:
        assert iou(masks_of(result.manifests[0], 1)[1], drawn(STAR)) >= 0.99


def test_contours_that_are_no_areas_or_lie_elsewhere_are_named(folder, tmp_path):
    of = headers(folder())
    broken = contour(of[0], STAR)
    broken.ContourData = ["1", "2", "3", "4"]
    skew = contour(of[0], STAR)
    skew.ContourData = [*list(skew.ContourData)[:-1], 500]
    write(
        folder.root / "rs.dcm", of,
        {"x": [contour(of[1], STAR), contour(of[1], LOWER, above_mm=0.4), broken, skew,
               contour(of[0], [(1, 1)], kind="POINT"), contour(of[4], STAR, above_mm=50),
               contour(of[0], STAR, kind="OPEN_PLANAR")]},
    )  # fmt: skip
    result = run(folder.root, tmp_path / "m.csv")
    text = "\n".join(result.remarks)
    for words in (
        "POINT 1", "OPEN_PLANAR 1", "contour between slices, next to a nearer one 1", "3 invalid shape(s)",
        "no three points of three", "does not lie in one slice", "does not lie in any image of its series",
    ):  # fmt: skip
        assert words in text
    assert iou(masks_of(tmp_path / "m.csv", 1)[1], drawn(STAR)) >= 0.99


def test_objects_of_a_volume(folder, tmp_path):
    of = headers(folder())
    write(folder.root / "rs.dcm", of, {"a": [contour(of[1], STAR), contour(of[2], STAR)], "b": [contour(of[1], LARGE)]})
    run(folder.root, tmp_path / "m.csv", masks="instances")
    assert [len(row.instances()) for row in accepted(tmp_path / "m.csv", instances=True)] == [0, 2, 1, 0, 0]
    result = run(folder.root, tmp_path / "n.csv", masks="per-class")
    assert [path.name for path in result.manifests] == ["n_a.csv", "n_b.csv"]
    assert [bool(row.mask().any()) for row in accepted(tmp_path / "n_a.csv")] == [False, True, True, False, False]


def test_a_series_that_is_not_there_and_a_file_that_is_no_structure_set(folder, tmp_path):
    of = headers(folder())
    write(tmp_path / "rs.dcm", of, {"x": [contour(of[1], STAR)]})
    (tmp_path / "empty").mkdir()
    with pytest.raises(ManifestError, match=f"not found: series {of[0].SeriesInstanceUID}.*--images FOLDER"):
        run(tmp_path / "rs.dcm", tmp_path / "m.csv", images=tmp_path / "empty")
    with pytest.raises(ImageError, match="not a structure set"):
        run(next((folder.root / "ct").iterdir()), tmp_path / "m.csv")
