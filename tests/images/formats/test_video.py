"""Videos are stacks of frames: whatever their container, upright, and in part where they are damaged."""

import numpy as np
import pytest
from PIL import Image

from promise_seg.errors import ImageError
from promise_seg.images.exports.contents import look_through
from promise_seg.images.formats.kinds import SUFFIXES, kind_of
from promise_seg.images.formats.opening import open_source
from promise_seg.images.formats.pictures import Picture
from promise_seg.images.formats.video import Video
from promise_seg.images.readers import read_image, read_labels
from tests.files import write_video

_LOSSY = 6.0
"""The mean difference of grey levels that a lossy codec may make of a smooth picture."""
_MATRIX_AT = 44
"""Where the matrix of a track lies after the word ``tkhd`` in an MP4 file."""


def scene(count=12, height=48, width=64):
    """Smooth frames (N, H, W, 3), of which each is brighter than the one before."""
    rows, columns = np.mgrid[:height, :width]
    frame = np.stack([columns * 2, rows * 3, np.full_like(rows, 30)], -1)
    return np.stack([frame + 5 * number for number in range(count)]).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "code", "apart"),
    [
        ("a.mkv", "FFV1", 0), ("a.avi", "FFV1", 0), ("a.mov", "png ", 0), ("a.avi", "MJPG", _LOSSY),
        ("a.mp4", "mp4v", _LOSSY), ("a.m4v", "mp4v", _LOSSY), ("a.webm", "VP80", _LOSSY),
    ],
)  # fmt: skip
def test_frames_of_every_container_are_rgb_in_their_order(tmp_path, name, code, apart):
    frames = scene()
    path = write_video(tmp_path / name, frames, code)
    video = open_source(path)
    assert isinstance(video, Video)
    assert SUFFIXES[path.suffix] is Video
    assert (len(video), video.is_volume, video.frame, video.spacing, video.incomplete) == (12, True, None, None, None)
    for index in (0, 11, 5, 6, 2):  # also backwards
        difference = np.abs(video.values(index).astype(int) - frames[index]).mean()
        assert difference <= apart
    assert kind_of(path.rename(tmp_path / "renamed")) is Video


def test_grey_videos_are_grey_and_coloured_ones_may_be_masks(tmp_path):
    masks = np.zeros((4, 16, 20), np.uint8)
    masks[1:, 4:9, 5:12] = 1
    grey = write_video(tmp_path / "grey.mkv", masks)
    coloured = write_video(tmp_path / "coloured.mkv", np.repeat(masks[..., None] * 255, 3, 3))
    assert open_source(grey).values(1).shape == (16, 20)
    for index in range(4):
        assert np.array_equal(read_labels(grey, open_source(coloured), index), masks[index])
        assert np.array_equal(read_labels(coloured, open_source(grey), index), masks[index] * 255)


def turned(path, a, b, c, d):
    """Write the matrix of rotation into the track of an MP4 file."""
    whole = bytearray(path.read_bytes())
    at = whole.index(b"tkhd") + _MATRIX_AT
    for number, value in zip((0, 1, 3, 4), (a, b, c, d), strict=True):
        whole[at + 4 * number : at + 4 * number + 4] = (value * 0x10000 % 2**32).to_bytes(4, "big")
    path.write_bytes(whole)
    return path


