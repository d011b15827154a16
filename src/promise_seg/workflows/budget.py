"""The prompt error budget of models: do prompts or the decoder limit the result, and what does a bad click cost?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from promise_seg.arguments import checks_arguments
from promise_seg.assessment.budget import (
    MAP_ALONE,
    SLICES_APART,
    PromptScores,
    prompt_budget,
    segments_slices_apart,
)
from promise_seg.assessment.budget_plot import draw_budget
from promise_seg.assessment.summary import SeenInTraining, TestLooks
from promise_seg.dataset.dataset import Dataset
from promise_seg.dataset.tiles import is_divided
from promise_seg.errors import SettingsError
from promise_seg.features.store import FeatureStore
from promise_seg.images.tiles import NO_TILE
from promise_seg.model import PromiseModel
from promise_seg.progress import Progress, silent
from promise_seg.quantities import images_in_words
from promise_seg.sam.backbone import Backbone
from promise_seg.storage.files import write_json
from promise_seg.vocabulary import Slices, SplitChoice
from promise_seg.workflows.by_class import ByClass
from promise_seg.workflows.evaluation import as_store, data_name, rows_of_part, rows_to_score
from promise_seg.workflows.first_checks import check_before_scoring
from promise_seg.workflows.model_ref import ModelPart
from promise_seg.workflows.models import ModelLike, OpenModels, open_models
from promise_seg.workflows.noting import logged_look, seen_images
from promise_seg.workflows.outputs import check_output
from promise_seg.workflows.tables import pandas


@dataclass(frozen=True)
class PromptBudget:
    """Dice of one model with prompts of varying quality.

    Args:
        name: what the user calls the model.
        kinds: the kinds of prompts, with the Dice of each image.
        groups: the group of each image, in the order of the Dice values.
        facts: facts about the model and the images for ``budget.json``.
        notes: remarks on the results, a line each.
        files: the files that were written.
    """

    name: str
    kinds: tuple[PromptScores, ...]
    groups: tuple[str, ...]
    facts: dict[str, Any]
    notes: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()

    @property
    def title(self) -> str:
        """The name of the model, with the number of images and their split."""
        return f"{self.name}, {images_in_words(self.facts['images'], self.facts['split'])}"

    def records(self) -> list[dict[str, Any]]:
        """Return a row for each kind of prompts: mean Dice, its interval, and the variation between draws."""
        return [kind.summary(list(self.groups), self.facts["seed"]) for kind in self.kinds]

    def to_pandas(self) -> Any:
        """Return :meth:`records` as a ``pandas.DataFrame``.

        Raises:
            SettingsError: if pandas is not installed.
        """
        return pandas().DataFrame.from_records(self.records())


@checks_arguments("data", "output", "image_size", "seed", "store", "progress")
def budget(
    model: ModelLike | OpenModels,
    data: Dataset | str | Path,
    *,
    output: str | Path | None = None,
    split: str = SplitChoice.VAL,
    sam: Backbone | str | None = None,
    image_size: int | None = None,
    seed: int = 0,
    device: str | torch.device = "auto",
    store: str | Path | FeatureStore | None = None,
    progress: Progress = silent,
) -> PromptBudget | ByClass[PromptBudget]:
    """Measure how Dice depends on prompts: own prompts as they are, jittered and fewer, oracle points, a box, nothing.

    Args:
        model: a model, or the name of one; a set with a model for each class gives a budget for each.
        data: a data set, or its manifest, whose files are then read as they were in training.
        output: folder for ``budget.json`` and ``budget.png``; by default nothing is written.
        split: the rows to use: ``val``, ``test``, ``train`` or ``all``. Test rows are logged in the model's folder.
        sam: the model's SAM, if it is no longer where training found it; for ``bare``, the SAM to use.
        image_size: side of the input of a bare SAM, in pixels.
        seed: seed of draws and jitters.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        store: the feature store, or its folder; by default the user's.
        progress: called for each image.

    Raises:
        SettingsError: if an option is invalid, or an image is large enough to be divided into tiles.
        ManifestError: if there are no such rows, or files of them cannot be read.
        CheckpointError: if the model cannot be loaded.
    """
    kept = as_store(store)
    check_before_scoring(model, data, split=split, output=output, device=device)
    opened = open_models(model, sam=sam, device=device, image_size=image_size)
    rows = rows_to_score(opened, data, split, progress)
    if (large := next((row for row in rows if is_divided(row)), None)) is not None:
        raise SettingsError(
            f"{large.name}: {large.width} x {large.height} pixels, which are seen in tiles: the prompts of whole "
            f"images are compared. Give --tile {NO_TILE}"
        )
    facts = {"data": data_name(data), "split": str(split), "seed": seed}

    def measure(part: ModelPart, one: PromiseModel, folder: Path | None) -> PromptBudget:
        return _budget_of(part, one, rows_of_part(rows, part, one), facts, folder, kept, progress)

    return opened.each(measure, output)


def _budget_of(
    part: ModelPart,
    model: PromiseModel,
    rows: Dataset,
    facts: dict[str, Any],
    output: Path | None,
    store: FeatureStore,
    progress: Progress,
) -> PromptBudget:
    if output is not None:
        check_output(output)
    kinds = prompt_budget(model, rows, seed=facts["seed"], store=store, progress=progress)
    alone = () if all(kind.prompts_used for kind in kinds) else (f"note: {MAP_ALONE}",)
    seen, of_seen = seen_images(part, rows)
    of_model = {"model": part.name, "model_sha256": model.sha256(), "sam": model.sam.name}
    if segments_slices_apart(model, rows):
        of_model["slices"] = str(Slices.EACH)
        alone = (*alone, f"note: {SLICES_APART}")
    with logged_look(part, model, rows, {"prompts": "budget"}) as (looks, of_looks):
        found = PromptBudget(
            part.name,
            tuple(kinds),
            tuple(row.row.group for row in rows),
            of_model | facts | {"images": len(rows)} | _noted(looks, seen),
            (*of_looks, *of_seen, *alone),
        )
        return found if output is None else _written(found, output)


def _written(found: PromptBudget, output: Path) -> PromptBudget:
    """Write a budget as JSON and as a figure, and return it with its files."""
    summary = found.records()
    files = output / "budget.json", output / "budget.png"
    write_json(files[0], found.facts | {"budget": summary})
    draw_budget(summary, found.title, files[1], len(set(found.groups)))
    return PromptBudget(found.name, found.kinds, found.groups, found.facts, found.notes, files)


def _noted(looks: TestLooks | None, seen: SeenInTraining | None) -> dict[str, Any]:
    notes = {"test_looks": looks, "seen_in_training": seen}
    return {name: note.model_dump(mode="json") for name, note in notes.items() if note is not None}
