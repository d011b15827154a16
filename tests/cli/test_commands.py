"""The commands as a user calls them, with a tiny SAM from a folder."""

import csv
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from promise_seg.cli.main import main
from tests.helpers import make_tiny_sam


@pytest.fixture
def sam_folder(tmp_path):
    make_tiny_sam().model.save_pretrained(tmp_path / "sam")
    return str(tmp_path / "sam")


@pytest.fixture
def train(manifest, sam_folder, tmp_path):
    def run(*options, out="run"):
        return main(["train", str(manifest), "--sam", sam_folder, "--epochs", "2", "--batch-size", "3", "--views", "2",
                     "-o", str(tmp_path / out), "--device", "cpu", *options])  # fmt: skip

    return run


@pytest.mark.slow
def test_train_evaluate_predict(train, manifest, sam_folder, tmp_path, capsys):
    assert train() == 0
    assert "encoded 14 views" in capsys.readouterr().err
    assert train(out="again") == 0
    assert "encoded 0 views" in capsys.readouterr().err

    run, out = str(tmp_path / "run"), tmp_path / "out"
    for prompts in ("apm", "oracle", "box", "none"):
        assert main(["evaluate", run, str(manifest), "--prompts", prompts, "-o", str(out)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "own prompts (automatic)" in printed
    assert "(from the ground truth)" in printed
    assert len(list(csv.DictReader((out / "scores_apm.csv").open()))) == 2
    assert json.loads((out / "summary_box.json").read_text())["split"] == "test"

    shutil.rmtree(manifest.parent / "masks")  # a prediction never reads a mask
    images = manifest.parent / "images"
    assert main(["predict", run, str(images), "-o", str(tmp_path / "pred")]) == 0
    assert len(list((tmp_path / "pred/masks").iterdir())) == 10
    assert main(["predict", run, str(images), "-o", str(tmp_path / "pred")]) == 0
    assert "0 predicted, 10 already there" in capsys.readouterr().err


def test_evaluating_a_bare_sam(manifest, sam_folder, tmp_path, capsys):
    args = ["evaluate", "bare", str(manifest), "--sam", sam_folder, "--split", "all", "-o", str(tmp_path / "out")]
    assert main([*args, "--prompts", "oracle"]) == 0
    assert json.loads((tmp_path / "out/summary_oracle.json").read_text())["images"] == 10
    assert main([*args, "--prompts", "apm"]) == 2
    assert "no auto-prompting module" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_without_val_rows_splits_some_off_and_says_so(train, manifest, capsys):
    manifest.write_text(manifest.read_text().replace(",val,", ",train,"))
    assert train() == 0
    assert "no val rows in" in capsys.readouterr().err


def failure(code, capsys):
    captured = capsys.readouterr()
    assert code == 2
    assert "Traceback" not in captured.err + captured.out
    return captured.err


def test_train_reports_all_problems_at_once_and_leaves_nothing(train, manifest, tmp_path, capsys):
    images = manifest.parent / "images"
    (images / "0.png").unlink()
    (images / "7.png").write_text("not an image")
    shutil.copy(images / "8.png", images / "3.png")
    message = failure(train(), capsys)
    assert "3 problems" in message
    for line in (2, 9, 5):
        assert f"{manifest}:{line}:" in message
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--variant", "both"], "--variant both: expected apm, ips or apm+ips"),
        (["--variant", "sam"], "--variant sam: expected apm, ips or apm+ips"),
        (["--apm", "unet"], "--apm"),
        (["--points", "4", "--foreground", "9"], "--foreground 9: exceeds --points 4"),
        (["--learning-rate", "-1"], "--learning-rate"),
        (["--device", "abacus"], "--device abacus: not available here"),
        (["--precision", "half"], "--precision"),
        (["--epochs", "0"], "epochs"),
        (["--train-also", "neck"], "--train-also"),
        (["--protocol", "paper"], "--protocol paper: expected own or reference"),
        (["--image-size", "33"], "multiple of this SAM's patch size 4"),
        (["--no-such-option"], "No such option"),
    ],
)
def test_settings_that_cannot_work(train, capsys, options, message):
    assert message in failure(train(*options), capsys)


