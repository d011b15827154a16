"""Several processes that predict parts of one list end with what one process would have made."""

import itertools
import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from PIL import Image

from promise_seg.errors import PromiseError
from promise_seg.images.exports.inputs import Input, find_inputs
from promise_seg.parallel.parts import Part
from promise_seg.prediction import part_plan, part_run
from promise_seg.prediction.folders import predict_folder
from promise_seg.prediction.labelling import Labeller
from promise_seg.prediction.merging import merge_parts
from promise_seg.prediction.part_plan import PartPlan
from promise_seg.prediction.part_run import predict_part
from promise_seg.prediction.predictor import Predictor
from promise_seg.storage.claims import Claims
from promise_seg.storage.holders import Holder
from promise_seg.vocabulary import ApmKind, OutputFormat
from tests.files import write_nifti
from tests.helpers import disc_image, make_model
from tests.prediction.part_helpers import content, failures, write_pictures
from tests.prediction.tables import table

IMAGES = 6


@pytest.fixture
def images(tmp_path):
    return write_pictures(tmp_path / "images", IMAGES)


@pytest.fixture
def whole(images, labeller, tmp_path):
    predict_folder(labeller, find_inputs([images]), tmp_path / "whole")
    return content(tmp_path / "whole")


def predict(labeller, images, out, part, *more, **options):
    return predict_part(labeller, find_inputs([images]), out, *more, part=Part.parse(part), **options)


def test_parts_together_are_what_one_process_makes(images, labeller, whole, tmp_path):
    out, notes = tmp_path / "out", []
    for number in (2, 3, 1):
        outcome = predict(labeller, images, out, f"{number}/3", note=notes.append)
        assert (outcome.predicted, outcome.already_there, outcome.problems) == (2, 0, [])
        assert not (out / "predictions.csv").exists()
    assert notes[0] == "part 2 of 3: 2 of 6 images, 2 of them to be predicted"
    merged = merge_parts(out)
    assert (merged.images, merged.lines, merged.repeated, merged.is_complete) == (IMAGES, IMAGES, 0, True)
    assert content(out) == whole


@pytest.mark.parametrize(("output", "instances"), [(OutputFormat.COCO, False), (OutputFormat.AUTO, True)])
def test_what_is_about_all_images_is_made_when_parts_are_merged(images, tiny_sam, tmp_path, output, instances):
    labeller = Labeller({1: Predictor(make_model(tiny_sam, apm=ApmKind.HEATMAP))}, instances=instances)
    write_nifti(images / "scan.nii.gz", disc_image(9)[0].astype("int16"))
    predict_folder(labeller, find_inputs([images]), tmp_path / "whole", output)
    for number in (1, 2):
        predict(labeller, images, tmp_path / "out", f"{number}/2", output)
    merge_parts(tmp_path / "out")
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_a_second_call_does_what_is_missing_without_reading_what_is_there(images, labeller, whole, tmp_path):
    out = tmp_path / "out"
    predict(labeller, images, out, "1/2")
    (out / "masks/p0/4.png").unlink()
    for path in (images / "p0/0.png", images / "p1/3.png"):  # not read, as neither size nor time have changed
        before = path.stat()
        path.write_bytes(b"x" * before.st_size)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    outcome = predict(labeller, images, out, "1/1")  # another division of the same list
    assert (outcome.predicted, outcome.already_there, outcome.problems) == (4, 2, [])
    assert merge_parts(out).is_complete
    assert content(out) == whole


def test_an_image_that_changed_is_predicted_again_and_one_that_was_touched_is_not(images, labeller, tmp_path):
    out = tmp_path / "out"
    predict(labeller, images, out, "1/1")
    Image.fromarray(disc_image(50)[0]).save(images / "p0/0.png")
    os.utime(images / "p1/1.png", (1, 1))
    outcome = predict(labeller, images, out, "1/1")
    assert (outcome.predicted, outcome.already_there) == (1, 5)
    merge_parts(out)
    predict_folder(labeller, find_inputs([images]), tmp_path / "new")
    assert content(out) == content(tmp_path / "new")


