"""Break the commands that write, and print what was found: ``python -m tests.crash [--all | --most N] [NAMES]``.

Several machines can share the work: ``--part 2/8`` is the second of eight parts of the faults of each command.
"""

import argparse
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}  # before anything that computes is imported

from tests.crash.commands import COMMANDS
from tests.crash.faults import Kind
from tests.crash.inputs import make_commands_small, make_inputs
from tests.crash.processes import done_aside, keep_in_memory
from tests.crash.served import serving_known_files
from tests.crash.trials import Bench, Trial, trials

_NOTED_AFTER = 25


def main() -> int:
    """Return 1 if anything was wrong after a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a command; all by default")
    how_many = parser.add_mutually_exclusive_group()
    how_many.add_argument("--all", action="store_true", help="each kind of fault at every change, not a sample")
    how_many.add_argument("--most", type=int, help="so many faults of each command, chosen with a seed")
    parser.add_argument("--json", type=Path, help="a file for what was found, written anew after every few faults")
    parser.add_argument("--part", default="1/1", metavar="K/N", help="the faults of this part alone")
    parser.add_argument("--done", type=int, default=0, metavar="N", help="leave out the first N faults, made before")
    given = parser.parse_args()
    part, parts = map(int, given.part.split("/"))
    found = dict[str, list[Trial]]()
    with tempfile.TemporaryDirectory() as name:
        for number, (command, trial) in enumerate(
            break_commands(
                Path(name).resolve(), given.names, given.most, whole=given.all, part=(part, parts), done=given.done
            )
        ):
            found.setdefault(command, []).append(trial)
            if given.json and number % _NOTED_AFTER == 0:
                note(given.json, found)
    if given.json:
        note(given.json, found)
    print(table(found))
    return int(any(one.problem for done in found.values() for one in done))


def break_commands(
    folder: Path,
    names: list[str],
    most: int | None = None,
    *,
    whole: bool = False,
    part: tuple[int, int] = (1, 1),
    done: int = 0,
) -> Iterator[tuple[str, Trial]]:
    """Make the trials of the commands of these names, or of all; yield them by command, and print what went wrong."""
    os.environ |= {name: str(folder / name) for name in ("PROMISE_SEG_STORE", "PROMISE_SEG_SAMS", "MPLCONFIGDIR")}
    inputs = folder / "inputs"
    inputs.mkdir()
    (folder / "work").mkdir()
    make_commands_small()
    done_aside(lambda: make_inputs(inputs))
    keep_in_memory(inputs / "sam" / "sam", folder / "work" / "sam")
    with serving_known_files() as mirror:
        bench = Bench(folder, mirror)
        for name in names or [command.name for command in COMMANDS]:
            command = next(command for command in COMMANDS if command.name == name)
            for trial in trials(bench, command, None if whole else most or command.sample, part, done):
                if trial.problem:
                    print(f"{name}: {trial.fault}, {trial.where}: {trial.problem}", file=sys.stderr, flush=True)
                yield name, trial


def note(place: Path, found: dict[str, list[Trial]]) -> None:
    """Write what was found to a file."""
    place.write_text(json.dumps({name: [asdict(one) for one in done] for name, done in found.items()}))


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
