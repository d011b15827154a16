import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from promise_seg.augmentation import View
from promise_seg.errors import PromiseError, SettingsError
from promise_seg.features import store as store_module
from promise_seg.features.precision import rounded
from promise_seg.features.store import FeatureKey, FeatureStore, default_store_folder
from promise_seg.sam.features import Features
from promise_seg.storage import tensor_files
from promise_seg.storage.tensor_files import load_tensors, save_tensors
from promise_seg.vocabulary import Fit

KEY = FeatureKey("a" * 64, Fit.STRETCH, 128, View(), "b" * 64)


def some_features():
    return Features.of(torch.randn(1, 4, 2, 2), torch.randn(1, 4, 2, 2, 3))


def test_what_is_put_comes_back_at_the_store_s_precision(store):
    features = some_features()
    assert KEY not in store
    assert store.get(KEY) is None
    store.put(KEY, features)
    assert KEY in store
    again = store.get(KEY)
    assert torch.equal(again.embedding, rounded(features).embedding)
    assert torch.equal(again.tensors["stages"], rounded(features).tensors["stages"])


@pytest.mark.parametrize(
    "other",
    [
        replace(KEY, image_sha256="c" * 64),
        replace(KEY, fit=Fit.PAD),
        replace(KEY, side=256),
        replace(KEY, view=View(flip_x=True)),
        replace(KEY, view=View(noise_seed=1)),
        replace(KEY, sam_sha256="c" * 64),
    ],
)
def test_everything_that_changes_the_features_changes_the_key(other):
    assert other.digest() != KEY.digest()


@pytest.mark.parametrize(("name", "value"), [("FORMAT_VERSION", 0), ("PRECISION", torch.float32)])
def test_format_and_precision_change_the_key(monkeypatch, name, value):
    before = KEY.digest()
    monkeypatch.setattr(store_module, name, value)
    assert KEY.digest() != before


def test_a_damaged_entry_counts_as_missing(store):
    store.put(KEY, some_features())
    path = store.path(KEY)
    path.write_bytes(path.read_bytes()[:50])
    assert store.get(KEY) is None


def flip_the_last_bit(path):
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def test_a_flipped_bit_counts_as_missing_and_is_said(store, caplog):
    store.put(KEY, some_features())
    flip_the_last_bit(store.path(KEY))
    assert store.get(KEY) is None
    assert [record.message for record in caplog.records] == [
        f"{store.path(KEY)}: damaged, so the image is encoded anew: its content changed after it was written (its "
        "SHA-256 differs). The disk or a copy damaged it: restore it from another copy, or make it again"
    ]
    store.put(KEY, some_features())
    assert store.get(KEY) is not None


def test_an_entry_is_compared_with_its_hash_once_unless_its_file_changes(store, monkeypatch):
    checks = []

    def load(path, *, check=True):
        checks.append(check)
        return load_tensors(path, check=check)

    monkeypatch.setattr(store_module, "load_tensors", load)
    store.put(KEY, some_features())
    checks.clear()  # putting looks for stages that are there
    for _ in range(3):
        assert store.get(KEY) is not None
    flip_the_last_bit(store.path(KEY))
    assert store.get(KEY) is None
    assert checks == [True, False, False, True]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_store_that_may_not_be_written_is_done_without_and_said_once(store, caplog, monkeypatch, number):
    def refuse(*_args, **_options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tensor_files, "save_file", refuse)
    for _ in range(2):
        store.put(KEY, some_features())
    assert store.get(KEY) is None
    (record,) = caplog.records
    assert record.message.startswith(f"{store.folder}: features cannot be stored here: ")
    assert record.message.endswith("encoded whenever they are needed; name another --store")


def test_an_entry_that_may_not_be_read_is_encoded_anew(store, caplog, monkeypatch):
    def refuse(*_args, **_options):
        raise PermissionError(errno.EACCES, "Permission denied")

    store.put(KEY, some_features())
    monkeypatch.setattr(store_module, "load_tensors", refuse)
    assert store.get(KEY) is None
    assert "stored features cannot be read: Permission denied" in caplog.text


def test_nothing_half_written_is_left(store):
    store.put(KEY, some_features())
    assert [p.name for p in store.path(KEY).parent.iterdir()] == [store.path(KEY).name]


def test_where_it_is_by_default(monkeypatch, tmp_path):
    assert FeatureStore().folder == default_store_folder()
    monkeypatch.delenv("PROMISE_SEG_STORE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_store_folder() == tmp_path / "promise-seg/features"


@pytest.mark.parametrize("place", ["s3://bucket/x", Path("s3://bucket/x"), "gs://me:secret@bucket/x"])
def test_an_address_is_no_folder(place):
    with pytest.raises(SettingsError, match=r"--store is the address of an object store; expected a folder") as refused:
        FeatureStore(place)
    assert "secret" not in str(refused.value)


def test_an_entry_has_only_the_stages_that_were_wanted(store):
    features = some_features()
    store.put(KEY, features.with_stages(()))
    assert set(load_tensors(store.path(KEY)).tensors) == {"embedding"}
    assert store.has(KEY, ())
    assert not store.has(KEY, (3,))
    assert store.get(KEY, (3,)) is None
    assert set(store.get(KEY, ()).tensors) == {"embedding"}


def test_stages_that_come_later_join_those_that_are_there(store):
    features = some_features()
    store.put(KEY, features.with_stages((3,)))
    store.put(KEY, features.with_stages((1, 2)))
    assert set(store.get(KEY, (1, 3)).tensors) == {"embedding", "stage_1", "stage_3"}
    for number in (1, 2, 3):
        assert torch.equal(store.get(KEY, (number,)).stage(number), rounded(features).stage(number))
    assert not store.has(KEY)
    store.put(KEY, features)
    assert set(load_tensors(store.path(KEY)).tensors) == {"embedding", "stages"}


def test_an_entry_with_all_stages_serves_who_reads_some_or_none(store):
    """As earlier versions wrote all of them."""
    features = some_features()
    save_tensors(store.path(KEY), {name: tensor[0] for name, tensor in features.to(torch.float16).tensors.items()})
    assert set(store.get(KEY, ()).tensors) == {"embedding"}
    found = store.get(KEY, (1, 3))
    assert set(found.tensors) == {"embedding", "stage_1", "stage_3"}
    assert torch.equal(found.stage(3), rounded(features).stage(3))


def test_reading_an_entry_notes_its_use_and_not_a_change(store):
    store.put(KEY, some_features())
    path = store.path(KEY)
    os.utime(path, (1000, 2000))
    store.get(KEY)
    assert path.stat().st_atime > 1_000_000
    assert path.stat().st_mtime == 2000


def test_a_full_disk_ends_the_work_and_names_what_helps(store, monkeypatch):
    def refuse(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tensor_files, "save_file", refuse)
    with pytest.raises(PromiseError, match=r"cannot write.*promise features prune removes.*--store-precision int8"):
        store.put(KEY, some_features())
