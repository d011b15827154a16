import hashlib
import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import replace

import pytest

from promise_seg.curation.sets import fetching
from promise_seg.curation.sets.fetching import Wish, fetch_set, is_finished
from promise_seg.curation.sets.known_sets import Archive
from promise_seg.errors import PromiseError, SettingsError
from tests.curation.sets.helpers import benchmark, kvasir, serving, write_tree, zip_of
from tests.curation.sets.test_arranging import small

CONTENT = zip_of(kvasir())
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server():
    with serving({"kvasir-seg.zip": CONTENT}) as (address, handler):
        yield address, handler


def known_as(address, size=None, sha256=None):
    archive = Archive(file_name="kvasir-seg.zip", url=f"{address}/kvasir-seg.zip", size=size, sha256=sha256)
    return replace(small("kvasir-seg", 20), archives=(archive,))


def fetch(known, folder, **more):
    lines = []
    wish = Wish(**{name: more.pop(name) for name in ("mirror", "given", "sha256", "test_names") if name in more})
    return fetch_set(known, "kvasir-seg", folder, wish, say=lines.append, **more), "\n".join(lines)


def test_from_the_server_to_the_manifest(server, tmp_path):
    address, _ = server
    known = known_as(address, len(CONTENT), SHA256)
    arranged, said = fetch(known, tmp_path / "set")
    assert arranged.rows == {"train": 18, "val": 2, "test": 0}
    assert f"correct SHA-256, {SHA256}" in said
    assert is_finished(tmp_path / "set")
    assert sorted(p.name for p in (tmp_path / "set").iterdir()) == [
        "archives", "images", "manifest.csv", "masks", "sources.json"
    ]  # fmt: skip
    sources = json.loads((tmp_path / "set/sources.json").read_text())
    source = sources["archives"]["kvasir-seg.zip"]
    assert (source["url"], source["bytes"], source["sha256"]) == (f"{address}/kvasir-seg.zip", len(CONTENT), SHA256)
    assert source["checked_against"] == "published SHA-256"
    assert sources["licence"] == known.licence
    assert sources["arranged"]["cut_masks"] == 20


def test_a_lost_file_means_not_finished_and_comes_back(server, tmp_path):
    known = known_as(server[0], len(CONTENT), SHA256)
    fetch(known, tmp_path / "set")
    (tmp_path / "set/masks/cju03.png").unlink()
    assert not is_finished(tmp_path / "set")
    fetch(known, tmp_path / "set")
    assert is_finished(tmp_path / "set")
    assert len(server[1].requested) == 1  # the archive was still there


def test_a_broken_connection_is_continued(server, tmp_path):
    address, handler = server
    handler.cuts = [1000]
    known = known_as(address, len(CONTENT), SHA256)
    with pytest.raises(PromiseError, match="Run the same command again to resume"):
        fetch(known, tmp_path / "set")
    assert not is_finished(tmp_path / "set")
    fetch(known, tmp_path / "set")
    assert handler.requested == [("kvasir-seg.zip", None), ("kvasir-seg.zip", "bytes=1000-")]
    assert is_finished(tmp_path / "set")


@pytest.mark.parametrize("step", ["kvasir-seg.zip", "unpacking kvasir-seg.zip", "arranging"])
def test_interrupted_at_any_step_the_same_call_goes_on(server, tmp_path, step):
    @contextmanager
    def bar(what, _total, _unit):
        def progress(_done):
            if what == step:
                raise KeyboardInterrupt

        yield progress

    known = known_as(server[0])
    with pytest.raises(KeyboardInterrupt):
        fetch(known, tmp_path / "set", bar=bar)
    assert not is_finished(tmp_path / "set")
    fetch(known, tmp_path / "set")
    assert is_finished(tmp_path / "set")
    assert not (tmp_path / "set/.unpacked").exists()


