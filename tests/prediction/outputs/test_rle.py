import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image
from pycocotools.coco import COCO
from scipy import ndimage

from promise_seg.prediction.outputs.rle import _code_in, _runs, encode_rle, write_coco, write_rle
from tests.files import decode_rle, write_nifti


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=40)))
@settings(deadline=None)
def test_a_code_gives_its_mask_back(mask):
    code = json.loads(json.dumps(encode_rle(mask)))
    assert np.array_equal(decode_rle(code), mask)


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=40)).filter(np.any))
@settings(deadline=None)
def test_the_code_of_a_window_is_that_of_the_whole_mask(mask):
    (window,) = ndimage.find_objects(mask.astype(np.uint8))
    rows, columns = np.nonzero(mask)
    left, top = int(columns.min()), int(rows.min())
    box = [left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top]
    expected = {"label": 1, "segmentation": encode_rle(mask), "area": int(mask.sum()), "bbox": box, "score": 0.5}
    assert _code_in(1, mask[window], window, mask.shape, 0.5) == expected


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=40)))
@settings(deadline=None)
def test_the_runs_of_a_code_are_its_mask(mask):
    by_columns = np.zeros(mask.size, bool)
    for begin, end in _runs(encode_rle(mask)):
        by_columns[begin:end] = True
    assert np.array_equal(by_columns.reshape(mask.shape, order="F"), mask)


def test_long_runs_are_read_as_coco_s_library_writes_them():
    mask = np.zeros((700, 900), bool)
    mask[5:600, 30:31] = mask[600:, 300:800] = True
    places = np.concatenate([np.arange(begin, end) for begin, end in _runs(encode_rle(mask))])
    assert np.array_equal(places, np.flatnonzero(mask.ravel(order="F")))


@pytest.fixture
def codes(label, tmp_path):
    Image.fromarray(np.zeros((6, 7, 3), np.uint8)).save(tmp_path / "a.png")
    write_nifti(tmp_path / "v.nii", np.zeros((4, 5, 3), np.int16))
    labelled = [label(tmp_path / "a.png", {1: "x", 2: "y"}), label(tmp_path / "v.nii", {1: "x", 2: "y"})]
    paths = [tmp_path / "a.json", tmp_path / "v.json"]
    for one, path in zip(labelled, paths, strict=True):
        write_rle(one, path)
    return labelled, paths


def test_codes_of_slices_and_labels(codes):
    labelled, paths = codes
    written = json.loads(paths[1].read_text())
    assert written["labels"] == {"1": "x", "2": "y"}
    for one, slice_labels in zip(written["slices"], labelled[1].stack, strict=True):
        for found in one["objects"]:
            mask = decode_rle(found["segmentation"])
            assert np.array_equal(mask, slice_labels == found["label"])
            assert found["area"] == mask.sum()


def test_coco_s_own_library_reads_it(codes, tmp_path, capsys):
    labelled, paths = codes
    write_coco(paths, tmp_path / "coco.json")
    coco = COCO(str(tmp_path / "coco.json"))
    names = [image["file_name"] for image in coco.loadImgs(coco.getImgIds())]
    assert names == [f"{tmp_path}/a.png", *(f"{tmp_path}/v.nii#{i}" for i in range(3))]
    stacks = [labelled[0].stack[0], *labelled[1].stack]
    for image, labels in zip(coco.getImgIds(), stacks, strict=True):
        for annotation in coco.loadAnns(coco.getAnnIds(image)):
            mask = coco.annToMask(annotation).astype(bool)
            assert np.array_equal(mask, labels == annotation["category_id"])
            left, top, width, height = annotation["bbox"]
            rows, columns = np.nonzero(mask)
            assert (columns.min(), rows.min()) == (left, top)
            assert (columns.max() - left + 1, rows.max() - top + 1) == (width, height)
    assert [c["name"] for c in coco.loadCats(coco.getCatIds())] == ["x", "y"]


def test_objects_that_do_not_touch_are_objects_of_their_own(label, tmp_path):
    Image.fromarray(np.zeros((6, 7, 3), np.uint8)).save(tmp_path / "a.png")
    labelled = label(tmp_path / "a.png", separate=True)
    labels = labelled.slices[0].labels
    labels[:] = 0
    labels[0, :3] = labels[4:, 5:] = 1
    write_rle(labelled, tmp_path / "a.json")
    objects = json.loads((tmp_path / "a.json").read_text())["slices"][0]["objects"]
    assert sorted(o["area"] for o in objects) == [3, 4]
