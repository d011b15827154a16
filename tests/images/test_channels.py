"""The choice of channels, in one file of any format and in the files of one case."""

import itertools

import numpy as np
import pytest
import tifffile
from PIL import Image

from promise_seg.errors import ImageError, SettingsError, SizeError
from promise_seg.images.formats.opening import open_source
from promise_seg.images.readers import content_sha256, read_image, read_labels
from promise_seg.images.reading import Reading, ReadingOptions, make_reading
from tests.files import write_dicom, write_metaimage, write_nifti, write_nrrd, write_series

RNG = np.random.default_rng(0)
STACK = RNG.integers(0, 256, (4, 9, 8)).astype(np.uint8)
"""Four channels of 9 x 8 pixels."""
VOLUMES = RNG.integers(0, 256, (4, 3, 9, 8)).astype(np.uint8)
"""Four channels of three slices."""
NAMES = ["DAPI", "GFP", "Alexa 555", "TRITC"]


def ome(path, stack=STACK, axes="CYX", names=NAMES):
    metadata = {"axes": axes} | ({"Channel": {"Name": names}} if names else {})
    tifffile.imwrite(path, stack, ome=True, photometric="minisblack", metadata=metadata)
    return path


def tiff(path, stack=STACK, **options):
    tifffile.imwrite(path, stack, **{"photometric": "minisblack"} | options)
    return path


def mha(path):
    write_metaimage(path, np.moveaxis(VOLUMES, 0, -1), ElementNumberOfChannels=4, NDims=3, DimSize="8 9 3")
    path.write_bytes(path.read_bytes().replace(b"ElementSpacing = 1 1 1\n", b""))
    return path


FLAT = {
    "OME-TIFF": lambda folder: ome(folder / "a.ome.tif"),
    "ImageJ": lambda folder: tiff(folder / "a.tif", imagej=True, metadata={"axes": "CYX"}),
    "pages": lambda folder: tiff(folder / "a.tif", metadata=None),
    "pages of tifffile": lambda folder: tiff(folder / "a.tif"),
    "samples": lambda folder: tiff(folder / "a.tif", np.moveaxis(STACK, 0, -1), planarconfig="contig"),
    "planes": lambda folder: tiff(folder / "a.tif", planarconfig="separate"),
    "colours and alpha": lambda folder: tiff(folder / "a.tif", photometric="rgb", planarconfig="separate"),
}
DEEP = {
    "ImageJ": lambda folder: tiff(folder / "a.tif", VOLUMES.swapaxes(0, 1), imagej=True, metadata={"axes": "ZCYX"}),
    "OME-TIFF": lambda folder: ome(folder / "a.ome.tif", VOLUMES, "CZYX"),
    "NIfTI": lambda folder: write_nifti(folder / "a.nii.gz", VOLUMES.transpose(3, 2, 1, 0), np.diag([-1.0, -1, 1, 1])),
    "NRRD": lambda folder: write_nrrd(
        folder / "a.nrrd", VOLUMES.transpose(0, 3, 2, 1), {"kinds": ["list", *["domain"] * 3]}
    ),
    "MetaImage": lambda folder: mha(folder / "a.mha"),
}


def shown(path, channels, index=0, **options):
    return read_image(path, make_reading(channels=channels, **options), index)


@pytest.mark.parametrize("kind", FLAT)
def test_every_choice_of_a_file_gives_its_channels_in_that_order(tmp_path, kind):
    path = FLAT[kind](tmp_path)
    for chosen in itertools.product(range(4), repeat=3):
        assert np.array_equal(shown(path, ",".join(map(str, chosen))), np.moveaxis(STACK[list(chosen)], 0, -1))
    with pytest.raises(ImageError, match=r"a(\.ome)?\.tif: has 4 channels .*, and so no channel 4, which the choice"):
        shown(path, "0,1,4")


@pytest.mark.parametrize("kind", DEEP)
def test_slices_of_volumes_have_channels(tmp_path, kind):
    path = DEEP[kind](tmp_path)
    reading = make_reading(channels="2,0,1")
    source = reading.open(path)
    assert (len(source), source.is_volume) == (3, True)
    plain = np.stack([shown(path, "0,1,2", index) for index in range(3)])
    found = np.stack([reading.rgb(source, index) for index in range(3)])
    assert np.array_equal(found, plain[..., [2, 0, 1]])
    assert np.array_equal(found, np.moveaxis(VOLUMES[[2, 0, 1]], 0, -1))


