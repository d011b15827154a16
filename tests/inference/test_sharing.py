"""Several processes fill one store, on one computer or on many, without a server of locks."""

import errno
import json
import os
from pathlib import Path

import pytest

from promise_seg.errors import PromiseError
from promise_seg.features.remote import RemoteFeatureStore
from promise_seg.features.store import FeatureStore
from promise_seg.inference import sharing
from promise_seg.inference.encoding import Sample, encode_missing
from promise_seg.inference.sharing import PartsNote, encode_shared
from promise_seg.parallel.parts import Part
from promise_seg.vocabulary import Fit
from tests.helpers import make_tiny_sam
from tests.parallel.killed_processes import entries


@pytest.fixture
def samples(checked, tiny_sam):
    return [Sample.of(row, tiny_sam, Fit.STRETCH, view) for view in range(2) for row in checked]


@pytest.fixture
def whole(samples, tiny_sam, tmp_path):
    encode_missing(samples, tiny_sam, FeatureStore(tmp_path / "whole"))
    return entries(tmp_path / "whole")


def test_one_process_encodes_what_is_missing(samples, tiny_sam, store, whole):
    encode_missing(samples[:5], tiny_sam, store)
    found = encode_shared(samples, tiny_sam, store)
    assert (found.encoded, found.already_there, found.problems) == (len(samples) - 5, 5, [])
    assert entries(store.folder) == whole


@pytest.mark.parametrize("count", [1, 3, 7])
def test_the_part_of_a_view_does_not_depend_on_other_views(samples, tiny_sam, count):
    digests = [sample.key(tiny_sam).digest() for sample in samples]
    parts = [Part(number, count) for number in range(1, count + 1)]
    assert [sum(part.has(digest) for part in parts) for digest in digests] == [1] * len(digests)


def test_an_image_that_cannot_be_read_does_not_stop_the_others(samples, tiny_sam, store):
    samples[0].checked.row.image.write_bytes(b"nothing")
    found = encode_shared(samples, tiny_sam, store)
    assert found.encoded == len(samples) - 2  # views of the same image
    assert len(found.problems) == 2
    assert all(str(samples[0].checked.row.image) in problem for problem in found.problems)
    assert not list((store.folder / "claims").glob(".*lock"))


def test_a_view_that_another_process_encodes_is_waited_for(samples, tiny_sam, store, whole, monkeypatch):
    notes = []
    name = store.path(samples[3].key(tiny_sam)).name
    other = sharing.Claims(store.folder / "claims")
    assert other.take(name) is None
    monkeypatch.setattr(sharing, "_pause", lambda: other.give_back(name))
    found = encode_shared(samples, tiny_sam, store, note=notes.append)
    assert (found.encoded, len(notes)) == (len(samples), 1)
    assert f"waiting for 1 views that other processes have claimed, such as process {os.getpid()}" in notes[0]
    assert entries(store.folder) == whole


FACTS = {"data_sha256": "d", "sam_sha256": "s", "promise_seg": "1", "precision": "fp16"}


@pytest.mark.parametrize(
    ("changed", "words"),
    [({"data_sha256": "e"}, "other rows or files"), ({"sam_sha256": "t"}, "another SAM"),
     ({"promise_seg": "2"}, "another version"), ({"precision": "int8"}, "another --store-precision")],
)  # fmt: skip
def test_parts_of_other_work_are_refused_until_all_parts_are_done(tmp_path, changed, words):
    first, second = (PartsNote(FeatureStore(tmp_path), ["manifest.csv", "vit_b"], Part(number, 2)) for number in (1, 2))
    first.begin(FACTS)
    first.finish()
    with pytest.raises(PromiseError, match=f"--part 2/2: another part of the same work was encoded with {words}"):
        second.begin(FACTS | changed)
    second.begin(FACTS)
    second.finish()
    second.begin(FACTS | changed)


def test_parts_on_computers_that_share_an_object_store_alone_are_compared(tmp_path, monkeypatch):
    def on_computer(number):
        monkeypatch.setenv("PROMISE_SEG_COPIES", str(tmp_path / str(number)))
        return PartsNote(RemoteFeatureStore("memory://parts_are_compared/store"), ["manifest.csv"], Part(number, 2))

    first, second = on_computer(1), on_computer(2)
    first.begin(FACTS)
    first.finish()
    with pytest.raises(PromiseError, match=r"another SAM: .* remove memory://parts_are_compared/store/parts/"):
        second.begin(FACTS | {"sam_sha256": "other"})
    second.begin(FACTS)
    second.finish()
    second.begin(FACTS | {"sam_sha256": "other"})


def test_files_that_killed_processes_left_are_no_parts_that_are_done(tmp_path):
    first, second = (
        PartsNote(FeatureStore(tmp_path), ["manifest.csv"], Part(number, 2), "the/manifest.csv") for number in (1, 2)
    )
    first.begin(FACTS)
    (folder,) = (tmp_path / "parts").iterdir()
    (folder / ".0123abcd-1-1-0123abcd~1.done").touch()
    (folder / "7.done").touch()
    first.finish()
    with pytest.raises(PromiseError, match=r"another version: the/manifest\.csv or the SAM changed meanwhile"):
        second.begin(FACTS | {"promise_seg": "2"})
    second.finish()
    assert not (folder / "facts.json").exists()
    assert not list(folder.glob("[12].done"))


def test_facts_are_never_seen_half_written(tmp_path, monkeypatch):
    note, replace = PartsNote(FeatureStore(tmp_path), ["manifest.csv"], Part(1, 2)), Path.replace
    written = []

    def replaced(path, target):
        if target.name == "facts.json":
            assert not target.exists()
            written.append(json.loads(path.read_text()))
        return replace(path, target)

    monkeypatch.setattr(os, "link", no_links)
    monkeypatch.setattr(Path, "replace", replaced)
    note.begin(FACTS)
    assert [one["data_sha256"] for one in written] == ["d"]


def no_links(*_):
    raise OSError(errno.EPERM, "no links here")


def test_an_entry_that_was_half_written_is_made_again(samples, tiny_sam, store, whole):
    encode_shared(samples, make_tiny_sam(), store)
    path = store.path(samples[0].key(tiny_sam))
    path.write_bytes(path.read_bytes()[:100])  # as after a power cut
    assert encode_shared(samples, tiny_sam, store).encoded == 1
    assert entries(store.folder) == whole