@pytest.mark.skipif(not shutil.rmtree.avoids_symlink_attacks, reason="folders are removed in another way there")
def test_interrupted_while_it_removes_what_was_unpacked_the_same_call_goes_on(server, tmp_path, monkeypatch):
    remove, removed = os.unlink, []

    def unlink(path, *arguments, **options):
        if options.get("dir_fd") is not None:  # a file of a folder that is removed
            removed.append(path)
            if len(removed) == 3:
                raise KeyboardInterrupt
        remove(path, *arguments, **options)

    known = known_as(server[0])
    monkeypatch.setattr(os, "unlink", unlink)
    with pytest.raises(KeyboardInterrupt):
        fetch(known, tmp_path / "set")
    monkeypatch.undo()
    fetch(known, tmp_path / "set")
    assert is_finished(tmp_path / "set")
    assert not (tmp_path / "set/.unpacked").exists()


def test_a_wrong_checksum_is_not_used_or_kept(server, tmp_path):
    with pytest.raises(PromiseError, match="not the file expected"):
        fetch(known_as(server[0], len(CONTENT), "0" * 64), tmp_path / "set")
    assert list((tmp_path / "set/archives").iterdir()) == []
    with pytest.raises(PromiseError, match=r"it has .* bytes, expected 5"):
        fetch(known_as(server[0], 5), tmp_path / "set")


def test_trust_on_first_use(server, tmp_path):
    address, handler = server
    known = known_as(address)
    _, said = fetch(known, tmp_path / "set")
    assert f"no checksum is known; SHA-256 of this file: {SHA256}" in said
    assert "another fetch must give the same" in said
    (tmp_path / "set/manifest.csv").unlink()
    (tmp_path / "set/archives/kvasir-seg.zip").unlink()
    handler.files["kvasir-seg.zip"] = zip_of(kvasir() | {"Kvasir-SEG/new.txt": b""})
    with pytest.raises(PromiseError, match=rf"but {SHA256} when it was first fetched, on \d{{4}}-.*sources\.json"):
        fetch(known, tmp_path / "set")
    assert not (tmp_path / "set/archives/kvasir-seg.zip").exists()
    handler.files["kvasir-seg.zip"] = CONTENT
    fetch(known, tmp_path / "set")
    assert is_finished(tmp_path / "set")


def test_a_demanded_checksum(server, tmp_path):
    with pytest.raises(PromiseError, match="not the file expected"):
        fetch(known_as(server[0]), tmp_path / "set", sha256=frozenset({"1" * 64}))
    _, said = fetch(known_as(server[0]), tmp_path / "set", sha256=frozenset({SHA256}))
    assert f"SHA-256 as requested, {SHA256}" in said
    with pytest.raises(SettingsError, match="is known to have"):
        fetch(known_as(server[0], None, SHA256), tmp_path / "other", sha256=frozenset({"1" * 64}))


def test_a_server_whose_certificate_fails_leads_to_the_browser(server, tmp_path, monkeypatch):
    def fail(url, *_args, **_more):
        raise PromiseError(f"{url}: stopped: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")

    monkeypatch.setattr(fetching, "download", fail)
    with pytest.raises(PromiseError, match=r"Download the archive in a browser, and pass --from kvasir-seg\.zip"):
        fetch(known_as(server[0]), tmp_path / "set")


def test_a_mirror(server, tmp_path):
    address, handler = server
    known = known_as("http://127.0.0.1:9", len(CONTENT), SHA256)
    fetch(known, tmp_path / "one", mirror=f"{address}/kvasir-seg.zip")
    fetch(known, tmp_path / "two", mirror=f"{address}/")
    assert [name for name, _ in handler.requested] == ["kvasir-seg.zip"] * 2


def test_what_one_has_already(tmp_path):
    (tmp_path / "got.zip").write_bytes(CONTENT)
    tree = write_tree(tmp_path / "unpacked", kvasir())
    known = known_as("http://127.0.0.1:9", len(CONTENT), SHA256)
    manifests = set()
    for number, given in enumerate((tmp_path / "got.zip", tree, tree / "Kvasir-SEG")):
        fetch(known, tmp_path / f"set{number}", given=(given,))
        manifests.add((tmp_path / f"set{number}/manifest.csv").read_text())
    assert len(manifests) == 1
    assert (tmp_path / "got.zip").read_bytes() == CONTENT
    assert len(list(tree.rglob("*.jpg"))) == 40


