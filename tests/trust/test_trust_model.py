from dataclasses import replace

import numpy as np
import pytest

from promise_seg.assessment.evaluation import Assessment, evaluate
from promise_seg.prediction.predictor import Predictor
from promise_seg.trust.signals import Signals
from promise_seg.trust.trust_model import TrustModel, add_trust, trust_in_rows, with_trust
from promise_seg.vocabulary import PromptSource
from tests.assessment.samples import summary
from tests.helpers import disc_image


def test_trust_stays_within_0_and_1(trust):
    line = trust.calibration.line.model_copy(update={"weights": (9.0, 9.0, -9.0, 9.0)})
    trust.__dict__["calibration"] = trust.calibration.model_copy(update={"line": line})
    for value, score in ((1e3, 1), (-1e3, 0)):
        seen = Signals(predicted_iou=value, agreement=value, distance=-value, soft_dice=value, peak=0.5, area_share=0.1)
        assert trust.of_signals(seen).score == score


def test_evaluation_and_prediction_judge_alike(model, rows, trust):
    predictor = Predictor(model, trust)
    for row, found in zip(rows["val"][:3], trust_in_rows(model, trust, rows["val"][:3]), strict=True):
        assert predictor.trust(row.row.image) == found
        assert predictor.trust(predictor.encode(row.row.image)) == found


def test_a_model_that_is_not_calibrated_says_nothing(model):
    assert Predictor(model).trust(disc_image(0)[0]) is None


@pytest.mark.slow
def test_results_get_their_judgements_and_quality_counts_their_objects(model, rows, trust):
    judged = trust_in_rows(model, trust, rows["val"])
    results, found = add_trust(model, trust, evaluate(model, rows["val"], Assessment(prompts=PromptSource.APM)), None)
    assert [(one.trust, one.nothing_here) for one in results] == [(one.score, one.nothing_here) for one in judged]
    assert (found.nothing_here.images_without_object, found.nothing_here.images_with_object) == (2, 14)
    assert found.calibration[0].trust == pytest.approx(np.mean(sorted(one.score for one in judged)[:4]), abs=1e-5)


@pytest.mark.slow
def test_trust_in_slices_is_compared_with_the_masks_that_it_judges(model, rows, trust):
    """The scores of combined slices are those of other masks."""
    plain = evaluate(model, rows["val"], Assessment(prompts=PromptSource.APM))
    packed = np.zeros(150, np.uint8)
    joined = [replace(one, scores=replace(one.scores, dice=0.0), joined=packed) for one in plain[:9]]
    _, expected = add_trust(model, trust, plain)
    results, found = add_trust(model, trust, joined + plain[9:])
    assert found.area_by_chance == pytest.approx(expected.area_by_chance, abs=1e-5)
    assert found.mean_absolute_error == pytest.approx(expected.mean_absolute_error, abs=1e-5)
    assert found.nothing_here == expected.nothing_here
    assert with_trust(summary(), trust, found, results).trust_of_uncombined_slices == 9
    assert "trust_of_uncombined_slices" not in with_trust(summary(), trust, expected, plain).as_json()


def test_no_mask_is_read_to_judge(model, rows, trust):
    for row in rows["val"]:
        row.row.mask.unlink()
    assert len(trust_in_rows(model, trust, rows["val"])) == 16


@pytest.mark.slow
def test_it_is_known_whether_rows_are_among_those_of_the_calibration(model, rows, trust):
    results = evaluate(model, rows["train"] + rows["val"], Assessment(prompts=PromptSource.APM))
    for some, expected in ((results, True), (results[8:], True), (results[:8], False), (results[9:], True)):
        judged, quality = add_trust(model, trust, some)
        found = with_trust(summary(), trust, quality, judged)
        assert found.trust_calibrated_on_these_rows == expected
        assert found.trust.images == len(some)


def of_val_rows(trust, images, groups, weight=0.0):
    """The trust model as if its line had one weight, fitted to so many images of so many groups."""
    line = trust.calibration.line.model_copy(update={"weights": (weight,) * 4})
    quality = trust.calibration.quality.model_copy(update={"images": images})
    return TrustModel(trust.calibration.model_copy(update={"line": line, "quality": quality}), trust.neighbours, groups)


@pytest.mark.parametrize(
    ("images", "groups", "words"),
    [(16, 16, "only 16 val images, so"), (90, 31, "only 90 val images of 31 groups, so"), (32, 32, ""), (90, 40, "")],
)
def test_trust_of_few_groups_comes_with_the_standard_error_of_its_error(trust, images, groups, words):
    found = replace(of_val_rows(trust, images, groups, weight=0.1), error_of_absolute_error=0.0123)
    assert words in found.why_uncertain
    assert bool(found.why_uncertain) == bool(words)
    if words:
        error = found.calibration.quality.mean_absolute_error
        assert f"mean absolute error is {error:.3f} with a standard error of 0.012. Use" in found.why_uncertain
    assert not replace(of_val_rows(trust, images, groups), error_of_absolute_error=0.0123).why_uncertain  # constant
    assert not replace(found, val_groups=None, error_of_absolute_error=None).why_uncertain  # read from a file


def test_the_standard_error_is_known_after_calibrating(trust):
    assert 0 < trust.error_of_absolute_error < 1


def test_the_reason_for_constant_trust_is_the_one_that_applies(trust):
    assert trust.val_groups == 8
    assert of_val_rows(trust, 6, 3).why_constant == "at least 8 val images are needed, and there are 6"
    assert of_val_rows(trust, 1, 1).why_constant == "at least 8 val images are needed, and there is 1"
    assert of_val_rows(trust, 9, 1).why_constant == "all 9 val images are of one group; at least two groups are needed"
    assert of_val_rows(trust, 9, 3).why_constant == "no signal is higher for better masks of the 9 val images"
    assert "of one group, or no signal" in of_val_rows(trust, 9, None).why_constant
    assert of_val_rows(trust, 9, 3, weight=0.1).why_constant == ""
