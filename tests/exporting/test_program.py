"""The program that is exported does without our packages what we do with them."""

import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, UnidentifiedImageError

import promise_seg
from promise_seg.features import precision
from promise_seg.given_prompts import form_of
from promise_seg.images.borders import content_box
from promise_seg.images.geometry import Box, Geometry, resize
from promise_seg.inference import encoding
from promise_seg.postprocessing import PostProcessing
from promise_seg.prompting.apm import NOT_ASKED_FOR
from promise_seg.prompting.map_in_masks import with_map_as_asked
from promise_seg.prompting.separating import PROMINENCE, separate
from promise_seg.sam.prompts import Prompts
from promise_seg.scenes import draw_scene
from promise_seg.vocabulary import Fit
from tests.exporting.models import saved, shifted_model
from tests.instances.drawn import depth_of, discs

WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "promise_seg", "cv2", "scipy", "skimage", "transformers", "onnx"}:
            raise ImportError(f"{name} is not installed")
sys.meta_path.insert(0, Missing())
sys.argv = sys.argv[1:]
import runpy
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def program(onnx):
    from promise_seg.exporting import predict

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
def test_its_masks_are_those_of_the_model(program, involved_run, involved_export, image, exact):
    model, exported = promise_seg.load(involved_run, device="cpu"), program.Exported(involved_export)
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


@pytest.mark.parametrize("seed", range(4))
def test_its_masks_for_clicks_are_mixed_with_the_map_as_ours(program, seed):
    rng = np.random.default_rng(seed)
    smooth = [cv2.GaussianBlur(rng.normal(size=(side, side)).astype(np.float32), (0, 0), 2) for side in (24, 16)]
    points = np.append(rng.random((1, 5, 2)) * 63, [[[63.4, -0.4]]], 1).astype(np.float32)
    labels = rng.integers(0, 2, (1, 6))
    ours = with_map_as_asked(
        torch.from_numpy(smooth[0])[None, None, None], torch.from_numpy(smooth[1])[None],
        Prompts(points_xy_model=torch.from_numpy(points)[None], point_labels=torch.from_numpy(labels)[None],
                boxes_xyxy_model=torch.tensor([[[5.0, 9, 40, 50]]]) if seed % 2 else None), 0.4, 64,
    )  # fmt: skip
    boxes = np.array([[[5.0, 9, 40, 50]]], np.float32)[:, : seed % 2]
    its = program.with_map_as_asked(smooth[0], smooth[1], program.Prompts(points, labels, boxes), 0.4, 64)
    np.testing.assert_allclose(its, ours[0, 0, 0].numpy(), atol=1e-5)
    wide = [program.enlarge(one, 24, 24) for one in smooth]
    assert np.isclose(its, 0.6 * wide[0] + 0.4 * wide[1], atol=1e-5).mean() < 0.95  # limits were set
    assert (np.isclose(its, wide[0], atol=1e-5)).any()


@pytest.mark.parametrize("count", [0, 1, 7, 8])
@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("has_box", [False, True])
def test_its_forms_of_prompts_are_ours(program, count, label, has_box):
    points, labels = torch.ones(1, count, 2), torch.full((1, count), label)
    boxes = torch.ones(1, int(has_box), 4)
    given = Prompts(
        points_xy_model=points[None], point_labels=labels[None], boxes_xyxy_model=boxes if has_box else None
    )
    ours = form_of(given)
    assert program.form_of(program.Prompts(points.numpy(), labels.numpy(), boxes.numpy())) == ours


def test_it_refuses_prompts_outside_of_the_image_and_cuts_boxes_off(program):
    frame = program.Frame(40, 60, 32, "stretch", program.Box(10, 0, 50, 40))
    found = program.prompts_in_frame(frame, [[10.0, 0.0], [49.0, 39.0]], [1, 0], [0, -5, 30, 20])
    np.testing.assert_allclose(found.boxes, [[[*frame.points_to_model([10, 0]), *frame.points_to_model([30, 20])]]])
    assert found.labels.tolist() == [[1, 0]]
    for point in ([9, 5], [50, 5], [20, 40], [20, -1]):
        with pytest.raises(ValueError, match=r"outside of what the model sees, columns 10 to 49 and rows 0 to 39"):
            program.prompts_in_frame(frame, [point], [1], None)
    for box in ([0, 0, 9, 9], [30, 20, 20, 30], [20, 39, 30, 45]):
        with pytest.raises(ValueError, match="has no area inside of the image"):
            program.prompts_in_frame(frame, [], [], box)
    for labels in ([], [2], [1, 1]):
        with pytest.raises(ValueError, match="give a label for each, 1 or 0"):
            program.prompts_in_frame(frame, [[20, 20]], labels, None)


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