def test_a_folder_that_was_moved_is_known_by_the_places_in_it(images, labeller, tmp_path):
    predict(labeller, images, tmp_path / "out", "1/1")
    images.rename(tmp_path / "moved")
    outcome = predict(labeller, tmp_path / "moved", tmp_path / "out", "1/1")
    assert (outcome.predicted, outcome.already_there) == (0, IMAGES)
    merge_parts(tmp_path / "out")
    assert {Path(line["image"]).parts[-3] for line in table(tmp_path / "out")} == {"moved"}


def test_failures_are_in_a_table_with_reasons_and_are_tried_again(images, labeller, whole, tmp_path):
    out, sound = tmp_path / "out", (images / "p1/1.png").read_bytes()
    (images / "p1/1.png").write_bytes(b"nothing")
    assert len(predict(labeller, images, out, "1/2").problems) == 0
    merged = merge_parts(out)
    assert (merged.images, merged.missing, merged.failed) == (3, 3, 0)
    assert {line["reason"] for line in failures(out)} == {"not predicted yet"}
    (problem,) = predict(labeller, images, out, "2/2").problems
    merged = merge_parts(out)
    assert (merged.images, merged.missing, merged.failed, merged.is_complete) == (5, 0, 1, False)
    assert failures(out) == [{"image": str(images / "p1/1.png"), "kind": "failed", "reason": problem}]
    (images / "p1/1.png").write_bytes(sound)
    outcome = predict(labeller, images, out, "2/2")
    assert (outcome.predicted, outcome.already_there, outcome.problems) == (1, 2, [])
    assert merge_parts(out).is_complete
    assert content(out) == whole  # failures.csv is gone


def test_a_mask_that_is_gone_is_missing(images, labeller, tmp_path):
    predict(labeller, images, tmp_path / "out", "1/1")
    (tmp_path / "out/masks/p0/4.png").unlink()
    merged = merge_parts(tmp_path / "out")
    assert (merged.images, merged.missing) == (5, 1)
    assert failures(tmp_path / "out")[0]["reason"] == "masks/p0/4.png is gone"
    assert len(table(tmp_path / "out")) == 5


def claim_elsewhere(out, stem):
    """Let an image be claimed by a process of another computer; return the path of the claim."""
    path = Claims(out / "parts/claims").path(stem)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(replace(Holder.this_process(), system="elsewhere", host="node7"))))
    return path


def test_an_image_that_another_computer_has_claimed_is_waited_for(images, labeller, whole, tmp_path, monkeypatch):
    out, notes, read, done, sha256 = tmp_path / "out", [], [], [], Input.sha256
    path = claim_elsewhere(out, "p0/2")

    def noted(one):
        read.append(one.stem)
        return sha256(one)

    def pause():
        assert "p0/2" not in read  # before it is claimed
        path.unlink(missing_ok=True)

    monkeypatch.setattr(Input, "sha256", noted)
    monkeypatch.setattr(part_run, "_pause", pause)
    outcome = predict(labeller, images, out, "1/1", progress=lambda *step: done.append(step[1:3]), note=notes.append)
    assert (outcome.predicted, outcome.problems) == (IMAGES, [])
    assert sorted(read) == sorted(one.stem for one in find_inputs([images]))
    assert done == [(number, IMAGES) for number in range(1, IMAGES + 1)]
    assert notes[1].startswith("waiting for 1 images that other processes have claimed, such as process")
    assert "node7" in notes[1]
    merge_parts(out)
    assert content(out) == whole


def test_what_the_other_process_did_meanwhile_is_not_done_again(images, labeller, tmp_path, monkeypatch):
    out, done = tmp_path / "out", []
    predict(labeller, images, out, "1/1")
    logs = {path: path.read_bytes() for path in (out / "parts").glob("*.jsonl")}
    for path in logs:
        path.unlink()
    claim = claim_elsewhere(out, "p0/2")

    def ends():
        for path, log in logs.items():
            path.write_bytes(log)
        claim.unlink(missing_ok=True)

    monkeypatch.setattr(part_run, "_pause", ends)
    outcome = predict(labeller, images, out, "1/1", progress=lambda *step: done.append(step[1:3]))
    assert (outcome.predicted, outcome.already_there) == (IMAGES - 1, 1)
    assert done[-1] == (IMAGES, IMAGES)
    assert merge_parts(out).repeated == IMAGES - 1  # of which the logs were gone


