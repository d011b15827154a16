"""The trust scores of a new model, in the summary of a training."""

from types import SimpleNamespace

import pytest

from promise_seg.workflows.run_summary import trust_lines


def learned(*, why_constant="", why_uncertain="", correlation=0.634, line=None):
    nothing = SimpleNamespace(false_alarms=1, images_without_object=6, misses=2, images_with_object=34)
    quality = SimpleNamespace(rank_correlation=correlation, images=40, nothing_here=nothing)
    calibration = SimpleNamespace(
        quality=quality, line=SimpleNamespace(mean=0.71), empty_detection=SimpleNamespace(line=line)
    )
    return SimpleNamespace(calibration=calibration, why_constant=why_constant, why_uncertain=why_uncertain)


@pytest.mark.parametrize(
    ("values", "lines"),
    [
        ({}, ["trust: rank correlation with Dice 0.63, cross-validated on 40 val images"]),
        ({"correlation": None}, ["trust: rank correlation with Dice none, "]),
        ({"why_constant": "of it"}, ["trust is 0.710, the mean Dice of the val rows, for every image, because of it"]),
        ({"why_uncertain": "few images"}, ["trust: ", "warning: few images"]),
        (
            {"line": object()},
            ["trust: ", "images without an object: not recognised in 1 of 6; an object overlooked in 2 of 34 "],
        ),
    ],
)
def test_it_is_said_in_few_lines(values, lines):
    for line, start in zip(trust_lines(learned(**values)), lines, strict=True):
        assert line.startswith(start)
