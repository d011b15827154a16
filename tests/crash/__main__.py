"""Break the commands that write, and print what was found: ``python -m tests.crash [--all] [--json FILE] [NAMES]``."""

import argparse
import json
import os
import sys
import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}  # before anything that computes is imported

from tests.crash.commands import COMMANDS
from tests.crash.faults import Kind
from tests.crash.inputs import make_inputs, quiet_sizes
from tests.crash.processes import import_what_is_used
from tests.crash.trials import Bench, Trial, trials


def main() -> int:
    """Return 1 if anything was wrong after a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("names", nargs="*", help="commands; all by default")
    parser.add_argument("--all", action="store_true", help="each kind of fault at every change, not a sample")
    parser.add_argument("--json", type=Path, help="a file for what was found")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        found = break_commands(Path(name).resolve(), given.names, whole=given.all)
    if given.json:
        given.json.write_text(json.dumps({name: [asdict(one) for one in done] for name, done in found.items()}))
    print(table(found))
    return int(any(one.problem for done in found.values() for one in done))


def break_commands(folder: Path, names: list[str], *, whole: bool) -> dict[str, list[Trial]]:
    """Make the trials of the commands of these names, or of all, and print each that went wrong."""
    os.environ |= {name: str(folder / name) for name in ("PROMISE_SEG_STORE", "PROMISE_SEG_SAMS", "MPLCONFIGDIR")}
    inputs = folder / "inputs"
    inputs.mkdir()
    (folder / "work").mkdir()
    import_what_is_used(lambda: make_inputs(inputs), folder / "modules.json")
    quiet_sizes()
    bench, found = Bench(folder), {}
    for command in COMMANDS:
        if names and command.name not in names:
            continue
        found[command.name] = done = list[Trial]()
        for trial in trials(bench, command, None if whole else command.sample):
            done.append(trial)
            if trial.problem:
                print(f"{command.name}: {trial.fault}, {trial.where}: {trial.problem}", file=sys.stderr, flush=True)
    return found


def table(found: dict[str, list[Trial]]) -> str:
    """Return how many faults of each kind there were, by command, in Markdown."""
    lines = [f"| command | {' | '.join(Kind)} | all | wrong |", f"| --- |{' --- |' * (len(Kind) + 2)}"]
    everything = [one for done in found.values() for one in done]
    for name, done in [*found.items(), ("all", everything)]:
        counts = Counter(one.fault.kind for one in done)
        wrong = sum(bool(one.problem) for one in done)
        lines.append(f"| {name} | {' | '.join(str(counts[kind]) for kind in Kind)} | {len(done)} | {wrong} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
