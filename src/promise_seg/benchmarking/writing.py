"""The files of a finished benchmark."""

from collections.abc import Sequence
from pathlib import Path

from promise_seg.benchmarking.page import render_benchmark
from promise_seg.benchmarking.results import LineScores, Pair, as_json
from promise_seg.benchmarking.running import Benchmark
from promise_seg.benchmarking.tables import latex, long_csv, markdown
from promise_seg.files import write_json, write_text


def write_all(benchmark: Benchmark, found: Sequence[LineScores], pairs: Sequence[Pair], spec: str) -> list[Path]:
    """Write ``table.md``, ``table.tex``, ``table.csv``, ``report.html`` and ``benchmark.json``; returns their paths."""
    folder, measures = benchmark.output, benchmark.spec.measures
    texts = {
        "table.md": markdown(found, measures),
        "table.tex": latex(found, measures),
        "table.csv": long_csv(found),
        "report.html": render_benchmark(benchmark, found, pairs, spec),
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    write_json(folder / "benchmark.json", as_json(benchmark, found, pairs))
    return [folder / name for name in (*texts, "benchmark.json")]
