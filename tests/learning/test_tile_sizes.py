"""The side of tiles by the sizes of objects: small ones are large enough in the input, long ones fit."""

import numpy as np
import pytest
from PIL import Image

from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.images.reading import make_reading
from promise_seg.images.tiles import Tiling
from promise_seg.learning import object_sizes
from promise_seg.learning.tile_sizes import ObjectLengths, fitting_tiling, object_lengths
from tests.helpers import write_dataset


@pytest.fixture(autouse=True)
def _usual_size(monkeypatch):
    monkeypatch.setattr(object_sizes, "LEAST_SIZE", 12.0)


@pytest.mark.parametrize(
    ("lengths", "side", "overlap"),
    [((12, 20, 30), 256, 32), ((24, 30, 40), 512, 64), ((6, 10, 100), 320, 100), ((3, 4, 5), 64, 8)],
)
def test_small_objects_have_enough_pixels_and_long_ones_fit(lengths, side, overlap):
    tiles = fitting_tiling(ObjectLengths(*lengths), 256)
    assert tiles == Tiling(side=side, overlap=overlap)
    assert lengths[0] * 256 / side >= 12 or side < 3 * lengths[2] + 32


def test_small_objects_are_not_made_smaller_by_rounding():
    assert fitting_tiling(ObjectLengths(21, 30, 42), 128) == Tiling(side=224, overlap=42)


def test_an_overlap_that_is_given_is_kept():
    assert fitting_tiling(ObjectLengths(12, 20, 30), 256, 100) == Tiling(side=256, overlap=100)
    assert fitting_tiling(ObjectLengths(12, 20, 30), 256, 200) == Tiling(side=416, overlap=200)


@pytest.mark.parametrize("instances", [True, False])
def test_objects_are_those_of_instance_maps_or_what_hangs_together(instances, tmp_path):
    manifest = write_dataset(tmp_path / "data", ("train",))
    (row,) = read_manifest(manifest)
    labels = np.zeros((30, 40), np.uint8)
    labels[2:6, 2:11], labels[2:6, 11:20] = 1, 1 if not instances else 9  # 4 x 9 pixels each
    Image.fromarray(labels).save(row.mask)
    found = object_lengths(check_rows([row], make_reading(instances=instances)))
    assert found == pytest.approx((6, 9, 9) if instances else (72**0.5, 18, 18))


def test_without_objects_there_is_nothing_to_measure(tmp_path):
    manifest = write_dataset(tmp_path / "data", ("train",))
    (row,) = read_manifest(manifest)
    Image.fromarray(np.zeros((30, 40), np.uint8)).save(row.mask)
    assert object_lengths(check_rows([row])) is None
