"""The training process, ``python -m promise_seg.annotator.learner ROUND``: train a model and compare it with the
model in use.

Each line of output is JSON: progress, a note, or the error that ended the process. The process ends when its standard
input is closed, so it never outlives the server. Finished epochs are kept, and the same command resumes.
"""

import _thread
import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from promise_seg.annotator.comparing import edited_rows, held_out_dice
from promise_seg.annotator.rounds import HELD_OUT, TRAIN, HeldOutScores, Round
from promise_seg.annotator.segmenter import models_of
from promise_seg.arrays import BoolArray, Float64Array
from promise_seg.dataset.dataset import Dataset
from promise_seg.errors import PromiseError
from promise_seg.features.store import FeatureStore
from promise_seg.sam.loading import NANO
from promise_seg.workflows.model_ref import BARE
from promise_seg.workflows.models import load
from promise_seg.workflows.training import train

_PATIENCE_SECONDS = 30.0
"""The longest wait for the end of a training step, in seconds, before the process exits."""
_POLITE = 10
"""The niceness that is added to the process, so that it gives way to the page."""
Say = Callable[[dict[str, Any]], None]


def learn(work: Round, say: Say) -> HeldOutScores:
    """Train on the images of a round, or resume its training, and compare the new model with the one before.

    Raises:
        PromiseError: if training or scoring fails.
    """
    job = work.job()

    def progress(stage: str, done: int, total: int, note: str = "") -> None:
        say({"stage": stage, "done": done, "total": total, "note": note})

    progress("loading", 0, 1)
    starts = None if job.model == BARE else job.model
    before = load(
        job.model, sam=job.sam, device=job.device, image_size=job.image_size if starts is None else None,
        always_segment=job.always_segment,
    )  # fmt: skip
    reading = before.reading.without_masks
    store = FeatureStore(None if job.store is None else Path(job.store))
    data = Dataset.from_csv(
        work.folder / TRAIN, classes=job.classes, instances=job.instances, like=reading, progress=progress
    )
    after = train(
        data, work.run, init=starts, sam=(job.sam or NANO) if starts is None else before.sam,
        image_size=job.image_size if starts is None else None, device=job.device, store=store, progress=progress,
        note=lambda words: say({"say": words}), **job.options,
    )  # fmt: skip
    for one in models_of(after).values():
        one.model.always_segments = job.always_segment
    rows = Dataset.from_csv(
        work.folder / HELD_OUT, classes=job.classes, instances=job.instances, like=reading, progress=progress
    )
    old, new = (
        held_out_dice(model, rows, job.labels, store, progress, f"comparing, {name}")
        for model, name in ((before, "the old model"), (after, "the new model"))
    )
    edited = None if job.edited is None else edited_rows(rows, job.edited, work.folder)
    images, trained = len({row.row.image for row in rows}), len(data.train)
    found = HeldOutScores(
        float(old.mean()), float(new.mean()), images, len(rows.groups), trained, job.images, len(rows),
        None if edited is None else int(edited.sum()), _mean_of(old, edited), _mean_of(new, edited),
    )  # fmt: skip
    work.write_result(found)
    return found


def _mean_of(dice: Float64Array, edited: BoolArray | None) -> float | None:
    """Return the mean Dice (classes, rows) over the edited rows; ``None`` if there are none."""
    return float(dice[:, edited].mean()) if edited is not None and edited.any() else None


def _end_with_the_server() -> None:
    sys.stdin.buffer.read()
    threading.Timer(_PATIENCE_SECONDS, os._exit, (130,)).start()
    _thread.interrupt_main()


def main(folder: str) -> int:
    """Run the round in a folder, and return the exit code: 0, 2 after an error, 130 if it was interrupted."""
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # output of libraries goes to the log, because it is not progress

    def say(value: dict[str, Any]) -> None:
        print(json.dumps(value), file=lines, flush=True)

    with contextlib.suppress(AttributeError, OSError):
        os.nice(_POLITE)
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    try:
        learn(Round(Path(folder)), say)
    except PromiseError as error:
        say({"error": str(error)})
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the server is gone
        return 130
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1])
    sys.stdout.flush()
    os._exit(code)  # otherwise, the thread that reads standard input would keep the process alive
