"""Predictions of images that are seen tile by tile: in memory, and of files of which windows are read."""

import csv
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from PIL import Image

from promise_seg.errors import ImageError, PromiseError
from promise_seg.images.exports.inputs import find_inputs
from promise_seg.images.formats import tiff_slide
from promise_seg.images.geometry import Box
from promise_seg.images.reading import make_reading
from promise_seg.images.tiles import Tiling
from promise_seg.instances.painting import InstanceMap
from promise_seg.prediction import large_images, overlay_of_labels
from promise_seg.prediction.folders import predict_folder
from promise_seg.prediction.labelled import Labelled, LabelledSlice, Origin
from promise_seg.prediction.labelling import Labeller
from promise_seg.prediction.large_images import LargeImage, blended_labels, room_for, stitched_objects
from promise_seg.prediction.outputs import pictures
from promise_seg.prediction.predictor import Predictor
from promise_seg.rules.instance_rule import InstanceRule
from promise_seg.rules.postprocessing import NO_POST, PostProcessing
from promise_seg.vocabulary import MaskKind, OutputFormat
from tests.helpers import make_model
from tests.instances.drawn import discs, drawn_model

PIXELS = np.random.default_rng(0).integers(0, 255, (70, 90, 3)).astype(np.uint8)


def with_reading(model, **options):
    model.config = model.config.model_copy(update={"reading": make_reading(**options), "instances": InstanceRule()})
    return Predictor(model)


@pytest.fixture
def small_limits(monkeypatch):
    """Everything is large: read by windows, held in temporary files, written by tiles."""
    monkeypatch.setattr(tiff_slide, "LEAST_PIXELS", 100)
    monkeypatch.setattr(large_images, "LARGEST_IN_MEMORY", 100)
    monkeypatch.setattr(pictures, "LARGEST_WHOLE", 100)
    monkeypatch.setattr(pictures, "_SIDE", 32)
    tiff_slide._opened.cache_clear()


@pytest.fixture
def slide(tmp_path):
    tifffile.imwrite(tmp_path / "slide.tif", PIXELS, tile=(16, 32), photometric="rgb", compression="zlib")
    return tmp_path / "slide.tif"


def drawn_predictor(tiny_sam, **options):
    return with_reading(drawn_model(tiny_sam, discs((9, 10, 5), (29, 22, 5))), **options)


def labellers(tiny_sam, **options):
    """Of masks, and of separate objects: those in each tile are the same, near its middle and at its right edge."""
    masks = Labeller({1: with_reading(make_model(tiny_sam), **options)})
    return masks, Labeller({1: drawn_predictor(tiny_sam, **options)}, instances=True)


def test_an_image_that_is_no_larger_than_a_tile_is_predicted_as_without_tiles(tiny_sam):
    for plain, tiled in zip(labellers(tiny_sam), labellers(tiny_sam, tile=90, overlap=30), strict=True):
        expected, found = plain.label_image(PIXELS), tiled.label_image(PIXELS)
        assert np.array_equal(found.labels, expected.labels)
        assert found.objects == expected.objects
        assert found.origins[1].predicted_iou == expected.origins[1].predicted_iou
        assert np.array_equal(found.origins[1].points_xy_image, expected.origins[1].points_xy_image)


@pytest.mark.parametrize("crop", [False, True], ids=["whole", "cropped"])
def test_a_slide_that_is_no_larger_than_a_tile_is_predicted_as_without_tiles(tiny_sam, slide, small_limits, crop):
    plain, _ = labellers(tiny_sam, crop_border=crop)
    tiled, _ = labellers(tiny_sam, tile=90, overlap=30, crop_border=crop)
    source = tiled.reading.open(slide)
    assert source.size == (70, 90)
    assert not tiled.reads_windows(source)
    (found,), expected = tiled.label(source).slices, plain.label_image(PIXELS)
    assert np.array_equal(found.labels, expected.labels)
    assert np.array_equal(found.origins[1].points_xy_image, expected.origins[1].points_xy_image)


def test_no_more_than_windows_of_a_slide_are_read_in_python(tiny_sam, slide, small_limits, monkeypatch):
    predictor = drawn_predictor(tiny_sam, tile=32, overlap=8)
    expected, objects = predictor.predict(PIXELS), predictor.predict_instances(PIXELS)
    monkeypatch.setattr(tiff_slide.TiffSlide, "values", lambda *_: pytest.fail("all of it was read"))
    assert np.array_equal(predictor.predict(slide).mask_probs, expected.mask_probs)
    assert np.array_equal(predictor.predict_instances(str(slide)).labels, objects.labels)
    for labeller in labellers(tiny_sam, tile=32, overlap=8):
        assert np.array_equal(labeller.label_image(slide).labels, labeller.label_image(PIXELS).labels)