def test_given_files_that_are_not_the_published_ones_say_so(tmp_path):
    (tmp_path / "kvasir-seg.zip").write_bytes(zip_of(kvasir() | {"Kvasir-SEG/more.txt": b""}))
    known = known_as("http://127.0.0.1:9", len(CONTENT), SHA256)
    _, said = fetch(known, tmp_path / "set", given=(tmp_path / "kvasir-seg.zip",))
    assert "not the published archive" in said
    with pytest.raises(PromiseError, match=r"expected 1111.*It was not used"):
        fetch(known, tmp_path / "two", given=(tmp_path / "kvasir-seg.zip",), sha256=frozenset({"1" * 64}))
    assert (tmp_path / "kvasir-seg.zip").exists()


def test_the_benchmark_from_a_folder_with_its_two_archives(tmp_path):
    train, test = benchmark()
    (tmp_path / "got").mkdir()
    (tmp_path / "got/TrainDataset.zip").write_bytes(zip_of(train))
    (tmp_path / "got/TestDataset.zip").write_bytes(zip_of(test))
    known = small("polyp-benchmark", 24, 1, 2, 2, 3, 2, numbered=12)
    arranged = fetch_set(known, "polyp-benchmark", tmp_path / "set", Wish(given=(tmp_path / "got",)))
    assert arranged.rows["test"] == 10
    sources = json.loads((tmp_path / "set/sources.json").read_text())
    assert set(sources["archives"]) == {"TrainDataset.zip", "TestDataset.zip"}


def test_a_mirror_of_a_set_that_is_got_by_hand(tmp_path):
    train, test = benchmark()
    known = small("polyp-benchmark", 24, 1, 2, 2, 3, 2, numbered=12)
    with serving({"TrainDataset.zip": zip_of(train), "TestDataset.zip": zip_of(test)}) as (address, _):
        fetch_set(known, "polyp-benchmark", tmp_path / "set", Wish(mirror=address))
    assert is_finished(tmp_path / "set")


def test_a_list_of_test_rows_given_later_is_heeded(tmp_path):
    tree, folder = write_tree(tmp_path / "unpacked", kvasir()), tmp_path / "set"
    known, names = known_as(""), frozenset({"cju00", "cju01"})
    fetch(known, folder, given=(tree,))
    assert not is_finished(folder, names)
    fetch(known, folder, given=(tree,), test_names=names)
    assert is_finished(folder, names)
    with pytest.raises(SettingsError, match="has a published test split"):
        fetch_set(small("cvc-300", 2), "cvc-300", tmp_path / "x", Wish(given=(tree,), test_names=names))


def test_other_data_in_the_folder_is_left_alone(tmp_path):
    tree = write_tree(tmp_path / "unpacked", kvasir())
    fetch(known_as(""), tmp_path / "set", given=(tree,))
    with pytest.raises(PromiseError, match="already contains kvasir-seg; choose another folder with -o"):
        fetch_set(small("cvc-300", 2), "cvc-300", tmp_path / "set", Wish(given=(tree,)))
    (tmp_path / "own").mkdir()
    (tmp_path / "own/manifest.csv").write_text("image_name,train_type,mask_name\n")
    with pytest.raises(PromiseError, match="already contains a data set of your own"):
        fetch(known_as(""), tmp_path / "own", given=(tree,))
    assert (tmp_path / "own/manifest.csv").read_text() == "image_name,train_type,mask_name\n"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "kvasir-seg"}', '{"archives": {"a": {}}}'])
def test_damaged_notes_are_named(tmp_path, text):
    (tmp_path / "sources.json").write_text(text)
    with pytest.raises(PromiseError, match=r"sources\.json: not a file of promise data fetch"):
        is_finished(tmp_path)


def test_a_file_in_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "set").write_text("mine")
    with pytest.raises(PromiseError, match="set: is a file; expected a folder"):
        is_finished(tmp_path / "set")
