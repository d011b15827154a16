"""The names of files that are channels of one case."""

from pathlib import Path

import pytest

from promise_seg.images.channel_files import case_and_word, channels_beside, exchanged, file_of


@pytest.mark.parametrize(
    ("name", "case", "word"),
    [("a_0001.nii.gz", "a_", "0001"), ("BraTS-GLI-1-000-t2f.nii.gz", "BraTS-GLI-1-000-", "t2f"), ("t1.nii", "", "t1"),
     ("x y.DAPI.tif", "x y.", "DAPI"), ("p_1", "p_", "1")],
)  # fmt: skip
def test_the_last_word_of_a_name(name, case, word):
    assert case_and_word(Path("in") / name) == (case, word)
    assert case_and_word(exchanged(Path(name), "new")) == (case, "new")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a_0000.png", "a_0001.png", "a_0002.png"], "0000 0001 0002"),
        (["a_0000.png"], ""),
        (["a_0001.png", "a_0000.png"], ""),
        (["a_0000.png", "a_0002.png"], ""),
        (["a_flair.png", "a_t1ce.png", "a_t2.png"], "flair t1ce t2"),
        (["a-t2f.png", "a-t1n.png"], "t2f t1n"),
        (["a_FLAIR.png", "a_T1.png"], "FLAIR T1"),
        (["a_flair.png", "b_t1.png"], ""),
        (["left.png", "right.png"], ""),
    ],
)
def test_channels_that_programs_and_sets_call_so(tmp_path, names, expected):
    for name in names:
        (tmp_path / name).touch()
    assert channels_beside(tmp_path / names[0]) == tuple(expected.split())


def test_frames_of_a_video_are_no_channels(tmp_path):
    frames = [tmp_path / f"a_{number:04}.png" for number in range(3)]
    for frame in frames:
        frame.touch()
    assert channels_beside(frames[0]) == ("0000", "0001", "0002")
    assert channels_beside(frames[0], frames) == ()
    assert channels_beside(frames[0], frames[:1]) == ("0000", "0001", "0002")


@pytest.mark.parametrize(
    ("name", "word", "expected"),
    [("a_DAPI.ome.tif", "Alexa 555", "a_Alexa 555.ome.tif"), ("a_Alexa 555.ome.tif", "DAPI", "a_DAPI.ome.tif"),
     ("a_t1_post.nii.gz", "t1", "a_t1.nii.gz"), ("a_t1.nii.gz", "t1_post", "a_t1_post.nii.gz"),
     ("t1_post.nii.gz", "t1", "t1.nii.gz")],
)  # fmt: skip
def test_names_of_several_words(tmp_path, name, word, expected):
    (tmp_path / expected).touch()
    assert file_of(tmp_path / name, word, ["DAPI", "Alexa 555", "t1", "t1_post"]) == tmp_path / expected


def test_files_of_other_cases_are_never_taken(tmp_path):
    for name in ("1.png", "t1.png", "a_t1.png", "b_t2.png"):
        (tmp_path / name).touch()
    assert file_of(tmp_path / "1.png", "t1", ["t1"]) is None
    assert file_of(tmp_path / "a_t1.png", "t2", ["t1", "t2"]) is None
    assert file_of(tmp_path / "a_t1.png", "t1", ["t1", "t2"]) == tmp_path / "a_t1.png"
    assert file_of(tmp_path / ("x" * 300 + "_t1.png"), "t2", ["t2"]) is None