@pytest.mark.parametrize(
    ("channels", "expected"),
    [("1", [1, 1, 1]), ("1,1,1", [1, 1, 1]), ("1,0", [1, 0, None]), ("-,3,-", [None, 3, None]), ("2,-,0", [2, None, 0]),
     ("gfp,DAPI", [1, 0, None]), ("Alexa 555,tritc,0", [2, 3, 0])],
)  # fmt: skip
def test_one_channel_fills_all_inputs_and_others_stay_black(tmp_path, channels, expected):
    planes = [np.zeros((9, 8)) if number is None else STACK[number] for number in expected]
    assert np.array_equal(shown(ome(tmp_path / "a.ome.tif"), channels), np.stack(planes, -1))


def test_colours_are_channels_with_names(tmp_path):
    colours = np.moveaxis(STACK[:3], 0, -1)
    Image.fromarray(colours).save(tmp_path / "a.png")
    assert np.array_equal(shown(tmp_path / "a.png", "blue,green,red"), colours[..., ::-1])
    assert np.array_equal(
        shown(tmp_path / "a.png", "green"), read_image(tmp_path / "a.png", make_reading(channel="green"))
    )
    Image.fromarray(STACK[0]).save(tmp_path / "grey.png")
    with pytest.raises(ImageError, match=r"grey\.png: has one channel \(0\), and so no channel 1"):
        shown(tmp_path / "grey.png", "0,1")


def test_each_channel_has_a_window_of_its_own(tmp_path):
    values = np.stack([np.arange(72).reshape(9, 8) * factor for factor in (1, 10, 500)]).astype(np.uint16)
    path = ome(tmp_path / "a.ome.tif", values, names=None)
    full = np.round(np.arange(72).reshape(9, 8) * 255 / 71)
    for window in ("own", "percentile:0,100", "own+percentile:0,100+own"):
        assert np.array_equal(shown(path, "0,1,2", window=window), np.stack([full] * 3, -1)), window
    levels = shown(path, "0,0,1", window="10,20+own+0,100000")
    assert (levels[3, 0, 0], levels[..., 1].max(), levels[0, 0, 2]) == (255, 255, 128)


def test_hashes_tell_choices_apart_and_not_ways_to_say_them(tmp_path):
    path = ome(tmp_path / "a.ome.tif")

    def sha(channels, **options):
        reading = make_reading(channels=channels, **options)
        return content_sha256(reading.open(path), 0, reading)

    choices = ["0,1,2", "2,0,1", "0", "0,1", "1,0", "0,-,1", "3,1,2"]
    assert len({sha(one) for one in choices} | {sha("0,1,2", window="percentile")}) == len(choices) + 1
    assert sha("DAPI,gfp,2") == sha("0,1,2")
    assert sha("1") == sha("1,1,1")


def test_without_a_choice_nothing_changes(tmp_path):
    assert make_reading(channels="all") == make_reading()
    assert make_reading().model_dump(mode="json") == make_reading(channels="all").model_dump(mode="json")
    assert "channels" not in make_reading().model_dump(mode="json")
    path = FLAT["pages"](tmp_path)
    assert len(make_reading().open(path)) == 4  # slices, as nobody says otherwise
    assert np.array_equal(read_image(path, index=2), np.stack([STACK[2]] * 3, -1))
    declared = tiff(tmp_path / "z.tif", imagej=True, metadata={"axes": "ZYX"})
    assert len(make_reading(channels="0").open(declared)) == 4
    with pytest.raises(ImageError, match="has one channel"):
        shown(declared, "1")


def test_files_with_channels_are_no_masks_and_no_images_until_they_are_chosen(tmp_path):
    path = ome(tmp_path / "a.ome.tif")
    with pytest.raises(ImageError, match=r"has 4 channels \(0 DAPI, 1 GFP, 2 Alexa 555, 3 TRITC\); say in training"):
        read_image(path)
    with pytest.raises(ImageError, match=r"4 channels .* expected one. Save the one with the labels by itself"):
        read_labels(path)
    with pytest.raises(ImageError, match=r"none of them called Cy5, which the choice of channels Cy5 needs, and there"):
        shown(path, "Cy5")


