from promise_seg.reporting.blocks import Table, Text
from promise_seg.reporting.sections import report_sections
from tests.reporting.samples import VOLUMES, evaluation, sample_report


def shown(**changes):
    """The sections of a report of two kinds of prompts, by their titles."""
    evaluations = [
        evaluation("own prompts", "apm", 0.5, volumes=VOLUMES | changes),
        evaluation("oracle points", "oracle", 0.6, volumes=VOLUMES | {"volumes_with_empty_prediction": 3} | changes),
    ]
    return {one.title: one for one in report_sections(sample_report(evaluations=evaluations))}


def words(section):
    return " ".join(block.text for block in section.blocks if isinstance(block, Text))


def test_volumes_stand_below_slices_with_both_kinds_of_prompts():
    sections = shown()
    assert list(sections)[:3] == ["Summary", "Measures", "Volumes"]
    table = next(block for block in sections["Volumes"].blocks if isinstance(block, Table))
    assert table.head == ("measure", "prompts", "mean", "range of group means", "median", "mean of groups")
    assert table.rows[0] == ("Dice", "own prompts", "0.700", "0.600 to 0.800", "0.750", "0.650")
    assert table.rows[3] == ("HD95 (mm)", "oracle points", "4.250", "-", "4.000", "4.500")
    assert [row[1] for row in table.rows] == ["own prompts", "oracle points"] * 2
    said = "Over its 4 volumes, 1 of them in part, of 20 slices, the mean Dice is 0.700 (range of group means: "
    assert said in words(sections["Summary"])
    assert "The volumes form 3 groups: the range of the group means replaces" in words(sections["Volumes"])
    assert "4 volumes, 1 of them in part, of 20 slices" in table.caption
    assert "3 groups" in table.caption
    assert "surface Dice: 2mm" in table.caption


def test_the_rule_and_what_it_applies_to():
    said = words(shown()["Volumes"])
    assert "Empty ground truth: 1 of 4 volumes, 7 of 20 slices" in said
    assert "Empty prediction: 0 with own prompts, 3 with oracle points" in said
    assert "volumes of nothing are perfect" in said


def test_parts_and_volumes_without_distances_are_said_where_there_are_some():
    said = words(shown()["Volumes"])
    assert "1 of 4 volumes are scored in part" in said
    assert "2 of 4 volumes do not say where their slices lie" in said
    said = words(shown(parts=0, volumes_without_distances=0)["Volumes"])
    assert "in part" not in said
    assert "slices lie" not in said


def test_images_have_no_such_section():
    assert "Volumes" not in [one.title for one in report_sections(sample_report())]
