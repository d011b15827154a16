"""Models of the published kinds give the numbers in published.json, on any machine and from nothing but this clone."""

import json

import numpy as np
import pytest

from promise_seg.compat.reference import load_reference
from tests.golden.make import FILE, KINDS, in_model_frame, outputs, published_file

IN_IMAGE_FRAME = {"mask_probs": 2e-3, "predicted_iou": 2e-3}
"""Features are rounded to half precision on the way there, to either side where the last bits of a float differ."""


def compare(found, expected):
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        atol = IN_IMAGE_FRAME.get(name, 1e-4)
        np.testing.assert_allclose(found[name], values, atol=atol, rtol=1e-4, err_msg=name)


@pytest.fixture(scope="module")
def golden_numbers():
    return json.loads(FILE.read_text(encoding="utf-8"))


def test_it_holds_every_kind_and_stays_small(golden_numbers):
    assert golden_numbers.keys() == KINDS.keys()
    assert FILE.stat().st_size < 16_000


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_published_model_gives_the_golden_numbers(kind, golden_numbers):
    compare(outputs(kind), golden_numbers[kind])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "part", "seen_in"),
    [
        ("apm-resnet", "apm.resnet.conv1", "points_xy"),
        ("apm-resnet", "apm.feature_map", "points_xy"),
        ("apm-cross", "apm.cross.layers.2", "points_xy"),
        ("apm-cross", "apm.prompt", "points_xy"),
        ("ips", "ips.lin1", "mask_logits"),
        ("ips", "ips.lin2", "iou"),
        ("ips", "sam.model.mask_decoder.upscale_conv1", "mask_logits"),
        ("ips", "sam.model.vision_encoder.layers.0.attn", "embedding"),
    ],
)
def test_the_golden_numbers_see_a_change_of_one_percent_in_any_part(kind, part, seen_in, golden_numbers):
    with published_file(kind) as path:
        model = load_reference(path)
    changed = 0
    for name, value in model.state_dict().items():
        if name.startswith(part) and value.is_floating_point() and value.ndim > 1:
            value.mul_(1.01)
            changed += 1
    assert changed
    found = np.asarray(in_model_frame(model)[seen_in], np.float64)
    with pytest.raises(AssertionError):
        compare({seen_in: found}, {seen_in: golden_numbers[kind][seen_in]})
