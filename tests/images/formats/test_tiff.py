import numpy as np
import pytest
import tifffile

from promise_seg.errors import ImageError
from promise_seg.images.formats.opening import open_source
from promise_seg.images.readers import read_image
from promise_seg.images.reading import make_reading

RGB = np.random.default_rng(0).integers(0, 255, (20, 24, 3)).astype(np.uint8)


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "packbits"])
def test_compressed_or_not(tmp_path, compression):
    tifffile.imwrite(tmp_path / "a.tif", RGB, compression=compression, photometric="rgb")
    assert np.array_equal(read_image(tmp_path / "a.tif"), RGB)


def test_alpha_is_dropped_and_planes_are_put_together(tmp_path):
    rgba = np.concatenate([RGB, np.full((20, 24, 1), 9, np.uint8)], 2)
    tifffile.imwrite(tmp_path / "rgba.tif", rgba, photometric="rgb", extrasamples=["unassalpha"])
    tifffile.imwrite(tmp_path / "planes.tif", np.moveaxis(RGB, 2, 0), photometric="rgb", planarconfig="separate")
    assert np.array_equal(read_image(tmp_path / "rgba.tif"), RGB)
    assert np.array_equal(read_image(tmp_path / "planes.tif"), RGB)


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.float32, np.uint32])
def test_deep_values_are_kept_and_spread_for_the_eye(tmp_path, dtype):
    deep = np.linspace(10, 1000, 480).reshape(20, 24).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", deep)
    source = open_source(tmp_path / "a.tif")
    assert np.array_equal(source.values(0), deep)
    seen = read_image(tmp_path / "a.tif")
    assert (seen[..., 0].min(), seen[..., 0].max()) == (0, 255)
    assert not source.is_volume


def test_what_is_no_number_is_black(tmp_path):
    values = np.array([[0.0, 1.0], [np.nan, np.inf]], np.float32)
    tifffile.imwrite(tmp_path / "a.tif", values)
    assert read_image(tmp_path / "a.tif")[..., 0].tolist() == [[0, 255], [0, 255]]


def test_pages_are_slices_seen_on_one_scale(tmp_path):
    pages = np.stack([np.full((6, 7), value, np.uint16) for value in (0, 500, 1000)])
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="minisblack")
    source = open_source(tmp_path / "a.tif")
    assert (len(source), source.is_volume) == (3, True)
    assert [int(read_image(tmp_path / "a.tif", index=i)[0, 0, 0]) for i in range(3)] == [0, 128, 255]
    with pytest.raises(ImageError, match="has no slice 3; it has 3, counted from 0"):
        read_image(tmp_path / "a.tif", index=3)


def test_white_as_zero_is_turned_round_and_palettes_are_looked_up(tmp_path):
    grey = np.arange(480, dtype=np.uint8).reshape(20, 24)
    tifffile.imwrite(tmp_path / "w.tif", grey, photometric="miniswhite")
    assert np.array_equal(read_image(tmp_path / "w.tif")[..., 0], 255 - grey)
    colours = np.zeros((3, 256), np.uint16)
    colours[1, 5] = 200 << 8
    tifffile.imwrite(tmp_path / "p.tif", np.full((4, 4), 5, np.uint8), photometric="palette", colormap=colours)
    assert read_image(tmp_path / "p.tif")[0, 0].tolist() == [0, 200, 0]
    assert open_source(tmp_path / "p.tif").as_stored(0)[0, 0] == 5


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [(1, lambda a: a), (2, lambda a: a[:, ::-1]), (3, lambda a: a[::-1, ::-1]), (4, lambda a: a[::-1]),
     (5, lambda a: a.T), (6, lambda a: np.rot90(a, -1)), (7, lambda a: np.rot90(a, 2).T), (8, lambda a: np.rot90(a))],
)  # fmt: skip
def test_the_tag_orientation_is_applied(tmp_path, orientation, turned):
    grey = np.arange(480, dtype=np.uint8).reshape(20, 24)
    tifffile.imwrite(tmp_path / "a.tif", grey, extratags=[(274, 3, 1, orientation, True)])
    assert np.array_equal(read_image(tmp_path / "a.tif")[..., 0], turned(grey))


