"""One image, corrected prompt by prompt."""

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from promise_seg.errors import SettingsError
from promise_seg.prediction.predictor import Predictor
from promise_seg.vocabulary import ApmKind, Variant
from tests.helpers import disc_image, make_model


@pytest.fixture
def predictor(tiny_sam):
    return Predictor(make_model(tiny_sam))


@pytest.fixture
def session(predictor):
    return predictor.session(disc_image(0)[0])


def test_it_begins_with_the_model_s_own_points(predictor, session):
    own = predictor.predict(disc_image(0)[0])
    assert session.prompts.is_automatic
    assert np.array_equal(session.prediction.mask_probs, own.mask_probs)
    np.testing.assert_allclose([point[:2] for point in session.prompts.points], own.points_xy)
    assert not session.can_undo


def test_a_box_that_the_model_proposed_can_be_changed(tiny_sam):
    model = make_model(tiny_sam, apm=ApmKind.PRETRAINED)
    model.apm.max_objects = 1
    predictor = Predictor(model)
    session = predictor.session(disc_image(0)[0])
    own = predictor.predict(disc_image(0)[0])
    assert session.prompts.box_xyxy == pytest.approx(tuple(own.box_xyxy))
    assert len(session.prompts.points) == 1
    moved = session.set_box(4, 5, 30, 25)
    assert not session.prompts.is_automatic
    np.testing.assert_allclose(moved.box_xyxy, [4, 5, 30, 25], atol=1e-3)
    assert np.array_equal(session.undo().mask_probs, own.mask_probs)


def test_a_proposed_box_inside_of_one_pixel_is_left_out_as_it_would_be_refused(predictor, monkeypatch):
    own = predictor.predict
    box = np.array([[0.1, 0.2, 0.5, 0.6]], np.float32)
    monkeypatch.setattr(predictor, "predict", lambda image: replace(own(image), boxes_xyxy=box))
    session = predictor.session(disc_image(0)[0])
    assert session.prompts.box_xyxy is None
    assert session.add_point(5, 5).mask.shape == (30, 40)


def test_without_an_auto_prompter_it_begins_with_nothing(tiny_sam):
    session = Predictor(make_model(tiny_sam, Variant.IPS)).session(disc_image(0)[0])
    assert session.prediction is None
    assert session.prompts.is_empty
    assert session.add_point(5, 5).mask.shape == (30, 40)
    assert session.remove_point(0) is None


def test_each_change_gives_what_a_prediction_with_these_prompts_gives(predictor, session):
    encoded = predictor.encode(disc_image(0)[0])
    session.clear()
    session.add_point(5, 6)
    session.add_point(30, 20, 0)
    session.move_point(0, 8, 9)
    session.flip_point(1)
    changed = session.set_box(2, 3, 25, 20)
    expected = predictor.predict(encoded, points_xy=[[8, 9], [30, 20]], point_labels=[1, 1], box_xyxy=[2, 3, 25, 20])
    assert np.array_equal(changed.mask_probs, expected.mask_probs)
    assert session.prompts.points == ((8.0, 9.0, 1), (30.0, 20.0, 1))
    assert not session.prompts.is_automatic
    pointed = predictor.predict(encoded, points_xy=[[8, 9], [30, 20]], point_labels=[1, 1])
    assert np.array_equal(session.remove_box().mask_probs, pointed.mask_probs)


def test_undo_and_redo_go_all_the_way_and_stop_at_the_ends(session):
    seen = [session.prediction, *(session.add_point(3 + 4 * number, 10, number % 2) for number in range(5))]
    for expected in seen[-2::-1]:
        assert np.array_equal(session.undo().mask_probs, expected.mask_probs)
    assert np.array_equal(session.undo().mask_probs, seen[0].mask_probs)
    assert session.prompts.is_automatic
    for expected in seen[1:]:
        assert np.array_equal(session.redo().mask_probs, expected.mask_probs)
    assert np.array_equal(session.redo().mask_probs, seen[-1].mask_probs)
    assert not session.can_redo


def test_a_new_change_forgets_what_could_have_been_redone(session):
    session.add_point(5, 5)
    session.undo()
    session.add_point(20, 20)
    assert not session.can_redo
    assert session.prompts.points[-1] == (20.0, 20.0, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.add_point(500, 5), "lies outside of the image of 40 x 30"),
        (lambda s: s.add_point(5, 5, 2), "must be 1"),
        (lambda s: s.move_point(99, 5, 5), "there is no point 99; there are 16"),
        (lambda s: s.remove_point(-1), "there is no point -1"),
        (lambda s: s.remove_point(True), "number of the point True: expected a whole number"),
        (lambda s: s.flip_point(1.0), "number of the point 1.0: expected a whole number"),
        (lambda s: s.add_point("a", 1), "x 'a': expected a finite number"),
        (lambda s: s.add_point(1, 1, label="1"), "label '1': expected a whole number"),
        (lambda s: s.set_box(None, 0, 1, 1), "left None: expected a finite number"),
        (lambda s: s.set_box(9, 9, 3, 3), "left < right"),
        (lambda s: s.set_mask(np.zeros((3, 3))), "mask_input must be"),
        (lambda s: s.set_mask("none"), "mask_input: expected numbers"),
        (lambda s: s.choose("7"), "expected 0, 1, 2, score"),
    ],
)
def test_a_change_that_is_refused_leaves_everything_as_it_was(session, change, message):
    before, prediction = session.prompts, session.prediction
    with pytest.raises(SettingsError, match=message):
        change(session)
    assert session.prompts is before
    assert session.prediction is prediction
    assert not session.can_undo


def test_another_of_sam_s_masks_can_be_chosen(session):
    by_number = [session.choose(str(number)).predicted_iou for number in range(3)]
    candidates = session.prediction.candidates
    np.testing.assert_allclose(by_number, candidates.predicted_iou, atol=1e-5)
    assert session.prompts.is_automatic, "the prompts are still the model's own"


def test_reset_is_a_step_that_can_be_undone(session):
    changed = session.add_point(5, 5)
    first = session.reset()
    assert session.prompts.is_automatic
    assert np.array_equal(session.undo().mask_probs, changed.mask_probs)
    assert session.prompts.points[-1] == (5.0, 5.0, 1)
    assert np.array_equal(session.redo().mask_probs, first.mask_probs)
    assert session.prompts.is_automatic


def test_a_long_session_holds_one_prediction_alone(session):
    predictions = [weakref.ref(session.add_point(number, 5)) for number in range(10)]
    session.undo()
    gc.collect()
    assert [reference for reference in predictions if reference() is not None] == []
    assert session.prediction is not None


def test_a_mask_can_be_fed_back(session):
    logits = session.prediction.mask_logits
    refined = session.set_mask(logits)
    assert not np.array_equal(refined.mask_logits, logits)
    assert session.set_mask(None) is not None


def test_changes_of_several_threads_come_one_after_the_other(session):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: session.add_point(number, 5), range(20)))
    assert len(session.prompts.points) == 16 + 20
    assert sorted(point[0] for point in session.prompts.points[16:]) == list(range(20))
    for _ in range(20):
        session.undo()
    assert session.prompts.is_automatic
