"""SAM 2.1 gives the outputs of the official code with stand-in weights, from an official file to masks."""

import importlib.util
import json

import numpy as np
import pytest
import torch

from promise_seg.sam.frozen_sam2 import FINE, FINEST
from promise_seg.sam.loading import load_sam
from promise_seg.sam.prompts import Prompts
from tests.conftest import SHARED

pytestmark = pytest.mark.slow

SIZES = sorted(path.stem for path in (SHARED / "golden").glob("sam2.1_hiera_*.npz")) or ["sam2.1_hiera_t"]
CASES = ["point1", "points3", "points16", "box", "box_points", "points3_mask"]
SINGLE = ["point1_single", "box_single"]


@pytest.fixture(scope="module")
def fill(golden):
    spec = importlib.util.spec_from_file_location("fill_sam2", golden / "fill_sam2.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=SIZES)
def expected(request, golden):
    with np.load(golden / f"{request.param}.npz") as arrays:
        return {"name": request.param, **arrays}


@pytest.fixture(scope="module")
def encoded(expected, golden, fill, tmp_path_factory):
    """The SAM from a file as the official code saves it, and its features of the golden picture."""
    shapes = json.loads((golden / f"{expected['name']}.json").read_text())
    assert fill.checksum(shapes) == expected["fill_crc32"]
    path = tmp_path_factory.mktemp("official") / "sam2.1.pt"
    torch.save({"model": {name: torch.from_numpy(fill.fill(name, tuple(s))) for name, s in shapes.items()}}, path)
    sam = load_sam(str(path))
    path.unlink()
    return sam, sam.encode(torch.from_numpy(fill.image())[None])


def close(found, wanted, atol):
    np.testing.assert_allclose(found.numpy(), wanted, atol=atol, rtol=0)


def test_the_features(encoded, expected):
    _, features = encoded
    close(features.embedding[0, :, ::4, ::4], expected["embedding"], 1e-3)
    close(features.tensors[FINEST][0, :, ::8, ::8], expected["high_res_s0"], 1e-3)
    close(features.tensors[FINE][0, :, ::8, ::8], expected["high_res_s1"], 1e-3)


def prompts_of(expected, case) -> Prompts:
    def part(name, kind=torch.float32):
        values = expected.get(f"{case}_{name}")
        return None if values is None else torch.from_numpy(np.asarray(values)).to(kind)[None, None]

    mask = torch.from_numpy(expected["point1_low_res_first"]).float()[None, None] if case.endswith("_mask") else None
    return Prompts(
        points_xy_model=part("points"),
        point_labels=part("labels", torch.long),
        boxes_xyxy_model=part("box"),
        mask_logits=mask,
    )


@pytest.mark.parametrize("case", CASES)
def test_the_masks(encoded, expected, case):
    sam, features = encoded
    found = sam.decode(features, prompts_of(expected, case))
    close(found.mask_logits[0, 0, :, ::4, ::4], expected[f"{case}_low_res"], 2e-3)
    close(found.mask_logits[0, 0, 0], expected[f"{case}_low_res_first"].astype(np.float32), 2e-2)  # stored in half
    close(found.iou[0, 0], expected[f"{case}_iou"], 1e-4)
    close(found.object_logits[0], expected[f"{case}_object_score"], 5e-4)


@pytest.mark.parametrize("case", SINGLE)
def test_the_single_mask_is_never_exchanged_by_its_stability(encoded, expected, case):
    sam, features = encoded
    found = sam.decode(features, prompts_of(expected, case), multimask=False)
    close(found.mask_logits[0, 0, :, ::4, ::4], expected[f"{case}_plain_low_res"], 2e-3)
    close(found.iou[0, 0], expected[f"{case}_plain_iou"], 1e-4)
