"""The command that a training ends with."""

from pathlib import Path

import pytest

from promise_seg.cli.next_command import after_training
from promise_seg.vocabulary import Protocol, Variant


@pytest.mark.parametrize(
    ("variant", "protocol", "has_test", "separates", "expected"),
    [
        ("apm+ips", "own", True, True, "promise evaluate runs/a 'my data.csv' -o runs/a/test"),
        ("ips", "own", True, False, "promise evaluate runs/a 'my data.csv' --prompts oracle -o runs/a/test"),
        ("apm", "reference", True, False, "promise evaluate runs/a 'my data.csv' --protocol reference -o runs/a/test"),
        ("apm", "own", False, False, "promise predict runs/a NEW_IMAGES -o OUTPUT"),
        ("apm", "own", False, True, "promise predict runs/a NEW_IMAGES --instances -o OUTPUT"),
        ("ips", "own", False, False, "promise annotate runs/a NEW_IMAGES -o OUTPUT"),
    ],
)
def test_it_fits_the_model_and_the_rows(variant, protocol, has_test, separates, expected):
    found = after_training(
        Path("runs/a"), Path("my data.csv"), Variant(variant), Protocol(protocol), has_test=has_test,
        separates=separates,
    )  # fmt: skip
    assert found == expected