def test_other_images_are_refused_until_all_of_the_first_are_predicted(images, labeller, tmp_path):
    out = tmp_path / "out"
    predict(labeller, images, out, "1/2")
    Image.fromarray(disc_image(9)[0]).save(images / "new.png")
    with pytest.raises(PromiseError, match=r"predictions in parts of 6 images, but the 7 images .* not the") as refused:
        predict(labeller, images, out, "2/2")
    assert f"remove {out / 'parts/plan.json'}" in str(refused.value)
    (images / "new.png").rename(tmp_path / "new.png")
    predict(labeller, images, out, "2/2")
    assert merge_parts(out).is_complete
    (tmp_path / "new.png").rename(images / "new.png")
    outcome = predict(labeller, images, out, "1/1")
    assert (outcome.predicted, outcome.already_there) == (1, 6)
    assert merge_parts(out).images == 7


def test_another_version_is_refused(images, labeller, tmp_path, monkeypatch):
    predict(labeller, images, tmp_path / "out", "1/2")
    monkeypatch.setattr(part_plan, "__version__", "9.9")
    with pytest.raises(PromiseError, match=r"is predicted by promise-seg .*, and this is 9\.9\. Use the same version"):
        predict(labeller, images, tmp_path / "out", "2/2")


def test_another_model_and_other_options_are_refused(images, labeller, tiny_sam, tmp_path):
    predict(labeller, images, tmp_path / "out", "1/2")
    with pytest.raises(PromiseError, match="contains predictions in another format"):
        predict(labeller, images, tmp_path / "out", "2/2", OutputFormat.NPY)
    other = Labeller({1: Predictor(make_model(tiny_sam, apm=ApmKind.PEAKS))})
    with pytest.raises(PromiseError, match="contains predictions of another model"):
        predict(other, images, tmp_path / "out", "2/2")
    predict(labeller, images, tmp_path / "out", "2/2")
    merge_parts(tmp_path / "out")  # so that another list may take the place of this one
    (images / "new.png").write_bytes((images / "p0/0.png").read_bytes())
    before = PartPlan.read(tmp_path / "out")
    with pytest.raises(PromiseError, match="contains predictions of another model"):
        predict(other, images, tmp_path / "out", "1/1")
    assert PartPlan.read(tmp_path / "out") == before


def test_predictions_without_parts_are_left_alone(images, labeller, tmp_path):
    predict_folder(labeller, find_inputs([images]), tmp_path / "out")
    with pytest.raises(PromiseError, match="contains predictions that were not made in parts"):
        predict(labeller, images, tmp_path / "out", "1/2")
    with pytest.raises(PromiseError, match="holds no parts of predictions"):
        merge_parts(tmp_path / "out")


def test_a_volume_whose_slices_would_lie_among_other_masks_is_refused_in_any_part(labeller, tmp_path):
    images = tmp_path / "images"
    write_nifti(images / "p1.nii.gz", disc_image(0)[0].astype("int16"))
    (images / "p1").mkdir()
    Image.fromarray(disc_image(1)[0]).save(images / "p1/a.png")
    problems = [predict(labeller, images, tmp_path / "out", f"{k}/2", OutputFormat.PNG).problems for k in (1, 2)]
    (problem,) = itertools.chain(*problems)
    assert "masks/p1, is taken by the masks of images such as" in problem
    assert "p1/a.png" in problem


def test_an_option_without_effect_is_noted_for_the_part(images, labeller, tmp_path):
    notes = [predict(labeller, images, tmp_path / "out", part, every=2).notes for part in ("2/3", "1/1", "1/1")]
    assert notes[0] == [
        "part 2 of 3: --every 2: none of the inputs is a video, so that all images and slices were predicted"
    ]
    assert notes[1:] == [[], []]  # the kind of images that are there already is not known
    (note,) = predict(labeller, images, tmp_path / "alone", "1/1", every=2).notes
    assert note.startswith("--every 2: none of the inputs is a video")
