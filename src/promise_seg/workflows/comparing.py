"""Compare evaluations of the same images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promise_seg.arguments import checks_arguments
from promise_seg.assessment.comparing import Comparison, read_scored, volumes_match
from promise_seg.assessment.comparing import compare as compare_scored
from promise_seg.errors import SettingsError
from promise_seg.quantities import count_in_words
from promise_seg.storage.files import check_file_writable, write_json
from promise_seg.vocabulary import PromptSource
from promise_seg.workflows.choices import chosen
from promise_seg.workflows.evaluation_result import Evaluation
from promise_seg.workflows.tables import pandas

_FEWEST_GROUPS = 6
"""With fewer groups, Wilcoxon's test cannot be significant, whatever the differences."""


@dataclass(frozen=True)
class Comparisons:
    """The comparison of every two evaluations in every measure.

    Args:
        pairs: the comparison of each pair in each measure.
        images, groups: the numbers of images and of groups; groups are the units that are resampled and tested.
        notes: remarks on the comparisons, a line each.
        volumes: the number of volumes that were compared too; 0 if there are none.
    """

    pairs: tuple[Comparison, ...]
    images: int
    groups: int
    notes: tuple[str, ...]
    volumes: int = 0

    def records(self) -> list[dict[str, Any]]:
        """Return a row for each pair and measure."""
        return [pair.as_json() for pair in self.pairs]

    def to_pandas(self) -> Any:
        """Return :meth:`records` as a ``pandas.DataFrame``.

        Raises:
            SettingsError: if pandas is not installed.
        """
        return pandas().DataFrame.from_records(self.records())


@checks_arguments("runs", "measure", "output", "seed")
def compare(
    runs: Sequence[str | Path | Evaluation],
    *,
    measure: Sequence[str] = ("dice", "iou"),
    prompts: str | None = None,
    output: str | Path | None = None,
    seed: int = 0,
) -> Comparisons:
    """Compare evaluations of the same images, image by image: differences, confidence intervals and significance.

    If the images are slices, their volumes are compared too, in the measures that exist for volumes.

    Args:
        runs: the evaluations, or what :func:`promise_seg.evaluate` wrote: its output folders, or ``scores_*.csv`` files
            in them.
        measure: the measures to compare.
        prompts: the source of prompts whose evaluation is taken, if a folder holds several.
        output: a JSON file for the result; by default nothing is written.
        seed: seed of the intervals.

    Raises:
        SettingsError: if there is no such evaluation, or the evaluations are of different images.
    """
    if prompts is not None:
        prompts = chosen(PromptSource, prompts, "--prompts")
    scored = [read_scored(_place(run), prompts) for run in runs]
    if output is not None:
        check_file_writable(output, [path for run in scored for path in run.files])
    found = compare_scored(scored, list(measure), seed)
    groups = len(set(scored[0].groups.values()))
    notes = []
    if len({run.summary.prompts_read_the_ground_truth for run in scored}) > 1:
        notes.append("some of these prompts were made from the ground truth, others not")
    if groups < _FEWEST_GROUPS:
        notes.append(f"{count_in_words(groups, 'group')}: too few for Wilcoxon's test to find anything")
    whole = scored[0].volumes if volumes_match(scored) else None
    if whole is None and any(run.volumes is not None for run in scored):
        notes.append("volumes are not compared, as not all evaluations have scores of the same ones: evaluate again")
    volumes = 0 if whole is None else len(whole.values)
    if whole is not None and (few := len(set(whole.groups.values()))) < _FEWEST_GROUPS <= groups:
        notes.append(f"volumes are in {count_in_words(few, 'group')}: too few for Wilcoxon's test to find anything")
    notes += [one.contradiction for one in found if one.contradiction]
    comparisons = Comparisons(tuple(found), len(scored[0].images), groups, tuple(notes), volumes)
    if output is not None:
        write_json(Path(output), comparisons.records())
    return comparisons


def _place(run: str | Path | Evaluation) -> str | Path:
    if not isinstance(run, Evaluation):
        return run
    if not run.files:
        raise SettingsError(
            f"{run.name}: this evaluation was not written; give evaluate an output folder to compare it"
        )
    return run.files[0]
