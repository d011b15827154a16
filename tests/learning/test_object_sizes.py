"""The size at which images are seen follows from the sizes of the objects."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.images.geometry import Box, Geometry
from promise_seg.images.reading import make_reading
from promise_seg.learning import object_sizes
from promise_seg.learning.object_sizes import fitting_side, usual_object_size
from promise_seg.vocabulary import Fit


@pytest.fixture(autouse=True)
def _as_for_users(monkeypatch):
    monkeypatch.setattr(object_sizes, "LEAST_SIZE", 12.0)


@pytest.mark.parametrize(
    ("size", "usual", "side"),
    [
        (0.3, 128, 128),
        (0.0938, 128, 128),
        (0.09, 128, 256),
        (0.04, 128, 384),
        (0.001, 128, 512),
        (0.001, 256, 1024),
        (0.001, 512, 1024),
        (0.001, 1024, 1024),
    ],
)
def test_the_least_multiple_at_which_objects_are_large_enough(size, usual, side):
    assert fitting_side(size, usual) == side


def write(tmp_path, masks):
    lines = ["image_name,train_type,mask_name"]
    for number, mask in enumerate(masks):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((*mask.shape, 3), number, np.uint8))
        cv2.imwrite(str(tmp_path / f"m{number}.png"), mask.astype(np.uint8) * 255)
        lines.append(f"{number}.png,train,m{number}.png")
    (tmp_path / "data.csv").write_text("\n".join(lines))
    return check_rows(read_manifest(tmp_path / "data.csv"))


def test_the_usual_object_is_the_median_of_the_images_medians(tmp_path):
    masks = [np.zeros((40, 40), bool) for _ in range(4)]
    masks[0][::8, ::8] = True  # many, each a 40th of the side
    masks[1][4:8, 4:8] = True  # a tenth
    masks[2][0:20, 0:20] = True  # a half
    rows = write(tmp_path, masks)
    assert usual_object_size(rows) == pytest.approx(0.1)
    assert usual_object_size(rows[3:]) is None


def test_touching_objects_of_an_instance_map_are_measured_one_by_one(tmp_path):
    rows = write(tmp_path, [np.ones((40, 40), bool)])
    assert usual_object_size(rows) == pytest.approx(1)
    labels = np.arange(16, dtype=np.uint8).reshape(4, 4) * 3 + 3  # numbers with gaps
    cv2.imwrite(str(rows[0].row.mask), np.kron(labels, np.ones((10, 10), np.uint8)))
    separate = check_rows([rows[0].row], make_reading(instances=True))
    assert usual_object_size(separate) == pytest.approx(0.25)


def elongated():
    mask = np.zeros((10, 40), bool)
    mask[0:5, 0:20] = True
    return mask


def test_the_shape_of_a_stretched_image_does_not_matter(tmp_path):
    assert usual_object_size(write(tmp_path, [elongated()])) == pytest.approx(0.5)


@pytest.mark.parametrize("fit", [Fit.PAD, Fit.SQUARE])
def test_the_objects_of_an_elongated_image_are_smaller_with_padding(tmp_path, fit):
    row = write(tmp_path, [elongated()])[0]
    assert usual_object_size([row], fit) == pytest.approx(0.25)
    seen = Geometry(10, 40, 64, fit).mask_to_model(row.mask())
    assert np.sqrt(seen.sum()) / 64 == pytest.approx(0.25, abs=0.02)
    half = replace(row, crop=Box(0, 0, 20, 10))
    assert usual_object_size([half], fit) == pytest.approx(0.5)
