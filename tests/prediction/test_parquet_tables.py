"""The tables in Parquet have the lines of ``predictions.csv`` and ``objects.csv``, whoever made these."""

import csv

import pytest
from PIL import Image
from pyarrow import parquet

import promise_seg
from promise_seg.errors import SettingsError
from promise_seg.prediction import objects_table, parquet_tables, table
from promise_seg.prediction.labelling import Labeller
from promise_seg.prediction.parquet_tables import write_tables
from promise_seg.prediction.predictor import Predictor
from promise_seg.storage import parquet_files
from tests.helpers import disc_image, make_model


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(2):
        Image.fromarray(disc_image(number, 30, 40)[0]).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def labeller(tiny_sam):
    return Labeller({1: Predictor(make_model(tiny_sam))}, instances=True)


def lines_of(path):
    """The lines of a CSV, and of its Parquet file as the CSV would say them."""
    with path.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    found = parquet.read_table(path.with_suffix(".parquet")).to_pylist()
    return lines, found


def same(line, found):
    for name, text in line.items():
        value = found[name]
        if value is None:
            assert text == "", name
        elif isinstance(value, bool | int | float):
            assert float(text) == float(value), name
        else:
            assert text == value, name


@pytest.mark.parametrize("part", [None, "1/1"])
def test_they_say_what_the_csv_says(labeller, images, tmp_path, part):
    out = tmp_path / "out"
    promise_seg.predict_folder(labeller, images, out, instances=True, part=part, parquet=part is None)
    if part is not None:
        assert not list(out.glob("*.parquet"))
        promise_seg.merge_predictions(out, parquet=True)
    for name in ("predictions.csv", "objects.csv"):
        lines, found = lines_of(out / name)
        assert len(lines) == len(found) >= 2
        assert list(lines[0]) == list(found[0])
        for line, one in zip(lines, found, strict=True):
            same(line, one)


def test_every_column_that_is_named_is_one(labeller):
    assert set(parquet_tables._SLICES) < set(table.COLUMNS)
    assert set(parquet_tables._OBJECTS) < set(objects_table.COLUMNS)


def test_tables_that_are_there_stay_up_to_date(labeller, images, tmp_path, monkeypatch):
    out, first = tmp_path / "out", sorted(images.iterdir())[:1]
    promise_seg.predict_folder(labeller, first, out, instances=True, parquet=True)
    promise_seg.predict_folder(labeller, images, out, instances=True)
    lines, found = lines_of(out / "predictions.csv")
    assert len(lines) == len(found) == 2
    monkeypatch.setattr(parquet_files, "is_installed", lambda: False)
    outcome = promise_seg.predict_folder(labeller, images, out, instances=True)
    assert not list(out.glob("*.parquet"))
    assert "predictions.parquet: was out of date and is removed" in " ".join(outcome.notes)


def test_nothing_is_written_that_nobody_wants(labeller, images, tmp_path):
    promise_seg.predict_folder(labeller, images, tmp_path / "out", instances=True)
    assert not list((tmp_path / "out").glob("*.parquet"))
    assert write_tables(tmp_path / "out", wanted=False) == []


def test_a_part_has_no_table(labeller, images, tmp_path):
    with pytest.raises(SettingsError, match=r"--parquet: a part has no table\. Give it with --merge"):
        promise_seg.predict_folder(labeller, images, tmp_path / "out", instances=True, part="1/2", parquet=True)
    assert not (tmp_path / "out").exists()