def test_a_missing_csv_and_one_without_columns(tmp_path, capsys):
    assert "no such file" in failure(main(["train", str(tmp_path / "x.csv"), "-o", str(tmp_path / "r")]), capsys)
    (tmp_path / "y.csv").write_text("image,mask\n")
    assert "y.csv:1: missing column(s)" in failure(
        main(["train", str(tmp_path / "y.csv"), "-o", str(tmp_path / "r")]), capsys
    )


@pytest.mark.slow
def test_options_win_over_the_protocol_and_its_deviations_are_printed_once(train, manifest, tmp_path, capsys):
    assert train("--protocol", "reference", "--variant", "ips") == 0
    assert capsys.readouterr().err.count("a second sigmoid") == 1
    settings = json.loads((tmp_path / "run/settings.json").read_text())["settings"]
    assert (settings["epochs"], settings["batch_size"], settings["optimizer"]) == (2, 3, "adam")
    args = ["evaluate", str(tmp_path / "run"), str(manifest), "--prompts", "oracle", "-o", str(tmp_path / "out")]
    assert main([*args, "--protocol", "reference"]) == 0
    summary = json.loads((tmp_path / "out/summary_oracle_reference.json").read_text())
    assert (summary["protocol"], summary["mask_choice"]) == ("reference", "0")
    assert summary["protocol"] == "reference"
    assert any("5 x 5" in line for line in summary["protocol_deviations"])
    assert "5 x 5" in capsys.readouterr().err


def test_defaults_shown_are_those_of_the_settings():
    import inspect

    from promise_seg.cli import train as command
    from promise_seg.learning.settings import APM_PREFIX, OPTIONS, make_settings
    from promise_seg.prompting.building import CONFIGS
    from promise_seg.vocabulary import Recipe

    parameters = inspect.signature(command.train).parameters
    for setting, option in OPTIONS.items():
        if option == "foreground":
            assert parameters[option].default is None  # half of the points
            continue
        assert parameters[option].default == getattr(make_settings(apm="pretrained"), setting), option
    options = {name: field.default for cls in CONFIGS.values() for name, field in cls.model_fields.items()}
    options |= {name: value for cls in CONFIGS.values() for name, value in cls.options_of_new_runs(Recipe.OWN).items()}
    for name in {name for name in parameters if name.startswith(APM_PREFIX)}:
        assert parameters[name].default == options[name.removeprefix(APM_PREFIX)], name


@pytest.mark.slow
def test_an_option_of_one_kind_of_apm_gets_into_the_model_and_is_refused_by_the_others(train, tmp_path, capsys):
    assert train("--apm", "peaks", "--apm-distance", "0.25", "--variant", "apm", "--epochs", "1") == 0
    apm = json.loads((tmp_path / "run/best/config.json").read_text())["apm"]
    assert apm == {"kind": "peaks", "num_points": 16, "num_foreground": 8, "distance": 0.25}
    words = failure(train("--apm", "peaks", "--variant", "apm", "--epochs", "1"), capsys)
    assert "differs in --apm-distance (0.25 there, default now)" in words
    words = failure(train("--apm", "cross", "--apm-distance", "0.25", out="other"), capsys)
    assert "--apm cross has no option distance; it has position_code" in words


@pytest.mark.slow
def test_another_input_size_is_kept_in_the_model(train, manifest, tmp_path, capsys):
    assert train("--image-size", "48") == 0
    assert "used at 48 px, although it was trained at 32 px" in capsys.readouterr().err
    assert json.loads((tmp_path / "run/best/config.json").read_text())["image_size"] == 48
    args = ["evaluate", str(tmp_path / "run"), str(manifest), "-o", str(tmp_path / "out")]
    assert main(args) == 0
    assert main(["predict", str(tmp_path / "run"), str(manifest.parent / "images"), "-o", str(tmp_path / "p")]) == 0
    assert "it was trained at 32 px" not in capsys.readouterr().err  # the size of training is expected
    assert json.loads((tmp_path / "out/summary_apm.json").read_text())["image_size"] == 48
    assert main([*args, "--image-size", "32"]) == 2
    assert "for bare only" in capsys.readouterr().err
    assert "differs in --image-size (48 there, 32 now)" in failure(train("--image-size", "32"), capsys)


