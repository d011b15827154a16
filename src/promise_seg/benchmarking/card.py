"""The run card of a benchmark: its data, SAMs, versions and settings, and the command that reproduces it."""

import shlex
from collections.abc import Sequence

import yaml

from promise_seg.benchmarking.results import LineScores
from promise_seg.benchmarking.running import Benchmark
from promise_seg.benchmarking.scoring import cell_of
from promise_seg.dataset.checks import data_sha256
from promise_seg.environment import collect_environment
from promise_seg.reporting.blocks import Commands, Facts, Section, Text
from promise_seg.reporting.card import licence_of
from promise_seg.reporting.card_section import environment_facts
from promise_seg.reporting.source_code import code_sha256, git_commit
from promise_seg.vocabulary import Split


def card_section(benchmark: Benchmark, scores: Sequence[LineScores], spec: str) -> Section:
    """Return the section with hashes, licences, versions, the given settings, and the command.

    Args:
        benchmark: the benchmark.
        scores: its scores.
        spec: the name or path of the spec, as the user gave it.
    """
    pairs = [("Seeds", ", ".join(map(str, benchmark.spec.seeds)))]
    for data in benchmark.spec.data:
        rows = benchmark.data.rows(data, benchmark.spec.protocol_of(benchmark.spec.models[0]))
        counts = ", ".join(f"{sum(row.row.split == split for row in rows)} {split}" for split in Split)
        pairs += [(f"Data: {data.name}", counts), (f"SHA-256 of {data.name}", data_sha256(rows))]
    hashes = {one.line.sam: cell_of(one.seeds[0].summary).sam_sha256 for one in scores}
    for sam in benchmark.spec.sams:
        pairs += [
            (f"SAM: {sam.name}", f"{sam.source}; weights: {licence_of(sam.source)}"),
            (f"SHA-256 of {sam.name}", hashes.get(sam.name, "not used yet")),
        ]
    cells = [cell_of(seed.summary) for one in scores for seed in one.seeds]
    scored_by = dict.fromkeys(cell.code_sha256 for cell in cells if cell.code_sha256)
    pairs += [
        ("SHA-256 of the code that scored", ", ".join(scored_by) or "none yet"),
        ("SHA-256 of the code that made this page", code_sha256()),
        ("Git commit of that code", git_commit() or "none"),
        *environment_facts(collect_environment(benchmark.accelerator.device), "This page"),
    ]
    settings = yaml.safe_dump(
        benchmark.spec.model_dump(mode="json", exclude_defaults=True), sort_keys=False, default_flow_style=None
    )
    command = shlex.join(["promise", "benchmark", spec, "-o", str(benchmark.output)])
    return Section(
        "Run card",
        (
            Facts(tuple(pairs)),
            Text("The command that reproduces this, and what it read:"),
            Commands((command,)),
            Commands(tuple(settings.splitlines())),
        ),
    )
