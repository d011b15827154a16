import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promise_seg.assessment.structure import score_structure


def disc(radius=12, centre=(20, 25), shape=(40, 50)):
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    return np.hypot(y - centre[0], x - centre[1]) < radius


def test_a_perfect_mask_scores_one_everywhere():
    found = score_structure(disc().astype(np.float32), disc())
    for name, value in vars(found).items():
        if name != "e_mean":  # at the threshold 0 everything is foreground
            assert value == pytest.approx(1, abs=1e-3), name
    assert found.e_mean > 0.99


def test_a_wrong_mask_scores_low_and_a_shifted_one_between():
    right, wrong, near = (
        vars(score_structure(mask.astype(np.float32), disc())) for mask in (disc(), ~disc(), disc(centre=(22, 28)))
    )
    for name in right:
        assert wrong[name] < near[name] < right[name], name


def test_weighted_f_of_hand_made_masks():
    """Half of the object found and nothing else: precision 1; the loss of recall is what weighting leaves of it."""
    truth = np.zeros((40, 40), bool)
    truth[10:30, 10:30] = True
    half = truth.copy()
    half[10:30, 20:30] = False
    assert 0.4 < score_structure(half.astype(np.float32), truth).weighted_f < 0.8


@pytest.mark.parametrize(("value", "expected"), [(0.0, 1.0), (1.0, 0.0)])
def test_an_empty_truth(value, expected):
    found = score_structure(np.full((12, 15), value, np.float32), np.zeros((12, 15), bool))
    assert found.s_measure == pytest.approx(expected)
    assert found.weighted_f == expected
    assert found.e_adaptive == found.e_max == found.e_mean == expected


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2), (3, 2)])
@pytest.mark.parametrize("full", [False, True])
def test_the_smallest_images_have_scores(shape, full):
    truth = np.full(shape, full)
    for probs in (np.zeros(shape, np.float32), np.ones(shape, np.float32)):
        assert all(np.isfinite(v) and -1e-6 <= v <= 1 + 1e-6 for v in vars(score_structure(probs, truth)).values())


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_mirrors_change_little(seed):
    """Nothing in e; the others cut the image at a centre, or look for a nearest pixel, which may be one of two."""
    rng = np.random.default_rng(seed)
    probs = rng.random((20, 26)).astype(np.float32)
    truth = disc(6, rng.uniform(6, 14, 2), (20, 26))
    one, other = (vars(score_structure(p, t)) for p, t in ((probs, truth), (probs[:, ::-1], truth[:, ::-1])))
    for name, value in one.items():
        assert other[name] == pytest.approx(value, abs=1e-6 if name.startswith("e_") else 0.02), name


def test_silence_about_an_object_is_worth_nothing():
    found = score_structure(np.zeros((40, 50), np.float32), disc())
    assert found.weighted_f == 0
    assert found.e_adaptive < 0.5


def test_the_library_s_own_values_where_they_are_defined():
    """As the polyp field computes them, on probabilities that reach both ends."""
    from py_sod_metrics import Emeasure, Smeasure, WeightedFmeasure

    rng = np.random.default_rng(0)
    probs = np.clip(disc(14, (22, 27)) * 0.8 + rng.normal(0, 0.2, (40, 50)), 0, 1).astype(np.float32)
    probs[0, 0], probs[20, 25] = 0, 1
    measures = {"s_measure": Smeasure(), "e": Emeasure(), "weighted_f": WeightedFmeasure()}
    for one in measures.values():
        one.step(np.round(probs * 255).astype(np.uint8), disc().astype(np.uint8) * 255)
    found = score_structure(np.round(probs * 255) / 255, disc())
    assert found.s_measure == pytest.approx(measures["s_measure"].get_results()["sm"], abs=1e-4)
    assert found.weighted_f == pytest.approx(measures["weighted_f"].get_results()["wfm"], abs=1e-4)
    em = measures["e"].get_results()["em"]
    assert found.e_adaptive == pytest.approx(em["adp"], abs=1e-4)
    assert found.e_mean == pytest.approx(em["curve"].mean(), abs=1e-2)
