"""The hash of a mask depends on its values, and not on the data type that they are stored in."""

import hashlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from promise_seg.dataset.checks import check_rows, data_sha256
from promise_seg.dataset.manifest import read_manifest
from promise_seg.dataset.mask_hashes import stored_sha256, values_sha256

LABELS = (np.arange(480).reshape(20, 24) % 3).astype(np.uint8)
TYPES = ["u1", "<u2", ">u2", "<i2", ">i4", "<i8", "<u8", "<f4", ">f8"]


@pytest.mark.parametrize("kind", TYPES)
def test_equal_values_have_the_hash_of_8_bits(kind):
    assert values_sha256(LABELS.astype(kind)) == values_sha256(LABELS) == stored_sha256(LABELS)


def test_a_boolean_mask_is_one_of_0_and_1():
    assert values_sha256(LABELS > 0) == values_sha256((LABELS > 0).astype(np.uint16))


@pytest.mark.parametrize(("lowest", "highest"), [(-1, 200), (0, 300), (0, 70000), (-70000, 5), (0, 2**40)])
def test_values_of_more_bits(lowest, highest):
    labels = np.array([[lowest, 1], [2, highest]], np.int64)
    others = [labels.astype(kind) for kind in (">i8", "<f8")]
    assert {values_sha256(one) for one in others} == {values_sha256(labels)}
    assert values_sha256(labels) != values_sha256(labels + np.array([[0, 1], [0, 0]]))


def test_fractions_are_told_apart():
    half = np.array([[0.5, 0.0]], np.float32)
    assert values_sha256(half) == values_sha256(half.astype(np.float64))
    assert values_sha256(half) != values_sha256(np.zeros((1, 2), np.float32))
    assert values_sha256(np.array([[np.inf, 0]])) != values_sha256(np.array([[0.0, 0]]))


def rows_of(folder, mask):
    image = np.zeros((20, 24), np.uint8)
    Image.fromarray(image).save(folder / "a.png")
    tifffile.imwrite(folder / "m.tif", mask)
    (folder / "d.csv").write_text("image_name,train_type,mask_name\na.png,train,m.tif\n")
    return check_rows(read_manifest(folder / "d.csv"))


def test_rows_have_both_hashes_and_the_recorded_one_is_as_in_earlier_versions(tmp_path):
    mask = (LABELS > 0).astype(np.uint8)
    (narrow,), (wide,) = rows_of(tmp_path, mask), rows_of(tmp_path, mask.astype(np.uint16))
    assert narrow.truth_values_sha256 == wide.truth_values_sha256 == narrow.truth_sha256
    assert wide.labels_sha256 == hashlib.sha256(mask.astype(np.uint16).tobytes()).hexdigest()
    assert data_sha256([narrow]) != data_sha256([wide])  # runs with these masks can still be resumed
