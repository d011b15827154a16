"""The table of an evaluation: readable names, with the objects of instance maps first."""

from promise_seg.assessment.measures import MEASURE_NAMES
from promise_seg.workflows.evaluation_result import measure_words, measures_in_order


def test_measures_of_objects_come_first_and_all_others_keep_their_order():
    names = measures_in_order(MEASURE_NAMES)
    assert names[0] == "average_precision"
    assert names.index("count_error") < names.index("dice") < names.index("iou")
    assert measures_in_order(["dice", "iou", "unknown"]) == ["dice", "iou", "unknown"]
    assert sorted(names) == sorted(MEASURE_NAMES)


def test_each_measure_has_a_readable_name_next_to_that_in_files():
    assert measure_words("dice", "px") == "Dice"
    assert measure_words("hd95", "mm") == "HD95 (mm)"
    assert measure_words("assd", "px") == "average surface distance (px) [assd]"
    assert measure_words("adpEm", "px") == "E-measure, adaptive [adpEm]"
    assert measure_words("count_error", "px") == "objects: count error, as a share of the larger count [count_error]"
    assert all("_" not in measure_words(name, "px").split(" [")[0] for name in MEASURE_NAMES)
