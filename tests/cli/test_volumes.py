"""Volumes through the commands: train, tune, predict and evaluate."""

import nibabel as nib
import numpy as np
import pytest

import promise_seg
from promise_seg.assessment import volume_tuning
from promise_seg.assessment.budget import PromptScores
from promise_seg.checkpoint import read_config
from promise_seg.cli.main import main
from promise_seg.reporting import collecting
from promise_seg.vocabulary import Slices
from promise_seg.workflows import budget as workflows_budget
from tests.files import write_nifti
from tests.helpers import make_tiny_sam, strict_json


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run on five drawn volumes, its manifest, and a volume to predict."""
    folder = tmp_path_factory.mktemp("volumes")
    make_tiny_sam().model.save_pretrained(folder / "sam")
    lines = ["image_name,train_type,mask_name,group"]
    for number, split in enumerate(["train", "train", "val", "val", "test"]):
        z, y, x = np.mgrid[0:5, 0:32, 0:40]
        mask = np.sqrt((3 * (z - 2)) ** 2 + (y - 14) ** 2 + (x - 12 - 3 * number) ** 2) < 8
        values = np.random.default_rng(number).integers(0, 90, mask.shape) + 140 * mask
        for name, array in (("i", values), ("m", mask)):
            write_nifti(folder / f"{name}{number}.nii", array.T.astype(np.uint8), np.diag([-0.8, -0.5, 3.0, 1.0]))
        lines.append(f"i{number}.nii,{split},m{number}.nii,p{number}")
    (folder / "m.csv").write_text("\n".join(lines))
    options = ["--sam", str(folder / "sam"), "--epochs", "1", "--views", "1", "--device", "cpu"]
    assert main(["train", str(folder / "m.csv"), "-o", str(folder / "run"), *options]) == 0
    return folder


def masks_of(run, output, *options) -> np.ndarray:
    image = str(run / "i4.nii")
    assert main(["predict", str(run / "run"), image, "-o", str(output), "--device", "cpu", *options]) == 0
    return np.asarray(nib.load(output / "masks/i4.nii.gz").dataobj) > 0


@pytest.mark.slow
def test_what_was_chosen_is_used_by_every_command_and_can_be_undone(run, tmp_path, monkeypatch, capsys):
    before = masks_of(run, tmp_path / "before")
    with monkeypatch.context() as patch:
        patch.setattr(volume_tuning, "simplest", lambda scores: len(scores) - 1)  # agreeing, and all in 3-D
        assert main(["tune-postprocess", str(run / "run"), str(run / "m.csv")]) == 0
    told = capsys.readouterr().err
    assert "volumes: each slice also prompted with the mask of its neighbour (weight 0.5), a Gaussian kernel " in told
    assert " along the stack with a standard deviation of 3 mm" in told
    assert "(2 volumes)" in told
    rule = read_config(run / "run/best").volumes
    assert (rule.slices, rule.keep, rule.fill_holes, rule.step_mm) == (Slices.AGREE, "largest", True, 3.0)
    found = masks_of(run, tmp_path / "after")
    model = promise_seg.load(run / "run", device="cpu")
    assert np.array_equal(found, model.predict_volume(run / "i4.nii").mask)
    each = masks_of(run, tmp_path / "each", "--slices", "each")
    assert np.array_equal(each, model.predict_volume(run / "i4.nii", slices="each").mask)
    data = ["evaluate", str(run / "run"), str(run / "m.csv"), "--device", "cpu"]
    assert main([*data, "-o", str(tmp_path / "scores")]) == 0
    summary = strict_json(tmp_path / "scores/summary_apm.json")
    assert summary["postprocessing"].endswith(f"volumes: {rule.words}")
    assert summary["trust_of_uncombined_slices"] == 5
    assert "trust and nothing here judge the mask of each slice before" in " ".join(capsys.readouterr().err.split())
    truth = np.asarray(nib.load(run / "m4.nii").dataobj) > 0
    dice = 2 * (found & truth).sum() / (found.sum() + truth.sum())
    assert summary["volumes"]["mean"]["dice"] == pytest.approx(dice, abs=1e-5)
    assert main([*data, "-o", str(tmp_path / "blend"), "--slices", "blend"]) == 0
    blended = strict_json(tmp_path / "blend/summary_apm.json")
    assert "volumes: slices blended" in blended["postprocessing"]
    assert (blended["test_looks"]["this_model"], blended["test_looks"]["other_models"]) == (1, 1)
    kinds = [PromptScores(name, False, np.full((1, 5), 0.5)) for name in ("own prompts", *"abcdef")]
    for module in (workflows_budget, collecting):
        monkeypatch.setattr(module, "prompt_budget", lambda *_, **__: kinds)
    assert main(["budget", *data[1:], "--split", "test", "-o", str(tmp_path / "budget")]) == 0
    assert strict_json(tmp_path / "budget/budget.json")["slices"] == "each"
    assert "segment each slice by itself" in " ".join(capsys.readouterr().err.split())
    assert main(["report", *data[1:], "--worst", "1", "-o", str(tmp_path / "report")]) == 0
    document = strict_json(tmp_path / "report/report.json")
    assert rule.words in document["card"]["postprocessing"]
    assert "segment each slice by itself" in document["budget_notes"][0]
    assert main(["tune-postprocess", str(run / "run"), str(run / "m.csv"), "--reset"]) == 0
    assert read_config(run / "run/best").volumes is None
    assert np.array_equal(masks_of(run, tmp_path / "undone"), before)


@pytest.mark.slow
def test_objects_are_told_apart_by_slices_and_that_is_said(run, tmp_path, capsys):
    options = ["--instances", "--slices", "agree", "-o", str(tmp_path / "out")]
    assert main(["predict", str(run / "run"), str(run / "i4.nii"), *options]) == 2
    assert "--slices agree: with --instances, objects are separated slice by slice" in capsys.readouterr().err
