"""``--encoder-precision``: training keeps it, prediction and evaluation follow, and features do not mix."""

import pytest

from promise_seg.checkpoint import read_config
from promise_seg.cli.main import main
from promise_seg.features.contents import shares_of
from tests.helpers import make_tiny_sam


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
    assert "holds a run with another encoder-precision" in " ".join(capsys.readouterr().err.split())

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
