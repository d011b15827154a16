import json
import os
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
import tifffile
from PIL import Image

from promise_seg.errors import PromiseError
from promise_seg.images.exports.inputs import find_inputs
from promise_seg.images.formats.opening import open_source
from promise_seg.images.readers import read_labels
from promise_seg.prediction import table as prediction_table
from promise_seg.prediction.folders import PredictionFolder, predict_folder
from promise_seg.prediction.labelling import Labeller
from promise_seg.prediction.outputs.formats import WRITERS, Writer
from promise_seg.prediction.predictor import Predictor
from promise_seg.vocabulary import ApmKind, OutputFormat, Variant
from tests.files import write_dicom, write_nifti, write_nrrd, write_series
from tests.helpers import disc_image, make_model
from tests.prediction.tables import table

ULTRASOUND = "1.2.840.10008.5.1.4.1.1.3.1"


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(4):
        Image.fromarray(disc_image(i, 30 + i, 40)[0]).save(folder / f"{i}.png")
    return folder


def test_masks_overlays_and_table(images, labeller, tmp_path):
    out = tmp_path / "out"
    outcome = predict_folder(labeller, find_inputs([images]), out)
    assert (outcome.predicted, outcome.already_there, outcome.problems) == (4, 0, [])
    for i, line in enumerate(table(out)):
        mask = np.asarray(Image.open(out / "masks" / f"{i}.png"))
        assert mask.shape == (30 + i, 40)
        assert set(np.unique(mask)) <= {0, 255}
        assert Image.open(out / "overlays" / f"{i}.png").size == (40, 30 + i)
        assert int(line["area_pixels"]) == (mask > 0).sum()
        assert line["mask"] == f"masks/{i}.png"
        points = np.array(json.loads(line["points"]))
        assert points.shape == (16, 3)
        assert (points[:, 0] <= 40).all()
        assert (points[:, 1] <= 30 + i).all()


def test_boxes_of_an_auto_prompter_stand_in_the_table(images, tiny_sam, tmp_path):
    model = make_model(tiny_sam, apm=ApmKind.PRETRAINED)
    predict_folder(Labeller({1: Predictor(model)}), find_inputs([images]), tmp_path / "out")
    for i, line in enumerate(table(tmp_path / "out")):
        points, boxes = (np.array(json.loads(line[name])) for name in ("points", "boxes"))
        assert len(points) == len(boxes) >= 1
        inside = (boxes[:, :2] <= points[:, :2] + 1) & (points[:, :2] <= boxes[:, 2:] + 1)
        assert inside.all()
        assert (boxes >= -0.5).all()
        assert (boxes[:, 2:] <= [40, 30 + i]).all()


class Killed(Exception):
    pass


def test_a_stopped_run_goes_on(images, labeller, tmp_path, monkeypatch):
    out, done = tmp_path / "out", []

    def stop_after_two(*facts):
        done.append(facts)
        if len(done) == 2:
            raise Killed

    with pytest.raises(Killed):
        predict_folder(labeller, find_inputs([images]), out, progress=stop_after_two)
    assert len(table(out)) == 2
    outcome = predict_folder(labeller, find_inputs([images]), out)
    assert (outcome.predicted, outcome.already_there) == (2, 2)
    assert len(table(out)) == 4


def test_two_runs_into_one_folder_lose_no_line_of_each_other(images, labeller, tmp_path):
    whole, shared = tmp_path / "whole", tmp_path / "shared"
    predict_folder(labeller, find_inputs([images]), whole)
    inputs = find_inputs([images])
    first, second = (PredictionFolder(shared, labeller) for _ in range(2))
    for number, one in enumerate(inputs):
        (first, second)[number % 2].add(one, one.sha256(), labeller.label(one.open(labeller.reading.axis)))
        (first, second)[number % 2].save_table()
    first.finish()
    assert (shared / "predictions.csv").read_bytes() == (whole / "predictions.csv").read_bytes()
    assert sorted(path.name for path in shared.iterdir()) == sorted(path.name for path in whole.iterdir())


