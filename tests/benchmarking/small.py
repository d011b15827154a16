"""Benchmarks that run in seconds, in a folder that a test may change."""

import yaml
from accelerate import Accelerator

from promise_seg.benchmarking.cells import cells_of
from promise_seg.benchmarking.running import Benchmark
from promise_seg.benchmarking.spec import read_spec
from promise_seg.features.store import FeatureStore

MODELS = {"bare": {"variant": "sam"}, "apm": {"variant": "apm"}, "U-Net": {"variant": "unet", "epochs": 1}}


def benchmark_of(place, **changes):
    """A small benchmark that has not run, whose notes are kept."""
    spec = {
        "title": "t", "data": {"discs": {"manifest": "discs/manifest.csv"}}, "sams": ["sam"], "models": MODELS,
        "seeds": [0], "training": {"epochs": 1, "views": 1},
    }  # fmt: skip
    (place / "spec.yaml").write_text(yaml.safe_dump(spec | changes, sort_keys=False))
    notes = []
    benchmark = Benchmark(
        read_spec(place / "spec.yaml"), place / "out", FeatureStore(place / "store"), Accelerator(cpu=True),
        note=notes.append,
    )  # fmt: skip
    benchmark.notes = notes
    return benchmark


def run(place, **changes):
    """Run a small benchmark; returns it and what it wrote, by path, with the time of each."""
    benchmark = benchmark_of(place, **changes)
    for cell in cells_of(benchmark.spec):
        benchmark.run(cell)
    files = {str(p.relative_to(place / "out")): p.stat().st_mtime_ns for p in (place / "out").rglob("summary_*.json")}
    return benchmark, files
