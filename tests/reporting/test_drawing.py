import numpy as np
import pytest

from promise_seg.assessment.evaluation import Assessment
from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.images.reading import make_reading
from promise_seg.inference.rows import decode_rows
from promise_seg.prediction.overlay import draw_overlay
from promise_seg.reporting.drawing import draw_prediction
from promise_seg.rules.postprocessing import PostProcessing
from promise_seg.vocabulary import PromptSource
from tests.helpers import make_model

NONE, ORACLE = (Assessment(prompts=source) for source in (PromptSource.NONE, PromptSource.ORACLE))


@pytest.fixture
def model(tiny_sam):
    return make_model(tiny_sam).eval()


def mask_of(model, row, assessment):
    decoded = next(decode_rows(model, [row], assessment))
    return model.config.postprocessing.mask(decoded.masks.probs(assessment.choice_for(model)))


def test_the_mask_is_the_one_that_was_scored(model, checked):
    row = checked[0]
    picture = draw_prediction(model, row, NONE)
    assert np.array_equal(picture, draw_overlay(row.image(), mask_of(model, row, NONE)))


def test_post_processing_is_drawn_too(model, checked):
    before = draw_prediction(model, checked[0], NONE)
    probs = next(decode_rows(model, [checked[0]], NONE)).masks.probs("score")
    threshold = float(np.clip(np.median(probs), 0.01, 0.99))
    model.config = model.config.model_copy(update={"postprocessing": PostProcessing(threshold=threshold)})
    after = draw_prediction(model, checked[0], NONE)
    assert np.array_equal(after, draw_overlay(checked[0].image(), mask_of(model, checked[0], NONE)))
    assert not np.array_equal(before, after)


def test_points_are_marked_in_the_image_frame(model, checked):
    row = checked[0]
    plain = draw_overlay(row.image(), mask_of(model, row, ORACLE))
    changed = (draw_prediction(model, row, ORACLE) != plain).any(2)
    assert changed.any()
    assert changed[row.mask()].any()  # the foreground points lie on the object


def test_objects_that_are_prompted_one_by_one_are_drawn_together(model, manifest):
    row = check_rows(read_manifest(manifest), make_reading(instances=True))[0]
    picture = draw_prediction(model, row, ORACLE)
    assert np.array_equal(picture, draw_overlay(row.image(), mask_of(model, row, ORACLE)))
