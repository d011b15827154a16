"""Write the tables and the report of a benchmark, finished or not."""

from collections.abc import Sequence
from pathlib import Path

from promise_seg.benchmarking.gaps import gaps_in
from promise_seg.benchmarking.page import render_benchmark
from promise_seg.benchmarking.results import LineScores, Pair, as_json, found_in, pairs_of
from promise_seg.benchmarking.running import Benchmark
from promise_seg.benchmarking.tables import latex, long_csv, markdown
from promise_seg.storage.files import write_json, write_text


class Writer:
    """A writer that updates the files of a benchmark as results arrive.

    Args:
        benchmark: the running benchmark.
        spec: the name or path of the spec, as the user gave it.
    """

    def __init__(self, benchmark: Benchmark, spec: str) -> None:
        self.benchmark, self.spec = benchmark, spec
        self.files: list[Path] = []
        self._found: list[LineScores] = []

    def write(self) -> None:
        """Write all files with the present results; ``files`` lists their paths."""
        self._found = found_in(self.benchmark, self._found)
        pairs = pairs_of(self._found, self.benchmark.spec.measures[0])
        self.files = write_all(self.benchmark, self._found, pairs, self.spec)


def write_all(benchmark: Benchmark, scores: Sequence[LineScores], pairs: Sequence[Pair], spec: str) -> list[Path]:
    """Write ``table.md``, ``table.tex``, ``table.csv``, ``report.html`` and ``benchmark.json``; return their paths."""
    folder, measures, gaps = benchmark.output, benchmark.spec.measures, gaps_in(benchmark)
    texts = {
        "table.md": markdown(scores, measures, gaps),
        "table.tex": latex(scores, measures, gaps),
        "table.csv": long_csv(scores, gaps),
        "report.html": render_benchmark(benchmark, scores, pairs, spec),
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    write_json(folder / "benchmark.json", as_json(benchmark, scores, pairs))
    return [folder / name for name in (*texts, "benchmark.json")]