def test_a_line_that_one_run_took_out_does_not_come_back_from_the_table_of_another(images, labeller, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(images, copy)
    predict_folder(labeller, find_inputs([images]), tmp_path / "out")
    predict_folder(labeller, find_inputs([copy]), tmp_path / "out")
    assert [line["image"] for line in table(tmp_path / "out")] == [str(copy / f"{i}.png") for i in range(4)]


def test_masks_are_on_the_disk_before_the_table_names_them(images, labeller, tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(prediction_table, "_SAVE_SECONDS", 3600)
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(Path(f"/proc/self/fd/{handle}").readlink().name))
    predict_folder(labeller, find_inputs([images]), tmp_path / "out")
    table_at = next(number for number, name in enumerate(synced) if name.endswith("~predictions.csv"))
    for folder in ("masks", "overlays"):
        assert synced.count(folder) == 1  # and not for each image
        assert synced.index(folder) < table_at
    assert sum(name.endswith(".png") for name in synced) == 8


def test_an_image_that_changed_is_predicted_again(images, labeller, tmp_path):
    out = tmp_path / "out"
    predict_folder(labeller, find_inputs([images]), out)
    Image.fromarray(disc_image(50)[0]).save(images / "1.png")
    (out / "masks/2.png").unlink()
    assert predict_folder(labeller, find_inputs([images]), out).predicted == 2


def test_an_unreadable_image_does_not_stop_the_others(images, labeller, tmp_path):
    (images / "1.png").write_bytes(b"no image")
    outcome = predict_folder(labeller, find_inputs([images]), tmp_path / "out")
    assert outcome.predicted == 3
    assert len(outcome.problems) == 1
    assert "1.png: not an image" in outcome.problems[0]


def test_another_model_does_not_mix_its_masks_in(images, labeller, tiny_sam, tmp_path):
    predict_folder(labeller, find_inputs([images]), tmp_path / "out")
    other = Labeller({1: Predictor(make_model(tiny_sam, Variant.APM))})
    with pytest.raises(PromiseError, match="contains predictions of another model"):
        predict_folder(other, find_inputs([images]), tmp_path / "out")


@pytest.fixture
def mixed(tmp_path):
    """A picture, a stack of pages, a NIfTI volume and a DICOM series."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    rng = np.random.default_rng(0)
    Image.fromarray(disc_image(0)[0]).save(folder / "picture.png")
    tifffile.imwrite(folder / "pages.tif", rng.integers(0, 255, (3, 20, 24)).astype(np.uint8), photometric="minisblack")
    write_nifti(folder / "volume.nii.gz", rng.integers(0, 999, (12, 14, 5)).astype(np.int16))
    write_series(folder / "series")
    return folder


def test_masks_fit_back_to_what_they_were_made_from(mixed, labeller, tmp_path):
    out = tmp_path / "out"
    assert predict_folder(labeller, find_inputs([mixed]), out).predicted == 4
    assert {p.name for p in (out / "masks").iterdir()} == {
        "picture.png", "pages.tif", "volume.nii.gz", "series.dcm"
    }  # fmt: skip
    assert {p.name for p in (out / "overlays").iterdir()} == {
        "picture.png", "pages.png", "volume.png", "series.png"
    }  # fmt: skip
    lines = table(out)
    assert len(lines) == 1 + 3 + 5 + 4
    assert [line["slice"] for line in lines if "volume" in line["image"]] == list("01234")
    for name, image in (("series.dcm", "series"), ("volume.nii.gz", "volume.nii.gz")):
        source = open_source(mixed / image)
        areas = [int(line["area_pixels"]) for line in lines if line["image"].endswith(image)]
        assert areas == [int((read_labels(out / "masks" / name, source, i) > 0).sum()) for i in range(len(source))]
    again = predict_folder(labeller, find_inputs([mixed]), out)
    assert (again.predicted, again.already_there) == (0, 4)


def test_two_series_of_one_folder_are_two_volumes(labeller, tmp_path):
    write_series(tmp_path / "both", count=4)
    write_series(tmp_path / "both", count=3, prefix="other")
    out = tmp_path / "out"
    assert predict_folder(labeller, find_inputs([tmp_path / "both"]), out).predicted == 2
    assert len(table(out)) == 7
    assert predict_folder(labeller, find_inputs([tmp_path / "both"]), out).already_there == 2


def test_a_slice_that_changed_makes_a_volume_new(mixed, labeller, tmp_path):
    out = tmp_path / "out"
    predict_folder(labeller, find_inputs([mixed]), out)
    path = mixed / "series/slice002"
    dataset = pydicom.dcmread(path)
    dataset.PixelData = dataset.PixelData[::-1]
    dataset.save_as(path)
    assert predict_folder(labeller, find_inputs([mixed]), out).predicted == 1


def test_coco_holds_every_image_even_after_a_restart(mixed, labeller, tmp_path):
    out = tmp_path / "out"
    inputs = find_inputs([mixed])
    predict_folder(labeller, inputs[:1], out, OutputFormat.COCO)
    assert len(json.loads((out / "coco.json").read_text())["images"]) in (1, 3, 4, 5)
    predict_folder(labeller, inputs, out, OutputFormat.COCO)
    assert len(json.loads((out / "coco.json").read_text())["images"]) == 13


def test_formats_are_not_mixed_in_one_folder(images, labeller, tmp_path):
    predict_folder(labeller, find_inputs([images]), tmp_path / "out")
    with pytest.raises(PromiseError, match="contains predictions in another format"):
        predict_folder(labeller, find_inputs([images]), tmp_path / "out", OutputFormat.RLE)


def test_a_format_that_an_input_has_no_place_in_is_said(images, labeller, tmp_path):
    outcome = predict_folder(labeller, find_inputs([images]), tmp_path / "out", OutputFormat.NIFTI)
    assert (outcome.predicted, len(outcome.problems)) == (0, 4)
    assert "0.png: does not state the position of its pixels" in outcome.problems[0]


def test_dicom_that_no_segmentation_can_refer_to_is_written_as_pictures(labeller, tmp_path):
    """The others are segmentations, as ever; what is merely empty in anonymised files is no obstacle."""
    clip = np.random.default_rng(0).integers(0, 255, (3, 20, 24)).astype(np.uint8)
    write_dicom(tmp_path / "in/clip.dcm", clip, placed=False, NumberOfFrames=3, sop_class=ULTRASOUND)
    write_dicom(tmp_path / "in/good.dcm", clip[0])
    anonymous = pydicom.dcmread(write_dicom(tmp_path / "in/anonymous.dcm", clip[1]))
    del anonymous.PatientID, anonymous.PatientName, anonymous.AccessionNumber
    anonymous.save_as(tmp_path / "in/anonymous.dcm")
    out = tmp_path / "out"
    outcome = predict_folder(labeller, find_inputs([tmp_path / "in"]), out)
    assert (outcome.predicted, outcome.problems, len(outcome.notes)) == (3, [], 1)
    assert "clip.dcm" in outcome.notes[0]
    assert outcome.notes[0].endswith("written as tiff")
    assert {p.name for p in (out / "masks").iterdir()} == {"clip.tif", "good.dcm", "anonymous.dcm"}
    assert predict_folder(labeller, find_inputs([tmp_path / "in"]), out).already_there == 3


def test_one_image_s_mask_never_takes_the_place_of_another_s(images, labeller, tmp_path, monkeypatch):
    other, out = tmp_path / "other", tmp_path / "out"
    other.mkdir()
    Image.fromarray(disc_image(9)[0]).save(other / "1.png")
    shutil.copy(images / "2.png", other / "2.png")
    predict_folder(labeller, find_inputs([images]), out)
    mask = (out / "masks/1.png").read_bytes()
    outcome = predict_folder(labeller, find_inputs([other]), out)
    assert len(outcome.problems) == 1
    assert f"other/1.png: its place, masks/1, is taken by {images}/1.png" in outcome.problems[0]
    assert (out / "masks/1.png").read_bytes() == mask
    assert len(table(out)) == 4  # the copy of 2.png is the same image, now elsewhere
    monkeypatch.chdir(tmp_path)
    assert predict_folder(labeller, find_inputs(["images/1.png", "images/3.png"]), out).already_there == 2
    assert len(table(out)) == 4


def test_names_are_not_mixed_in_one_folder(images, tiny_sam, tmp_path):
    one = Predictor(make_model(tiny_sam))
    predict_folder(Labeller({1: one}, {1: "liver"}), find_inputs([images]), tmp_path / "out")
    with pytest.raises(PromiseError, match="contains predictions under another --name"):
        predict_folder(Labeller({1: one}, {1: "kidney"}), find_inputs([images]), tmp_path / "out")


def test_a_volume_as_pictures_is_a_folder_of_them(mixed, labeller, tmp_path):
    out = tmp_path / "out"
    predict_folder(labeller, find_inputs([mixed]), out, OutputFormat.PNG)
    assert len(list((out / "masks/volume").iterdir())) == 5
    assert {line["mask"] for line in table(out) if line["slice"]} == {"masks/volume", "masks/pages", "masks/series"}
    assert predict_folder(labeller, find_inputs([mixed]), out, OutputFormat.PNG).already_there == 4


@pytest.mark.parametrize("name", ["scan.png.tif", "scan.tif.tif"])
def test_a_folder_of_pictures_may_end_like_a_mask(labeller, tmp_path, name):
    (tmp_path / "in").mkdir()
    stack = np.stack([disc_image(number)[0] for number in range(2)])
    tifffile.imwrite(tmp_path / "in" / name, stack, photometric="rgb")
    for already_there in (0, 1):
        outcome = predict_folder(labeller, find_inputs([tmp_path / "in"]), tmp_path / "out", OutputFormat.PNG)
        assert (outcome.already_there, outcome.problems) == (already_there, [])
    (tmp_path / "in").rename(tmp_path / "moved")
    shutil.copy(tmp_path / "moved" / name, tmp_path / name)
    moved = predict_folder(labeller, find_inputs([tmp_path / name]), tmp_path / "out", OutputFormat.PNG)
    assert moved.already_there == 1


def test_an_nrrd_volume_with_its_values_beside_it_gets_a_segmentation_for_slicer(labeller, tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    volume = np.random.default_rng(0).integers(0, 200, (40, 30, 3)).astype(np.uint8)
    header = {"space": "left-posterior-superior", "space directions": np.diag([0.5, 0.5, 3]), "space origin": [0, 0, 0]}
    write_nrrd(folder / "ct.nhdr", volume, header)
    assert predict_folder(labeller, find_inputs([folder]), out).predicted == 1
    assert [path.name for path in (out / "masks").iterdir()] == ["ct.seg.nrrd"]
    image = open_source(folder / "ct.nhdr")
    assert read_labels(out / "masks/ct.seg.nrrd", image, 2).shape == (30, 40)
    assert predict_folder(labeller, find_inputs([folder]), out).already_there == 1

    write_nrrd(folder / "ct.nhdr", volume[::-1], header)  # whose header stays as it was
    assert predict_folder(labeller, find_inputs([folder]), out).predicted == 1
    write_nrrd(tmp_path / "other/ct.nrrd", volume[:, ::-1], header)
    (problem,) = predict_folder(labeller, find_inputs([tmp_path / "other"]), out).problems
    assert "its place, masks/ct, is taken by" in problem


def test_empty_frames_are_kept_in_all_segmentations_of_a_folder_or_in_none(labeller, tmp_path):
    inputs = find_inputs([write_series(tmp_path / "ct")])
    for keep, words in ((True, "with empty frames"), (False, "without empty frames")):
        out = tmp_path / str(keep)
        assert predict_folder(labeller, inputs, out, keep_empty_frames=keep).problems == []
        with pytest.raises(PromiseError, match=f"contains predictions {words}. Choose another -o folder"):
            predict_folder(labeller, inputs, out, keep_empty_frames=not keep)
    assert int(pydicom.dcmread(tmp_path / "True" / "masks" / "ct.dcm").NumberOfFrames) == 4


def test_images_that_are_segmented_always_are_told_from_others(labeller, images, tmp_path, monkeypatch):
    predict_folder(labeller, find_inputs([images]), tmp_path / "out")
    monkeypatch.setattr(labeller.predictors[1].model, "always_segments", True)
    with pytest.raises(PromiseError, match=r"contains predictions without --always-segment\. Choose another"):
        predict_folder(labeller, find_inputs([images]), tmp_path / "out")


@pytest.mark.parametrize("error", [ZeroDivisionError("by zero"), MemoryError(), OSError(5, "Input/output error")])
def test_whatever_one_image_runs_into_does_not_stop_the_others(images, labeller, tmp_path, monkeypatch, error):
    label = Labeller.label

    def odd(self, source, *others):
        if source.path.name == "1.png":
            raise error
        return label(self, source, *others)

    monkeypatch.setattr(Labeller, "label", odd)
    outcome = predict_folder(labeller, find_inputs([images]), tmp_path / "out")
    assert outcome.predicted == 3
    (problem,) = outcome.problems
    assert problem.startswith(f"{images / '1.png'}: ")


def test_a_writer_that_fails_falls_back_or_names_the_image(images, labeller, tmp_path, monkeypatch):
    monkeypatch.setitem(WRITERS, OutputFormat.PNG, Writer(".png", lambda *_: 1 / 0))
    outcome = predict_folder(labeller, find_inputs([images]), tmp_path / "out")
    assert outcome.predicted == 0
    assert len(outcome.problems) == 4
    assert "cannot be written as png" in outcome.problems[0]


def test_a_name_that_leaves_no_room_for_its_mask_is_said(images, labeller, tmp_path):
    long = "b" * 251 + ".png"
    shutil.copy(images / "0.png", images / long)
    outcome = predict_folder(labeller, find_inputs([images]), tmp_path / "out", OutputFormat.COCO)
    assert outcome.predicted == 4
    (problem,) = outcome.problems
    assert "its name is too long for its mask" in problem
    assert problem.endswith("Rename it")


def test_what_was_read_otherwise_is_a_note(images, labeller, tmp_path):
    for name, slope in (("a.dcm", "0"), ("b.dcm", "1")):
        write_dicom(images / name, np.full((8, 9), 50, np.int16), RescaleSlope=slope, RescaleIntercept="0")
    outcome = predict_folder(labeller, find_inputs([images]), tmp_path / "out")
    assert outcome.problems == []
    assert f"{images / 'a.dcm'}: its RescaleSlope is 0, and is read as 1" in outcome.notes
    assert not any("b.dcm" in note for note in outcome.notes)


@pytest.mark.parametrize("text", ["image,slice\nx.png,0\n", "image\n\x00", "image,slice,mask\nx.png,0,x.png,1\n"])
def test_a_table_that_another_program_changed_is_said(images, labeller, tmp_path, text):
    predict_folder(labeller, find_inputs([images]), tmp_path / "out")
    (tmp_path / "out" / "predictions.csv").write_text(text)
    with pytest.raises(PromiseError, match=r"predictions\.csv: cannot be read: .*changed by another program"):
        predict_folder(labeller, find_inputs([images]), tmp_path / "out")


def test_a_volume_without_finite_values_is_reported(images, labeller, tmp_path):
    write_nifti(images / "empty.nii", np.full((12, 14, 3), np.nan, np.float32))
    outcome = predict_folder(labeller, find_inputs([images]), tmp_path / "out")
    assert outcome.predicted == 4
    (problem,) = outcome.problems
    assert "empty.nii: has no finite value: all its voxels are NaN or infinite" in problem
    assert {line["image"] for line in table(tmp_path / "out")} == {str(path) for path in images.glob("*.png")}
