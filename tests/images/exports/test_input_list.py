"""A compact list of images gives back what was put into it."""

import itertools
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from promise_seg.images.exports import input_list
from promise_seg.images.exports.input_list import InputList
from promise_seg.images.exports.inputs import Input, find_inputs
from promise_seg.images.exports.path_list import PathList


@pytest.fixture
def inputs(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    named = [
        Input(tmp_path / "real/b.png", "b", root=tmp_path / "real"),
        Input(tmp_path / "link/ä.nii.gz", "link/ä", root=tmp_path),
        Input(tmp_path / "real", "ct_1", (tmp_path / "real/1.dcm", tmp_path / "real/2.dcm"), root=tmp_path),
        Input(tmp_path / "real/1.2.840", "1.2.840", below="real", root=tmp_path),
        Input(Path("a.png"), "far/a"),  # a stem that is no part of the name
        Input(Path("..") / "x", "x", beside=(Path("y"),)),
    ]
    for path in [tmp_path / "real/b.png", tmp_path / "real/ä.nii.gz"]:
        path.write_bytes(b"abc")
    return named


@pytest.mark.parametrize("bits", [1, 12])
def test_a_list_holds_what_was_put_into_it(inputs, bits, monkeypatch):
    monkeypatch.setattr(input_list, "_BLOCK_BITS", bits)
    monkeypatch.setattr(input_list, "_AT_ONCE", 1 << bits)
    found = InputList(inputs)
    assert list(found) == inputs
    assert list(found.stems()) == [one.stem for one in inputs]
    assert list(found.names()) == [one.name for one in inputs]
    assert list(found.keys()) == [one.key for one in inputs]
    stems, keys = [one.stem.encode() for one in inputs], [one.key.encode() for one in inputs]
    for numbers in (range(6), [5, 0, 3], []):
        assert found.stems_of(np.array(numbers, int)) == [stems[number] for number in numbers]
        assert found.keys_of(np.array(numbers, int)) == [keys[number] for number in numbers]
    in_blocks = list(found[1:].stems_and_keys())
    assert [list(itertools.chain(*column)) for column in zip(*in_blocks, strict=True)] == [stems[1:], keys[1:]]
    assert found.hashes().tolist() == list(map(hash, stems))
    assert list(found[1::2]) == inputs[1::2]
    assert found[-1] == inputs[-1]
    assert list(found.chosen(np.array([3, 0]))) == [inputs[3], inputs[0]]
    assert list(found[1:].by_stem()) == sorted(inputs[1:], key=lambda one: one.stem)
    assert InputList.of(found) is found
    assert found.have_own_stems
    assert not InputList([*inputs, replace(inputs[1], path=Path("other.png"))]).have_own_stems


def test_the_order_of_stems_is_that_of_their_text():
    stems = ["b", "a/b", "a-b", "a", "ä", "z", "€", "a/ä", "\U0001f600", ""]
    found = InputList(Input(Path(f"{stem}.png"), stem) for stem in stems).by_stem()
    assert list(found.stems()) == sorted(stems)
    assert list(InputList().by_stem()) == []


def test_states_are_compared_as_they_were_noted(inputs, tmp_path):
    found, before = InputList(inputs), inputs[0].state()
    assert found.has_state(0, before)
    assert not found.has_state(0, [])
    assert not found.has_state(0, before * 2)
    os.utime(inputs[0].path, ns=(0, 0))
    assert not found.has_state(0, before)
    assert not found.has_state(4, before)  # whose file is not there
    for number in (1, 2):
        (tmp_path / f"real/{number}.dcm").write_bytes(b"abc")
    assert found.has_state(2, inputs[2].state())


def test_images_are_named_by_their_folders(inputs, tmp_path):
    found, numbers = InputList(inputs), np.array([0, 1, 3, 4])
    assert found.by_folder(numbers) == [
        (f"{tmp_path}/real/".encode(), [b"b.png"]),
        (f"{tmp_path}/link/".encode(), ["ä.nii.gz".encode()]),
        (f"{tmp_path}/real/".encode(), [b"1.2.840"]),
        (b"", [b"a.png"]),
    ]
    assert found.are_several_files(np.arange(6)).tolist() == [False, False, True, True, True, True]
    assert found[:2].are_several_files(np.arange(2)).tolist() == [False, False]
    assert not InputList(inputs[:2]).are_several_files(np.arange(2)).any()


def test_files_are_listed_without_objects_of_them(tmp_path):
    files = [(f"{tmp_path}/{stem}.png", stem) for stem in ("b", "ä/é", "a/ä")]
    found = InputList.of_files(tmp_path, files).by_stem()
    assert list(found) == [Input(Path(name), stem, root=tmp_path) for name, stem in (files[2], files[0], files[1])]


def test_a_list_of_paths_is_emptied_while_they_are_taken():
    paths = [Path(f"folder {number}/{number}.png") for number in range(2500)]
    found = PathList()
    for path in paths:
        found.append(path)
    assert (len(found), list(found)) == (2500, paths)
    taken = found.taken()
    assert next(taken) == str(paths[0])
    assert list(taken) == list(map(str, paths[1:]))
    assert (len(found), list(found)) == (0, [])


def test_a_folder_of_pictures_is_found_as_a_compact_list(tmp_path):
    for name in ("p1/a.png", "p1/b.png", "c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = find_inputs([tmp_path])
    assert isinstance(found, InputList)
    assert [(one.stem, one.path, one.root) for one in found] == [
        ("c", tmp_path / "c.png", tmp_path),
        ("p1/a", tmp_path / "p1/a.png", tmp_path),
        ("p1/b", tmp_path / "p1/b.png", tmp_path),
    ]
    assert list(find_inputs([tmp_path / "c.png", tmp_path / "p1"])) == [
        replace(found[0], root=tmp_path), *(replace(one, stem=one.path.stem, root=tmp_path / "p1") for one in found[1:])
    ]  # fmt: skip
