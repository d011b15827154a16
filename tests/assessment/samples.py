"""What an evaluation is of, and its summary, for tests that need some."""

import json
from pathlib import Path
from typing import Any

from promise_seg.assessment.summary import EvaluationSummary, Subject

STORED = Path(__file__).parent / "summaries"
"""Summaries as they were written before they had a type: formats must stay as they are there."""


def stored(name: str) -> dict[str, Any]:
    """One of the stored summaries."""
    return json.loads((STORED / f"{name}.json").read_text(encoding="utf-8"))


def subject(**changes: Any) -> Subject:
    """A model on all rows of a manifest."""
    values = {
        "model": "runs/first", "variant": "apm", "sam": "tiny", "image_size": 32, "model_sha256": "0", "data": "my.csv",
        "split": "all", "reading": {"window": "own"},
    }  # fmt: skip
    return Subject.model_validate(values | changes)


def summary(**changes: Any) -> EvaluationSummary:
    """A whole summary, as promise evaluate writes it."""
    return EvaluationSummary.model_validate(stored("own_points") | changes)
