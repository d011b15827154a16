"""Notes about rows that a model is scored on: peeks at test rows, and images known from training."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from promise_seg.cli.common import BARE, console
from promise_seg.errors import PromiseError

if TYPE_CHECKING:
    from promise_seg.assessment.summary import SeenInTraining, TestPeeks
    from promise_seg.dataset.checks import CheckedRow
    from promise_seg.model import PromiseModel


def note_test_look(
    run: str, model: "PromiseModel", checked: "Sequence[CheckedRow]", facts: dict[str, object]
) -> "TestPeeks | None":
    """Log a peek at test rows next to a trained model, and report if another model from there was scored on them.

    Rows of other splits, and models without a folder of their own, are not logged: then ``None`` is returned.
    """
    from promise_seg.assessment.test_log import log_test
    from promise_seg.checkpoint import find_checkpoint, is_reference_file, run_folder
    from promise_seg.vocabulary import Split

    test = [row for row in checked if row.row.split == Split.TEST]
    if not test or run == BARE or is_reference_file(run):
        return None
    try:
        peeks = log_test(run_folder(find_checkpoint(run)), model.sha256(), test, facts)
    except PromiseError as error:
        console.print(f"warning: this look at test rows could not be noted: {error}", markup=False)
        return None
    for words in (peeks.note, peeks.beside_note):
        if words:
            console.print(f"note: {words}", markup=False)
    return peeks


def note_seen_images(run: str, checked: "Sequence[CheckedRow]") -> "SeenInTraining | None":
    """Report how many images a model knows from its training; ``None`` for a model without a training record.

    Raises:
        CheckpointError: if those are damaged.
    """
    from promise_seg.checkpoint import find_checkpoint, is_reference_file, run_folder
    from promise_seg.learning.training_images import read_training_images

    images = None
    if run != BARE and not is_reference_file(run):
        images = read_training_images(run_folder(find_checkpoint(run)))
    if images is None:
        return None
    seen = images.seen(checked).for_summary()
    if seen.note:
        console.print(f"note: {seen.note}", markup=False)
    return seen
