"""``--encoder-precision``: training keeps it, prediction and evaluation follow, and features do not mix."""

import pytest

from promise_seg import evaluate, export, load, train
from promise_seg.checkpoint import read_config
from promise_seg.cli.main import main
from promise_seg.errors import SettingsError
from promise_seg.features.contents import shares_of
from tests.helpers import make_tiny_sam

pytestmark = pytest.mark.slow  # each command or training takes a second or more


@pytest.fixture
def options(tmp_path):
    make_tiny_sam().model.save_pretrained(tmp_path / "sam")
    return ["--device", "cpu", "--store", str(tmp_path / "store")]


def test_a_model_is_used_as_it_was_trained_unless_told_otherwise(manifest, options, tmp_path, capsys):
    train = ["train", str(manifest), "--variant", "ips", "--epochs", "1", "--views", "1", "--sam",
             str(tmp_path / "sam"), "-o", str(tmp_path / "run"), *options]  # fmt: skip
    assert main([*train, "--encoder-precision", "int8"]) == 0
    assert read_config(tmp_path / "run" / "best").encoder_precision == "int8"
    stored = sum(share.entries for share in shares_of(tmp_path / "store"))
    capsys.readouterr()
    assert main(train) == 2
    assert "holds a run that differs in --encoder-precision" in " ".join(capsys.readouterr().err.split())

    evaluate = ["evaluate", str(tmp_path / "run"), str(manifest), "--split", "val", "--prompts", "oracle", *options]
    assert main([*evaluate, "-o", str(tmp_path / "as trained")]) == 0
    assert sum(share.entries for share in shares_of(tmp_path / "store")) == stored, "val rows were encoded in training"
    assert main([*evaluate, "--encoder-precision", "fp32", "-o", str(tmp_path / "in fp32")]) == 0
    assert sum(share.entries for share in shares_of(tmp_path / "store")) > stored


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--encoder-precision", "fp16"], "--encoder-precision fp16: a CPU gains nothing by it. Choose int8 or bf16"),
        (["--encoder-precision", "int4"], "expected fp32, bf16, fp16 or int8; did you mean int8?"),
        (["--encoder-precision", "int8", "--train-also", "everything"], "--train-also everything: the encoder cannot"),
    ],
)
def test_what_cannot_be_is_refused(words, expected, manifest, options, tmp_path, capsys):
    train = ["train", str(manifest), "--variant", "ips", "--epochs", "1", "-o", str(tmp_path / "run"), *options]
    assert main([*train, *words]) == 2
    assert expected in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "run" / "log.jsonl").exists()


@pytest.fixture
def trained(manifest, options, tmp_path):
    train = ["train", str(manifest), "--epochs", "1", "--views", "1", "--apm", "heatmap", "--sam",
             str(tmp_path / "sam"), "-o", str(tmp_path / "run"), *options]  # fmt: skip
    assert main([*train, "--encoder-precision", "int8"]) == 0
    return tmp_path / "run"


@pytest.mark.slow
def test_a_folder_of_predictions_holds_one_precision(trained, manifest, tmp_path, capsys):
    predict = ["predict", str(trained), str(manifest.parent / "images"), "--device", "cpu", "-o", str(tmp_path / "out")]
    assert main(predict) == 0
    capsys.readouterr()
    assert main([*predict, "--encoder-precision", "fp32"]) == 2
    assert "contains predictions with --encoder-precision as in training" in " ".join(capsys.readouterr().err.split())
    assert main([*predict[:-1], str(tmp_path / "other"), "--encoder-precision", "fp32"]) == 0
    assert "SAM encodes with fp32; the model was trained, chosen and calibrated with int8" in capsys.readouterr().err


@pytest.mark.slow
def test_a_model_that_is_started_from_passes_its_precision_on_and_stays_as_it_is(trained, manifest, tmp_path):
    before = load(trained, device="cpu")
    model = train(manifest, tmp_path / "next", init=trained, sam=before.sam, epochs=1, views=1, device="cpu",
                  store=tmp_path / "store")  # fmt: skip
    assert model.model.config.encoder_precision == "int8"
    other = train(manifest, tmp_path / "fp32", init=trained, sam=before.sam, epochs=1, views=1, device="cpu",
                  store=tmp_path / "store", encoder_precision="fp32")  # fmt: skip
    assert other.sam.encoder_precision == "fp32"
    assert before.sam.encoder_precision == "int8"
    with pytest.raises(SettingsError, match="the model is loaded already"):
        evaluate(before, manifest, encoder_precision="fp32")


@pytest.mark.slow
def test_an_export_is_in_single_precision(trained, tmp_path):
    pytest.importorskip("onnxruntime")
    (found,) = export(trained, tmp_path / "onnx")
    assert max(one.difference for one in found.agreement) < 1e-3
    assert load(trained, device="cpu").sam.encoder_precision == "int8"
