import nrrd
import numpy as np
import pytest

from promise_seg.images.formats.opening import open_source
from promise_seg.images.readers import read_labels
from promise_seg.prediction.outputs.nrrd import write_nrrd as write_labels
from promise_seg.vocabulary import Axis
from tests.files import write_nifti, write_nrrd

DIRECTIONS = np.array([[0.61, 0.3, 0.14], [-0.6, 1.08, 0.37], [-0.13, -1.08, 2.9]])
SPACE = {"space": "left-anterior-superior", "space directions": DIRECTIONS, "space origin": np.array([1.5, 2.0, -3.0])}


@pytest.mark.parametrize("axis", list(Axis))
def test_the_space_is_that_of_the_image_word_for_word(label, tmp_path, axis):
    header = SPACE | {"space units": ["mm"] * 3, "content": "a patient", "measurement frame": np.eye(3)}
    path = write_nrrd(tmp_path / "v.nrrd", np.zeros((4, 5, 6), np.float32), header)
    write_labels(label(path, {1: "a", 300: "b"}, axis), tmp_path / "v.seg.nrrd")
    values, written = nrrd.read(str(tmp_path / "v.seg.nrrd"))
    assert (values.shape, values.dtype) == ((4, 5, 6), np.uint16)
    assert written["space"] == "left-anterior-superior"
    assert written["space units"] == ["mm"] * 3
    np.testing.assert_array_equal(written["space directions"], DIRECTIONS)
    np.testing.assert_array_equal(written["space origin"], [1.5, 2.0, -3.0])
    assert "content" not in written


def test_slicer_finds_the_names_and_numbers_of_segments(label, tmp_path):
    path = write_nrrd(tmp_path / "v.nrrd", np.zeros((4, 5, 6), np.uint8), SPACE)
    write_labels(label(path, {1: "liver", 4: "L\u00e4sion\nlinks", 7: "\u8179"}), tmp_path / "v.seg.nrrd")
    written = nrrd.read_header(str(tmp_path / "v.seg.nrrd"))
    found = [(written[f"Segment{n}_LabelValue"], written[f"Segment{n}_Name"]) for n in range(3)]
    assert found == [("1", "liver"), ("4", "Lasion links"), ("7", "label 7")]
    assert written["Segment0_Extent"] == "0 3 0 4 0 5"
    assert written["Segment0_Color"] == "1.0000 0.8235 0.0000"
    assert written["Segmentation_MasterRepresentation"] == "Binary labelmap"


@pytest.mark.parametrize("placed", [False, True])
def test_images_of_two_dimensions_stay_such(label, tmp_path, placed):
    header = SPACE | {"space directions": DIRECTIONS[:2]} if placed else {"spacings": [0.5, 0.8]}
    path = write_nrrd(tmp_path / "a.nrrd", np.arange(30, dtype=np.uint8).reshape(5, 6), header)
    labelled = label(path)
    write_labels(labelled, tmp_path / "a.seg.nrrd")
    values, written = nrrd.read(str(tmp_path / "a.seg.nrrd"))
    assert values.shape == (5, 6)
    assert ("space" in written) == placed
    assert np.array_equal(read_labels(tmp_path / "a.seg.nrrd", open_source(path), 0), labelled.stack[0])
    assert open_source(tmp_path / "a.seg.nrrd").spacing == open_source(path).spacing


def test_axes_of_colours_and_of_length_one_are_not_those_of_labels(label, tmp_path):
    four = SPACE | {"space directions": np.array([[np.nan] * 3, *DIRECTIONS])}
    path = write_nrrd(tmp_path / "v.nrrd", np.zeros((1, 4, 5, 6), np.int16), four)
    write_labels(label(path), tmp_path / "v.seg.nrrd")
    assert nrrd.read_header(str(tmp_path / "v.seg.nrrd"))["sizes"].tolist() == [4, 5, 6]
    rgb = write_nrrd(tmp_path / "c.nrrd", np.zeros((3, 5, 6), np.uint8), {"kinds": ["RGB-color", "domain", "domain"]})
    write_labels(label(rgb), tmp_path / "c.seg.nrrd")
    assert nrrd.read_header(str(tmp_path / "c.seg.nrrd"))["sizes"].tolist() == [5, 6]


def test_a_nifti_image_and_its_nrrd_labels_lie_at_one_place(label, tmp_path):
    affine = np.array([[0, -0.9, 0.1, 5], [2, 0, 0, -7], [0, 0.1, 3, 2], [0, 0, 0, 1]])
    path = write_nifti(tmp_path / "v.nii", np.zeros((4, 5, 6), np.int16), affine)
    write_labels(label(path), tmp_path / "v.seg.nrrd")
    np.testing.assert_allclose(open_source(tmp_path / "v.seg.nrrd").frame.affine, affine, atol=1e-5)