@pytest.mark.parametrize("size", [(64, 64), (40, 90), (200, 30), (128, 256), (1, 7)])
def test_its_resizing_is_ours_up_to_a_grey_level(program, size):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 128, 3)).astype(np.uint8)
    found, wanted = program.resize_pixels(pixels, *size), resize(pixels, *size)
    assert found.shape == wanted.shape
    assert np.abs(found.astype(int) - wanted).max() <= 2  # one for each of two steps


@pytest.mark.parametrize("crop", [None, (5, 3, 60, 40)])
@pytest.mark.parametrize("fit", Fit)
def test_its_frames_are_ours(program, fit, crop):
    ours = Geometry(48, 70, 32, fit, None if crop is None else Box(*crop))
    its = program.Frame(48, 70, 32, str(fit), None if crop is None else program.Box(*crop))
    rng = np.random.default_rng(0)
    pixels, points = rng.integers(0, 256, (48, 70, 3)).astype(np.uint8), rng.random((5, 2)) * 40
    assert np.abs(its.image_to_model(pixels).astype(int) - ours.image_to_model(pixels)).max() <= 2
    np.testing.assert_allclose(its.points_to_model(points), ours.points_to_model(points), atol=1e-4)
    logits = rng.normal(size=(16, 16)).astype(np.float32)
    wanted = ours.logits_to_image(torch.from_numpy(logits)).numpy()
    np.testing.assert_allclose(its.logits_to_image(logits), wanted, atol=1e-4)


def test_its_border_is_ours(program):
    pixels = np.zeros((40, 50, 3), np.uint8)
    assert program.content_box(pixels) is None is content_box(pixels)
    pixels[6:30, 9:44] = 90
    assert tuple(program.content_box(pixels)) == tuple(content_box(pixels))


