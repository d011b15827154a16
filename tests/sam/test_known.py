import re

import pytest
import torch

from promise_seg.errors import CheckpointError, SettingsError
from promise_seg.sam import sam2_official
from promise_seg.sam.known import KNOWN_SAMS, fetched, known_sam, sam_path
from promise_seg.sam.loading import load_sam
from promise_seg.sam.official import official_state
from promise_seg.sam.sam2_official import official_sam2_state
from tests.sam.tiny import TINY_HIERA, tiny_sam2


@pytest.mark.parametrize("name", KNOWN_SAMS)
def test_each_is_fully_described(name):
    sam = known_sam(name)
    assert (sam.sha256 is None) == (sam.size is None)
    if sam.sha256 is not None:
        assert re.fullmatch(r"[0-9a-f]{64}", sam.sha256)
        assert sam.size > 1e8
    assert sam.url.startswith("https://")
    assert sam.url.endswith(sam.file_name)
    assert sam.licence


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(CheckpointError, match="expected one of sam_vit_b"):
        known_sam("sam_vit_x")


def test_one_that_was_not_fetched_says_how():
    with pytest.raises(CheckpointError, match="promise sam fetch sam_vit_l"):
        fetched("sam_vit_l")
    with pytest.raises(CheckpointError, match="promise sam fetch sam_vit_l"):
        load_sam("sam_vit_l")


def test_one_that_was_fetched_loads_by_name(tiny_sam):
    path = sam_path("medsam_vit_b")
    path.parent.mkdir(parents=True)
    torch.save(official_state(tiny_sam.model), path)
    assert load_sam("medsam_vit_b").sha256 == tiny_sam.sha256


@pytest.fixture
def medsam2(tmp_path, monkeypatch):
    """The file of a SAM 2 that is called as those of MedSAM2 are."""
    monkeypatch.setattr(sam2_official, "HIERA_SIZES", (TINY_HIERA,))
    path = tmp_path / "MedSAM2_latest.pt"
    torch.save({"model": official_sam2_state(tiny_sam2())}, path)
    return path


@pytest.mark.parametrize("size", [None, 512])
def test_medsam2_is_used_at_the_size_that_it_was_trained_at(medsam2, size):
    sam = load_sam(str(medsam2), image_size=size)
    assert (sam.image_size, sam.trained_at) == (512, 512)
    assert sam.notes[-1].startswith("used at 512 px")


@pytest.mark.parametrize("size", [1024, 256])
def test_medsam2_at_another_size_is_refused(medsam2, size):
    with pytest.raises(SettingsError, match=rf"--image-size {size}: .*trained at 512 px .*Give --image-size 512"):
        load_sam(str(medsam2), image_size=size)


def test_medsam2_that_was_fetched_loads_by_name(medsam2):
    path = sam_path("medsam2")
    path.parent.mkdir(parents=True)
    medsam2.rename(path)
    assert load_sam("medsam2").image_size == 512