def test_what_a_tiff_leaves_out_without_a_choice_is_said(tmp_path):
    for kind, words in (("samples", "0, 1 and 2 are read"), ("planes", "0, 1 and 2 are read")):
        note = open_source(FLAT[kind](tmp_path)).channel_note
        assert "has 4 channels" in note
        assert words in note
    pair = tiff(tmp_path / "b.tif", np.moveaxis(STACK[:2], 0, -1), planarconfig="contig")
    assert "has 2 channels (0, 1), of which 0 alone is read" in open_source(pair).channel_note
    rgba = tiff(tmp_path / "c.tif", np.moveaxis(STACK, 0, -1), photometric="rgb")
    assert open_source(rgba).channel_note is None
    deep = tiff(tmp_path / "d.tif", STACK.astype(np.uint16), photometric="rgb", planarconfig="separate")
    assert "3 alpha), of which 0, 1 and 2 are read as red, green and blue" in open_source(deep).channel_note


@pytest.mark.parametrize("text", ["", "0,1,2,3", "0,,1", "-", "-,-"])
def test_what_is_no_choice_is_refused(text):
    with pytest.raises(SettingsError, match=f"--channels {text}: expected one to three channels"):
        make_reading(channels=text)
    with pytest.raises(ValueError, match="expected one to three channels"):
        Reading(channels=text)


def test_a_choice_is_kept_as_it_was_said():
    reading = make_reading(channels="GFP, 0,-")
    assert reading.model_dump(mode="json")["channels"] == "GFP,0,-"
    assert Reading.model_validate(reading.model_dump(mode="json")) == reading
    assert ReadingOptions.that_give(reading).arguments == ["--channels", "GFP,0,-"]
    assert ReadingOptions.that_give(make_reading(), reading).arguments == ["--channels", "all"]
    green = make_reading(channel="green")
    for one, other in itertools.permutations([reading, green, make_reading()], 2):
        assert ReadingOptions.that_give(one, other).applied_to(other) == one
    with pytest.raises(SettingsError, match="--channel and --channels: each says"):
        make_reading(channel="red", channels="0")
    assert reading.channel_words == "red GFP, green 0, blue black"


def test_inputs_that_stay_black_are_black_in_every_view():
    grey = np.full((4, 4, 3), 30, np.uint8)
    assert make_reading(channels="0,-,1").without_unused(grey)[0, 0].tolist() == [30, 0, 30]
    assert make_reading(channels="0,1").without_unused(grey)[0, 0].tolist() == [30, 30, 0]
    for channels in ("0", "0,1,2", "all"):
        assert make_reading(channels=channels).without_unused(grey) is grey


def test_pixels_that_are_given_may_have_any_number_of_channels():
    pixels = np.moveaxis(STACK, 0, -1)
    assert np.array_equal(make_reading(channels="3,0").of_pixels(pixels)[..., :2], pixels[..., [3, 0]])
    assert np.array_equal(make_reading(channels="0").of_pixels(STACK[0]), np.stack([STACK[0]] * 3, -1))
    assert np.array_equal(make_reading(channels="blue").of_pixels(pixels[..., :3])[..., 0], pixels[..., 2])
    for channels in ("4", "t1"):
        with pytest.raises(ImageError, match=f"array of 4 channel.s. has no channel {channels}, which the choice"):
            make_reading(channels=channels).of_pixels(pixels)


@pytest.mark.parametrize("pattern", ["{}.png", "p_1_{}.png", "p-1-{}.png", "p 1.{}.png", "{}/p_1.png"])
def test_channels_of_one_case_in_files_of_their_own(tmp_path, pattern):
    paths = {name: tmp_path / "case" / pattern.format(name) for name in ("t1", "t1ce", "flair")}
    for path, plane in zip(paths.values(), STACK, strict=False):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(plane).save(path)
    for path in paths.values():  # whichever is named
        assert np.array_equal(shown(path, "flair,t1ce,t1"), np.moveaxis(STACK[[2, 1, 0]], 0, -1))
        assert np.array_equal(shown(path, "T1CE")[..., 2], STACK[1])
    paths["t1ce"].unlink()
    with pytest.raises(
        ImageError, match=r"called t1ce, which the choice of channels t1,t1ce needs, and there is no file"
    ):
        shown(paths["t1"], "t1,t1ce")
    assert np.array_equal(shown(paths["t1"], "t1,flair")[..., 1], STACK[2])