def test_damage_is_said(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", RGB, compression="zlib", photometric="rgb")
    content = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(content[: len(content) // 2])
    with pytest.raises(ImageError, match=r"a\.tif: damaged or truncated"):
        read_image(tmp_path / "a.tif")


def test_pages_that_were_written_one_by_one_are_one_stack(tmp_path):
    pages = np.stack([np.full((6, 7), value, np.uint8) for value in (1, 2, 3)])
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for page in pages:
            writer.write(page, photometric="minisblack", metadata=None, contiguous=False)
    for page in pages:
        tifffile.imwrite(tmp_path / "b.tif", page, append=True)
    for name in ("a.tif", "b.tif"):
        source = open_source(tmp_path / name)
        assert [int(source.values(i)[0, 0]) for i in range(len(source))] == [1, 2, 3]


def test_pages_of_different_sizes_are_no_stack_and_channels_are_to_be_chosen(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((6, 7), np.uint8))
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((6, 8), np.uint8), append=True)
    with pytest.raises(ImageError, match=r"pages of different kinds \(6 x 7 uint8, and 6 x 8 uint8\)"):
        open_source(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "c.ome.tif", np.zeros((4, 16, 17), np.uint8), metadata={"axes": "CYX"})
    source = open_source(tmp_path / "c.ome.tif")
    with pytest.raises(ImageError, match=r"c\.ome\.tif: has 4 channels \(0, 1, 2, 3\); say in training which"):
        source.values(0)
    with pytest.raises(ImageError, match=r"has 4 channels \(0, 1, 2, 3\); expected one. Save the one with the labels"):
        source.as_stored(0)


@pytest.mark.parametrize(
    ("axes", "words"),
    [("TZYX", "has 2 (T) x 3 (Z) pages by its metadata"), ("TCYX", None), ("TZCYX", "has 2 (T) x 3 (Z) pages"),
     ("ZYX", None)],
)  # fmt: skip
def test_stacks_at_several_times_come_with_a_note(axes, words, tmp_path):
    """They would be taken for one volume, in which the end of a stack is next to the beginning of the next."""
    shape = [{"T": 2, "Z": 3, "C": 2, "Y": 16, "X": 17}[axis] for axis in axes]
    for name, options in (("a.ome.tif", {}), ("b.tif", {"imagej": True})):
        tifffile.imwrite(tmp_path / name, np.zeros(shape, np.uint8), metadata={"axes": axes}, **options)
        notes = open_source(tmp_path / name).notes
        assert notes == () if words is None else words in notes[0]


def test_smaller_copies_are_left_out(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(np.full((64, 64), 5, np.uint8), metadata=None)
        writer.write(np.zeros((32, 32), np.uint8), subfiletype=1, metadata=None)
    assert len(open_source(tmp_path / "a.tif")) == 1


def test_a_stack_that_was_cut_short_does_not_lose_slices_in_silence(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((3, 6, 7), np.uint8), photometric="minisblack")
    content = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(content[: len(content) // 2])
    with pytest.raises(ImageError, match=r"a\.tif: damaged or truncated: it ends before its last page"):
        open_source(tmp_path / "a.tif")


def write_svs(path, slide, thumbnail):
    """Write a slide as Aperio does: the slide, a thumbnail, a smaller level, a label and an overview."""
    with tifffile.TiffWriter(path) as file:
        header = "Aperio Image Library v11.2.1\r\n220x296 (64x64)|AppMag = 20|MPP = 0.4990"
        tiled = {"tile": (64, 64), "photometric": "rgb", "compression": "zlib", "metadata": None}
        file.write(slide, description=header, **tiled)
        for number, extra in enumerate((thumbnail, slide[::4, ::4], slide[:40, :38], slide[:40, :120])):
            options = tiled if number == 1 else {"photometric": "rgb", "metadata": None}
            kind = {"subfiletype": (0, 0, 1, 9)[number]}
            file.write(extra, description="Aperio Image Library v11.2.1", **options, **kind)
    return path


@pytest.mark.parametrize("step", [1, 3])
def test_thumbnail_and_label_of_a_small_slide_are_left_out(step, tmp_path):
    slide = np.random.default_rng(0).integers(0, 255, (296, 220, 3)).astype(np.uint8)
    source = open_source(write_svs(tmp_path / "a.svs", slide, slide[::step, ::step]))
    assert (len(source), source.is_volume) == (1, False)
    assert np.array_equal(source.values(0), slide)
    assert source.spacing == pytest.approx((0.000499, 0.000499))


def test_images_named_label_of_other_files_are_not_left_out(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        file.write(np.zeros((20, 30), np.uint8), metadata={"axes": "YX", "Name": "Image"})
        file.write(np.zeros((10, 12), np.uint8), metadata={"axes": "YX", "Name": "Label"})
    with pytest.raises(ImageError, match="has pages of different kinds"):
        open_source(tmp_path / "a.ome.tif")


@pytest.mark.parametrize("bits", [2, 4, 7])
@pytest.mark.parametrize("shape", [(20, 24), (20, 24, 3)])
def test_few_bits_are_shown_from_black_to_white_and_kept_as_labels(shape, bits, tmp_path):
    values = (np.arange(np.prod(shape)).reshape(shape) % 2**bits).astype(np.uint8)
    photometric = "rgb" if len(shape) == 3 else "minisblack"
    tifffile.imwrite(tmp_path / "a.tif", values, photometric=photometric, bitspersample=bits)
    source = open_source(tmp_path / "a.tif")
    assert np.array_equal(source.values(0), values)
    assert np.array_equal(source.as_stored(0), values)
    assert np.array_equal(source.own_window(0), np.round(values * (255 / (2**bits - 1))).astype(np.uint8))
    assert source.differs_by(0) == {"bits": bits}
    if len(shape) == 3:
        green = read_image(tmp_path / "a.tif", make_reading(channels="1"))
        assert np.array_equal(green[..., 0], source.own_window(0)[..., 1])
