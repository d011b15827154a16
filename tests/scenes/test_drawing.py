import re

import numpy as np
import pytest

from promise_seg.errors import SettingsError
from promise_seg.scenes import KINDS, MEDICAL_KINDS, draw_scene
from promise_seg.scenes.kinds import KIND_WEIGHTS


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_draws_pictures_with_objects(kind):
    for seed in range(5):
        scene = draw_scene([9, seed], 128, kind)
        assert scene.image.shape == (128, 128, 3)
        assert scene.image.dtype == scene.instances.dtype == np.uint8
        assert scene.image.std() > 2
        for i in scene.object_ids():
            assert 0.001 <= (scene.instances == i).mean() <= 0.6


def test_a_seed_draws_the_same_scene_and_another_one_does_not():
    assert np.array_equal(draw_scene(3).image, draw_scene(3).image)
    assert not np.array_equal(draw_scene(3).image, draw_scene(4).image)


def test_half_of_the_scenes_are_medical():
    assert sum(KIND_WEIGHTS[k] for k in MEDICAL_KINDS) == pytest.approx(0.5)
    assert set(KIND_WEIGHTS) == set(KINDS)


def test_other_sizes():
    assert draw_scene(0, 64).image.shape == (64, 64, 3)


def test_objects_can_be_told_from_what_is_around_them():
    """Colour or brightness changes at the outline more than beside it, on average over scenes."""
    import cv2

    at_edge, beside = [], []
    for seed in range(20):
        scene = draw_scene([5, seed], 128, "layers")
        grey = cv2.GaussianBlur(scene.image.astype(np.float32).mean(2), (0, 0), 1)
        gradient = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
        ids = scene.instances.astype(np.float32)
        edge = cv2.dilate(ids, np.ones((3, 3))) != cv2.erode(ids, np.ones((3, 3)))
        at_edge.append(gradient[edge].mean())
        beside.append(gradient[~edge].mean())
    assert np.mean(at_edge) > 1.5 * np.mean(beside)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"kind": "foo"}, "kind 'foo': expected one of layers, lesion, mucosa"),
        ({"kind": 3}, "kind 3: expected one of"),
        ({"size": 0}, "size 0: expected a whole number from 8"),
        ({"size": 10**6}, "size 1000000: expected at most 8192"),
        ({"size": 64.5}, "size 64.5: expected a whole number from 8"),
        ({"seed": -1}, "seed -1: expected a whole number from 0"),
        ({"seed": [3, -1]}, "seed -1: expected a whole number from 0"),
        ({"seed": "7"}, "seed '7': expected a whole number from 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_its_name(values, words):
    with pytest.raises(SettingsError, match=re.escape(words)):
        draw_scene(**{"seed": 0} | values)
