import numpy as np
import pytest

from promise_seg.trust.empty_detection import (
    LEAST_OF_A_KIND,
    EmptyDetection,
    decide_out_of_fold,
    fit_empty_detection,
)
from promise_seg.trust.signals import Signals


def signals(peak, area=0.1):
    return Signals(predicted_iou=0.5, agreement=0.8, distance=0.1, soft_dice=0.5, peak=peak, area_share=area)


def some(without=10, with_object=10, seed=0):
    """Images without an object, with faint masks, and with one, with sure masks."""
    rng = np.random.default_rng(seed)
    seen = [signals(rng.uniform(0.5, 0.6)) for _ in range(without)]
    seen += [signals(rng.uniform(0.8, 1.0)) for _ in range(with_object)]
    has_object = np.arange(without + with_object) >= without
    return seen, has_object, [f"g{i}" for i in range(len(seen))]


def test_a_faint_mask_is_nothing_where_that_could_be_learned():
    seen, has_object, groups = some()
    found = fit_empty_detection(seen, has_object, groups)
    assert "peak" in found.rule
    assert np.array_equal(found.nothing_here(seen), ~has_object)
    assert np.array_equal(decide_out_of_fold(seen, has_object, groups), ~has_object)


@pytest.mark.parametrize("counts", [(0, 20), (LEAST_OF_A_KIND - 1, 20), (20, LEAST_OF_A_KIND - 1)])
def test_with_too_few_of_a_kind_the_empty_mask_decides(counts):
    seen, has_object, groups = some(*counts)
    found = fit_empty_detection(seen, has_object, groups)
    assert found == EmptyDetection()
    assert found.rule == "nothing here where the mask is empty"
    assert found.nothing_here([signals(0.5), signals(0.4, area=0)]).tolist() == [False, True]


def test_empty_masks_are_nothing_and_take_no_part_in_learning():
    seen, has_object, groups = some()
    empty = [signals(0.99, area=0)] * 20
    with_empty = fit_empty_detection(seen + empty, np.append(has_object, [True] * 20), groups + ["e"] * 20)
    assert with_empty == fit_empty_detection(seen, has_object, groups)
    assert with_empty.nothing_here(empty).all()


def test_signals_that_say_nothing_take_no_object_away():
    learned = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        seen = [signals(peak) for peak in rng.uniform(0.5, 1.0, 60)]
        learned += (
            fit_empty_detection(seen, rng.uniform(size=60) < 0.5, [f"g{i}" for i in range(60)]) != EmptyDetection()
        )
    assert learned <= 2


def with_a_group_like_no_other():
    """Ten groups; the masks of nothing in group ``b`` are surer than those in the others, and less so than of objects.

    Without ``b``, the threshold lies in the middle, below its masks.
    """
    faint, less_faint, sure = (signals(peak) for peak in (0.5, 0.75, 0.9))
    seen = [faint] * 18 + [sure] * 18 + [less_faint] * 3
    return seen, np.isin(np.arange(39), range(18, 36)), [f"g{number % 9}" for number in range(36)] + ["b"] * 3


def test_an_image_is_decided_on_without_its_group():
    seen, has_object, groups = with_a_group_like_no_other()
    assert np.array_equal(fit_empty_detection(seen, has_object, groups).nothing_here(seen), ~has_object)
    decided = decide_out_of_fold(seen, has_object, groups)
    assert np.array_equal(decided[:36], ~has_object[:36])
    assert not decided[36:].any()
