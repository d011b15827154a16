import pytest

from promise_seg.reporting.blocks import Chart, Facts, Gallery, Table, Text
from promise_seg.reporting.sections import report_sections
from tests.reporting.samples import TRUST, evaluation, sample_gallery, sample_report


def titles(report, gallery=None):
    return [section.title for section in report_sections(report, gallery)]


def section(report, title, gallery=None):
    return next(one for one in report_sections(report, gallery) if one.title == title)


def test_all_parts_in_their_order():
    assert titles(sample_report()) == [
        "Summary", "Measures", "By object size", "By device", "Training", "Prompt error budget", "Trust",
        "Worst cases", "Run card",
    ]  # fmt: skip


def test_what_was_not_measured_is_left_out():
    report = sample_report(curves=(), budget=(), worst=(), evaluations=[evaluation("no prompts", "none", 0.2)])
    assert titles(report) == ["Summary", "Measures", "By object size", "By device", "Run card"]


def test_own_and_oracle_points_stand_beside_each_other():
    table = next(block for block in section(sample_report(), "Measures").blocks if isinstance(block, Table))
    assert table.head == (
        "measure", "better", "own prompts (automatic)", "95 % CI", "oracle points (from the ground truth)", "95 % CI"
    )  # fmt: skip
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["Dice"] == ("higher", "0.500", "0.400 to 0.600", "0.600", "0.500 to 0.700")
    assert rows["MAE"] == ("lower", "0.500", "-", "0.600", "-")


def test_images_without_an_object_are_counted_and_the_rule_said():
    words = " ".join(b.text for b in section(sample_report(), "Measures").blocks if isinstance(b, Text))
    assert "Empty ground truth: 2 of 20 images" in words
    assert "1 with own prompts (automatic)" in words
    assert "nothing is perfect" in words


def test_earlier_looks_at_test_rows_are_a_warning_said_once():
    texts = [block for block in section(sample_report(), "Summary").blocks if isinstance(block, Text)]
    warnings = [text.text for text in texts if text.kind == "warning"]
    assert warnings == ["These test rows were looked at before."]


def test_oracle_numbers_alone_are_a_warning():
    report = sample_report(evaluations=[evaluation("oracle points (from the ground truth)", "oracle", 0.9)])
    texts = [block for block in section(report, "Summary").blocks if isinstance(block, Text)]
    assert any(t.kind == "warning" and "come from the ground truth" in t.text for t in texts)
    assert any("come from the ground truth: oracle points. " in t.text for t in texts)


@pytest.mark.parametrize(("title", "rows"), [("By object size", 6), ("By device", 2)])
def test_strata_are_a_chart_and_a_table(title, rows):
    chart, table = section(sample_report(), title).blocks
    assert isinstance(chart, Chart)
    assert len(table.rows) == rows
    assert [row[1] for row in table.rows[:2]] == ["own prompts (automatic)", "oracle points (from the ground truth)"]


def test_the_best_epoch_is_marked():
    assert any("best: 0.600, epoch 3" in chart.svg for chart in section(sample_report(), "Training").blocks)


def test_a_model_without_trust_scores_says_so():
    report = sample_report(evaluations=[evaluation("own prompts (automatic)", "apm", 0.5)])
    (text,) = section(report, "Trust").blocks
    assert "not calibrated" in text.text


def test_trust_has_its_charts_and_counts():
    blocks = section(sample_report(), "Trust").blocks
    assert sum(isinstance(block, Chart) for block in blocks) == 2
    facts = dict(next(block for block in blocks if isinstance(block, Facts)).pairs)
    assert facts["False alarms (something reported, nothing there)"] == "1 of 2 images without an object (50.0 %)"
    assert facts["Rank correlation with Dice (Spearman)"] == "0.600 (95 % CI: 0.300 to 0.800)"


