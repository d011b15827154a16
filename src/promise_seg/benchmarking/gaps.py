"""The runs that are missing from a benchmark that was interrupted or failed in part."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from promise_seg.benchmarking.cells import Cell, cells_of
from promise_seg.benchmarking.running import Benchmark


@dataclass(frozen=True)
class Gap:
    """A cell without scores, all seeds of its line, and its error, ``None`` if the cell has not run yet."""

    cell: Cell
    seeds: tuple[int, ...]
    error: str | None

    @property
    def why(self) -> str:
        """The reason why there are no scores."""
        return "not run yet" if self.error is None else f"failed: {self.error}"

    def as_json(self) -> dict[str, Any]:
        """Return the gap as an entry of ``benchmark.json``."""
        cell = self.cell
        return {
            "data": cell.data.name, "sam": cell.sam.name, "model": cell.model.name, "seed": cell.seed,
            "error": self.error,
        }  # fmt: skip


def gaps_in(benchmark: Benchmark) -> list[Gap]:
    """Return all cells without scores, in the order of their seeds; empty if the benchmark is finished."""
    return [
        Gap(cell, cell.model.seeds or benchmark.spec.seeds, benchmark.failed.get(cell.name))
        for cell in cells_of(benchmark.spec)
        if cell.name not in benchmark.done
    ]


def count_words(gaps: Sequence[Gap]) -> str:
    """Return a sentence with the number of missing and failed runs."""
    failed = sum(gap.error is not None for gap in gaps)
    words = f", {failed} of them failed" if failed else ""
    return f"Not finished: {len(gaps)} run{'' if len(gaps) == 1 else 's'} missing{words}."


def gap_words(gaps: Sequence[Gap]) -> list[str]:
    """Return a line for each model, data set and SAM with the missing seeds and the reasons."""
    lines = []
    for name in dict.fromkeys(gap.cell.name_without_seed for gap in gaps):
        own = [gap for gap in gaps if gap.cell.name_without_seed == name]
        wanted = len(own[0].seeds)
        there = wanted - len(own)
        seeds = f"{there} of {wanted} seeds" if there else f"left out, because none of its seeds ({wanted}) is scored"
        reasons: dict[str, list[str]] = {}
        for gap in own:
            reasons.setdefault(" ".join(gap.why.split()), []).append(str(gap.cell.seed))
        details = "; ".join(f"seed {', '.join(numbers)} {why}" for why, numbers in reasons.items())
        lines.append(f"{name}: {seeds}; {details}")
    return lines
