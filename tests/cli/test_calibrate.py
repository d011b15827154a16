"""Trust scores through the commands: train, calibrate, evaluate, predict and tune."""

import csv
import dataclasses
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

import promise_seg
from promise_seg.cli.main import main
from promise_seg.learning.training_images import TRAINING_IMAGES_FILE
from promise_seg.rules.postprocessing import PostProcessing
from promise_seg.storage.sealed import opened
from promise_seg.trust.trust_file import TRUST_FILE, read_trust
from promise_seg.workflows import calibrating
from tests.helpers import make_tiny_sam, write_dataset

pytestmark = pytest.mark.slow  # each command or training takes a second or more


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A trained model with its data: 16 val rows in 8 groups, 6 test rows, one of them without an object."""
    folder = tmp_path_factory.mktemp("trust")
    make_tiny_sam().model.save_pretrained(folder / "sam")
    manifest = write_dataset(folder / "data", ("train",) * 6 + ("val",) * 16 + ("test",) * 6)
    Image.fromarray(np.zeros((30, 40), np.uint8)).save(folder / "data/masks/22.png")
    options = ["--sam", str(folder / "sam"), "--epochs", "2", "--views", "1", "-o", str(folder / "run")]
    assert main(["train", str(manifest), *options]) == 0
    return folder


@pytest.fixture
def run(trained, tmp_path):
    """A copy of it that a test may change: the run, and the CSV."""
    shutil.copytree(trained / "run", tmp_path / "run")
    shutil.copytree(trained / "data", tmp_path / "data")
    return tmp_path / "run", tmp_path / "data/manifest.csv"


def evaluate(run, out, *options):
    assert main(["evaluate", str(run[0]), str(run[1]), "-o", str(out), *options]) == 0
    with (out / "scores_apm.csv").open() as file:
        return list(csv.DictReader(file)), json.loads((out / "summary_apm.json").read_text())


def predictions(out):
    with (out / "predictions.csv").open() as file:
        return list(csv.DictReader(file))


def change_threshold(run):
    path = run[0] / "best/config.json"
    config = opened(json.loads(path.read_text()))
    config["postprocessing"]["threshold"] = 0.35
    path.write_text(json.dumps(config))


def test_a_trained_model_is_calibrated_and_gone_on_with_as_it_is(run, trained, capsys):
    assert (run[0] / "best" / TRUST_FILE).exists()
    before = (run[0] / "best" / TRUST_FILE).stat().st_mtime_ns
    options = ["--sam", str(trained / "sam"), "--epochs", "2", "--views", "1", "-o", str(run[0])]
    assert main(["train", str(run[1]), *options]) == 0
    assert (run[0] / "best" / TRUST_FILE).stat().st_mtime_ns == before
    assert "trust: rank correlation with Dice " in (run[0] / "summary.txt").read_text()


@pytest.mark.slow
def test_a_variant_without_own_masks_is_trained_but_not_calibrated(trained, tmp_path, capsys):
    data = str(trained / "data/manifest.csv")
    options = ["--sam", str(trained / "sam"), "--epochs", "1", "--views", "1", "--variant", "ips"]
    assert main(["train", data, *options, "-o", str(tmp_path / "ips")]) == 0
    assert not (tmp_path / "ips/best" / TRUST_FILE).exists()
    assert main(["calibrate", str(tmp_path / "ips"), data]) == 2
    assert "variant ips has no auto-prompting module" in capsys.readouterr().err


@pytest.mark.slow
def test_calibrating_anew_gives_the_same_and_never_opens_test_images(run):
    before = read_trust(run[0] / "best" / TRUST_FILE)
    (run[0] / "best" / TRUST_FILE).unlink()
    for number in range(22, 28):
        (run[1].parent / f"masks/{number}.png").unlink()
        (run[1].parent / f"images/{number}.png").unlink()
    assert main(["calibrate", str(run[0]), str(run[1])]) == 0
    assert read_trust(run[0] / "best" / TRUST_FILE).sha256() == before.sha256()


@pytest.mark.slow
def test_an_evaluation_has_trust_in_each_line_and_its_quality(run, tmp_path, capsys):
    lines, summary = evaluate(run, tmp_path / "a")
    assert all(0 <= float(line["trust"]) <= 1 for line in lines)
    assert {line["nothing_here"] for line in lines} <= {"0", "1"}
    assert summary["trust"]["images"] == 6
    assert summary["trust"]["nothing_here"]["images_without_object"] == 1
    error = np.mean([abs(float(line["trust"]) - float(line["dice"])) for line in lines])
    assert summary["trust"]["mean_absolute_error"] == pytest.approx(error, abs=1e-5)
    assert "Rank correlation with Dice" in capsys.readouterr().out
    again, summary_again = evaluate(run, tmp_path / "b")
    assert (again, summary_again["trust"]) == (lines, summary["trust"])
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--measure", "dice", "--measure", "trust"]) == 0


@pytest.mark.slow
def test_quality_on_the_rows_of_the_calibration_is_said_to_be_flattering(run, tmp_path, capsys):
    for split, flattering in (("val", True), ("all", True), ("test", False)):
        _, summary = evaluate(run, tmp_path / split, "--split", split)
        assert summary["trust_calibrated_on_these_rows"] is flattering
        assert ("calibrated on the val rows among these images" in capsys.readouterr().err) is flattering


def test_only_own_masks_as_the_model_chose_them_are_judged(run, tmp_path, capsys):
    config = json.loads((run[0] / "best/config.json").read_text())
    other = next(choice for choice in "012" if choice != config["mask_choice"])
    lines, summary = evaluate(run, tmp_path / "a", "--mask", other)
    assert "trust" not in summary
    assert "trust" not in lines[0]
    assert "no trust scores: they are of the mask" in capsys.readouterr().err
    for name, options in (("apm_reference", ["--protocol", "reference"]), ("oracle", ["--prompts", "oracle"])):
        assert main(["evaluate", str(run[0]), str(run[1]), "-o", str(tmp_path / "o"), *options]) == 0
        assert "trust" not in json.loads((tmp_path / f"o/summary_{name}.json").read_text())


@pytest.mark.slow
def test_predictions_have_trust_as_the_evaluation_has(run, tmp_path):
    scores = {line["image"]: line for line in evaluate(run, tmp_path / "e")[0]}
    assert main(["predict", str(run[0]), str(run[1].parent / "images"), "-o", str(tmp_path / "p")]) == 0
    found = {line["image"]: line for line in predictions(tmp_path / "p")}
    for image, line in scores.items():
        assert float(found[image]["trust"]) == pytest.approx(float(line["trust"]), abs=1e-4)
        assert found[image]["nothing_here"] == line["nothing_here"]


@pytest.mark.slow
def test_of_a_changed_model_nothing_is_said_until_it_is_calibrated_again(run, tmp_path, capsys):
    change_threshold(run)
    images = str(run[1].parent / "images")
    assert "trust" not in evaluate(run, tmp_path / "e")[1]
    assert main(["predict", str(run[0]), images, "-o", str(tmp_path / "p")]) == 0
    assert capsys.readouterr().err.count("belongs to another state of the model") == 2
    assert {(line["trust"], line["nothing_here"]) for line in predictions(tmp_path / "p")} == {("", "")}
    assert main(["calibrate", str(run[0]), str(run[1])]) == 0
    assert "trust" in evaluate(run, tmp_path / "e")[1]
    assert main(["predict", str(run[0]), images, "-o", str(tmp_path / "p")]) == 2
    assert "with other trust scores" in capsys.readouterr().err


def test_a_table_from_before_there_was_trust_is_gone_on_with(run, tmp_path):
    (run[0] / "best" / TRUST_FILE).unlink()
    images = sorted((run[1].parent / "images").iterdir())
    out = tmp_path / "p"
    assert main(["predict", str(run[0]), str(images[0]), "-o", str(out)]) == 0
    lines = predictions(out)
    old = [name for name in lines[0] if name not in ("trust", "nothing_here")]
    with (out / "predictions.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, old, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(lines)
    assert main(["predict", str(run[0]), str(images[0]), str(images[1]), "-o", str(out)]) == 0
    assert [line["trust"] for line in predictions(out)] == ["", ""]


@pytest.mark.slow
def test_a_damaged_file_is_one_line_and_a_way_out(run, tmp_path, capsys):
    (run[0] / "best" / TRUST_FILE).write_bytes(b"damaged")
    for command in (["evaluate", str(run[0]), str(run[1])], ["predict", str(run[0]), str(run[1].parent / "images")]):
        assert main([*command, "-o", str(tmp_path / "out")]) == 2
        assert "trust.safetensors: damaged" in capsys.readouterr().err
    assert main(["calibrate", str(run[0]), str(run[1])]) == 0
    assert "trust" in evaluate(run, tmp_path / "out")[1]


@pytest.mark.slow
def test_tuning_calibrates_again(run, tmp_path, monkeypatch):
    from promise_seg.assessment import tuning
    from promise_seg.rules.postprocessing import PostProcessing

    before = read_trust(run[0] / "best" / TRUST_FILE)
    monkeypatch.setattr(tuning, "candidates", lambda: [PostProcessing(threshold=0.4), PostProcessing()])
    monkeypatch.setattr(tuning, "LEAST_GAIN", 1.0)  # the first is taken
    assert main(["tune-postprocess", str(run[0]), str(run[1])]) == 0
    tuned = read_trust(run[0] / "best" / TRUST_FILE)
    assert tuned.calibration.model_sha256 != before.calibration.model_sha256
    assert "trust" in evaluate(run, tmp_path / "e")[1]
    assert main(["tune-postprocess", str(run[0]), str(run[1]), "--reset"]) == 0
    assert read_trust(run[0] / "best" / TRUST_FILE).sha256() == before.sha256()


@pytest.mark.slow
def test_a_tuning_that_was_interrupted_before_it_calibrated_is_gone_on_with(run, monkeypatch, tmp_path):
    from promise_seg.assessment import tuning
    from promise_seg.rules.postprocessing import PostProcessing
    from promise_seg.workflows import calibrating

    monkeypatch.setattr(tuning, "candidates", lambda: [PostProcessing(threshold=0.4), PostProcessing()])
    monkeypatch.setattr(tuning, "LEAST_GAIN", 1.0)  # the first is taken
    broken = tmp_path / "broken"
    shutil.copytree(run[0], broken)

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(calibrating, "save_trust", interrupt)
        assert main(["tune-postprocess", str(broken), str(run[1])]) == 130
    for folder in (broken, run[0]):
        assert main(["tune-postprocess", str(folder), str(run[1])]) == 0
    for name in ("config.json", TRUST_FILE):
        assert (broken / "best" / name).read_bytes() == (run[0] / "best" / name).read_bytes()


@pytest.fixture(scope="module")
def trained_unsplit(trained, tmp_path_factory):
    """A run with a seed and a share of its own on data without val rows."""
    folder = tmp_path_factory.mktemp("unsplit")
    shutil.copytree(trained / "data", folder / "data")
    manifest = folder / "data/manifest.csv"
    manifest.write_text(manifest.read_text().replace(",val,", ",train,"))
    options = ["--sam", str(trained / "sam"), "--epochs", "1", "--views", "1", "--seed", "3", "--val-share", "0.3"]
    assert main(["train", str(manifest), *options, "-o", str(folder / "run")]) == 0
    return folder


@pytest.fixture
def unsplit(trained_unsplit, tmp_path):
    """A copy of it that a test may change: the run, and the CSV."""
    for name in ("run", "data"):
        shutil.copytree(trained_unsplit / name, tmp_path / name)
    return tmp_path / "run", tmp_path / "data/manifest.csv"


@pytest.mark.slow
def test_val_rows_are_split_off_as_training_did(unsplit, monkeypatch):
    from promise_seg.assessment import tuning
    from promise_seg.rules.postprocessing import PostProcessing

    path = unsplit[0] / "best" / TRUST_FILE
    before = read_trust(path)
    path.unlink()
    assert main(["calibrate", str(unsplit[0]), str(unsplit[1])]) == 0
    assert read_trust(path).sha256() == before.sha256()
    monkeypatch.setattr(tuning, "candidates", lambda: [PostProcessing()])
    assert main(["tune-postprocess", str(unsplit[0]), str(unsplit[1])]) == 0
    assert read_trust(path).calibration.val_sha256 == before.calibration.val_sha256


@pytest.mark.slow
@pytest.mark.parametrize("options", [["--seed", "0"], ["--val-share", "0.6"]])
@pytest.mark.parametrize("command", ["calibrate", "tune-postprocess"])
def test_val_rows_that_were_trained_on_are_refused(unsplit, command, options, capsys, monkeypatch):
    from promise_seg.assessment import tuning
    from promise_seg.rules.postprocessing import PostProcessing

    monkeypatch.setattr(tuning, "candidates", lambda: [PostProcessing()])
    path = unsplit[0] / "best" / TRUST_FILE
    before = path.read_bytes()
    assert main([command, str(unsplit[0]), str(unsplit[1]), *options]) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert re.search(rf"{unsplit[1]}: {unsplit[0]} was trained on \d+ of the \d+ val rows", error)
    assert "or the CSV of training with the --val-share and --seed of training" in error
    assert path.read_bytes() == before
    (unsplit[0] / TRAINING_IMAGES_FILE).unlink()
    assert main([command, str(unsplit[0]), str(unsplit[1]), *options]) == 0


def test_train_rows_that_were_not_trained_on_are_refused(run, capsys):
    run[1].write_text(run[1].read_text().replace(",test,", ",train,"))
    assert main(["calibrate", str(run[0]), str(run[1])]) == 2
    assert re.search(r"was not trained on \d+ of the \d+ train rows", " ".join(capsys.readouterr().err.split()))


def test_rows_in_another_order_are_the_same_rows(run, capsys):
    path = run[0] / "best" / TRUST_FILE
    before = read_trust(path)
    head, *lines = run[1].read_text().splitlines()
    run[1].write_text("\n".join([head, *reversed(lines)]) + "\n")
    assert main(["calibrate", str(run[0]), str(run[1])]) == 0
    after = read_trust(path)
    assert after.calibration.val_sha256 == before.calibration.val_sha256
    assert after.calibration.train_sha256 == before.calibration.train_sha256


def test_what_training_noted_of_its_images_may_be_damaged(run, capsys):
    (run[0] / TRAINING_IMAGES_FILE).write_text("{")
    for command in ("calibrate", "tune-postprocess"):
        assert main([command, str(run[0]), str(run[1])]) == 2
        assert "training_images.json: cannot be read: " in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_a_run_that_noted_no_share_is_split_as_by_default(unsplit, trained):
    options = ["--sam", str(trained / "sam"), "--epochs", "1", "--views", "1", "--seed", "3"]
    run = unsplit[0].with_name("older")
    assert main(["train", str(unsplit[1]), *options, "-o", str(run)]) == 0
    noted = opened(json.loads((run / "settings.json").read_text()))
    assert noted.pop("val_share") == 0.15
    (run / "settings.json").write_text(json.dumps(noted))
    assert main(["calibrate", str(run), str(unsplit[1])]) == 0


def test_a_training_that_diverges_is_one_line(trained, tmp_path, capsys):
    options = ["--sam", str(trained / "sam"), "--epochs", "2", "--views", "1", "--learning-rate", "1e30"]
    assert main(["train", str(trained / "data/manifest.csv"), *options, "-o", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert "training diverged in epoch 2" in error
    assert "with --learning-rate below 1e+30" in error
    assert "Traceback" not in error


@pytest.mark.slow
def test_a_training_whose_only_weights_give_no_numbers_ends_with_a_note(trained, tmp_path, capsys):
    options = ["--sam", str(trained / "sam"), "--epochs", "1", "--views", "1", "--learning-rate", "1e30"]
    assert main(["train", str(trained / "data/manifest.csv"), *options, "-o", str(tmp_path / "run")]) == 0
    assert "note: no trust scores: 16 of 16 val images have NaN or infinite masks" in capsys.readouterr().err
    assert not (tmp_path / "run/best" / TRUST_FILE).exists()
    assert main(["evaluate", str(tmp_path / "run"), str(trained / "data/manifest.csv"), "-o", str(tmp_path / "e")]) == 2
    assert "its training diverged" in capsys.readouterr().err


@pytest.mark.slow
def test_each_class_has_a_trust_of_its_own(trained, tmp_path):
    manifest = write_dataset(tmp_path / "classes", ("train",) * 4 + ("val",) * 10)
    for number in range(14):
        path = tmp_path / f"classes/masks/{number}.png"
        mask = np.asarray(Image.open(path)) > 0
        labels = mask.astype(np.uint8) * 2
        labels[:4, :4] = 1
        Image.fromarray(labels).save(path)
    out = tmp_path / "run"
    options = ["--sam", str(trained / "sam"), "--epochs", "1", "--views", "1", "--class", "all", "-o", str(out)]
    assert main(["train", str(manifest), *options]) == 0
    files = [out / f"class-{label}/best" / TRUST_FILE for label in (1, 2)]
    before = [read_trust(path).sha256() for path in files]
    for path in files:
        path.unlink()
    assert main(["calibrate", str(out), str(manifest)]) == 0
    assert [read_trust(path).sha256() for path in files] == before
    assert len(set(before)) == 2
    assert main(["predict", str(out), str(tmp_path / "classes/images/0.png"), "-o", str(tmp_path / "p")]) == 0
    lines = predictions(tmp_path / "p")
    assert [line["class"] for line in lines] == ["1", "2"]
    assert all(0 <= float(line["trust"]) <= 1 for line in lines)


@pytest.mark.slow
def test_a_loaded_model_trusts_the_masks_that_it_makes_after_tuning(run, monkeypatch):
    real = calibrating.search

    def chooses_another_threshold(*args):
        return dataclasses.replace(real(*args), chosen=PostProcessing(threshold=0.35))

    monkeypatch.setattr(calibrating, "search", chooses_another_threshold)
    model = promise_seg.load(run[0], device="cpu")
    before = model.trust_model.sha256()
    (tuning,) = promise_seg.tune_postprocess(model, run[1], device="cpu")
    assert model.trust_model.sha256() == tuning.trust.sha256() != before
    assert model.trust_model.sha256() == promise_seg.load(run[0], device="cpu").trust_model.sha256()
