import numpy as np
import pytest
from PIL import Image

from promise_seg.errors import SettingsError
from promise_seg.images.formats.opening import open_source
from promise_seg.images.masks import MaskRule
from promise_seg.images.readers import content_sha256, read_image
from promise_seg.images.reading import Reading, ReadingOptions, make_reading, parse_classes
from promise_seg.storage.hashing import file_sha256
from promise_seg.vocabulary import MaskKind


def test_what_is_not_given_is_as_in_the_base():
    base = make_reading(window="lung", axis="coronal", crop_border=True, label="3")
    assert make_reading(base) == base
    assert str(make_reading(base, window="own").window) == "own"
    assert not make_reading(base, crop_border=False).crop_border
    assert make_reading(base, instances=True).mask_rule == MaskRule(MaskKind.INSTANCES)


def test_classes():
    assert make_reading(label="2").mask_rule == MaskRule(MaskKind.CLASSES, 2)
    assert make_reading(label="1,2").mask_rule == MaskRule(MaskKind.CLASSES)
    assert parse_classes("5, 1,2") == [1, 2, 5]
    assert parse_classes("all") is None
    assert make_reading(label="all").mask_rule == MaskRule(MaskKind.CLASSES)
    assert Reading().of_class(4).mask_rule == MaskRule(MaskKind.CLASSES, 4)


@pytest.mark.parametrize(
    ("given", "words"),
    [({"axis": "oblique"}, "--axis oblique: expected auto, axial, coronal, sagittal"), ({"label": "0"}, "--class 0"),
     ({"channel": "yellow"}, "--channel yellow: expected all, red, green, blue"),
     ({"label": "liver"}, "--class liver: expected whole numbers from 1"),
     ({"label": "1", "instances": True}, "--class and --instances: each says what"),
     ({"mask_threshold": 1, "instances": True}, "--instances and --mask-threshold")],
)  # fmt: skip
def test_what_cannot_be_meant(given, words):
    with pytest.raises(SettingsError, match=words):
        make_reading(**given)


COLOURS = np.stack([np.full((4, 5), 10), np.full((4, 5), 20), np.arange(20).reshape(4, 5)], 2).astype(np.uint8)


@pytest.mark.parametrize(("channel", "number"), [("red", 0), ("green", 1), ("blue", 2)])
def test_one_channel_is_taken_as_grey(channel, number, tmp_path):
    Image.fromarray(COLOURS).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png", make_reading(channel=channel))
    assert np.array_equal(image, np.repeat(COLOURS[..., number : number + 1], 3, 2))
    assert np.array_equal(read_image(tmp_path / "a.png", make_reading(channel="all")), COLOURS)


def test_a_channel_of_a_grey_image_is_that_image(tmp_path):
    Image.fromarray(COLOURS[..., 2]).save(tmp_path / "a.png")
    readings = [make_reading(), make_reading(channel="green")]
    assert np.array_equal(*(read_image(tmp_path / "a.png", reading) for reading in readings))


def test_pixels_of_another_channel_have_another_hash(tmp_path):
    """So that stored features of one are never taken for those of another; without a channel it is as before."""
    Image.fromarray(COLOURS).save(tmp_path / "a.png")
    source = open_source(tmp_path / "a.png")
    hashes = [content_sha256(source, 0, make_reading(channel=channel)) for channel in ("all", "red", "green", "blue")]
    assert len(set(hashes)) == 4
    assert hashes[0] == file_sha256(tmp_path / "a.png")
    spread = [content_sha256(source, 0, make_reading(channel=name, window="percentile")) for name in ("all", "red")]
    assert len({*hashes, *spread}) == 6


def test_an_option_that_came_later_is_noted_only_where_it_is_given():
    noted = ["window", "axis", "crop_border", "masks", "label"]
    assert list(make_reading(mask_threshold=127).model_dump(mode="json")) == noted
    green = make_reading(channel="green")
    assert green.model_dump(mode="json") == make_reading().model_dump(mode="json") | {"channel": "green"}
    for reading in (green, make_reading()):
        assert Reading.model_validate_json(reading.model_dump_json()) == reading


def test_options_that_make_one_reading_of_another():
    green = make_reading(channel="green", window="lung", label="3", crop_border=True)
    options = ReadingOptions.that_give(green)
    assert options.applied_to() == green
    assert options.arguments == ["--window", "lung", "--channel", "green", "--class", "3", "--crop-border"]
    assert ReadingOptions.that_give(make_reading(), make_reading(channel="green")).arguments == ["--channel", "all"]


def test_thresholds_may_be_fractions_and_whole_ones_stay_whole():
    assert make_reading(mask_threshold=0.5).mask_threshold == 0.5
    assert repr(make_reading(mask_threshold=127.0).mask_threshold) == "127"
    assert ReadingOptions(mask_threshold=127.0).arguments == ["--mask-threshold", "127"]
    assert ReadingOptions(mask_threshold=0.25).arguments == ["--mask-threshold", "0.25"]


@pytest.mark.parametrize("threshold", [-0.5, 65535, float("inf"), float("nan")])
def test_thresholds_that_no_mask_can_have_are_refused(threshold):
    with pytest.raises(SettingsError, match=r"--mask-threshold .*: expected a value that masks hold"):
        make_reading(mask_threshold=threshold)
