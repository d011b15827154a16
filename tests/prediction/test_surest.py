"""Where several classes are found, a pixel gets none that its own mask lacks."""

import numpy as np

from promise_seg.images.geometry import Box
from promise_seg.images.tiles import Tiling
from promise_seg.prediction.large_images import LargeImage, blended_labels
from promise_seg.prediction.surest import surest_labels
from promise_seg.rules.postprocessing import PostProcessing


def test_a_class_whose_mask_lacks_a_pixel_is_not_right_there():
    probs = np.array([[[0.4, 0.4, 0.2]], [[0.5, 0.7, 0.5]]], np.float32)
    thresholds = np.array([0.3, 0.6])[:, None, None]
    assert surest_labels([1, 2], probs, probs > thresholds).tolist() == [[1, 2, 0]]
    assert surest_labels([7], probs[:1], probs[:1] > 0.3).tolist() == [[7, 7, 0]]


def test_labels_of_tiles_are_of_masks_too():
    kept = Box(0, 0, 40, 24)
    image = LargeImage("a.png", 24, 40, kept, Tiling(side=24, overlap=4), lambda box: np.zeros((24, 24, 3), np.uint8))
    probs = np.stack([np.full((24, 24), value, np.float32) for value in (0.4, 0.5)])
    for first in (PostProcessing(threshold=0.3), PostProcessing(threshold=0.3, fill_holes=True)):
        labels = {1: first, 2: PostProcessing(threshold=0.6)}
        assert np.unique(blended_labels(image, lambda _: probs, labels)).tolist() == [1]
