"""Means over volumes and patients, and the file of scores."""

import csv

import numpy as np
import pytest

from promise_seg.assessment.measuring import Tolerance, Unit
from promise_seg.assessment.statistics import mean_interval
from promise_seg.assessment.volume_report import summarise_volumes, volumes_path, write_volumes
from promise_seg.assessment.volumes import VOLUME_MEASURES
from tests.assessment.volume_rows import rows_of, scored

TOLERANCE = Tolerance(2.0, Unit.MILLIMETRES)
PATIENTS = ("a", "a", "a", "b", "c")


@pytest.fixture
def scores():
    """Five volumes of three patients: the fourth without distances, the last a part without the object."""
    found = []
    for number, patient in enumerate(PATIENTS):
        truth = np.zeros((6, 20, 30), bool)
        if patient != "c":
            truth[1:4, 5:15, 5 : 10 + number] = True
        predicted = np.zeros_like(truth)
        predicted[1:5, 5:15, 5 : 10 + 2 * number] = patient != "c"
        spacing = None if patient == "b" else (2.5, 0.7, 0.7)
        only = range(1, 5) if patient == "c" else None
        rows = rows_of(truth, name=f"{number}.nii", group=patient, spacing=spacing, only=only)
        found += scored(rows, predicted, truth).scores()
    return found


def test_means_medians_and_intervals_over_patients(scores):
    found = summarise_volumes(scores, TOLERANCE, seed=4)
    dice = [one.measures["dice"] for one in scores]
    assert len(set(dice)) == 5
    interval = mean_interval(dice, PATIENTS, seed=4)
    assert found.mean["dice"] == pytest.approx(np.mean(dice), abs=1e-6)
    assert found.median["dice"] == pytest.approx(np.median(dice), abs=1e-6)
    assert found.interval["dice"] == interval.ends
    assert found.mean_of_groups["dice"] == pytest.approx(np.mean([np.mean(dice[:3]), *dice[3:]]), abs=1e-6)


def test_distances_are_those_of_the_volumes_that_have_them(scores):
    found = summarise_volumes(scores, TOLERANCE, seed=0)
    having = [one.measures["hd95"] for one in scores if "hd95" in one.measures]
    assert len(having) == 4
    assert found.mean["hd95"] == pytest.approx(np.mean(having), abs=1e-6)
    without = summarise_volumes([scores[3]], TOLERANCE, seed=0)
    assert list(without.mean) == ["dice", "iou", "precision", "recall"]
    assert without.interval["dice"] is None  # of one patient


def test_what_the_means_are_of_is_counted(scores):
    found = summarise_volumes(scores, TOLERANCE, seed=0)
    assert (found.volumes, found.parts, found.groups, found.slices) == (5, 1, 3, 28)
    assert (found.slices_with_empty_truth, found.volumes_with_empty_truth) == (4 * 3 + 4, 1)
    assert (found.volumes_with_empty_prediction, found.volumes_without_distances) == (1, 1)
    assert found.volumes_words == "5 volumes, 1 of them in part, of 28 slices"
    assert found.tolerance == "2mm"
    assert "a slice without the object counts by the voxels" in found.rule_for_nothing


def test_the_file_has_a_line_for_each(scores, tmp_path):
    path = volumes_path(tmp_path / "scores_apm.csv")
    write_volumes(path, scores, "apm")
    assert path.name == "volumes_apm.csv"
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [line["image"] for line in lines] == [f"{number}.nii" for number in range(5)]
    assert (lines[4]["group"], lines[4]["split"], lines[4]["slices"], lines[4]["slices_of_volume"]) == (
        "c", "test", "4", "6"
    )  # fmt: skip
    for line, one in zip(lines, scores, strict=True):
        assert {name: float(line[name]) for name in VOLUME_MEASURES if line[name]} == pytest.approx(
            one.measures, abs=1e-6
        )
    assert lines[3]["hd95"] == lines[3]["surface_dice"] == ""
    assert len({line["image_sha256"] for line in lines}) == 5
