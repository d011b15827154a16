import io
import tracemalloc

import cv2
import numpy as np
import pytest
from PIL import Image

from promise_seg.curation.inspection.duplicates import NearDuplicate, Thumbnails, positions
from promise_seg.scenes import draw_scene


@pytest.fixture(scope="module")
def scenes():
    return [draw_scene([5, n], 128, kind="mucosa").image for n in range(12)]


def alike(thumbnails, splits):
    """Each picture in a group of its own."""
    return thumbnails.near_duplicates(splits, [str(number) for number in range(len(splits))])


def jpeg(image, quality):
    coded = io.BytesIO()
    Image.fromarray(image).save(coded, "JPEG", quality=quality)
    return np.asarray(Image.open(coded))


COPIES = {
    "lower quality": lambda i: jpeg(i, 50),
    "another size": lambda i: cv2.resize(i, (97, 131), interpolation=cv2.INTER_AREA),
    "brighter": lambda i: np.clip(i.astype(int) + 12, 0, 255).astype(np.uint8),
    "grey": lambda i: cv2.cvtColor(i, cv2.COLOR_RGB2GRAY)[..., None].repeat(3, 2),
}


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_of_another_kind_in_another_split_is_found(scenes, name):
    thumbnails = Thumbnails()
    for image in [*scenes, COPIES[name](scenes[4])]:
        thumbnails.add(image)
    assert alike(thumbnails, ["train"] * 12 + ["test"]) == [NearDuplicate(4, 12, reoriented=False)]
    assert alike(thumbnails, ["train"] * 13) == []
    assert thumbnails.near_duplicates(["train"] * 12 + ["test"], ["one group"] * 13) == []


@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_mirrored_or_turned_copy_is_found(scenes, quarters, mirrored):
    picture = scenes[4][:, ::-1] if mirrored else scenes[4]
    thumbnails = Thumbnails()
    for image in [*scenes, jpeg(np.ascontiguousarray(np.rot90(picture, quarters)), 80)]:
        thumbnails.add(image)
    assert alike(thumbnails, ["train"] * 12 + ["test"]) == [NearDuplicate(4, 12, reoriented=mirrored or quarters > 0)]


def test_the_positions_of_a_picture_are_eight(scenes):
    picture = scenes[0][..., 0]
    found = positions(picture)
    assert len({one.tobytes() for one in found}) == 8
    assert found[0] is picture or np.array_equal(found[0], picture)


def test_different_pictures_are_not_taken_for_each_other(scenes):
    thumbnails = Thumbnails()
    for image in scenes:
        thumbnails.add(image)
    assert alike(thumbnails, ["train", "test"] * 6) == []


def test_of_several_that_look_alike_the_closest_pair_counts(scenes):
    thumbnails = Thumbnails()
    for image in (scenes[0], jpeg(scenes[0], 30), scenes[0].copy()):
        thumbnails.add(image)
    assert alike(thumbnails, ["train", "train", "test"]) == [NearDuplicate(0, 2, reoriented=False)]


def test_what_is_kept_of_a_picture_does_not_grow_with_it():
    thumbnails = Thumbnails()
    thumbnails.add(np.zeros((1500, 2000, 3), np.uint8))
    assert thumbnails.thumbnails[0].nbytes == 1024


def test_pictures_without_contrast_are_not_compared():
    thumbnails = Thumbnails()
    for grey in (0, 0, 7, 7):
        thumbnails.add(np.full((64, 64, 3), grey, np.uint8))
    assert alike(thumbnails, ["train", "test"] * 2) == []


def test_many_that_look_alike_are_found_in_little_memory(scenes):
    """As frames of videos and ends of volumes are: what is kept must not grow with the number of pairs."""
    rng = np.random.default_rng(0)
    thumbnails, count = Thumbnails(), 1000
    for number in range(count):
        noise = rng.integers(-3, 4, scenes[0].shape)
        thumbnails.add(np.clip(scenes[0].astype(int) + noise, 0, 255).astype(np.uint8) if number % 2 else scenes[0] * 0)
    tracemalloc.start()
    pairs = alike(thumbnails, ["train" if number % 4 < 2 else "test" for number in range(count)])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 50 <= len(pairs) <= count / 4
    assert peak < 60e6  # all pairs, as tuples, would take more than twice that


def test_groups_with_near_duplicates_are_joined_also_through_others(scenes):
    thumbnails = Thumbnails()
    turned = np.ascontiguousarray(np.rot90(scenes[4]))
    for image in [scenes[0], scenes[4], scenes[1], turned, scenes[2], jpeg(scenes[1], 50)]:
        thumbnails.add(image)
    numbers, example = thumbnails.joined(["a", "b", "c", "c", "d", "e"])
    assert example == NearDuplicate(2, 5, reoriented=False)
    a, b, c, also_c, d, e = numbers.tolist()
    assert b == c == also_c == e
    assert len({a, b, d}) == 3


def test_nothing_is_joined_without_near_duplicates(scenes):
    thumbnails = Thumbnails()
    assert thumbnails.joined([]) == (pytest.approx([]), None)
    for image in [*scenes, np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9, 3), np.uint8)]:
        thumbnails.add(image)
    numbers, example = thumbnails.joined([str(n) for n in range(14)])
    assert example is None
    assert len(set(numbers.tolist())) == 14
