"""Notes in reports about rows that a model is scored on: whether they were scored before, or known from training."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from promise_seg.assessment.summary import SeenInTraining, TestLooks
from promise_seg.assessment.test_log import logged_test
from promise_seg.dataset.checks import CheckedRow
from promise_seg.errors import PromiseError
from promise_seg.learning.run_note import SETTINGS_FILE
from promise_seg.learning.training_images import TRAINING_IMAGES_FILE
from promise_seg.model import PromiseModel
from promise_seg.vocabulary import Split
from promise_seg.workflows.model_ref import ModelPart

Note = Callable[[str], object]
"""Called with each line that the user should know."""


def no_note(words: str) -> None:
    """Discard a note."""


@contextmanager
def logged_look(
    part: ModelPart, model: PromiseModel, rows: Sequence[CheckedRow], facts: dict[str, Any]
) -> Iterator[tuple[TestLooks | None, list[str]]]:
    """Log a look at test rows next to a trained model, and note if another model there was scored on them before.

    The caller writes its results within this context. Rows of other splits, and models without a folder of their own,
    are not logged.

    Args:
        part: the place of the model.
        model: the model that was scored.
        rows: the rows that it was scored on.
        facts: facts about this look.

    Yields:
        The record for the summary, ``None`` if nothing was logged, and notes for the user.
    """
    test = [row for row in rows if row.row.split == Split.TEST]
    looks, notes = None, list[str]()
    with ExitStack() as logged:
        if test and part.run_folder is not None:
            try:
                looks = logged.enter_context(logged_test(part.run_folder, model.sha256(), test, facts))
            except PromiseError as error:
                notes.append(f"this look at test rows could not be noted: {error}")
            else:
                notes += [note for note in (looks.note, looks.damage_note, looks.beside_note) if note]
        yield looks, notes


def seen_images(part: ModelPart, rows: Sequence[CheckedRow]) -> tuple[SeenInTraining | None, list[str]]:
    """Count the images that a model knows from its training.

    Returns:
        The record for the summary, ``None`` for a model without records of its training, and notes for the user.

    Raises:
        CheckpointError: if those records are damaged.
    """
    images = part.training_images()
    if images is None:
        return None, _unknown_training(part)
    seen = images.seen(rows).for_summary()
    return seen, [seen.note] if seen.note else []


def _unknown_training(part: ModelPart) -> list[str]:
    """Return a note that the training images of a run are not known; empty for a model outside a run."""
    folder = part.run_folder
    if folder is None or not (folder / SETTINGS_FILE).exists():
        return []
    return [
        f"{folder / TRAINING_IMAGES_FILE}: is missing, as in runs of early versions, so it is not known whether the "
        "model learned from any of these images"
    ]
