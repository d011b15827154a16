"""Fixtures: files as the published code would save them."""

import pytest
import torch

from promise_seg.vocabulary import ApmKind, Variant
from tests.helpers import reference_state_of


@pytest.fixture
def written(tiny_sam, tmp_path):
    def write(variant=Variant.APM_IPS, apm=ApmKind.RESNET, change=lambda state: state):
        path = tmp_path / "reference.pt"
        torch.save(change(reference_state_of(tiny_sam, variant, apm)), path)
        return path

    return write
