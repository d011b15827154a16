"""What the axes and values of NumPy's arrays mean, and that nothing in their files is run."""

import io
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
from PIL import Image

from promise_seg.errors import ImageError
from promise_seg.images.exports.contents import look_through
from promise_seg.images.formats.kinds import kind_of
from promise_seg.images.formats.numpy_stack import NumpyArchive
from promise_seg.images.formats.opening import open_source
from promise_seg.images.readers import read_image, read_labels

RNG = np.random.default_rng(0)


@pytest.fixture
def save(tmp_path):
    def write(array, name="a.npy"):
        np.save(tmp_path / name, array)
        return tmp_path / name

    return write


@pytest.mark.parametrize(
    ("shape", "count", "size", "is_volume"),
    [
        ((7, 8), 1, (7, 8), False), ((1, 7, 8), 1, (7, 8), False), ((7, 8, 1), 1, (7, 8), False),
        ((1, 1, 7, 8), 1, (7, 8), False), ((7, 8, 3), 1, (7, 8, 3), False), ((7, 8, 4), 1, (7, 8, 3), False),
        ((1, 7, 8, 3), 1, (7, 8, 3), False), ((5, 7, 8), 5, (7, 8), True), ((5, 7, 8, 1), 5, (7, 8), True),
        ((1, 5, 7, 8), 5, (7, 8), True), ((5, 7, 8, 3), 5, (7, 8, 3), True), ((2, 7, 8, 4), 2, (7, 8, 3), True),
        ((2, 7, 8), 2, (7, 8), True), ((1, 9), 1, (1, 9), False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("order", ["C", "F"])
def test_axes_are_told_by_their_number_and_lengths(save, shape, count, size, is_volume, order):
    array = RNG.integers(0, 255, shape).astype(np.uint8)
    source = open_source(save(np.asarray(array, order=order)))
    assert (len(source), source.is_volume, source.spacing, source.frame) == (count, is_volume, None, None)
    expected = array.reshape(count, *size[:2], -1)[..., : size[2] if len(size) > 2 else 1]
    for index in range(count):
        assert source.values(index).shape == size
        assert np.array_equal(source.values(index).reshape(expected[index].shape), expected[index])


@pytest.mark.parametrize(
    ("shape", "why"),
    [
        ((3, 7, 8), "its first axis may be channels"), ((4, 7, 8), "its first axis may be channels"),
        ((3, 7, 4), "its first axis may be channels"), ((8, 9, 5), "its last axis is the shortest"),
        ((9, 9, 2), "its last axis is the shortest"),
    ],
)  # fmt: skip
def test_an_image_whose_axes_are_uncertain_is_refused_with_the_way_out(save, shape, why):
    path = save(np.ones(shape, np.uint8))
    with pytest.raises(ImageError, match=f"a.npy: an array of {shape[0]} x .* values: {why}.* Save it as") as caught:
        read_image(path)
    assert "tifffile.imwrite" in str(caught.value)


def test_a_mask_is_slices_wherever_an_image_would_be_uncertain(save):
    """As only slices fit an image: what is written for three pages is read back."""
    labels = RNG.integers(0, 2, (3, 7, 8)).astype(np.uint8)
    path = save(labels)
    assert np.array_equal(read_labels(path, None, 2), labels[2])
    assert read_labels(save(np.ones((9, 8, 5), np.uint8), "b.npy")).shape == (8, 5)


@pytest.mark.parametrize("shape", [(), (9,), (2, 3, 4, 5), (2, 3, 7, 8), (2, 2, 7, 8, 3), (0, 5), (4, 0, 5)])
def test_other_numbers_of_axes_and_empty_arrays_are_refused(save, shape):
    with pytest.raises(
        ImageError, match=r"a\.npy: (an array of .* values; expected an image|damaged: its header says)"
    ):
        open_source(save(np.zeros(shape, np.uint8)))


@pytest.mark.parametrize("kind", ["i1", "<i2", ">u2", ">i4", "<u8", "f2", ">f4", "<f8", "g"])
def test_numbers_of_every_kind(save, kind):
    array = np.arange(0 if "u" in kind else -10, 50).astype(kind)[:42].reshape(6, 7)
    source = open_source(save(array))
    assert np.array_equal(source.values(0), array)
    assert source.values(0).dtype.isnative
    assert np.array_equal(source.as_stored(0), array)
    assert source.values(0).dtype.itemsize <= 8


@pytest.mark.filterwarnings("error")
def test_what_is_too_large_for_32_bits_is_infinite_without_a_warning(save):
    assert np.isposinf(open_source(save(np.array([[0, 1e300], [1, 2]]))).values(0)[0, 1])


def test_bool_is_black_and_white_and_a_mask(save):
    array = RNG.random((6, 7)) > 0.5
    path = save(array)
    assert np.array_equal(read_image(path)[..., 0], np.where(array, 255, 0))
    assert np.array_equal(read_labels(path), array)


def test_colours_from_0_to_1_are_those_of_bytes(save, tmp_path):
    colours = RNG.integers(0, 200, (6, 7, 3)).astype(np.uint8)
    Image.fromarray(colours).save(tmp_path / "a.png")
    expected = read_image(tmp_path / "a.png")
    for name, array in (
        ("bytes", colours),
        ("shares", (colours / 255).astype(np.float32)),
        ("double", colours / 255.0),
    ):
        assert np.array_equal(read_image(save(array, f"{name}.npy")), expected)
    assert read_image(save(colours * 100.0, "others.npy")).max() == 255  # from the lowest to the highest value


class Harmful:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_objects_are_refused_and_not_unpickled(save, tmp_path):
    array = np.empty((5, 6), object)
    array[:] = Harmful(tmp_path / "harm")
    path = save(array)
    np.savez(tmp_path / "a.npz", array)
    (tmp_path / "b.npy").write_bytes(pickle.dumps(Harmful(tmp_path / "harm")))
    for name in (path, tmp_path / "a.npz"):
        with pytest.raises(
            ImageError, match=r"a\.np[yz]: holds Python objects, .* Save the pixels alone, with np.save"
        ):
            open_source(name)
    with pytest.raises(ImageError, match=r"b\.npy: not an image"):
        open_source(tmp_path / "b.npy")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize("kind", ["c8", "S3", "U3", "M8[s]", [("r", "u1"), ("g", "u1")]])
def test_what_is_no_number_is_refused(save, kind):
    with pytest.raises(ImageError, match=r"a\.npy: holds .*; expected an array of numbers"):
        open_source(save(np.zeros((5, 6), kind)))


def test_a_header_that_is_longer_than_any_is_not_read(tmp_path):
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\2\0" + struct.pack("<I", 2**32 - 1) + b" " * 100)
    with pytest.raises(ImageError, match=r"a\.npy: damaged, or not a file of np.save .*4294967295 bytes itself"):
        open_source(tmp_path / "a.npy")


def npz(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_an_archive_of_an_image_and_its_mask_is_both(tmp_path):
    image, label = RNG.integers(0, 99, (6, 7, 3)).astype(np.uint8), RNG.integers(0, 2, (6, 7)).astype(np.int64)
    for number, (a, b) in enumerate((("image", "label"), ("imgs", "gts"), ("X", "Y"), ("data", "seg"))):
        path = npz(tmp_path / f"{number}.npz", **{b: label, a: image, "spacing": np.ones(3)})
        assert np.array_equal(read_image(path), image)
        assert np.array_equal(read_labels(path, open_source(path)), label)


def test_the_only_array_of_an_archive_may_be_called_anything(tmp_path):
    stack = RNG.integers(0, 99, (5, 6, 7)).astype(np.int16)
    path = npz(tmp_path / "a.npz", whatever=stack, spacing=np.ones(3), name=np.array("x"))
    assert np.array_equal(open_source(path).array, stack)
    only_mask = npz(tmp_path / "b.npz", mask=stack, probability=stack)
    assert np.array_equal(read_labels(only_mask, open_source(path), 4), stack[4])


@pytest.mark.parametrize(
    ("shapes", "why"),
    [
        ({"a": (6, 7), "b": (6, 7)}, "which of its arrays is the image cannot be told: a, b. Save"),
        ({"a": (3,)}, "which of its arrays is the image cannot be told: none of two axes or more"),
        ({"image": (6, 7), "mask": (7, 6)}, "its array image has 6 x 7 values, but mask has 7 x 6"),
    ],
)
def test_archives_that_do_not_tell(tmp_path, shapes, why):
    path = npz(tmp_path / "a.npz", **{name: np.ones(shape) for name, shape in shapes.items()})
    with pytest.raises(ImageError, match=rf"a\.npz: {why}"):
        open_source(path)


def test_an_archive_that_unpacks_to_more_than_it_may_is_refused_by_its_header(tmp_path):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": (2**20, 2**20)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("image.npy", stream.getvalue() + bytes(2**20))
    with pytest.raises(ImageError, match="too large: 1048576 x 1048576 values"):
        open_source(tmp_path / "a.npz")


def test_other_zip_files_are_no_images(tmp_path):
    for name in ("letter.docx", "photos.zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("word/document.xml", "text")
    npz(tmp_path / "a.npz", a=np.ones((5, 6))).rename(tmp_path / "arrays.zip")
    found = look_through(tmp_path)
    assert [path.name for path in found.pictures] == ["arrays.zip"]
    assert sorted(path.name for path in found.no_images) == ["letter.docx", "photos.zip"]
    assert kind_of(tmp_path / "arrays.zip") is NumpyArchive
