import pytest

from promise_seg.assessment.budget_plot import draw_budget

ROWS = [
    {"prompts": name, "reads_the_ground_truth": reads, "dice": 0.5, "interval": [0.4, 0.6]}
    for name, reads in (("own prompts", False), ("no prompts", False), ("oracle box", True), ("oracle points, 1", True))
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("groups", "words"), [(None, "95 % CI over groups"), (9, "95 % CI over groups"), (3, "range of group")]
)
def test_the_figure_names_the_kinds_of_prompts_and_of_the_intervals(tmp_path, groups, words):
    picture = tmp_path / "budget.svg"
    draw_budget(ROWS, "title", picture, groups)
    text = picture.read_text()  # matplotlib names each text in a comment
    assert "automatic, or none" in text
    assert "from the ground truth" in text
    assert f"mean Dice, {words}" in text
