"""The program that is exported does without our packages what we do with them."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import promise_seg
from predict_frames import Box, Frame
from promise_seg.features import precision
from promise_seg.inference import encoding
from promise_seg.prompting.separating import PROMINENCE
from promise_seg.scenes import draw_scene
from tests.exporting.models import saved, shifted_model

WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "promise_seg", "cv2", "scipy", "skimage", "transformers", "onnx"}:
            raise ImportError(f"{name} is not installed")
sys.meta_path.insert(0, Missing())
sys.argv = sys.argv[1:]
import pathlib, runpy
sys.path.insert(0, str(pathlib.Path(sys.argv[0]).parent))  # as Python does with a script
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def predict(onnx):
    import predict

    return predict


@pytest.fixture
def exact(monkeypatch):
    """Features in single precision, as the exported graphs have them."""
    for module in (encoding, precision):
        monkeypatch.setattr(module, "rounded", lambda features: features)


@pytest.fixture(scope="module")
def image():
    return np.asarray(draw_scene(seed=1, size=80, kind="mucosa").image)[:60]


@pytest.mark.slow
def test_its_masks_are_those_of_the_model(predict, involved_run, involved_export, image, exact):
    model, exported = promise_seg.load(involved_run, device="cpu"), predict.Exported(involved_export)
    points, labels, box = [[40.0, 30.0], [70.0, 50.0]], [1, 0], [10.0, 12.0, 50.0, 40.0]
    pairs = [
        (model.predict(image), exported.predict(image)),
        (model.predict(image, points_xy=points, point_labels=labels), exported.predict_for(image, points, labels)),
        (model.predict(image, box_xyxy=box), exported.predict_for(image, box=box)),
        (model.predict(image, points_xy=points[:1], point_labels=[0]), exported.predict_for(image, points[:1], [0])),
        (model.predict(image, points_xy=points[:1], point_labels=[1], box_xyxy=box),
         exported.predict_for(image, points[:1], [1], box)),
    ]  # fmt: skip
    for wanted, found in pairs:
        assert np.abs(wanted.mask_probs - found.mask_probs).max() < 0.01  # a grey level may differ after resizing
        assert (wanted.mask != found.mask).mean() < 0.005
        assert found.iou == pytest.approx(wanted.predicted_iou, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [[], ["--point", "40", "30"], ["--box", "10", "12", "50", "40", "--background", "3", "4"]]
)
def test_it_runs_without_our_packages(involved_export, image, tmp_path, words):
    Image.fromarray(image).save(tmp_path / "frame.png")
    command = [sys.executable, "-c", WITHOUT, involved_export / "predict.py", "frame.png", "mask.png", *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "of the image, estimated IoU" in done.stdout
    mask = np.asarray(Image.open(tmp_path / "mask.png"))
    assert mask.shape == image.shape[:2]
    assert set(np.unique(mask)) <= {0, 255}


@pytest.mark.slow
def test_its_masks_are_those_of_a_model_that_separates(predict, tiny_sam, image, tmp_path, exact):
    run = saved(shifted_model(tiny_sam, separates=True), tmp_path / "run")
    promise_seg.export(run, tmp_path / "onnx")
    exported = predict.Exported(tmp_path / "onnx")
    assert exported.about["prompter"]["object_rule"]["prominence"] == PROMINENCE
    wanted, found = promise_seg.load(run, device="cpu").predict(image), exported.predict(image)
    assert np.abs(wanted.mask_probs - found.mask_probs).max() < 0.01
    assert (wanted.mask != found.mask).mean() < 0.005


@pytest.mark.slow
def test_it_says_what_it_cannot_read(predict, involved_export, tmp_path):
    exported = predict.Exported(involved_export)
    exported.about["prompter"] = None
    with pytest.raises(ValueError, match="give it points or a box"):
        exported.predict(np.zeros((20, 20, 3), np.uint8))
    exported.about["image"]["reading"]["tiles"] = {"side": 16, "overlap": 4}
    with pytest.raises(ValueError, match="20 x 20 pixels: this model sees images in tiles of 16 px"):
        exported.read(np.zeros((20, 20, 3), np.uint8))
    exported.about["image"]["reading"]["channels"] = "2,0"
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="reads files with channels 2,0: give 8-bit RGB pixels"):
        exported.read(tmp_path / "a.png")


@pytest.mark.slow
def test_pixels_of_other_kinds_are_refused(predict, involved_export):
    exported = predict.Exported(involved_export)
    for pixels in (np.zeros((6, 8, 3), np.uint16), np.zeros((6, 8), np.uint8), np.zeros((6, 8, 4), np.uint8)):
        with pytest.raises(ValueError, match=r"give 8-bit RGB pixels, \(H, W, 3\) uint8"):
            exported.read(pixels)


@pytest.mark.slow
def test_a_channel_is_taken_as_grey(predict, involved_export):
    exported = predict.Exported(involved_export)
    exported.about["image"]["reading"]["channel"] = "green"
    pixels = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    np.testing.assert_array_equal(exported.read(pixels), np.repeat(pixels[..., 1:2], 3, 2))
    assert replace(Frame(2, 3, 4, "pad"), side=8).content == Box(0, 0, 8, 5)


def test_its_command_line_says_what_is_wrong_in_one_line(predict, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["predict.py", "a.png", "b.png", "--model", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        predict.main()
    assert ended.value.code == 2
    assert "model.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("about", "says"),
    [
        ('{"graphs": ', "model.json: is damaged"),
        ("{}", "model.json: is damaged"),
        ("[]", "model.json: is damaged"),
        ('{"graphs": {}}', "model.json: is damaged"),
        ('{"graphs": {"encoder": {}}}', "model.json: is damaged"),
        ('{"graphs": {"encoder": {"file": "encoder.onnx"}}}', "encoder.onnx: ONNX Runtime cannot open it"),
        ('{"graphs": {"encoder": {"file": "decoder.onnx"}}}', "decoder.onnx: No such file or directory"),
    ],
)
def test_a_damaged_model_is_named_in_one_line(predict, about, says, tmp_path, monkeypatch, capsys):
    (tmp_path / "model.json").write_text(about)
    (tmp_path / "encoder.onnx").write_bytes(b"\x08\x0a\x12")
    monkeypatch.setattr("sys.argv", ["predict.py", "a.png", "b.png", "--model", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        predict.main()
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("name", ["nowhere/mask.png", "mask.of-no-kind"])
def test_a_mask_that_cannot_be_written_is_one_line(predict, name, tmp_path, monkeypatch, capsys):
    class Ready:
        def __init__(self, folder):
            del folder

        def predict(self, image):
            del image
            return predict.Answer(np.ones((2, 3), bool), np.ones((2, 3)), 0.5)

    monkeypatch.setattr(predict, "Exported", Ready)
    monkeypatch.setattr("sys.argv", ["predict.py", "a.png", str(tmp_path / name)])
    with pytest.raises(SystemExit) as ended:
        predict.main()
    assert ended.value.code == 2
    assert "predict.py: error: " in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("image", "mask", "says"),
    [
        ("a.png", "a.png", "a.png: is the image. Give another file for the mask"),
        ("a.png", "mask.jpg", "mask.jpg: a mask needs a lossless file; expected one of .png, .tif"),
        ("nowhere.png", "mask.png", "nowhere.png: No such file or directory"),
        ("ct.nii", "mask.png", "ct.nii: not an image that Pillow reads; promise predict reads DICOM, NIfTI and others"),
        ("huge.png", "mask.png", "exceeds limit"),
    ],
)
def test_what_a_user_can_get_wrong_is_one_line(predict, image, mask, says, tmp_path, monkeypatch, capsys):
    class Reads:
        def __init__(self, folder):
            del folder

        def predict(self, path):
            Image.open(path).load()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(predict, "Exported", Reads)
    Image.new("RGB", (4, 3)).save("a.png")
    Image.new("1", (40, 30)).save("huge.png")
    (tmp_path / "ct.nii").write_bytes(b"\x5c\x01" * 200)
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 500)
    before = (tmp_path / "a.png").read_bytes()
    monkeypatch.setattr("sys.argv", ["predict.py", image, mask])
    with pytest.raises(SystemExit) as ended:
        predict.main()
    assert ended.value.code == 2
    assert says in capsys.readouterr().err
    assert (tmp_path / "a.png").read_bytes() == before
