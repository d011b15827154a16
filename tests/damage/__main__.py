"""Damage files of ours, kill commands, run several at once, and print what came of it: ``python -m tests.damage``."""

import argparse
import json
import os
import sys
import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}  # before anything that computes is imported

from tests.damage.copies import import_what_is_used
from tests.damage.inputs import make_commands_small, make_inputs
from tests.damage.kills import kills
from tests.damage.together import together
from tests.damage.trials import Bench, Outcome, Trial, cases, sample

_SEED = 12


def main() -> int:
    """Return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.damage", description=__doc__)
    parser.add_argument("names", nargs="*", help="beginnings of the names of files that are damaged; all by default")
    parser.add_argument("--sample", type=int, help="so many damaged files; all by default")
    parser.add_argument("--kills", type=int, default=0, help="so many kills, by default none")
    parser.add_argument("--together", type=int, default=0, help="so many times several at once, by default none")
    parser.add_argument("--log", type=Path, help="a file to which each trial is added, as a line of JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        bench = prepared(Path(name).resolve())
        wrong = run_all(bench, given)
    return int(wrong)


def prepared(folder: Path) -> Bench:
    """Make the inputs, and import what commands need."""
    os.environ |= {name: str(folder / name) for name in ("PROMISE_SEG_STORE", "PROMISE_SEG_SAMS", "MPLCONFIGDIR")}
    work, whole = folder / "work", folder / "whole"
    work.mkdir()
    import_what_is_used(lambda: make_inputs(work), work / "sam")
    make_commands_small()
    work.rename(whole)
    return Bench(whole, work)


def run_all(bench: Bench, given: argparse.Namespace) -> bool:
    """Do what was asked for; return whether anything was wrong."""

    def note(facts: dict[str, str], problem: str) -> None:
        if given.log is not None:
            with given.log.open("a") as file:
                file.write(json.dumps(facts | {"problem": problem}) + "\n")

    wrong = False
    for what, trials in (
        ("kills", kills(bench, given.kills, _SEED) if given.kills else ()),
        ("together", together(bench, given.together)),
    ):
        counts, failed = Counter[str](), Counter[str]()
        for name, problem in trials:
            note({"part": what, "name": name}, problem)
            counts[name] += 1
            if problem:
                failed[name] += 1
                print(f"{what}: {name}: {problem}", file=sys.stderr, flush=True)
        for name, count in counts.items():
            print(f"{what}: {name}: {count}, {failed[name]} of them wrong")
        wrong = wrong or bool(failed)
    if given.sample == 0:
        return wrong
    found = []
    chosen = list(cases(bench, given.names))
    for case in chosen if given.sample is None else sample(chosen, given.sample, _SEED):
        one = bench.try_out(case)
        found.append(one)
        note({"part": "files"} | asdict(one), one.problem)
        if one.outcome == Outcome.WRONG:
            words = " | ".join(one.problem.strip().splitlines()[-6:])
            print(f"{one.file}: {one.damage}, {one.command}: {words}", file=sys.stderr, flush=True)
    print(table(found))
    return wrong or any(one.outcome == Outcome.WRONG for one in found)


def table(found: list[Trial]) -> str:
    """Return how often each kind of damage ended in which way, in Markdown."""
    lines = [f"| damage | {' | '.join(Outcome)} | all |", f"| --- |{' --- |' * (len(Outcome) + 1)}"]
    kinds = list(dict.fromkeys(one.kind for one in found))
    for kind in [*kinds, "all"]:
        counts = Counter(one.outcome for one in found if kind in (one.kind, "all"))
        lines.append(f"| {kind} | {' | '.join(str(counts[one]) for one in Outcome)} | {counts.total()} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
