import csv
import json

import numpy as np
import pytest
from PIL import Image

from promise_seg.errors import PromiseError
from promise_seg.model import Variant
from promise_seg.prediction.folders import predict_folder
from promise_seg.prediction.inputs import find_inputs
from promise_seg.prediction.labelling import Labeller
from promise_seg.prediction.predictor import Predictor
from tests.helpers import disc_image, make_model


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(4):
        Image.fromarray(disc_image(i, 30 + i, 40)[0]).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def labeller(tiny_sam):
    return Labeller({1: Predictor(make_model(tiny_sam))})


def table(folder):
    with (folder / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_masks_overlays_and_table(images, labeller, tmp_path):
    out = tmp_path / "out"
    outcome = predict_folder(labeller, find_inputs([images]), out)
    assert (outcome.predicted, outcome.already_there, outcome.problems) == (4, 0, [])
    for i, line in enumerate(table(out)):
        mask = np.asarray(Image.open(out / "masks" / f"{i}.png"))
        assert mask.shape == (30 + i, 40)
        assert set(np.unique(mask)) <= {0, 255}
        assert Image.open(out / "overlays" / f"{i}.png").size == (40, 30 + i)
        assert int(line["area_pixels"]) == (mask > 0).sum()
        assert line["mask"] == f"masks/{i}.png"
        points = np.array(json.loads(line["points"]))
        assert points.shape == (16, 3)
        assert (points[:, 0] <= 40).all()
        assert (points[:, 1] <= 30 + i).all()


class Killed(Exception):
    pass


def test_a_stopped_run_goes_on(images, labeller, tmp_path, monkeypatch):
    out, done = tmp_path / "out", []

    def stop_after_two():
        done.append(1)
        if len(done) == 2:
            raise Killed

    with pytest.raises(Killed):
        predict_folder(labeller, find_inputs([images]), out, progress=stop_after_two)
    assert len(table(out)) == 2
    outcome = predict_folder(labeller, find_inputs([images]), out)
    assert (outcome.predicted, outcome.already_there) == (2, 2)
    assert len(table(out)) == 4


def test_an_image_that_changed_is_predicted_again(images, labeller, tmp_path):
    out = tmp_path / "out"
    predict_folder(labeller, find_inputs([images]), out)
    Image.fromarray(disc_image(50)[0]).save(images / "1.png")
    (out / "masks/2.png").unlink()
    assert predict_folder(labeller, find_inputs([images]), out).predicted == 2


def test_an_unreadable_image_does_not_stop_the_others(images, labeller, tmp_path):
    (images / "1.png").write_bytes(b"no image")
    outcome = predict_folder(labeller, find_inputs([images]), tmp_path / "out")
    assert outcome.predicted == 3
    assert len(outcome.problems) == 1
    assert "1.png: not an image" in outcome.problems[0]


def test_another_model_does_not_mix_its_masks_in(images, labeller, tiny_sam, tmp_path):
    predict_folder(labeller, find_inputs([images]), tmp_path / "out")
    other = Labeller({1: Predictor(make_model(tiny_sam, Variant.APM))})
    with pytest.raises(PromiseError, match="holds predictions of another model"):
        predict_folder(other, find_inputs([images]), tmp_path / "out")