def test_files_of_one_case_must_fit_each_other(tmp_path):
    volume = np.zeros((8, 9, 3), np.int16)
    first = write_nifti(tmp_path / "a_0000.nii", volume)
    write_nifti(tmp_path / "a_0001.nii", volume[:, :, :2])
    with pytest.raises(
        SizeError, match=r"a_0001\.nii has 2 slice\(s\), but .*a_0000\.nii, another channel of the same"
    ):
        shown(first, "0000,0001")
    write_nifti(tmp_path / "a_0001.nii", volume[:, :8])
    with pytest.raises(ImageError, match=r"8 x 8 x 3 voxels but its image .* has 8 x 9 x 3"):
        shown(first, "0000,0001")
    write_nifti(tmp_path / "a_0001.nii", volume, np.array([[1, 0, 0, 40], *np.eye(4)[1:]]))
    with pytest.raises(ImageError, match=r"a_0001\.nii lies up to 40\.0 mm away from its image"):
        shown(first, "0000,0001")
    write_nifti(tmp_path / "a_0001.nii", np.stack([volume] * 2, -1))
    with pytest.raises(ImageError, match=r"a_0001\.nii: has 2 channels; expected one"):
        shown(first, "0000,0001")
    Image.fromarray(STACK[0]).save(tmp_path / "b_t1.png")
    Image.fromarray(STACK[0][:5]).save(tmp_path / "b_t2.png")
    with pytest.raises(SizeError, match=r"b_t1\.png: its channels t1,t2 are 8 x 5 and 8 x 9 pixels"):
        shown(tmp_path / "b_t1.png", "t1,t2")
    Image.fromarray(np.moveaxis(STACK[:3], 0, -1)).save(tmp_path / "b_t2.png")
    with pytest.raises(ImageError, match=r"b_t2\.png: a picture in colour; expected one channel of grey"):
        shown(tmp_path / "b_t1.png", "t1,t2")


def test_a_channel_of_another_orientation_is_turned_to_the_image(tmp_path):
    volume = RNG.integers(0, 99, (8, 9, 3)).astype(np.uint8)
    first = write_nifti(tmp_path / "a_t1.nii", volume)
    flipped = np.diag([-1.0, 1, 1, 1])
    flipped[0, 3] = 7
    write_nifti(tmp_path / "a_t2.nii", volume[::-1], flipped)
    seen = shown(first, "t1,t2,t1", 1)
    assert np.array_equal(seen[..., 0], seen[..., 1])


def test_a_file_that_was_written_anew_is_read_anew(tmp_path):
    for name, plane in (("t1", STACK[0]), ("t2", STACK[1])):
        Image.fromarray(plane).save(tmp_path / f"a_{name}.png")
    reading = make_reading(channels="t1,t2")
    before = content_sha256(reading.open(tmp_path / "a_t1.png"), 0, reading)
    Image.fromarray(np.zeros((9, 8), np.uint8)).save(tmp_path / "a_t2.png")
    assert not shown(tmp_path / "a_t1.png", "t1,t2")[..., 1].any()
    assert content_sha256(reading.open(tmp_path / "a_t1.png"), 0, reading) != before


def test_files_of_a_case_are_chosen_by_name_not_by_number(tmp_path):
    for name, plane in zip(("0000", "0001", "0002"), STACK, strict=False):
        Image.fromarray(plane).save(tmp_path / f"a_{name}.png")
    with pytest.raises(ImageError, match=r"no channel 1, .* choose by name among 0000, 0001, 0002"):
        shown(tmp_path / "a_0000.png", "0,1,2")
    assert np.array_equal(shown(tmp_path / "a_0000.png", "0002,0000")[..., 0], STACK[2])


def test_dicom_series_in_folders_of_a_case_and_colours_of_dicom(tmp_path):
    for name, factor in (("T1", 1), ("T2", -1)):
        write_series(tmp_path / "case" / name, factor * VOLUMES[0].astype(np.int16))
    stack = np.stack([shown(tmp_path / "case/T1", "T1,T2", index) for index in range(3)])
    assert np.abs(stack[..., 0].astype(int) + stack[..., 1] - 255).max() <= 1
    colours = np.ascontiguousarray(np.moveaxis(STACK[:3], 0, -1))
    write_dicom(tmp_path / "a.dcm", colours)
    assert np.array_equal(shown(tmp_path / "a.dcm", "blue,2,green"), colours[..., [2, 2, 1]])
