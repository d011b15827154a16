import numpy as np

from promise_seg.images.label_meaning import LabelMeaning, are_single_parts, count_parts, meaning_of


def _squares(numbers):
    labels = np.zeros((80, 80), np.uint16)
    labels.reshape(10, 8, 10, 8)[:, 2:6, :, 2:6] = np.reshape(numbers, (10, 1, 10, 1))
    return labels


def test_one_part_for_each_of_many_values_is_an_instance_map():
    assert meaning_of(_squares(np.arange(100))) == LabelMeaning.INSTANCES
    assert meaning_of(_squares(np.arange(100) * 7)) == LabelMeaning.INSTANCES  # more than 8 bits
    assert meaning_of(_squares(np.arange(100) % 50)) is None  # two parts each
    assert are_single_parts(_squares(np.arange(100)))
    assert not are_single_parts(_squares(np.arange(100) % 50))


def test_few_values_are_classes_if_they_have_many_parts_and_may_be_objects_otherwise():
    assert meaning_of(_squares(np.arange(100) % 4)) == LabelMeaning.CLASSES
    assert meaning_of(_squares(np.minimum(np.arange(100), 3) * (np.arange(100) < 4))) is None
    assert count_parts(_squares(np.arange(100) % 4), 1) == 25


def test_values_near_0_and_the_highest_are_grey_values():
    noise = np.random.default_rng(0).integers(0, 20, (80, 80))
    labels = np.where(np.arange(80) < 40, noise, 255 - noise)
    assert meaning_of(labels) == LabelMeaning.GREY


def test_two_values_need_no_meaning():
    assert meaning_of(np.array([[0, 255]])) is None
    assert meaning_of(np.array([[-1, 0, 4]])) is None
