"""Archives that hold an image and its mask."""

import numpy as np
import pytest

from promise_seg.curation.pairing.folders import pair_folder
from promise_seg.errors import ManifestError
from promise_seg.vocabulary import Split


def save(path, **arrays):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{name: np.zeros((5, 6)) for name in arrays or {"image": 1, "label": 1}})


def test_each_is_its_own_mask_and_folders_tell_the_split(tmp_path):
    for name in ("train_npz/case0005_slice000", "train_npz/case0005_slice001", "test_npz/case0008_slice000"):
        save(tmp_path / f"{name}.npz")
    save(tmp_path / "test_npz/alone.npz", image=1)
    found = pair_folder(tmp_path)
    assert [(pair.image == pair.mask, pair.split) for pair in found.pairs] == [
        (True, Split.TEST), (True, Split.TRAIN), (True, Split.TRAIN)
    ]  # fmt: skip
    assert found.remarks() == ["1 image(s) without mask: test_npz/alone.npz"]


def test_images_and_masks_in_files_of_their_own_are_paired_as_ever(tmp_path):
    save(tmp_path / "images/a.npz", data=1)
    save(tmp_path / "masks/a.npz", data=1)
    (pair,) = pair_folder(tmp_path).pairs
    assert (pair.image, pair.mask) == (tmp_path / "images/a.npz", tmp_path / "masks/a.npz")


def test_damaged_archives_are_not_paired(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"PK\3\4 nothing else")
    with pytest.raises(ManifestError, match="no image could be paired"):
        pair_folder(tmp_path)
