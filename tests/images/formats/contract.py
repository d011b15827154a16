"""What every source of slices, and every mask beside its image, promises: subclass these for a new format.

A subclass says which class reads its files and how one is written. Files are written where the same volume would lie in
every format: :data:`SPACING` and :data:`STEP_MM` apart, its first pixel at :data:`ORIGIN_LPS`, slices towards the head,
rows towards the back, columns towards the left, as axial slices are shown.
"""

import gc
import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from promise_seg.errors import ImageError
from promise_seg.images.formats.kinds import FILE_SOURCES, FOLDER_SOURCE, SUFFIXES, kind_of
from promise_seg.images.formats.opening import open_source
from promise_seg.images.formats.source import Source
from promise_seg.images.readers import content_sha256, read_image, read_labels
from promise_seg.images.reading import make_reading
from promise_seg.prediction.outputs.formats import WRITERS
from promise_seg.vocabulary import Axis, OutputFormat

HEIGHT, WIDTH = 8, 6
SPACING, STEP_MM = (0.5, 0.8), 2.0
ORIGIN_LPS = (-10.0, -20.0, 30.0)
WINDOWS = ("own", "percentile", "40,80", "own+percentile+100,200")


def voxels(count: int) -> np.ndarray:
    """A volume (N, H, W) of 8-bit values, each of which is there once."""
    rng = np.random.default_rng(count)
    return rng.permutation(256)[: count * HEIGHT * WIDTH].reshape(count, HEIGHT, WIDTH).astype(np.uint8)


