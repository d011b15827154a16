import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from py_sod_metrics import Emeasure, Fmeasure, Smeasure, WeightedFmeasure

from promise_seg.assessment.structure import score_structure


def disc(radius=12, centre=(20, 25), shape=(40, 50)):
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    return np.hypot(y - centre[0], x - centre[1]) < radius


def numbers(found):
    """All scores as numbers: of a curve its mean."""
    return {name: float(np.mean(value)) for name, value in vars(found).items()}


def test_a_perfect_mask_scores_one_everywhere():
    found = score_structure(disc().astype(np.float32), disc())
    for name, value in numbers(found).items():
        assert value == pytest.approx(1, abs=0.01 if name.endswith("curve") else 1e-3), name
    for curve in (found.e_curve, found.f_curve):
        assert curve[:-1] == pytest.approx(1, abs=1e-3)
        assert curve[-1] < 0.5  # at the threshold 0 everything is foreground


def test_a_wrong_mask_scores_low_and_a_shifted_one_between():
    right, wrong, near = (
        numbers(score_structure(mask.astype(np.float32), disc())) for mask in (disc(), ~disc(), disc(centre=(22, 28)))
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
    assert found.e_adaptive == found.f_adaptive == expected
    assert (found.e_curve == expected).all()
    assert (found.f_curve == expected).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2), (3, 2)])
@pytest.mark.parametrize("full", [False, True])
def test_the_smallest_images_have_scores(shape, full):
    truth = np.full(shape, full)
    for probs in (np.zeros(shape, np.float32), np.ones(shape, np.float32)):
        for value in vars(score_structure(probs, truth)).values():
            assert np.isfinite(value).all()
            assert -1e-6 <= np.min(value) <= np.max(value) <= 1 + 1e-6


@pytest.mark.parametrize("move", [np.fliplr, np.flipud, np.transpose])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_mirrors_and_transposing_change_little(move, seed):
    """Nothing in E and F. S cuts the image beyond the centre's pixel, and mirrored before it: one row or column changes
    its part. Weighted F takes a nearest pixel's error, which may be one of two.
    """
    rng = np.random.default_rng(seed)
    probs = rng.random((20, 26)).astype(np.float32)
    truth = disc(6, rng.uniform(6, 14, 2), (20, 26))
    one, other = (numbers(score_structure(p, t)) for p, t in ((probs, truth), (move(probs), move(truth))))
    for name, value in one.items():
        exact = name.startswith(("e_", "f_")) or (name == "s_measure" and move is np.transpose)
        assert other[name] == pytest.approx(value, abs=1e-6 if exact else 0.02), name


def test_silence_about_an_object_is_worth_nothing():
    found = score_structure(np.zeros((40, 50), np.float32), disc())
    assert found.weighted_f == 0
    assert found.e_adaptive < 0.5


def test_the_library_s_own_values_where_they_are_defined():
    """As the polyp field computes them, on probabilities that reach both ends."""
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
    assert found.e_curve == pytest.approx(em["curve"], abs=1e-2)


@pytest.mark.filterwarnings("ignore:This class will be removed")
def test_the_f_measures_of_the_library_s_older_class():
    rng = np.random.default_rng(1)
    probs = np.clip(disc(14, (22, 27)) * 0.8 + rng.normal(0, 0.2, (40, 50)), 0, 1).astype(np.float64)
    library, found = Fmeasure(), score_structure(probs.astype(np.float64), disc())
    library.step(probs, disc(), normalize=False)
    fm = library.get_results()["fm"]
    assert found.f_curve == pytest.approx(fm["curve"], abs=1e-12)
    assert found.f_adaptive == pytest.approx(fm["adp"], abs=1e-12)


def at(rows, columns, shape=(18, 24)):
    mask = np.zeros(shape, bool)
    mask[rows, columns] = True
    return mask


FIRST, MIDDLE, LAST = slice(0, 1), slice(8, 12), slice(-1, None)
EDGES = {
    "top": at(FIRST, MIDDLE), "bottom": at(LAST, MIDDLE), "left": at(MIDDLE, FIRST), "right": at(MIDDLE, LAST),
    "top left": at(FIRST, FIRST), "top right": at(FIRST, LAST), "bottom left": at(LAST, FIRST),
    "bottom right": at(LAST, LAST), "last row": at(LAST, slice(None)), "last column": at(slice(None), LAST),
    "two last rows": at(slice(-2, None), MIDDLE), "two last columns": at(MIDDLE, slice(-2, None)),
    "one pixel": at(slice(7, 8), slice(9, 10)),
}  # fmt: skip


@pytest.mark.parametrize("truth", EDGES.values(), ids=EDGES)
def test_objects_at_every_edge_and_corner(truth):
    perfect = numbers(score_structure(truth.astype(np.float32), truth))
    noise = numbers(score_structure(np.random.default_rng(0).random(truth.shape).astype(np.float32), truth))
    silent = numbers(score_structure(np.zeros(truth.shape, np.float32), truth))
    for name, value in perfect.items():
        assert value == pytest.approx(1, abs=0.01 if name.endswith("curve") else 1e-8), name
        assert 0 <= noise[name] < value, name
        assert 0 <= silent[name] < value, name


def test_an_object_in_the_last_row_by_hand():
    """Two parts instead of four, left and right of its centre, both as wide as they are."""
    truth, probs = np.zeros((4, 6), bool), np.zeros((4, 6), np.float32)
    truth[-1, 1:4] = True
    probs[-1, 2:5] = 1
    library = Smeasure()
    of_object = library.object(probs.astype(float), truth)
    parts = [library.ssim(probs[:, part].astype(float), truth[:, part]) / 2 for part in (slice(0, 3), slice(3, 6))]
    assert score_structure(probs, truth).s_measure == pytest.approx((of_object + sum(parts)) / 2)


@st.composite
def probs_and_truth(draw):
    shape = draw(array_shapes(min_dims=2, max_dims=2, max_side=12))
    truth = draw(arrays(bool, shape) | st.sampled_from([np.zeros(shape, bool), np.ones(shape, bool)]))
    return draw(arrays(np.float32, shape, elements=st.floats(0, 1, width=32))), truth


@given(probs_and_truth())
@settings(max_examples=150, deadline=None)
def test_the_library_s_own_s_measure_to_the_last_bit_wherever_it_is_a_number(both):
    probs, truth = both
    if min(truth.shape) < 2:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's, of parts without pixels
        library = float(Smeasure().cal_sm(probs.astype(np.float64), truth))
    found = score_structure(probs, truth).s_measure
    assert np.isfinite(found)
    assert found == library or np.isnan(library)


def test_the_mask_decides_whether_anything_is_predicted_and_changes_nothing_else():
    truth, probs = disc(), np.where(disc(), np.float32(0.45), np.float32(0.05))
    silent, found = score_structure(probs, truth), score_structure(probs, truth, probs > 0.3)
    assert numbers(found) == numbers(silent) | {"weighted_f": found.weighted_f}
    assert silent.weighted_f == 0
    assert 0.3 < found.weighted_f < 0.9
    missed = score_structure(probs + 0.2, truth, probs > 0.9)
    assert missed.weighted_f == 0
    nothing = np.zeros_like(truth)
    assert score_structure(probs + 0.2, nothing, nothing).e_curve.max() == 1
    assert score_structure(probs, nothing, probs > 0.3).e_curve.max() == 0


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="its mask"):
        score_structure(np.zeros((3, 4), np.float32), np.zeros((3, 4), bool), np.zeros((4, 3), bool))
