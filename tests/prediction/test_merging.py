"""Merged parts tell what is there now, whatever lists, divisions and clocks there were before."""

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from promise_seg.errors import PromiseError
from promise_seg.images.exports.inputs import Input, find_inputs
from promise_seg.images.own_folders import PREDICTION_IDENTITY
from promise_seg.parallel.parts import Part
from promise_seg.prediction import merging, part_plan, part_table
from promise_seg.prediction.folders import predict_folder
from promise_seg.prediction.identity import keep_identity
from promise_seg.prediction.merging import merge_parts
from promise_seg.prediction.part_plan import PartPlan, plan_path
from promise_seg.prediction.part_run import predict_part
from promise_seg.vocabulary import OutputFormat
from tests.helpers import disc_image
from tests.prediction.part_helpers import content, failures
from tests.prediction.tables import table

NAMES = ("p0/0", "p1/1", "p1/2")


@pytest.fixture
def images(tmp_path):
    for number, name in enumerate(NAMES):
        place = tmp_path / "images" / f"{name}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(disc_image(number, 30, 40)[0]).save(place)
    return tmp_path / "images"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def predict(labeller, images, out, part="1/1", *more, **options):
    return predict_part(labeller, find_inputs([images]), out, *more, part=Part.parse(part), **options)


def test_an_image_that_was_damaged_after_it_was_predicted_has_failed_until_it_is_mended(labeller, images, out):
    predict(labeller, images, out)
    merge_parts(out)
    whole, path = content(out), images / "p1/1.png"
    sound, before = path.read_bytes(), path.stat()
    path.write_bytes(b"nothing")
    (problem,) = predict(labeller, images, out).problems
    merged = merge_parts(out)
    assert (merged.images, merged.failed, merged.missing) == (2, 1, 0)
    assert failures(out) == [{"image": str(path), "kind": "failed", "reason": problem}]
    path.write_bytes(sound)  # copied back with its time of change
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert predict(labeller, images, out).already_there == len(NAMES)
    assert merge_parts(out).is_complete
    assert content(out) == whole


def test_a_failure_with_the_files_that_were_predicted_does_not_count(labeller, images, out, monkeypatch):
    path, sound = images / "p1/1.png", (images / "p1/1.png").read_bytes()
    os.utime(path, (1, 1))
    predict(labeller, images, out)
    for log in (out / "parts").glob("*.jsonl"):
        log.rename(log.with_suffix(".kept"))
    path.write_bytes(b"x" * len(sound))  # as on a computer that could not read it, and whose clock is ahead
    os.utime(path, (1, 1))
    monkeypatch.setattr(part_table.time, "time", lambda: 9e9)
    assert len(predict(labeller, images, out).problems) == 1
    for log in (out / "parts").glob("*.kept"):
        log.rename(log.with_suffix(".jsonl"))
    assert merge_parts(out).is_complete


@pytest.mark.parametrize("later", [9e9, 1.0])
def test_the_last_word_counts_whatever_the_clocks_say(labeller, images, out, tmp_path, monkeypatch, later):
    monkeypatch.setattr(part_table.time, "time", lambda: 5e9)
    predict(labeller, images, out)
    Image.fromarray(disc_image(50)[0]).save(images / "p1/2.png")
    monkeypatch.setattr(part_table.time, "time", lambda: later)
    assert predict(labeller, images, out).predicted == 1
    assert predict(labeller, images, out).predicted == 0
    assert merge_parts(out).is_complete
    predict_folder(labeller, find_inputs([images]), tmp_path / "whole")
    assert content(out) == content(tmp_path / "whole")


@pytest.mark.parametrize("output", [OutputFormat.AUTO, OutputFormat.COCO])
def test_masks_of_another_list_that_are_gone_are_not_in_the_table(labeller, images, out, output):
    predict(labeller, images, out, "1/1", output)
    assert merge_parts(out).is_complete
    (images / "p0/0.png").unlink()
    for mask in (out / "masks/p0").iterdir():
        mask.unlink()
    predict(labeller, images, out, "1/1", output)
    merged = merge_parts(out)
    assert (merged.images, merged.is_complete) == (2, True)
    assert [Path(line["image"]).stem for line in table(out)] == ["1", "2"]