def test_there_is_no_trust_in_a_mask_of_several_tiles(tiny_sam, slide, small_limits):
    predictor = with_reading(make_model(tiny_sam), tile=32, overlap=8)
    predictor.trust_model = SimpleNamespace(trust_in=lambda *_: "trusted")
    assert (predictor.trust(PIXELS), predictor.trust(slide)) == (None, None)
    assert predictor.trust(PIXELS[:32, :32]) == predictor.trust(predictor.encode(PIXELS)) == "trusted"


def test_an_image_in_memory_is_called_by_its_file(tiny_sam, tmp_path, monkeypatch):
    monkeypatch.setattr("promise_seg.instances.stitching.MOST_OBJECTS", 1)
    Image.fromarray(PIXELS).save(tmp_path / "many.png")
    _, objects = labellers(tiny_sam, tile=32, overlap=8)
    for call in (lambda path: objects.label(objects.reading.open(path)), objects.predictors[1].predict_instances):
        with pytest.raises(ImageError, match=r"many\.png: more than 1 objects"):
            call(tmp_path / "many.png")


def test_probabilities_are_those_of_the_tiles_blended(tiny_sam):
    predictor = with_reading(make_model(tiny_sam), tile=32, overlap=8)
    found = predictor.predict(PIXELS)
    alone = Predictor(make_model(tiny_sam)).predict(PIXELS[:32, :32])
    assert found.mask_probs.shape == (70, 90)
    assert np.allclose(found.mask_probs[:19, :19], alone.mask_probs[:19, :19], atol=1e-6)
    assert np.array_equal(found.mask, found.mask_probs > 0.5)
    assert "several tiles" in found.note
    (again,) = predictor.predict([PIXELS])
    assert np.array_equal(again.mask_probs, found.mask_probs)
    assert len(predictor.predict(PIXELS, box_xyxy=[10, 10, 50, 50]).boxes_xyxy) == 1


def test_a_file_of_which_windows_are_read_is_predicted_as_its_pixels(tiny_sam, slide, tmp_path, small_limits):
    for number, labeller in enumerate(labellers(tiny_sam, tile=32, overlap=8)):
        expected = labeller.label_image(PIXELS)
        out = tmp_path / f"out{number}"
        outcome = predict_folder(labeller, find_inputs([slide]), out)
        assert (outcome.predicted, outcome.problems) == (1, [])
        stored = tifffile.imread(out / "masks" / "slide.tif")
        assert np.array_equal(stored, expected.labels if labeller.instances else np.where(expected.labels > 0, 255, 0))
        with tifffile.TiffFile(out / "masks" / "slide.tif") as file:
            assert file.pages[0].is_tiled
        with (out / "predictions.csv").open() as file:
            (line,) = csv.DictReader(file)
        assert int(line["area_pixels"]) == np.count_nonzero(expected.labels)
        assert (line["width"], line["height"]) == ("90", "70")
        again = predict_folder(labeller, find_inputs([slide]), out)
        assert (again.predicted, again.already_there) == (0, 1)
    assert line["objects"] == str(len(expected.objects))
    assert stored.dtype == np.uint16


def test_the_overlay_of_a_slide_is_a_small_copy(tiny_sam, slide, tmp_path, small_limits, monkeypatch):
    monkeypatch.setattr("promise_seg.prediction.overlay_of_labels.LARGEST_OVERLAY", 30)
    masks, _ = labellers(tiny_sam, tile=32, overlap=8)
    predict_folder(masks, find_inputs([slide]), tmp_path / "out")
    assert Image.open(tmp_path / "out" / "overlays" / "slide.png").size == (30, 24)


def test_prompts_on_a_small_copy_are_where_they_are_in_the_image(slide, small_limits, monkeypatch):
    """A file that can be read by windows is drawn small, also where the model saw it whole, with prompts."""
    monkeypatch.setattr(overlay_of_labels, "LARGEST_OVERLAY", 30)
    points, boxes = np.array([[31.0, 40.0]], np.float32), np.array([[1.0, 4.0, 88.0, 67.0]], np.float32)
    one = LabelledSlice(
        np.zeros((70, 90), np.uint16), {1: Origin(points, np.ones(1, np.int64), 0.5, boxes_xyxy_image=boxes)}
    )
    reading = make_reading(tile=128, overlap=0)
    source = reading.slide(slide)
    drawn = []
    monkeypatch.setattr(overlay_of_labels, "draw_overlay", lambda image, *given: drawn.append((image, given)) or image)
    overlay_of_labels.draw_labelled(Labelled(source, (one,), {1: "x"}, False, False), reading)
    ((image, (mask, points, _, boxes, _)),) = drawn
    assert image.shape == (24, 30, 3)
    assert mask.shape == (24, 30)
    np.testing.assert_allclose(points, [[10, 13]])
    np.testing.assert_allclose(boxes, [[0, 1, 29, 22]])


