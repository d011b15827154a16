"""The CPU time for training the models of a benchmark, and for encoding their views."""

import time
from pathlib import Path
from typing import TypedDict

from promise_seg.dataset.checks import CheckedRow
from promise_seg.inference.encoding import Sample, encode_images
from promise_seg.learning.run_log import LOG_FILE, read_log
from promise_seg.learning.settings import TrainSettings
from promise_seg.sam.backbone import Backbone
from promise_seg.storage.sealed import read_sealed, write_sealed
from promise_seg.vocabulary import Recipe, Split

ENCODING_FILE = "encoding.json"
_TIMED = 8


class EncodingCost(TypedDict):
    """The CPU time for encoding one view, averaged over a few timed views."""

    timed_views: int
    cpu_seconds_per_view: float


def log_of(folder: Path) -> list[dict[str, float]]:
    """Return the log entries of a run, one for each epoch; empty if the run has not started.

    Raises:
        CheckpointError: if the log is damaged.
    """
    return read_log(folder / LOG_FILE)


def training_seconds(folder: Path) -> float:
    """Return the CPU seconds of all epochs of a run, without encoding."""
    return float(sum(line.get("cpu_seconds", 0.0) for line in log_of(folder)))


def encoding_cost(folder: Path, sam: Backbone, rows: list[CheckedRow], settings: TrainSettings) -> EncodingCost:
    """Measure the CPU time to encode one view, once for a data set and SAM, without the feature store.

    Args:
        folder: the folder of the data set and SAM, where the result is saved.
        sam: the SAM that encodes.
        rows: rows of the data set; the first few are encoded.
        settings: the settings, which define how images become squares.
    """
    path = folder / ENCODING_FILE
    if (known := known_encoding_cost(folder)) is not None:
        return known
    images = [Sample.of(row, sam, settings.fit).image() for row in rows[: _TIMED + 1]]
    encode_images(sam, images[:1])  # warm up, because the first run is slower
    started = time.process_time()
    encode_images(sam, images[1:] or images)
    views = max(1, len(images) - 1)
    found = EncodingCost(timed_views=views, cpu_seconds_per_view=round((time.process_time() - started) / views, 5))
    write_sealed(path, dict(found))
    return found


def known_encoding_cost(folder: Path) -> EncodingCost | None:
    """Return the cost that was measured before; ``None`` if it was not measured, or cannot be read."""
    try:
        found = read_sealed(folder / ENCODING_FILE)
        return EncodingCost(
            timed_views=int(found["timed_views"]), cpu_seconds_per_view=float(found["cpu_seconds_per_view"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def views_of(rows: list[CheckedRow], settings: TrainSettings) -> int:
    """Return the number of views that are encoded before a run: one per val image, one or more per train image."""
    train = sum(row.row.split == Split.TRAIN for row in rows)
    val = sum(row.row.split == Split.VAL for row in rows)
    different = min(1, settings.views) if settings.augmentation == Recipe.NONE else settings.views
    return train * different + val
