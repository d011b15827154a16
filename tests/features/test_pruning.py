import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from promise_seg.errors import PromiseError
from promise_seg.features.contents import entries_of, shares_of
from promise_seg.features.pruning import prune
from promise_seg.features.store import IN_USE, FeatureStore
from promise_seg.sam.features import Features
from promise_seg.storage.strays import temporary_name
from tests.features.test_store import KEY, some_features


def fill(store, count):
    """Entries that were last used one after the other, the first one long ago."""
    keys = [replace(KEY, image_sha256=f"{number:064x}") for number in range(count)]
    for number, key in enumerate(keys):
        store.put(key, some_features())
        os.utime(store.path(key), (1000 + number, 500))
    return keys


def test_the_least_recently_used_are_freed_first(store):
    keys = fill(store, 4)
    size = next(entries_of(store.folder)).size
    os.utime(store.path(keys[0]), (5000, 500))
    found = prune(store.folder, 2 * size)
    assert (found.freed, found.kept, found.spared) == (2, 2, 0)
    assert (found.freed_bytes, found.kept_bytes) == (2 * size, 2 * size)
    assert [key in store for key in keys] == [True, False, False, True]


def test_nothing_is_freed_of_a_store_that_is_small_enough_or_not_there(store):
    assert prune(store.folder, 0).kept == 0
    keys = fill(store, 2)
    assert prune(store.folder, 10**9).freed == 0
    assert all(key in store for key in keys)


def test_what_a_training_that_runs_has_used_is_spared(store):
    keys = fill(store, 3)
    with store.in_use():
        FeatureStore(store.folder).get(keys[1])
        store.note_use(keys[2])
        found = prune(store.folder, 0)
        assert (found.freed, found.spared) == (1, 2)
        assert [key in store for key in keys] == [False, True, True]
    assert prune(store.folder, 0).freed == 2
    assert not list(store.folder.glob(".*"))


def test_a_mark_that_is_renewed_still_says_when_the_training_began(store):
    (key,) = fill(store, 1)
    with store.in_use():
        store.note_use(key)
        (mark,) = store.folder.glob(f".*~{IN_USE}")
        os.utime(mark, (2**32, 2**32))  # long after the entry was used
        assert prune(store.folder, 0).spared == 1


def test_the_mark_of_a_killed_training_spares_nothing(store):
    fill(store, 1)
    script = (
        "import sys; from pathlib import Path; from promise_seg.storage.strays import temporary_name; "
        f"(Path(sys.argv[1]) / temporary_name({IN_USE!r})).touch()"
    )
    subprocess.run([sys.executable, "-c", script, str(store.folder)], check=True)
    mark = next(store.folder.glob(f".*~{IN_USE}"))
    os.utime(mark, (0, 0))
    assert prune(store.folder, 0).freed == 1
    assert not mark.exists()


def test_an_entry_that_is_freed_while_it_is_read_leaves_what_was_read_whole(store):
    features = some_features()
    store.put(KEY, features)
    found = store.get(KEY)
    prune(store.folder, 0)
    assert store.get(KEY) is None
    assert torch.equal(found.embedding, store.rounded(features).embedding)


def test_a_store_of_somebody_else_is_said(store, monkeypatch):
    fill(store, 1)

    def refuse(*_args, **_options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.unlink", refuse)
    with pytest.raises(PromiseError, match=r"cannot be removed: Permission denied\. Ask whoever owns the store"):
        prune(store.folder, 0)


def test_a_store_says_what_is_in_it(store):
    features = some_features()
    store.put(KEY, features)
    for number in (1, 2):
        key = replace(KEY, image_sha256=f"{number:064x}")
        FeatureStore(store.folder, "int8").put(key, features.with_stages((1, 3)))
    (store.folder / "ab").mkdir(exist_ok=True)
    (store.folder / "ab" / f"{'ab' * 32}.safetensors").write_bytes(b"no tensors")
    (store.folder / "ab" / temporary_name("x.safetensors")).write_bytes(b"being written")
    found = {(share.kind.precision, share.kind.tensors): share for share in shares_of(store.folder)}
    assert set(found) == {
        ("fp16", ("embedding", "stages")), ("int8", ("embedding", "stage_1", "stage_3")), ("damaged", ())
    }  # fmt: skip
    share = found["int8", ("embedding", "stage_1", "stage_3")]
    assert (share.kind.network, share.kind.side, share.entries) == (KEY.sam_sha256, "128", 2)
    assert sum(one.size for one in found.values()) == sum(entry.size for entry in entries_of(store.folder))


def test_entries_of_earlier_versions_are_counted(store):
    from promise_seg.storage.tensor_files import save_tensors

    save_tensors(store.path(KEY), {"embedding": torch.zeros(2, 2)})
    assert [(share.kind.network, share.kind.precision) for share in shares_of(store.folder)] == [("", "fp16")]
    assert isinstance(store.get(KEY, ()), Features)