@pytest.mark.parametrize("output", [OutputFormat.PNG, OutputFormat.NPY, OutputFormat.GEOJSON, OutputFormat.RLE])
def test_a_slide_in_other_formats(tiny_sam, slide, tmp_path, small_limits, output):
    _, objects = labellers(tiny_sam, tile=32, overlap=8)
    outcome = predict_folder(objects, find_inputs([slide]), tmp_path / "out", output)
    assert (outcome.predicted, outcome.problems) == (1, [])


def test_a_damaged_tile_stops_its_own_slide_alone(tiny_sam, slide, tmp_path, small_limits):
    tifffile.imwrite(tmp_path / "sound.tif", PIXELS, tile=(16, 32), photometric="rgb", compression="zlib")
    with tifffile.TiffFile(slide) as file:
        at, count = file.pages[0].dataoffsets[4], file.pages[0].databytecounts[4]
    content = bytearray(slide.read_bytes())
    content[at : at + count] = b"\0" * count
    slide.write_bytes(content)
    masks, _ = labellers(tiny_sam, tile=32, overlap=8)
    outcome = predict_folder(masks, find_inputs([slide, tmp_path / "sound.tif"]), tmp_path / "out")
    assert outcome.predicted == 1
    assert len(outcome.problems) == 1
    assert "slide.tif: the tile at (32, 16) of level 0 is damaged" in outcome.problems[0]


def test_a_level_that_a_slide_lacks(tiny_sam, slide, tmp_path):
    masks, _ = labellers(tiny_sam, tile=32, overlap=8, level=3)
    outcome = predict_folder(masks, find_inputs([slide]), tmp_path / "out")
    assert "slide.tif: has no level 3; it has 1" in outcome.problems[0]


def test_the_border_of_a_slide_is_not_cropped(tiny_sam, slide, tmp_path, small_limits):
    masks, _ = labellers(tiny_sam, tile=32, overlap=8, crop_border=True)
    outcome = predict_folder(masks, find_inputs([slide]), tmp_path / "out")
    assert "is read by windows, so that its border cannot be found" in outcome.problems[0]


def large(height, width=64):
    def pixels(box):
        return np.zeros((box.bottom - box.top, box.right - box.left, 3), np.uint8)

    return LargeImage("a", height, width, Box(0, 0, width, height), Tiling(side=64, overlap=16), pixels)


def objects_of(rgb, _name):
    labels = np.zeros(rgb.shape[:2], np.uint16)
    return InstanceMap(labels, ())


def probs_of(rgb):
    return np.full((2, *rgb.shape[:2]), 0.6, np.float32)


@pytest.mark.parametrize("what", ["masks", "objects"])
def test_memory_does_not_grow_with_the_image(what, small_limits):
    """Ten times as many rows, whose labels would take 1.3 MB, take no more than the longer list of tiles."""
    peaks = []
    for height in (1_000, 10_000):
        tracemalloc.start()
        try:
            if what == "masks":
                blended_labels(large(height), probs_of, {1: NO_POST, 2: NO_POST})
            else:
                stitched_objects(large(height), objects_of)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < peaks[0] + 150_000


def test_the_surest_of_several_labels_is_right_and_each_has_its_threshold():
    def both(rgb):
        return np.stack([np.full(rgb.shape[:2], 0.4, np.float32), np.full(rgb.shape[:2], 0.3, np.float32)])

    def labels_of(first, second):
        posts = {3: PostProcessing(threshold=first), 7: PostProcessing(threshold=second)}
        return set(np.unique(blended_labels(large(100), both, posts)))

    assert labels_of(0.5, 0.5) == {0}
    assert labels_of(0.35, 0.5) == labels_of(0.35, 0.2) == {3}
    assert labels_of(0.5, 0.2) == {7}


def test_post_processing_is_of_the_whole_image():
    """The largest part is one of the image, not one of each tile."""
    image = large(200)

    def pixels(box):
        rows = np.arange(box.top, box.bottom)[:, None, None]
        return np.broadcast_to(((rows < 30) | (rows > 190)) * 255, (64, 64, 3)).astype(np.uint8)

    image = LargeImage(image.name, 200, 64, image.kept, image.tiles, pixels)
    found = blended_labels(image, lambda rgb: rgb[None, ..., 0] / 255, {1: PostProcessing(keep="largest")})
    assert found[:30].all()
    assert not found[30:].any()


def test_no_room_for_a_map_is_said(small_limits, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(large_images.os, "posix_fallocate", full)
    with pytest.raises(PromiseError, match=r"no room for a map of .*No space left on device.*\$TMPDIR"):
        room_for((100, 100), np.uint16)


def test_masks_of_instances_are_labelled_as_separate_objects(tiny_sam, slide, small_limits):
    masks, _ = labellers(tiny_sam, tile=32, overlap=8, instances=True)
    labelled = masks.label(masks.reading.slide(slide))
    assert masks.reading.masks == MaskKind.INSTANCES
    assert labelled.separate_objects