@pytest.mark.slow
def test_another_sam_at_prediction(train, manifest, tmp_path, capsys):
    assert train() == 0
    make_tiny_sam(9).model.save_pretrained(tmp_path / "other")
    args = ["predict", str(tmp_path / "run"), str(manifest.parent / "images"), "-o", str(tmp_path / "p")]
    assert "has other weights" in failure(main([*args, "--sam", str(tmp_path / "other")]), capsys)
    words = failure(main([*args, "--sam", "nano"]), capsys)  # of another size as well
    assert "trained on the SAM" in words
    assert "'nano' is a different one" in words
    assert not (tmp_path / "p").exists()


@pytest.mark.slow
def test_an_unreadable_image_among_others(train, manifest, tmp_path, capsys):
    assert train() == 0
    (manifest.parent / "images/4.png").write_text("no")
    args = ["predict", str(tmp_path / "run"), str(manifest.parent / "images"), "-o", str(tmp_path / "p")]
    assert "4.png: not an image" in failure(main(args), capsys)
    assert len(list((tmp_path / "p/masks").iterdir())) == 9


@pytest.mark.parametrize("option", [["--split", "trial"], ["--prompts", "luck"], ["--mask", "7"]])
def test_evaluate_refuses_unknown_choices(manifest, sam_folder, tmp_path, capsys, option):
    args = ["evaluate", "bare", str(manifest), "--sam", sam_folder, "-o", str(tmp_path / "o"), *option]
    assert option[0] in failure(main(args), capsys)


def test_evaluate_without_rows_of_the_split(manifest, sam_folder, tmp_path, capsys):
    manifest.write_text("\n".join(line for line in manifest.read_text().splitlines() if ",test," not in line))
    args = ["evaluate", "bare", str(manifest), "--sam", sam_folder, "-o", str(tmp_path / "o"), "--prompts", "oracle"]
    assert "no test rows" in failure(main(args), capsys)


@pytest.mark.slow
def test_a_folder_in_which_another_trains_is_refused_and_left_alone(train, capsys, tmp_path):
    from promise_seg.storage.locks import alone_in

    with alone_in(tmp_path / "run", "training"):
        assert "is training here. Wait for it" in failure(train(), capsys)
        assert [path.name for path in (tmp_path / "run").iterdir()] == [".promise-lock"]
    assert train() == 0
    assert not (tmp_path / "run" / ".promise-lock").exists()


def test_a_full_disk_is_one_line(train, capsys, monkeypatch):
    import errno

    from promise_seg.storage import tensor_files

    def full(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tensor_files, "save_file", full)
    assert "No space left on device" in failure(train(), capsys)


def test_too_little_memory_is_one_line(train, capsys, monkeypatch):
    from promise_seg.learning import training

    monkeypatch.setattr(training, "validate", lambda *_args: np.zeros((2**30, 2**20)))
    said = failure(train(), capsys)
    assert "promise: error: not enough memory (8.00 PiB more were needed). Give smaller numbers, such as" in said


@pytest.mark.slow
def test_ctrl_c_is_130_and_the_run_goes_on(train, capsys, monkeypatch):
    from promise_seg.learning import training

    real, calls = training.validate, []

    def interrupt_once(*args):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(training, "validate", interrupt_once)
    assert train() == 130
    assert "interrupted" in capsys.readouterr().err
    assert train() == 0
    assert "resuming after epoch 1" in capsys.readouterr().err


@pytest.mark.slow
def test_grey_masks_with_a_threshold(train, manifest, capsys):
    path = manifest.parent / "masks/0.png"
    Image.fromarray(np.arange(1200, dtype=np.uint8).reshape(30, 40)).save(path)
    assert "--mask-threshold" in failure(train(), capsys)
    assert train("--mask-threshold", "127") == 0


def test_help_does_not_load_torch():
    code = (
        "import sys; from promise_seg.cli.main import main; main(['train', '--help']); "
        "assert not {'torch', 'numpy', 'rich.progress'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--variant" in done.stdout


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("promise-seg ")


@pytest.mark.slow
def test_pretrain(tmp_path, monkeypatch):
    from promise_seg.scenes import library

    monkeypatch.setattr(library, "CHUNK", 4)
    args = ["pretrain", "-o", str(tmp_path / "nano"), "--steps", "2", "--batch-size", "2", "--scenes", "4",
            "--evaluate-scenes", "4", "--workers", "1", "--device", "cpu"]  # fmt: skip
    assert main(args) == 0
    assert set(json.loads((tmp_path / "nano/scene_scores.json").read_text())) == {"1 point", "16 points", "box"}
