from dataclasses import replace

import pytest

from promise_seg.assessment.evaluation import Assessment, evaluate
from promise_seg.assessment.report import values_by_measure
from promise_seg.assessment.strata import columns_to_group_by, size_stratum, strata
from promise_seg.errors import SettingsError
from promise_seg.vocabulary import PromptSource
from tests.helpers import make_model


@pytest.fixture
def results(tiny_sam, checked):
    found = evaluate(make_model(tiny_sam), checked, Assessment(prompts=PromptSource.APM))
    sizes = [0, 6, 40, 100, 600, 6, 40, 100, 600, 0]  # of 1200 pixels
    devices = ["a", "b"] * 4 + ["a", ""]
    rows = [
        replace(r.checked, foreground_pixels=n, row=replace(r.checked.row, extra=(("device", d),)))
        for r, n, d in zip(found, sizes, devices, strict=True)
    ]
    return [replace(r, checked=row) for r, row in zip(found, rows, strict=True)]


def test_by_size(results):
    assert [size_stratum(r) for r in results[:5]] == ["no object", "under 1 %", "1 to 5 %", "5 to 20 %", "over 20 %"]
    found = strata(results, "size", values_by_measure(results), seed=0)
    assert list(found) == ["no object", "under 1 %", "1 to 5 %", "5 to 20 %", "over 20 %"]
    assert sum(one.images for one in found.values()) == 10
    small = [r.scores.dice for r in results if r.checked.foreground_pixels == 6]
    assert found["under 1 %"].dice == pytest.approx(sum(small) / 2, abs=1e-5)


def test_by_a_column_of_the_manifest(results):
    found = strata(results, "device", values_by_measure(results), seed=0)
    assert {name: one.images for name, one in found.items()} == {"(empty)": 1, "a": 5, "b": 4}
    with pytest.raises(SettingsError, match=r"--by hospital: .* expected one of size, device"):
        strata(results, "hospital", values_by_measure(results), seed=0)


def test_columns_can_be_checked_before_anything_is_scored(results):
    rows = [result.checked.row for result in results]
    assert columns_to_group_by(["size", "device"], rows) == ["size", "device"]
    assert columns_to_group_by("device", rows) == ["device"]
    with pytest.raises(SettingsError, match=r"--by hospital: .* expected one of size, device"):
        columns_to_group_by(["device", "hospital"], rows)


def test_by_the_group_of_the_manifest(results):
    rows = [replace(r.checked.row, group="ab"[number % 2]) for number, r in enumerate(results)]
    grouped = [replace(r, checked=replace(r.checked, row=row)) for r, row in zip(results, rows, strict=True)]
    found = strata(grouped, "group", values_by_measure(grouped), seed=0)
    assert {name: one.images for name, one in found.items()} == {"a": 5, "b": 5}
    alone = [replace(row, group=str(row.image)) for row in rows]
    with pytest.raises(SettingsError, match=r"--by group: the manifest has no such column"):
        columns_to_group_by(["group"], alone)
