import numpy as np
import pytest
from PIL import Image

from promise_seg.data.formats.orientation import Axis
from promise_seg.errors import ImageError
from promise_seg.prediction.inputs import find_inputs
from tests.files import write_dicom, write_nifti, write_series
from tests.helpers import disc_image


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(4):
        Image.fromarray(disc_image(i, 30 + i, 40)[0]).save(folder / f"{i}.png")
    return folder


def names(*places):
    return [one.path.name for one in find_inputs(places)]


def test_files_and_folders_are_found(images):
    assert names(images / "3.png", images) == ["3.png", "0.png", "1.png", "2.png"]


def test_what_cannot_be_predicted_is_said_first(images, tmp_path):
    with pytest.raises(ImageError, match="no such file or folder"):
        find_inputs([images / "9.png"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match="no images there; expected files ending in"):
        find_inputs([tmp_path / "empty"])
    Image.fromarray(disc_image(0)[0]).save(images / "0.jpg")
    with pytest.raises(ImageError, match=r"would both get the mask masks/0"):
        find_inputs([images])


def test_volumes_lose_the_whole_of_their_suffix(tmp_path):
    write_nifti(tmp_path / "ct.nii.gz", np.zeros((3, 4, 5), np.int16))
    assert [one.stem for one in find_inputs([tmp_path])] == ["ct"]


def test_an_export_of_dicom_is_sorted_into_volumes_and_single_images(tmp_path):
    """Files of any name, in folders of any depth: two series, an image without a place, and a file that is none."""
    write_series(tmp_path / "patient/study/ct", count=4)
    write_series(tmp_path / "patient/study/both", count=3)
    write_series(tmp_path / "patient/study/both", count=2, prefix="other")
    write_dicom(tmp_path / "patient/xray", np.zeros((5, 6), np.uint16), placed=False)
    (tmp_path / "patient/notes").write_text("nothing to see")
    found = {one.stem: len(one.files) for one in find_inputs([tmp_path / "patient"])}
    assert sorted(found.values()) == [0, 2, 3, 4]
    assert (found["xray"], found["ct"]) == (0, 4)
    assert {found["both_1"], found["both_2"]} == {2, 3}
    for one in find_inputs([tmp_path / "patient/study"]):
        assert len(one.open(Axis.AUTO)) == len(one.files)


def test_names_that_recur_in_an_export_are_told_apart(tmp_path):
    for patient in ("PA1", "PA2"):
        write_series(tmp_path / patient / "ST1/SE1", count=3)
        write_dicom(tmp_path / patient / "ST2/IM1", np.zeros((5, 6), np.uint16), placed=False)
    (tmp_path / "PA2/ST1/loop").symlink_to(tmp_path)
    found = sorted(one.stem for one in find_inputs([tmp_path]))
    assert found == ["PA1_ST1_SE1", "PA1_ST2_IM1", "PA2_ST1_SE1", "PA2_ST2_IM1"]


def test_segmentations_are_not_predicted(tmp_path):
    write_dicom(tmp_path / "a.dcm", np.zeros((5, 6), np.uint16))
    write_dicom(tmp_path / "seg.dcm", np.zeros((5, 6), np.uint8), sop_class="1.2.840.10008.5.1.4.1.1.66.4")
    assert names(tmp_path) == ["a.dcm"]
