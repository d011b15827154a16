import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError

from promise_seg.rules.postprocessing import PostProcessing, largest_part


def scene():
    """A ring, a speck and a bridge to a second blob, in an image of 256 px."""
    probs = np.zeros((256, 200), np.float32)
    probs[40:120, 40:120] = 0.9
    probs[70:90, 70:90] = 0.1
    probs[150:190, 60:100] = 0.6
    probs[120:150, 78:80] = 0.6
    probs[10:12, 180:182] = 0.9
    return probs


def test_by_default_only_the_threshold():
    assert np.array_equal(PostProcessing().mask(scene()), scene() > 0.5)
    assert np.array_equal(PostProcessing(threshold=0.7).mask(scene()), scene() > 0.7)
    assert PostProcessing().words == "none"


def test_each_step():
    filled = PostProcessing(fill_holes=True).mask(scene())
    assert filled[80, 80]
    opened = PostProcessing(opening=5).mask(scene())
    assert not opened[130, 79]
    assert not opened[10, 180]
    assert opened[50, 50]
    assert opened[160, 80]
    largest = PostProcessing(opening=5, keep="largest").mask(scene())
    assert largest[50, 50]
    assert not largest[160, 80]
    gap = scene()
    gap[60:62, 40:120] = 0
    assert not PostProcessing().mask(gap)[60, 100]
    assert PostProcessing(closing=7).mask(gap)[60, 100]
    assert PostProcessing(opening=5, fill_holes=True, keep="largest").words == "opening 5, holes filled, keep largest"


def test_kernels_mean_the_same_at_any_size():
    large = cv2.resize(scene(), (800, 1024), interpolation=cv2.INTER_NEAREST)
    small = PostProcessing(opening=5).mask(scene())
    shrunk = cv2.resize(
        PostProcessing(opening=5).mask(large).astype(np.uint8), (200, 256), interpolation=cv2.INTER_AREA
    )
    assert (small != (shrunk > 0)).mean() < 0.01


def test_kernels_are_as_large_in_an_image_of_many_tiles_as_in_one_of_them():
    post = PostProcessing(opening=9)
    once, tiled = post.mask(scene(), 256), post.mask(np.tile(scene(), (3, 3)), 256)
    assert np.array_equal(once, post.mask(scene()))
    assert np.array_equal(once, post.mask(scene(), 1024))
    inner = slice(20, -20), slice(20, -20)
    height, width = once.shape
    assert np.array_equal(tiled[height : 2 * height, width : 2 * width][inner], once[inner])
    assert not np.array_equal(post.mask(np.tile(scene(), (3, 3))), tiled)


def test_an_object_at_the_edge_is_not_worn_away_there():
    probs = np.zeros((100, 256), np.float32)
    probs[:40, :60] = 1
    assert PostProcessing(opening=9).mask(probs)[0, 20]


@given(arrays(bool, (15, 18)))
@settings(deadline=None)
def test_the_largest_part_is_part_and_connected(mask):
    largest = largest_part(mask)
    assert not (largest & ~mask).any()
    assert largest.any() == mask.any()
    assert np.array_equal(largest_part(largest), largest)


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1)])
def test_the_smallest_images(shape):
    every = PostProcessing(opening=9, closing=9, fill_holes=True, keep="largest")
    assert every.mask(np.zeros(shape, np.float32)).shape == shape
    assert every.mask(np.ones(shape, np.float32)).all()


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("threshold", 0, "greater than 0"),
        ("threshold", 1, "less than 1"),
        ("opening", -1, "greater than or equal to 0"),
        ("closing", -1, "greater than or equal to 0"),
        ("keep", "some", "'all' or 'largest'"),
        ("size", 3, "Extra inputs are not permitted"),
    ],
)
def test_what_cannot_be_meant(name, value, reason):
    with pytest.raises(ValidationError, match=rf"(?s){name}\n.*{reason}") as caught:
        PostProcessing(**{name: value})
    assert caught.value.error_count() == 1