@pytest.mark.slow
def test_trust_that_was_calibrated_on_these_rows_is_a_warning():
    def warnings(own):
        blocks = section(sample_report(evaluations=[own]), "Trust").blocks
        return [block.text for block in blocks if isinstance(block, Text) and block.kind == "warning"]

    own = evaluation("own prompts (automatic)", "apm", 0.5, trust=TRUST)
    assert warnings(own) == []
    (warning,) = warnings(own | {"trust_calibrated_on_these_rows": True})
    assert warning.startswith(
        "Trust was calibrated on the val rows among these images, so its quality is overestimated here"
    )


def test_trust_in_slices_before_they_were_combined_is_noted():
    own = evaluation("own prompts (automatic)", "apm", 0.5, trust=TRUST)
    for slices, expected in ((None, False), (5, True)):
        report = sample_report(evaluations=[own | {"trust_of_uncombined_slices": slices}])
        texts = [block.text for block in section(report, "Trust").blocks if isinstance(block, Text)]
        assert any("judge the mask of each slice before the slices are combined" in text for text in texts) == expected


def test_notes_on_the_budget_are_shown_with_or_without_it():
    notes = ["each slice by itself"]
    for budget in (sample_report().budget, ()):
        blocks = section(sample_report(budget=budget, budget_notes=notes), "Prompt error budget").blocks
        assert [block.text for block in blocks if isinstance(block, Text)][-1] == "Each slice by itself."
        assert any(isinstance(block, Chart) for block in blocks) == bool(budget)


@pytest.mark.slow
def test_worst_cases_are_pictures_or_else_a_table():
    report = sample_report()
    (gallery,) = section(report, "Worst cases", sample_gallery(report)).blocks
    assert isinstance(gallery, Gallery)
    (table,) = section(report, "Worst cases").blocks
    assert table.rows[0] == ("images/1.png", "0.010", "0.005", "2.00 %", "0.300")
    assert table.rows[1][-1] == "-"


@pytest.mark.slow
def test_the_card_says_when_nothing_is_known_of_a_training():
    report = sample_report(card=sample_report().card.model_copy(update={"training": None}))
    texts = [block.text for block in section(report, "Run card").blocks if isinstance(block, Text)]
    assert any("no record of training" in text for text in texts)
    assert not any("no record of training" in b.text for b in section(sample_report(), "Run card").blocks
                   if isinstance(b, Text))  # fmt: skip


@pytest.mark.parametrize(("hours", "words"), [(1.5, "1.5 hours"), (0.25, "15.0 minutes"), (0.01, "36 seconds")])
def test_how_long_training_took(hours, words):
    card = sample_report().card
    training = card.training.model_copy(update={"hours": hours})
    report = sample_report(card=card.model_copy(update={"training": training}))
    pairs = [pair for block in section(report, "Run card").blocks if isinstance(block, Facts) for pair in block.pairs]
    assert dict(pairs)["Training"] == f"{words}, 3 epochs"


def test_own_prompts_without_influence_are_noted_in_the_budget():
    row = {"prompts": "own prompts", "reads_the_ground_truth": False, "prompts_used": False, "draws": 1, "dice": 0.5,
           "interval": None, "spread_of_draws": None}  # fmt: skip
    texts = [b for b in section(sample_report(budget=[row]), "Prompt error budget").blocks if isinstance(b, Text)]
    assert any(text.kind == "note" and "saliency map alone" in text.text for text in texts)
    assert not any("the prompts limit the result" in text.text for text in texts)


def test_constant_trust_has_no_charts_of_ranks():
    bins = [{"trust": 0.7, "dice": dice, "images": 4} for dice in (0.8, 0.4, 0.5, 0.1, 0.9)]  # an older file
    report = sample_report(evaluations=[evaluation("own", "apm", 0.5, trust=TRUST | {"calibration": bins})])
    blocks = section(report, "Trust").blocks
    assert not any(isinstance(block, Chart | Table) for block in blocks)
    assert any(isinstance(block, Text) and "0.700 for all of these images" in block.text for block in blocks)
