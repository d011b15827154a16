import numpy as np
import pytest
import torch
from PIL import Image

from promise_seg import load
from promise_seg.cli.main import main
from promise_seg.vocabulary import ApmKind, Variant
from tests.helpers import reference_state_of


@pytest.fixture
def reference_file(tiny_sam, tmp_path):
    path = tmp_path / "reference.pt"
    torch.save(reference_state_of(tiny_sam, Variant.APM_IPS, ApmKind.RESNET), path)
    return path


@pytest.mark.slow
def test_convert_then_predict_like_the_file_itself(reference_file, manifest, tmp_path, capsys):
    native, images = tmp_path / "native", str(manifest.parent / "images")
    assert main(["convert", str(reference_file), "-o", str(native)]) == 0
    printed = capsys.readouterr().err
    assert "variant apm+ips (resnet), 6 points, SAM at 32 px" in printed
    assert "apm_resnet.fc2.weight" in printed
    assert "written next to the model" in printed
    assert {p.name for p in native.iterdir()} == {"config.json", "model.safetensors", "sam"}
    for model, out in ((native, "a"), (reference_file, "b")):
        assert main(["predict", str(model), images, "-o", str(tmp_path / out)]) == 0
    of_native, of_file = load(native), load(reference_file)
    masks = sorted((tmp_path / "a/masks").iterdir())
    assert len(masks) == 10
    for path in masks:
        image = manifest.parent / "images" / path.name
        probs = of_native.predict(image).mask_probs
        np.testing.assert_allclose(probs, of_file.predict(image).mask_probs, atol=1e-5)
        decided = np.abs(probs - 0.5) > 1e-5  # their weights lie elsewhere in memory, which changes the last digits
        other = tmp_path / "b/masks" / path.name
        assert np.array_equal(np.asarray(Image.open(path))[decided], np.asarray(Image.open(other))[decided])


def test_a_reference_file_is_evaluated_directly(reference_file, manifest, tmp_path, capsys):
    args = ["evaluate", str(reference_file), str(manifest), "-o", str(tmp_path / "out")]
    assert main(args) == 0
    assert main([*args, "--prompts", "oracle"]) == 0
    assert main([*args, "--sam", "nano"]) == 2
    assert "Leave out --sam" in capsys.readouterr().err


@pytest.mark.slow
def test_there_and_back_with_a_sam_on_this_machine(reference_file, tiny_sam, tmp_path, capsys):
    tiny_sam.model.save_pretrained(tmp_path / "sam")
    first, file, second = (str(tmp_path / name) for name in ("first", "back.pt", "second"))
    assert main(["convert", str(reference_file), "--sam", str(tmp_path / "sam"), "-o", first]) == 0
    assert not (tmp_path / "first/sam").exists()
    assert main(["convert", first, "-o", second]) == 2
    assert f"{first}: is a folder; expected a .pt file" in capsys.readouterr().err
    assert main(["convert", first, "--to", "reference", "-o", file]) == 0
    assert main(["convert", file, "-o", second]) == 0
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "second" / name).read_bytes() == (tmp_path / "first" / name).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["none.pt", "-o", "x"], "none.pt: no such file"),
        (["reference.pt", "-o", "x", "--to", "onnx"], "--to onnx"),
        (["reference.pt", "-o", "reference.pt"], "already exists"),
        (["reference.pt", "-o", "x", "--sam", "nano"], "not the SAM of"),
        (["reference.pt", "-o", "x.zip", "--to", "reference"], "ends in"),
    ],
)
def test_mistakes(args, words, reference_file, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["convert", *args]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error
    assert not (tmp_path / "x").exists()


def test_a_damaged_file_leaves_nothing(reference_file, tmp_path, capsys):
    state = torch.load(reference_file, weights_only=True)
    del state["apm_resnet.bn1.bias"]
    torch.save(state, reference_file)
    assert main(["convert", str(reference_file), "-o", str(tmp_path / "x")]) == 2
    assert "apm_resnet.bn1.bias" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith((".x", "x"))] == []


def test_a_full_disk_is_one_line(reference_file, tmp_path, monkeypatch, capsys):
    import errno
    from pathlib import Path

    assert main(["convert", str(reference_file), "-o", str(tmp_path / "native")]) == 0

    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert main(["convert", str(tmp_path / "native"), "--to", "reference", "-o", str(tmp_path / "back.pt")]) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert not (tmp_path / "back.pt").exists()


@pytest.mark.slow
def test_a_conversion_that_is_there_is_accepted_and_another_is_never_overwritten(reference_file, tmp_path, capsys):
    native, back = tmp_path / "native", tmp_path / "back.pt"
    commands = (["convert", str(reference_file), "-o", str(native)],
                ["convert", str(native), "--to", "reference", "-o", str(back)])  # fmt: skip
    for command in commands:
        assert main(command) == 0
        assert main(command) == 0  # as after an interruption when all was written
    config = native / "config.json"
    config.write_text(config.read_text() + "\n")
    back.write_bytes(b"mine")
    for command in commands:
        assert main(command) == 2
        assert "already exists, with another content; choose another path" in capsys.readouterr().err
    assert back.read_bytes() == b"mine"
    assert config.read_text().endswith("\n\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back.pt", "native", "reference.pt"]
