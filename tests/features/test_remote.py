"""A store on an object store holds what one in a folder holds, and several computers may write it at once."""

import pytest
import torch

from promise_seg.errors import PromiseError, SettingsError
from promise_seg.features.precision import rounded
from promise_seg.features.remote import RemoteFeatureStore, folder_of_copies, open_store
from promise_seg.features.store import FeatureKey, FeatureStore
from promise_seg.sam.features import Features
from promise_seg.vocabulary import Fit, StorePrecision
from tests.features.test_store import KEY, some_features


@pytest.fixture
def address(request):
    return f"memory://{request.node.originalname}/store"


@pytest.fixture
def computer(tmp_path, monkeypatch, address):
    """Open the store as on another computer: with copies of its own."""

    def opened(name, precision=StorePrecision.FP16):
        monkeypatch.setenv("PROMISE_SEG_COPIES", str(tmp_path / name))
        return RemoteFeatureStore(address, precision)

    return opened


def test_what_one_computer_puts_another_gets(computer, tmp_path):
    features, here, there = some_features(), computer("here"), computer("there")
    assert not there.has(KEY)
    assert there.get(KEY) is None
    here.put(KEY, features)
    for store in (there, here, computer("third")):
        assert store.has(KEY)
        assert store.get(KEY).tensors.keys() == features.tensors.keys()
        for name, tensor in rounded(features).tensors.items():
            assert torch.equal(store.get(KEY).tensors[name], tensor)
    folder = FeatureStore(tmp_path / "folder")
    folder.put(KEY, features)
    assert here.objects.read(f"{folder.path(KEY).parent.name}/{folder.path(KEY).name}") == folder.path(KEY).read_bytes()


def test_what_is_there_is_read_once(computer, monkeypatch):
    computer("here").put(KEY, some_features())
    there = computer("there")
    assert there.get(KEY) is not None
    monkeypatch.setattr(there.objects, "read", None)
    assert there.get(KEY) is not None
    assert there.has(KEY)


def test_an_object_that_was_just_missing_is_not_asked_for_again(computer, monkeypatch):
    store, syncs = computer("here"), []
    asked, read = [], store.objects.read
    monkeypatch.setattr(store.objects, "read", lambda name, end=None: asked.append(name) or read(name, end))
    assert not store.has(KEY)
    store.put(KEY, some_features())
    assert len(asked) == 1
    monkeypatch.setattr("promise_seg.storage.files.os.fsync", syncs.append)
    there = computer("there")
    assert there.get(KEY) is not None
    assert syncs == []  # a copy that a power cut takes is made again


def test_a_copy_alone_does_not_count(computer):
    """As of a process that was killed before its copy was put."""
    store = computer("here")
    FeatureStore(store.folder).put(KEY, some_features())
    assert not store.has(KEY)
    store.put(KEY, some_features())
    assert computer("there").has(KEY)


def test_a_writer_that_is_slower_loses_nothing(computer):
    features = some_features()
    first, second = computer("first"), computer("second")
    assert not second.has(KEY)  # both have looked, and now both write other stages
    assert not first.has(KEY)
    write, only = first.objects.write, []

    def late(name, content, *, only_new=False):
        if not only:
            only.append(only_new)
            second.put(KEY, features.with_stages([1]))
        return write(name, content, only_new=only_new)

    first.objects.write = late
    first.put(KEY, features.with_stages([0]))
    assert only == [True]
    assert computer("third").has(KEY, [0, 1])
    second.put(KEY, features.with_stages([2]))
    assert computer("fourth").has(KEY, [0, 1, 2])


def test_stages_that_are_added_elsewhere_are_fetched(computer):
    features = some_features()
    here, there = computer("here"), computer("there")
    here.put(KEY, features.with_stages([0]))
    assert there.get(KEY, [0]) is not None
    assert there.get(KEY, [1]) is None
    computer("third").put(KEY, features.with_stages([1]))
    assert computer("there").get(KEY, [0, 1]) is not None


def test_a_damaged_object_is_made_anew(computer, caplog):
    here = computer("here")
    here.put(KEY, some_features())
    name = next(iter(here._names))
    content = bytearray(here.objects.read(name))
    content[-1] ^= 1
    here.objects.write(name, bytes(content))
    there = computer("there")
    assert there.get(KEY) is None
    assert "damaged, so the image is encoded anew" in caplog.text
    there.put(KEY, some_features())
    assert computer("third").get(KEY) is not None


def test_objects_that_are_no_entries_count_as_missing(computer):
    store = computer("here")
    path = store.path(KEY)
    for content in (b"", b"short", b"\xff" * 20, (20).to_bytes(8, "little") + b"{no json"):
        store.objects.write(f"{path.parent.name}/{path.name}", content)
        assert not computer("there").has(KEY)
        assert computer("there").get(KEY) is None


def test_long_headers_are_read_whole(computer):
    features = Features({f"part_{number}": torch.zeros(1, 2) for number in range(200)})
    key = FeatureKey("c" * 64, Fit.STRETCH, 128, KEY.view, "b" * 64)
    computer("here").put(key, features)
    assert len(computer("there").get(key, ()).tensors) == 200


def test_other_precisions(computer):
    computer("here").put(KEY, some_features())
    assert computer("there", StorePrecision.INT8).get(KEY) is not None  # that of half precision, rounded
    store = computer("third", StorePrecision.INT8)
    store.put(KEY, some_features())
    assert computer("fourth", StorePrecision.INT8).has(KEY)


def test_the_server_s_end_is_said_when_it_matters(computer, monkeypatch):
    store = computer("here")
    store.objects._pause = lambda seconds: None
    put = store.objects._system.pipe_file

    def lost(*arguments, **more):
        raise ConnectionError("connection refused")

    monkeypatch.setattr(store.objects._system, "pipe_file", lost)
    with pytest.raises(PromiseError, match="the server did not answer in 9 attempts: connection refused"):
        store.put(KEY, some_features())
    assert not store.has(KEY)
    monkeypatch.setattr(store.objects._system, "pipe_file", put)
    store.put(KEY, some_features())
    assert store.has(KEY)


def test_stores_are_opened_by_what_names_them(address, tmp_path, monkeypatch):
    monkeypatch.setenv("PROMISE_SEG_COPIES", str(tmp_path / "copies"))
    assert isinstance(open_store(address), RemoteFeatureStore)
    assert open_store(address).place == address
    assert open_store(address + "/").folder == folder_of_copies(address)
    assert type(open_store(tmp_path)) is FeatureStore
    with pytest.raises(SettingsError, match="expected an address such as s3://BUCKET/PREFIX"):
        open_store("s3:/bucket")
    monkeypatch.setenv("PROMISE_SEG_STORE", address)
    assert open_store(None).place == address
    with pytest.raises(SettingsError, match=r"expected a folder for this command\. Give --store FOLDER"):
        FeatureStore()
