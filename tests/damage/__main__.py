"""Damage files of ours, and print what commands made of them: ``python -m tests.damage [--sample N] [FILES]``."""

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
from tests.damage.trials import Bench, Outcome, Trial, cases, sample

_SEED = 12


def main() -> int:
    """Return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.damage", description=__doc__)
    parser.add_argument("names", nargs="*", help="beginnings of the names of files; all by default")
    parser.add_argument("--sample", type=int, help="so many trials; all by default")
    parser.add_argument("--log", type=Path, help="a file to which each trial is added, as a line of JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        found = damage_files(Path(name).resolve(), given.names, given.sample, given.log)
    print(table(found))
    return int(any(one.outcome == Outcome.WRONG for one in found))


def damage_files(folder: Path, names: list[str], count: int | None, log: Path | None) -> list[Trial]:
    """Make the trials of files, and print each that went wrong."""
    os.environ |= {name: str(folder / name) for name in ("PROMISE_SEG_STORE", "PROMISE_SEG_SAMS", "MPLCONFIGDIR")}
    work, whole = folder / "work", folder / "whole"
    work.mkdir()
    import_what_is_used(lambda: make_inputs(work), work / "sam")
    make_commands_small()
    work.rename(whole)
    bench = Bench(whole, work)
    chosen = list(cases(bench, names))
    if count is not None:
        chosen = sample(chosen, count, _SEED)
    found = []
    for case in chosen:
        one = bench.try_out(case)
        found.append(one)
        if log is not None:
            with log.open("a") as file:
                file.write(json.dumps(asdict(one)) + "\n")
        if one.outcome == Outcome.WRONG:
            words = " | ".join(one.problem.strip().splitlines()[-6:])
            print(f"{one.file}: {one.damage}, {one.command}: {words}", file=sys.stderr, flush=True)
    return found


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
