"""The cells of a benchmark: one model, trained on one data set with one SAM and one seed, and its folders."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from promise_seg.benchmarking.spec import BenchmarkSpec, DataSpec, ModelSpec, SamSpec
from promise_seg.vocabulary import PromptSource, Protocol


def folder_name(test: str) -> str:
    """Return the folder name for a test set, whose own name may be any value of a column."""
    return re.sub(r"[^A-Za-z0-9 _+-]", "_", test).strip() or "_"


@dataclass(frozen=True)
class Cell:
    """One model, data set, SAM and seed: the unit that is trained and scored."""

    data: DataSpec
    sam: SamSpec
    model: ModelSpec
    seed: int

    @property
    def name(self) -> str:
        """The name of the cell, with its seed."""
        return f"{self.name_without_seed}/seed-{self.seed}"

    @property
    def name_without_seed(self) -> str:
        """The name of the line of the table that the cell belongs to."""
        return f"{self.data.name}/{self.sam.name}/{self.model.name}"

    def folder(self, output: Path) -> Path:
        """Return the folder of the run, with the files that ``promise train`` writes."""
        return output / self.name

    def scores_folder(self, output: Path, test: str) -> Path:
        """Return the folder of the evaluation on one test set."""
        return self.folder(output) / "test" / folder_name(test)

    def of_model(self, model: ModelSpec) -> "Cell":
        """Return the same cell for another model."""
        return Cell(self.data, self.sam, model, self.seed)


@dataclass(frozen=True)
class TableLine:
    """A line of the table: a model with one kind of prompts, over its seeds; ``missing`` are seeds without scores."""

    data: str
    sam: str
    model: ModelSpec
    prompts: PromptSource
    seeds: tuple[int, ...]
    protocol: Protocol = Protocol.OWN
    missing: tuple[int, ...] = ()

    def of_seeds(self, there: Collection[int]) -> "TableLine":
        """Return the line over the seeds that are in ``there``; its other seeds are missing."""
        missing = (*self.missing, *(seed for seed in self.seeds if seed not in there))
        return replace(self, seeds=tuple(seed for seed in self.seeds if seed in there), missing=missing)

    @property
    def comparison_key(self) -> tuple[str, str, str, bool]:
        """A key that is equal for lines that may be compared.

        Such lines have the same data, SAM and protocol, and either both or neither have prompts from the ground truth.
        """
        return self.data, self.sam, str(self.protocol), self.reads_truth

    @property
    def name(self) -> str:
        """The name of the model, with a short name of the prompts unless it is a baseline."""
        words = {"apm": "own", "oracle": "oracle", "box": "box", "none": "no prompts"}
        return self.model.name if self.model.is_baseline else f"{self.model.name}, {words[str(self.prompts)]}"

    @property
    def key(self) -> tuple[str, str, str, str]:
        """A unique key of the line."""
        return self.data, self.sam, self.model.name, str(self.prompts)

    @property
    def reads_truth(self) -> bool:
        """Whether the prompts are made from the ground truth."""
        return self.prompts.reads_truth


def cells_of(spec: BenchmarkSpec) -> Iterator[Cell]:
    """Yield all cells, seed by seed, so that an interrupted benchmark has as many lines as possible.

    A model with its own seeds uses these instead of the general seeds.
    """
    seeds = list(dict.fromkeys([*spec.seeds, *(seed for model in spec.models for seed in model.seeds or ())]))
    for seed in seeds:
        for data in spec.data:
            if not data.train:
                continue
            for sam in spec.sams:
                for model in spec.models:
                    if seed in (model.seeds or spec.seeds):
                        yield Cell(data, sam, model, seed)


def cells_of_line(spec: BenchmarkSpec, line: TableLine) -> list[Cell]:
    """Return the cells whose results a line averages, one for each seed."""
    data = next(one for one in spec.data if one.name == line.data)
    sam = next(one for one in spec.sams if one.name == line.sam)
    return [Cell(data, sam, line.model, seed) for seed in line.seeds]


def lines_of(spec: BenchmarkSpec) -> Iterator[TableLine]:
    """Yield all lines of the table, in the order of the spec."""
    for data in spec.data:
        if not data.train:
            continue
        for sam in spec.sams:
            for model in spec.models:
                for prompts in model.scored_with:
                    yield TableLine(
                        data.name, sam.name, model, prompts, model.seeds or spec.seeds, spec.protocol_of(model)
                    )