def blobs(seed: int, shape: tuple[int, int] = (90, 120)) -> np.ndarray:
    """Smooth random probabilities."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.random((9, 12)).astype(np.float32))
    return np.clip(np.asarray(coarse.resize(shape[::-1], Image.Resampling.BICUBIC)), 0, 1)


STEPS = [
    {}, {"threshold": 0.7}, {"opening": 8}, {"opening": 11, "keep": "largest"}, {"closing": 9, "fill_holes": True},
    {"opening": 5, "closing": 40, "fill_holes": True, "keep": "largest", "threshold": 0.45}, {"threshold": 0.999},
]  # fmt: skip


@pytest.mark.parametrize("steps", STEPS, ids=str)
def test_its_postprocessing_is_ours(program, steps):
    post = PostProcessing(**steps)
    for seed in range(5):
        probs = blobs(seed)
        np.testing.assert_array_equal(program.clean(probs, post.model_dump(mode="json")), post.mask(probs))


@pytest.mark.parametrize("separates", [False, True])
def test_its_objects_are_those_of_the_prompter(program, tiny_sam, separates):
    apm = shifted_model(tiny_sam).apm
    apm.separates = separates
    for most in (16, 2):
        apm.max_objects = most
        for seed, scale in ((0, 1.0), (1, 1.0), (2, 0.4), (3, 0.0)):
            saliency, distance = blobs(seed, (64, 64)) * np.float32(scale), blobs(seed + 10, (64, 64))
            wanted = apm._objects(saliency, distance)
            prompts, too_many = program.find_objects(saliency, distance, apm.model_side, apm.object_rule)
            np.testing.assert_allclose(prompts.points[:, 0], wanted.points, atol=1e-5)
            np.testing.assert_allclose(prompts.boxes[:, 0], wanted.boxes, atol=1e-5)
            np.testing.assert_array_equal(too_many, wanted.regions == NOT_ASKED_FOR)


@pytest.mark.parametrize("places", [[(10, 10, 6), (20, 10, 6)], [(8, 8, 5), (17, 9, 6), (12, 20, 7)]], ids=len)
def test_objects_that_touch_are_told_apart_as_by_the_prompter(program, places):
    labels = discs(*places)
    found = program.separate(labels > 0, depth_of(labels), PROMINENCE)
    assert found.max() == len(places)
    np.testing.assert_array_equal(found, separate(labels > 0, depth_of(labels)).regions)


@pytest.mark.parametrize("prominence", [0.02, 0.1, 0.4])
def test_each_place_is_of_the_object_that_it_is_of_in_the_prompter(program, prominence):
    for seed in range(5):
        certain, distance = blobs(seed, (48, 64)) > 0.4, blobs(seed + 10, (48, 64))
        wanted = separate(certain, distance, prominence)
        np.testing.assert_array_equal(program.separate(certain, distance, prominence), wanted.regions)


@pytest.mark.slow
def test_its_masks_are_those_of_a_model_that_separates(program, tiny_sam, image, tmp_path, exact):
    run = saved(shifted_model(tiny_sam, separates=True), tmp_path / "run")
    promise_seg.export(run, tmp_path / "onnx")
    exported = program.Exported(tmp_path / "onnx")
    assert exported.about["prompter"]["object_rule"]["prominence"] == PROMINENCE
    wanted, found = promise_seg.load(run, device="cpu").predict(image), exported.predict(image)
    assert np.abs(wanted.mask_probs - found.mask_probs).max() < 0.01
    assert (wanted.mask != found.mask).mean() < 0.005


def test_too_many_objects_stay_as_the_map_has_them(program):
    saliency = np.full((4, 4), -3.0, np.float32)
    saliency[2:, 2:] = 5
    there = saliency > 0
    mixed = program.with_map(np.full((1, 8, 8), -9.0, np.float32), saliency, 0.25, there)
    assert mixed[0, -1, -1] == 5
    assert mixed[0, 0, 0] == pytest.approx(0.75 * -9 + 0.25 * -3)


@pytest.mark.slow
def test_it_says_what_it_cannot_read(program, involved_export, tmp_path):
    exported = program.Exported(involved_export)
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


@pytest.mark.parametrize("values", [np.uint16, np.int32, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_files_of_more_than_8_bits_are_refused(program, tmp_path, values, channels):
    suffix, pixels = (".png" if values == np.uint16 else ".tif"), np.full((6, 8, channels), 300, values)
    cv2.imwrite(str(tmp_path / f"deep{suffix}"), pixels)
    with pytest.raises(
        (ValueError, UnidentifiedImageError), match=r"more than 8 bits a value: give 8-bit|cannot identify"
    ):
        program.read_file(tmp_path / f"deep{suffix}", {"window": "own"})


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_files_of_8_bits_are_read_as_rgb(program, tmp_path, mode):
    file = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    Image.new(mode, (8, 6)).save(file)
    found = program.read_file(file, {"window": "own"})
    assert (found.shape, found.dtype) == ((6, 8, 3), np.uint8)


def test_files_are_refused_where_values_need_a_window(program, tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="reads files with window lung: give 8-bit RGB pixels"):
        program.read_file(tmp_path / "a.png", {"window": "lung"})


@pytest.mark.slow
def test_pixels_of_other_kinds_are_refused(program, involved_export):
    exported = program.Exported(involved_export)
    for pixels in (np.zeros((6, 8, 3), np.uint16), np.zeros((6, 8), np.uint8), np.zeros((6, 8, 4), np.uint8)):
        with pytest.raises(ValueError, match=r"give 8-bit RGB pixels, \(H, W, 3\) uint8"):
            exported.read(pixels)


@pytest.mark.slow
def test_a_channel_is_taken_as_grey(program, involved_export):
    exported = program.Exported(involved_export)
    exported.about["image"]["reading"]["channel"] = "green"
    pixels = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    np.testing.assert_array_equal(exported.read(pixels), np.repeat(pixels[..., 1:2], 3, 2))
    assert replace(program.Frame(2, 3, 4, "pad"), side=8).content == program.Box(0, 0, 8, 5)


def test_its_command_line_says_what_is_wrong_in_one_line(program, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["predict.py", "a.png", "b.png", "--model", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == 2
    assert "model.json" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["nowhere/mask.png", "mask.of-no-kind"])
def test_a_mask_that_cannot_be_written_is_one_line(program, name, tmp_path, monkeypatch, capsys):
    class Ready:
        def __init__(self, folder):
            del folder

        def predict(self, image):
            del image
            return program.Answer(np.ones((2, 3), bool), np.ones((2, 3)), 0.5)

    monkeypatch.setattr(program, "Exported", Ready)
    monkeypatch.setattr("sys.argv", ["predict.py", "a.png", str(tmp_path / name)])
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == 2
    assert "predict.py: error: " in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
