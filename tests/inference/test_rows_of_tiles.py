"""Rows that are seen tile by tile: what is encoded for them, and how their masks become those of the image."""

import numpy as np
import pytest
from PIL import Image

from promise_seg.assessment.evaluation import Assessment, evaluate
from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.features.store import FeatureStore
from promise_seg.images.reading import make_reading
from promise_seg.inference import rows as decoding
from promise_seg.prediction.predictor import Predictor
from promise_seg.rules.instance_rule import InstanceRule
from promise_seg.rules.postprocessing import PostProcessing
from promise_seg.vocabulary import PromptSource
from tests.helpers import make_model
from tests.instances.drawn import discs, drawn_model

PIXELS = np.random.default_rng(0).integers(0, 255, (48, 80, 3)).astype(np.uint8)
OWN = Assessment(prompts=PromptSource.APM)


@pytest.fixture
def manifest(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "image.png")
    Image.fromarray((np.arange(48 * 80).reshape(48, 80) % 7 == 0).astype(np.uint8)).save(tmp_path / "mask.png")
    (tmp_path / "data.csv").write_text("image_name,train_type,mask_name\nimage.png,test,mask.png\n")
    return tmp_path / "data.csv"


def read(model, manifest, **options):
    reading = make_reading(tile=32, overlap=8, **options)
    model.config = model.config.model_copy(update={"reading": reading, "instances": InstanceRule()})
    return check_rows(read_manifest(manifest), reading)


def test_no_tile_is_encoded_twice_for_separate_objects(tiny_sam, manifest, tmp_path, monkeypatch):
    model, calls = drawn_model(tiny_sam, discs((9, 10, 5), (29, 22, 5))), []
    rows, model_features = read(model, manifest, instances=True), decoding.model_features
    (stored,) = decoding.decode_rows(model, rows, OWN, FeatureStore(tmp_path / "store"))
    expected = stored.own_instances()
    monkeypatch.setattr(decoding, "model_features", lambda *given: calls.append(given) or model_features(*given))
    (found,) = decoding.decode_rows(model, rows, OWN)
    for _ in range(2):
        assert np.array_equal(found.own_instances(), expected)
    assert expected.max() > 2
    assert len(calls) == 2 * 3


def test_an_image_of_tiles_is_scored_as_it_is_predicted(tiny_sam, manifest):
    """Also where kernels are measured against the tile."""
    model, kept = make_model(tiny_sam), []
    rows = read(model, manifest)
    threshold = float(np.median(Predictor(model).predict(PIXELS).mask_probs))
    model.config = model.config.model_copy(
        update={"postprocessing": PostProcessing(threshold=threshold, opening=40, closing=24)}
    )
    (result,) = evaluate(model, rows, OWN, keep=lambda row, predicted, truth: kept.append(predicted))
    predicted = Predictor(model).predict(PIXELS)
    assert 0 < np.count_nonzero(predicted.mask) < predicted.mask.size
    assert np.array_equal(kept[0], predicted.mask)
    assert np.array_equal(kept[0], model.config.postprocessing.mask(predicted.mask_probs, 32))
    assert not np.array_equal(kept[0], model.config.postprocessing.mask(predicted.mask_probs))
    assert result.is_empty is False
    assert result.predicted_iou == pytest.approx(predicted.predicted_iou, abs=1e-5)
