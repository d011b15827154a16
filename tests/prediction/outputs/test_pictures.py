import numpy as np
import pytest
import tifffile
from PIL import Image

from promise_seg.images.formats.opening import open_source
from promise_seg.prediction.outputs import pictures
from promise_seg.prediction.outputs.pictures import write_png, write_tiff
from tests.files import write_nifti


def test_a_mask_is_black_and_white(label, tmp_path):
    Image.fromarray(np.zeros((6, 7, 3), np.uint8)).save(tmp_path / "a.png")
    labelled = label(tmp_path / "a.png")
    write_png(labelled, tmp_path / "out/m.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out/m.png")), np.where(labelled.stack[0], 255, 0))


def test_classes_keep_their_numbers(label, tmp_path):
    Image.fromarray(np.zeros((6, 7, 3), np.uint8)).save(tmp_path / "a.png")
    for names in ({2: "a", 5: "b"}, {1: "a", 300: "b"}, {1: "class 1"}):
        labelled = label(tmp_path / "a.png", names)
        write_png(labelled, tmp_path / "m.png")
        assert np.array_equal(open_source(tmp_path / "m.png").as_stored(0), labelled.stack[0])


def test_slices_of_a_volume_are_files_or_pages(label, tmp_path):
    write_nifti(tmp_path / "v.nii", np.zeros((4, 5, 3), np.int16))
    labelled = label(tmp_path / "v.nii")
    write_png(labelled, tmp_path / "v.png")
    assert sorted(p.name for p in (tmp_path / "v").iterdir()) == ["000.png", "001.png", "002.png"]
    write_tiff(labelled, tmp_path / "v.tif")
    assert np.array_equal(tifffile.imread(tmp_path / "v.tif"), np.where(labelled.stack, 255, 0))
    assert len(open_source(tmp_path / "v.tif")) == 3


@pytest.mark.parametrize("slices", [1, 2, 3, 5])
def test_masks_of_ome_tiffs_are_slices_not_channels(slices, label, tmp_path):
    tifffile.imwrite(tmp_path / "a.ome.tif", np.zeros((slices, 6, 7), np.uint8), metadata={"axes": "ZYX"})
    labelled = label(tmp_path / "a.ome.tif")
    write_tiff(labelled, tmp_path / "m.ome.tif")
    found = open_source(tmp_path / "m.ome.tif")
    assert (len(found), found.several_channels) == (slices, ())
    assert np.array_equal(found.array, np.where(labelled.stack, 255, 0))


def test_the_mask_of_a_large_ome_tiff_is_no_ome_tiff(label, tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "LARGEST_WHOLE", 10)
    tifffile.imwrite(tmp_path / "a.ome.tif", np.zeros((6, 7), np.uint8))
    labelled = label(tmp_path / "a.ome.tif")
    write_tiff(labelled, tmp_path / "m.ome.tif")
    with tifffile.TiffFile(tmp_path / "m.ome.tif") as file:
        assert not file.is_ome
    assert np.array_equal(open_source(tmp_path / "m.ome.tif").array, np.where(labelled.stack, 255, 0))
