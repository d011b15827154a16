import re

import pytest
import torch

from promise_seg.errors import CheckpointError
from promise_seg.sam.known import KNOWN_SAMS, fetched, known_sam, sam_path
from promise_seg.sam.loading import load_sam
from promise_seg.sam.official import official_state


@pytest.mark.parametrize("name", KNOWN_SAMS)
def test_each_is_fully_described(name):
    sam = known_sam(name)
    assert re.fullmatch(r"[0-9a-f]{64}", sam.sha256)
    assert sam.size > 3e8
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
