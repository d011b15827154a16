"""Every measure of an evaluation, for any mask, threshold and post-processing."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from promise_seg.assessment.evaluation import Assessment, score_row
from promise_seg.assessment.measures import MEASURE_NAMES, MEASURES, lower_is_better
from promise_seg.assessment.report import values_by_measure
from promise_seg.images.reading import Reading
from promise_seg.inference.masks import Masks
from promise_seg.inference.rows import DecodedRow
from promise_seg.rules.postprocessing import PostProcessing, numbered_parts
from promise_seg.vocabulary import MaskKind, PromptSource

SHAPES = [(1, 1), (1, 9), (9, 1), (2, 2), (12, 15)]
OF_PROBABILITIES = ("mae", "s_measure")
E_AND_F = ("maxEm", "meanEm", "adpEm", "maxFm", "meanFm", "adpFm")
DISTANCES = {one.name for one in MEASURES if one.is_distance}


def scored(probs, truth, post):
    """All measures, of an image that is its own model frame."""
    checked = SimpleNamespace(
        name="a.png", row=SimpleNamespace(where="m.csv:2"), mask=lambda: truth,
        reading=Reading(masks=MaskKind.INSTANCES),
        labels=lambda: numbered_parts(truth),
    )  # fmt: skip
    sample = SimpleNamespace(checked=checked, geometry=SimpleNamespace(logits_to_image=lambda logits: logits))
    logits = torch.from_numpy(probs).logit(eps=1e-6)[None, None]
    decoded = DecodedRow(sample, Masks(logits, torch.ones(1, 1), sample.geometry))
    result = score_row(decoded, "0", Assessment(prompts=PromptSource.NONE), post, full=True)
    values = {name: column[0] for name, column in values_by_measure([result]).items()}
    assert tuple(values) == MEASURE_NAMES
    return values


def level(value, shape):
    return np.full(shape, value, np.float32)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
class TestTheRuleForNothing:
    def test_nothing_there_and_nothing_predicted(self, shape, threshold):
        found = scored(level(threshold - 0.05, shape), np.zeros(shape, bool), PostProcessing(threshold=threshold))
        for name in set(MEASURE_NAMES) - set(OF_PROBABILITIES):
            assert found[name] == (0 if lower_is_better(name) else 1), name
        assert found["mae"] == pytest.approx(threshold - 0.05, abs=1e-6)
        assert found["s_measure"] == pytest.approx(1.05 - threshold, abs=1e-6)

    def test_nothing_there_but_something_predicted(self, shape, threshold):
        found = scored(level(threshold + 0.05, shape), np.zeros(shape, bool), PostProcessing(threshold=threshold))
        diagonal = pytest.approx(np.hypot(*shape))
        for name in set(MEASURE_NAMES) - set(OF_PROBABILITIES):
            assert found[name] == (diagonal if name in DISTANCES else name in ("recall", "count_error")), name

    def test_something_there_but_nothing_predicted(self, shape, threshold):
        """E-measures see no overlap, but how alike the rest is."""
        truth = np.zeros(shape, bool)
        truth[: (shape[0] + 1) // 2, : (shape[1] + 1) // 2] = True
        found = scored(level(threshold - 0.05, shape), truth, PostProcessing(threshold=threshold))
        diagonal = pytest.approx(np.hypot(*shape))
        for name in set(MEASURE_NAMES) - set(OF_PROBABILITIES) - set(E_AND_F):
            assert found[name] == (diagonal if name in DISTANCES else name == "count_error"), name


@pytest.mark.parametrize("threshold", [0.3, 0.7])
def test_a_perfect_mask_of_a_tuned_threshold_is_not_said_to_be_silent(threshold):
    truth = np.zeros((20, 24), bool)
    truth[5:15, 6:16] = True
    probs = np.where(truth, np.float32(threshold + 0.1), np.float32(0.02))
    found = scored(probs, truth, PostProcessing(threshold=threshold))
    assert (found["dice"], found["hd95"], found["panoptic_quality"]) == (1, 0, 1)
    assert found["weighted_f"] > 0.4


def test_what_an_opening_took_away_is_not_predicted():
    probs = level(0.0, (64, 64))
    probs[30, 30] = 0.9
    found = scored(probs, np.zeros((64, 64), bool), PostProcessing(opening=12))
    assert all(found[name] == 1 for name in ("dice", *E_AND_F, "weighted_f", "surface_dice"))


@st.composite
def probs_and_truth(draw):
    """Any mask, or an empty or full one, or a last row, column or corner alone."""
    shape = draw(array_shapes(min_dims=2, max_dims=2, max_side=12))
    special = np.zeros((5, *shape), bool)
    special[1], special[2, -1], special[3, :, -1], special[4, -1, -1] = True, True, True, True
    truth = draw(arrays(bool, shape) | st.sampled_from(list(special)))
    probs = draw(
        arrays(np.float32, shape, elements=st.floats(0, 1, width=32)) | st.sampled_from([*special.astype(np.float32)])
    )
    return probs, truth


@pytest.mark.slow
@given(probs_and_truth(), st.floats(0.01, 0.99), st.booleans())
@settings(max_examples=200, deadline=None)
def test_every_measure_of_any_mask_is_a_number(both, threshold, fill_holes):
    probs, truth = both
    found = scored(probs, truth, PostProcessing(threshold=threshold, fill_holes=fill_holes))
    for name, value in found.items():
        assert np.isfinite(value), name
        assert -1e-9 <= value <= (np.hypot(*truth.shape) if name in DISTANCES else 1 + 1e-9), name
