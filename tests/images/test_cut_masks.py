"""Masks of which only the part around the object is kept."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from promise_seg.images.cut_masks import CutMask
from promise_seg.images.geometry import Box

some_masks = arrays(bool, (5, 7), elements=st.booleans())


@given(some_masks, some_masks)
@settings(max_examples=100, deadline=None)
def test_nothing_of_a_mask_is_lost(one, other):
    a, b = CutMask.of(one), CutMask.of(other)
    assert np.array_equal(a.whole(), one)
    assert a.area == one.sum()
    assert a.shared_pixels(b) == b.shared_pixels(a) == (one & other).sum()


@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (4, 6)])
def test_a_mask_of_nothing_has_no_size(shape):
    cut = CutMask.of(np.zeros(shape, bool))
    assert (cut.box, cut.area, cut.part.size) == (Box(0, 0, 0, 0), 0, 0)
    assert cut.whole().shape == shape


def test_it_takes_the_memory_of_its_object_and_not_of_the_image():
    mask = np.zeros((2000, 2000), bool)
    mask[100:110, 50:70] = True
    tracemalloc.start()
    kept = [CutMask.of(mask) for _ in range(100)]
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(one.area for one in kept) == 100 * 200
    assert size < 1_000_000 < mask.nbytes
