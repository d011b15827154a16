import errno
import os
from dataclasses import replace

import pytest
import torch

from promise_seg import tensor_files
from promise_seg.augmentation import View
from promise_seg.errors import PromiseError
from promise_seg.features import store as store_module
from promise_seg.features.store import FeatureKey, FeatureStore, default_store_folder, rounded
from promise_seg.sam.features import Features
from promise_seg.tensor_files import load_tensors
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
        "SHA-256 is another). The disk or a copy damaged it: restore it from another copy, or make it again"
    ]
    store.put(KEY, some_features())
    assert store.get(KEY) is not None


def test_an_entry_is_compared_with_its_hash_once_unless_its_file_changes(store, monkeypatch):
    checks = []

    def load(path, *, check):
        checks.append(check)
        return load_tensors(path, check=check)

    monkeypatch.setattr(store_module, "load_tensors", load)
    store.put(KEY, some_features())
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


def test_a_full_disk_ends_the_work(store, monkeypatch):
    def refuse(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tensor_files, "save_file", refuse)
    with pytest.raises(PromiseError, match="No space left on device"):
        store.put(KEY, some_features())


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