def renewed(folder: Path) -> Path:
    """The folder, empty: a file in it is then written anew, and has another time of change."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _read_all(path: Path) -> int:
    """Read all slices; return how many there are."""
    source = open_source(path)
    return len([source.values(index) for index in range(len(source))])


def _read_all_labels(mask: Path, image: Path, count: int) -> None:
    for index in range(count):
        read_labels(mask, open_source(image), index)


class SourceContract:
    """A format's promises. ``count`` slices of 8 x 6 pixels are written."""

    source: ClassVar[type[Source]]
    count: ClassVar[int] = 3
    is_placed: ClassVar[bool] = True
    """Whether the file that is written says where it lies."""
    is_read_by_slice: ClassVar[bool] = False
    """Whether the limit on values is for each slice, as only one of them is held."""

    def write(self, folder: Path, stack: np.ndarray) -> Path:
        """Write a volume (N, H, W) uint8 into an empty folder; return what is to be opened."""
        raise NotImplementedError

    def main_file(self, path: Path) -> Path:
        """Return the file that is damaged by the tests: of a folder one of its files."""
        return path

    def damages(self, whole: bytes) -> list[bytes]:
        """Return what a file is replaced by that must then be refused."""
        return [b"", whole[:2], whole[:20], whole[: len(whole) // 2], whole[:8] + b"\xff" * (len(whole) - 8)]

    def opened(self, path: Path, axis: Axis) -> Source | None:
        """Open a file along an axis; ``None`` if it says of no place and is refused for that."""
        try:
            return open_source(path, axis)
        except ImageError as error:
            if self.is_placed or axis == Axis.AUTO or "--axis" not in str(error):
                raise
            return None

    @pytest.fixture
    def stack(self):
        return voxels(self.count)

    @pytest.fixture
    def path(self, tmp_path, stack):
        return self.write(renewed(tmp_path / "file"), stack)

    def test_the_registry_knows_it(self):
        assert self.source in (*FILE_SOURCES, FOLDER_SOURCE)
        assert self.source.kind
        for suffix in self.source.suffixes:
            assert SUFFIXES[suffix] is self.source
            assert suffix == suffix.lower()
            assert suffix.startswith(".")

    def test_its_files_are_known_by_their_content_whatever_they_are_called(self, path):
        assert kind_of(path) is self.source
        for name in ("renamed", "renamed.xyz", "renamed.png", "renamed.tif"):
            assert kind_of(path.rename(path.with_name(name))) is self.source
            path = path.with_name(name)

    def test_it_has_the_slices_that_were_written(self, path, stack):
        source = open_source(path)
        assert type(source) is self.source
        assert len(source) == len(stack)
        assert source.is_volume or len(source) == 1
        for index, expected in enumerate(stack):
            assert np.array_equal(source.values(index), expected)
            assert np.array_equal(source.as_stored(index), expected)

    def test_slices_are_rgb_in_every_window(self, path, stack):
        for window in WINDOWS:
            reading = make_reading(window=window)
            for index in range(len(stack)):
                rgb = read_image(path, reading, index)
                assert (rgb.shape, rgb.dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
                assert rgb.std() > 0

    def test_reading_is_repeatable_in_any_order(self, path, stack):
        source = open_source(path)
        for index in (*range(len(stack)), *reversed(range(len(stack)))):
            for window in WINDOWS:
                make_reading(window=window).window.rgb(source, index)
            assert np.array_equal(source.values(index), stack[index])
        rgb = [read_image(path, index=i) for i in range(len(stack))]
        open_source.__globals__["_open"].cache_clear()
        assert all(np.array_equal(read_image(path, index=i), rgb[i]) for i in range(len(stack)))

    @pytest.fixture
    def hasty_threads(self):
        """Threads take turns as often as they can."""
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        yield
        sys.setswitchinterval(interval)

    @pytest.mark.usefixtures("hasty_threads")
    def test_threads_that_share_it_get_the_slices_they_ask_for(self, path, stack):
        source = open_source(path)
        wanted = [index for _ in range(60) for index in range(len(stack))]
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(source.values, wanted))
        assert all(np.array_equal(values, stack[index]) for index, values in zip(wanted, found, strict=True))

    def test_a_slice_that_it_has_not_is_refused(self, path, stack):
        for index in (-1, len(stack)):
            with pytest.raises(ImageError, match=f"has no slice {index}; it has {len(stack)}, counted from 0"):
                read_image(path, index=index)

    def test_spacing_is_in_millimetres_or_not_known(self, path):
        spacing = open_source(path).spacing
        if self.is_placed:
            assert spacing == pytest.approx(SPACING)
        else:
            assert spacing is None

    @pytest.mark.parametrize("axis", list(Axis))
    def test_slices_and_array_become_each_other_along_every_axis(self, path, stack, axis):
        source = self.opened(path, axis)
        assert (source is not None and source.frame is not None) == self.is_placed
        if source is None or source.frame is None:
            return
        slices = np.stack([source.values(index) for index in range(len(source))])
        assert source.frame.shape == source.array.shape
        assert np.array_equal(source.frame.from_slices(slices), source.array)
        assert np.array_equal(source.frame.to_slices(source.array), slices)
        assert source.frame.spacing[1:] == pytest.approx(source.spacing)
        assert sorted(slices.ravel()) == sorted(stack.ravel())

    @pytest.mark.parametrize("axis", list(Axis))
    def test_voxels_lie_where_the_file_says(self, path, stack, axis):
        source = self.opened(path, axis)
        if source is None or source.frame is None:
            assert not self.is_placed
            return
        for number, row, column in ((0, 0, 0), (self.count - 1, 1, 2), (0, HEIGHT - 1, WIDTH - 1)):
            (index,) = np.argwhere(source.array == stack[number, row, column])
            left, back, up = np.array(ORIGIN_LPS) + (column * SPACING[1], row * SPACING[0], number * STEP_MM)
            place = (source.frame.affine @ [*index, 1])[:3]
            assert place == pytest.approx((-left, -back, up), abs=1e-4)

    def test_the_hash_is_of_the_pixels_and_of_the_way_they_are_read(self, path, stack):
        own = make_reading()
        hashes = [content_sha256(open_source(path), index, own) for index in range(len(stack))]
        assert hashes == [content_sha256(open_source(path), index, own) for index in range(len(stack))]
        assert len(set(hashes)) == len(stack)
        assert content_sha256(open_source(path), 0, make_reading(window="percentile")) not in hashes
        self.write(renewed(path.parent), stack[:, ::-1])
        assert not set(hashes) & {content_sha256(open_source(path), index, own) for index in range(len(stack))}

    def test_what_was_written_anew_is_opened_anew(self, path, stack):
        assert np.array_equal(open_source(path).values(0), stack[0])
        self.write(renewed(path.parent), stack[:, ::-1])
        assert np.array_equal(open_source(path).values(0), stack[0, ::-1])

    def test_what_decides_its_pixels_can_be_kept_as_json(self, path, stack):
        for source in filter(None, (self.opened(path, axis) for axis in Axis)):
            facts = [json.dumps(source.differs_by(index)) for index in range(len(source))]
            assert len(set(facts)) in (1, len(source))

    def test_its_files_are_those_that_it_reads(self, path):
        files = self.source.files_of(path)
        assert path in files
        assert all(file.exists() for file in files)

    @pytest.mark.skipif(sys.platform != "linux", reason="Linux lists what is open")
    def test_files_are_closed(self, path, stack):
        source = open_source(path)
        for index in range(len(stack)):
            source.values(index)
        gc.collect()
        opened = [link.resolve() for link in Path("/proc/self/fd").iterdir()]
        mapped = Path("/proc/self/maps").read_text()
        assert not [file for file in opened if path.parent in file.parents]
        assert str(path.parent) not in mapped

    def test_damaged_files_are_said_to_be_in_one_line(self, path):
        file = self.main_file(path)
        whole = file.read_bytes()
        for damage in self.damages(whole):
            file.write_bytes(damage)
            with pytest.raises(ImageError) as caught:
                _read_all(path)
            assert str(path) in str(caught.value)
            assert "\n" not in str(caught.value)

    def test_what_is_not_there_is_said(self, path):
        missing = path.with_name("missing" + path.suffix)
        with pytest.raises(ImageError, match="no such file"):
            open_source(missing)

    def test_more_values_than_the_limit_are_refused(self, path, stack, monkeypatch):
        held = stack[0].size if self.is_read_by_slice else stack.size
        monkeypatch.setenv("PROMISE_SEG_MAX_VALUES", str(held - 1))
        with pytest.raises(ImageError, match=r"too large: .* more than the limit of"):
            _read_all(path)
        monkeypatch.setenv("PROMISE_SEG_MAX_VALUES", str(held))
        assert _read_all(path) == self.count

    def test_predictions_for_it_have_a_format(self, path):
        for source in filter(None, (self.opened(path, axis) for axis in Axis)):
            formats = source.output_formats()
            assert formats
            assert OutputFormat.AUTO not in formats
            assert all(output in WRITERS for output in formats)


class MaskContract:
    """What a mask promises beside its image, whatever their formats are."""

    count: ClassVar[int] = 3
    axes: ClassVar[tuple[Axis, ...]] = tuple(Axis)
    """What the image can be cut across, with this mask."""
    is_compared_later: ClassVar[bool] = False
    """Whether the sizes of slices, which have no place, are left for who reads both to compare."""

    def write_image(self, folder: Path, stack: np.ndarray) -> Path:
        """Write the image (N, H, W) uint8 into an empty folder; return what is to be opened."""
        raise NotImplementedError

    def write_mask(self, folder: Path, labels: np.ndarray, image: Path) -> Path:
        """Write labels (N, H, W) from 0 to 2 for the image into an empty folder; return what is to be read."""
        raise NotImplementedError

    @pytest.fixture
    def labels(self):
        return np.random.default_rng(0).integers(0, 3, (self.count, HEIGHT, WIDTH)).astype(np.uint8)

    @pytest.fixture
    def image(self, tmp_path):
        return self.write_image(renewed(tmp_path / "image"), voxels(self.count))

    @pytest.fixture
    def mask(self, tmp_path, labels, image):
        return self.write_mask(renewed(tmp_path / "mask"), labels, image)

    def test_labels_are_those_of_the_slice(self, image, mask, labels):
        source = open_source(image)
        for _ in range(2):
            for index in range(self.count):
                found = read_labels(mask, source, index)
                assert np.array_equal(found, labels[index])
                assert found.dtype.kind in "ui"

    def test_labels_are_cut_as_the_image_is(self, image, mask, labels):
        """A voxel has one value in the image and one in the mask, however both are cut."""
        expected = dict(zip(voxels(self.count).ravel().tolist(), labels.ravel().tolist(), strict=True))
        for axis in self.axes:
            source = open_source(image, axis)
            for index in range(len(source)):
                found = read_labels(mask, source, index)
                seen = dict(zip(source.values(index).ravel().tolist(), found.ravel().tolist(), strict=True))
                assert all(expected[value] == label for value, label in seen.items())

    def test_a_mask_of_another_size_is_refused(self, tmp_path, image, labels):
        other = self.write_image(renewed(tmp_path / "other"), voxels(self.count)[:, :-1])
        mask = self.write_mask(renewed(tmp_path / "mask"), labels[:, :-1], other)
        if self.is_compared_later:
            assert read_labels(mask, open_source(image), 0).shape == (HEIGHT - 1, WIDTH)
            return
        with pytest.raises(ImageError) as caught:
            read_labels(mask, open_source(image), 0)
        assert str(mask) in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_a_damaged_mask_is_said_to_be(self, image, mask):
        file = mask if mask.is_file() else sorted(mask.iterdir())[0]
        whole = file.read_bytes()
        for damage in (b"", whole[: len(whole) // 2]):
            file.write_bytes(damage)
            with pytest.raises(ImageError) as caught:
                _read_all_labels(mask, image, self.count)
            assert str(mask) in str(caught.value) or str(image) in str(caught.value)
            assert "\n" not in str(caught.value)


class SourceAndMaskContract(SourceContract, MaskContract):
    """A format of images in which masks are written too."""

    def write_image(self, folder: Path, stack: np.ndarray) -> Path:
        return self.write(folder, stack)

    def write_mask(self, folder: Path, labels: np.ndarray, image: Path) -> Path:
        del image
        return self.write(folder, labels)