def test_an_image_by_two_names_is_in_the_table_once(labeller, images, out):
    predict(labeller, images, out)
    merge_parts(out)
    predict(labeller, images / "p1", out)
    assert merge_parts(out).images == len(NAMES)
    assert [line["mask"] for line in table(out)] == ["masks/p0/0.png", "masks/1.png", "masks/2.png"]
    predict(labeller, images, out)  # the first list again: what it calls them counts
    assert merge_parts(out).is_complete
    assert [line["mask"] for line in table(out)] == [f"masks/{name}.png" for name in NAMES]


def test_another_division_reads_no_image_again(labeller, images, out, monkeypatch):
    for part in ("1/2", "2/2"):
        predict(labeller, images, out, part)
    read, notes = [], []
    monkeypatch.setattr(Input, "sha256", read.append)
    for part in ("1/1", "1/3", "3/3"):
        predict(labeller, images, out, part, note=notes.append)
    assert read == []
    assert all(note.endswith(", 0 of them to be predicted") for note in notes)


def test_an_image_that_was_touched_is_read_once(labeller, images, out, monkeypatch):
    predict(labeller, images, out)
    os.utime(images / "p1/1.png", (1, 1))
    assert predict(labeller, images, out).already_there == len(NAMES)
    monkeypatch.setattr(Input, "sha256", None)
    assert predict(labeller, images, out).already_there == len(NAMES)


def test_a_file_of_failures_is_there_only_if_there_is_something_in_it(labeller, images, out, monkeypatch):
    predict(labeller, images, out)
    (out / "failures.csv").write_text("image,kind,reason\n")  # of a merging before
    written, replacing = [], merging.replacing

    def noted(path):
        written.append(path.name)
        return replacing(path)

    monkeypatch.setattr(merging, "replacing", noted)
    assert merge_parts(out).is_complete
    assert not (out / "failures.csv").exists()
    assert written == ["predictions.csv"]


def test_a_list_that_was_begun_while_parts_were_merged_stays(labeller, images, out, monkeypatch):
    predict(labeller, images, out)
    others = PartPlan.of(find_inputs([images / "p1"]))

    def begin(stage, done, total, note=""):
        others.write(out)

    assert merge_parts(out, begin).is_complete
    assert PartPlan.read(out) == others


def test_another_version_goes_on_where_all_images_are_predicted(labeller, images, out, monkeypatch):
    predict(labeller, images, out, "1/2")
    monkeypatch.setattr(part_plan, "__version__", "9.9")
    with pytest.raises(PromiseError, match=r"To continue with this version, wait .* remove .*plan\.json: finished"):
        predict(labeller, images, out, "2/2")
    plan_path(out).unlink()
    assert predict(labeller, images, out).already_there == 2
    assert merge_parts(out).is_complete
    monkeypatch.setattr(part_plan, "__version__", "10.0")
    assert predict(labeller, images, out).already_there == len(NAMES)
    assert json.loads(plan_path(out).read_text())["promise_seg"] == "10.0"


def test_a_folder_that_a_run_without_parts_has_begun_is_refused(labeller, images, out):
    keep_identity(out, labeller.identity() | {"format": "auto"})
    with pytest.raises(PromiseError, match="contains predictions that were not made in parts"):
        predict(labeller, images, out)
    assert sorted(path.name for path in out.iterdir()) == [PREDICTION_IDENTITY]


def test_a_file_in_the_place_of_the_folder_is_left_alone(tmp_path):
    (tmp_path / "rows.csv").write_text("image_name\n")
    with pytest.raises(PromiseError, match=r"rows\.csv: holds no parts of predictions; expected the output folder"):
        merge_parts(tmp_path / "rows.csv")


def test_a_code_that_was_damaged_is_named(labeller, images, out):
    predict(labeller, images, out, "1/1", OutputFormat.COCO)
    mask = next((out / "masks/p1").iterdir())
    mask.write_text("{")
    with pytest.raises(PromiseError, match=f"{mask}: cannot be read: .* Remove it, and predict its image again"):
        merge_parts(out)