@pytest.mark.parametrize(
    ("matrix", "orientation"), [((0, 1, -1, 0), 6), ((-1, 0, 0, -1), 3), ((0, -1, 1, 0), 8), ((1, 0, 0, 1), 1)]
)
def test_frames_are_turned_upright_as_those_of_a_photograph_are(tmp_path, matrix, orientation):
    frames = scene(3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(frames[0]).save(tmp_path / "a.png", exif=exif)
    path = turned(write_video(tmp_path / "a.mp4", frames, "mp4v"), *matrix)
    video, picture = open_source(path), read_image(tmp_path / "a.png")
    assert video.values(0).shape == picture.shape
    assert np.abs(video.values(0).astype(int) - picture).mean() <= _LOSSY
    assert video.turned == open_source(tmp_path / "a.png").turned == orientation


def test_a_truncated_video_is_read_as_far_as_it_goes_and_says_so(tmp_path):
    frames = np.random.default_rng(0).integers(0, 255, (20, 48, 64, 3)).astype(np.uint8)
    path = write_video(tmp_path / "a.avi", frames)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    video = open_source(path)
    assert 5 <= len(video) < 12
    assert video.incomplete.startswith(f"ends after {len(video)} of 20 frames, as a damaged or truncated video does")
    for index in range(len(video)):
        assert np.array_equal(video.values(index), frames[index])


@pytest.mark.parametrize(("name", "code"), [("a.mp4", "mp4v"), ("a.mkv", "FFV1"), ("a.avi", "MJPG")])
def test_a_video_without_any_frame_is_refused_in_silence_on_the_terminal(tmp_path, name, code, capfd):
    path = write_video(tmp_path / name, scene(), code)
    capfd.readouterr()
    whole = path.read_bytes()
    for damage in (whole[:40], whole[: whole.index(b"moov") if b"moov" in whole else 200], whole[:64] + bytes(5000)):
        path.write_bytes(damage)
        with pytest.raises(ImageError, match=rf"{name}: damaged.*convert it to MP4 with H.264"):
            open_source(path)
    assert capfd.readouterr() == ("", "")


def test_pictures_that_are_built_as_videos_are_not_videos(tmp_path):
    for number, brand in enumerate((b"heic", b"avif", b"mif1")):
        path = tmp_path / str(number)
        path.write_bytes(b"\0\0\0\x18ftyp" + brand + bytes(100))
        assert kind_of(path) is Picture
    (tmp_path / "3").write_bytes(b"\0\0\0\x18ftypisom" + bytes(100))
    assert kind_of(tmp_path / "3") is Video


def test_every_nth_frame_keeps_its_number(tmp_path):
    video = open_source(write_video(tmp_path / "a.mkv", scene(11)))
    thinned = video.thinned(4)
    assert (len(video), len(thinned), [thinned.number_of(index) for index in range(3)]) == (11, 3, [0, 4, 8])
    for index in (2, 0, 1):
        assert np.array_equal(thinned.values(index), video.values(4 * index))
    assert len(video) == len(video.thinned(1)) == 11


def test_few_frames_are_kept_and_others_decoded_again(tmp_path, monkeypatch):
    frames = scene(6)
    monkeypatch.setattr("promise_seg.images.formats.video._KEPT_BYTES", 2 * frames[0].nbytes)
    video = open_source(write_video(tmp_path / "a.mkv", frames))
    for index in (0, 1, 2, 0, 5, 4, 3, 3, 1):
        assert np.array_equal(video.values(index), frames[index])
        assert len(video._kept) <= 2


def test_videos_are_found_in_folders_and_those_of_other_kinds_are_named(tmp_path):
    (tmp_path / "in").mkdir()
    write_video(tmp_path / "in/a.mkv", scene(2))
    (tmp_path / "b.wmv").write_bytes(b"something")
    found = look_through(tmp_path)
    assert [path.name for path in found.pictures] == ["a.mkv"]
    (note,) = found.notes()
    assert note.startswith(f"{tmp_path}: left out 1 image ({tmp_path}/b.wmv), of formats that are not searched for")


def test_a_name_is_never_an_address(tmp_path, monkeypatch):
    """FFmpeg takes what stands before a colon for a protocol, as in ``concat:a|b``."""
    monkeypatch.chdir(tmp_path)
    path = write_video(tmp_path / "a.mkv", scene(3))
    for name in ("concat:b.mkv", "http:b.mkv"):
        path = path.rename(tmp_path / name)
        assert len(open_source(name)) == 3
