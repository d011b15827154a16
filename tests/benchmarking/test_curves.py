"""Charts of training: over epochs, and over the CPU time that it took with the encoding before it."""

from types import SimpleNamespace

import pytest

from promise_seg.benchmarking import curves
from promise_seg.benchmarking.curves import training_sections

LOGS = {
    ("ours", 0): [{"val_dice": 0.4, "cpu_seconds": 10.0}, {"val_dice": 0.6, "cpu_seconds": 12.0}],
    ("ours", 1): [{"val_dice": 0.2, "cpu_seconds": 20.0}, {"val_dice": 0.8, "cpu_seconds": 8.0}, {"val_dice": 0.9}],
    ("unet", 0): [{"val_dice": 0.1, "cpu_seconds": 30.0}],
    ("bare", 0): [],
}


@pytest.fixture
def drawn(monkeypatch):
    """Every chart that is drawn of four stub models, by its name."""
    lines = [
        SimpleNamespace(data="polyp", sam="nano", model=SimpleNamespace(name=name, is_promise=name == "ours"))
        for name in ("ours", "unet", "bare")
    ]
    found = [SimpleNamespace(line=line) for line in lines]
    charts = {}
    monkeypatch.setattr(curves, "parts", lambda _: [("polyp", "nano", found)])
    monkeypatch.setattr(
        curves, "cells_of_line",
        lambda _, line: [SimpleNamespace(folder=lambda _, key=key: key) for key in LOGS if key[0] == line.model.name],
    )  # fmt: skip
    monkeypatch.setattr(curves, "log_of", LOGS.get)
    monkeypatch.setattr(curves, "line_chart", lambda series, *, name, **_: charts.setdefault(name, series))
    benchmark = SimpleNamespace(
        spec=None, output=None, views=lambda _: 200, encoding_cost=lambda _: {"cpu_seconds_per_view": 0.5}
    )
    (section,) = training_sections(benchmark, found)
    assert section.title == "Training"
    return charts


def test_epochs_are_averaged_over_seeds_as_far_as_all_have_them(drawn):
    series = drawn["Dice on val images over epochs: polyp, nano"]
    assert series["ours"] == [(1, pytest.approx(0.3)), (2, pytest.approx(0.7))]
    assert series["unet"] == [(1, 0.1)]
    assert "bare" not in series


def test_cpu_time_adds_up_and_that_of_encoding_counts_for_models_that_need_it(drawn):
    series = drawn["Dice on val images over CPU seconds: polyp, nano"]
    assert series["ours"] == [(100 + 15, pytest.approx(0.3)), (100 + 15 + 10, pytest.approx(0.7))]
    assert series["unet"] == [(30, 0.1)]


def test_where_nothing_was_trained_there_is_no_section(monkeypatch):
    monkeypatch.setattr(curves, "parts", lambda _: [])
    assert training_sections(SimpleNamespace(), []) == []
