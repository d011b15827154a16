"""The cost of the bookkeeping of predictions in parts, without any images: logs, a restart, and merging into one table,
also in Parquet.

    python -m benchmarks.parts --images 100000 1000000

Masks and overlays are empty files, a thousand of them, which all folders of masks lead to. Each step runs in a process
of its own, whose peak memory is printed.
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from promise_seg.images.exports.inputs import Input
from promise_seg.parallel.parts import Part
from promise_seg.prediction.identity import keep_identity
from promise_seg.prediction.merging import merge_parts
from promise_seg.prediction.parquet_tables import write_tables
from promise_seg.prediction.part_logs import Entry, PartLog
from promise_seg.prediction.part_plan import PartPlan, in_order
from promise_seg.prediction.part_table import PartTable
from promise_seg.prediction.table import COLUMNS
from promise_seg.storage.sealed import sealed_line

POINTS = "[" + ", ".join(["[123.4, 234.5, 1]"] * 16) + "]"
PARTS = 8


def inputs_of(folder: Path, images: int) -> Iterator[Input]:
    place = folder / "image.png"
    if not place.exists():
        place.touch()
    for number in range(images):
        yield Input(place, f"{number // 1000:05}/{number % 1000:03}")


def key_of(one: Input) -> str:
    return f"/data/{one.stem}.png"


def write(folder: Path, images: int) -> None:
    """Write what the processes of all parts leave but for the last hundredth of the images."""
    inputs = list(inputs_of(folder, images))
    for kind in ("masks", "overlays"):
        first = folder / kind / "00000"
        first.mkdir(parents=True)
        for number in range(1000):
            (first / f"{number:03}.png").touch()
        for number in range(1, -(-images // 1000)):
            (folder / kind / f"{number:05}").symlink_to(first)
    PartPlan.of(inputs).begin(folder, inputs)
    state = inputs[0].state()
    keep_identity(folder, {"format": "auto"})
    logs = opened_logs(folder)
    line = dict.fromkeys(COLUMNS, "12345") | {"nothing_here": "0", "points": POINTS, "image_sha256": "0" * 64}
    for number, one in enumerate(inputs[: images - images // 100]):
        lines = [line | {"image": key_of(one), "mask": f"masks/{one.stem}.png"}]
        entry = Entry(one.stem, os.fspath(one.path), key_of(one), time.time(), state, lines)
        logs[number % PARTS].write(sealed_line(vars(entry)))
    for log in logs:
        log.close()


def opened_logs(folder: Path) -> list[TextIO]:
    """Begin the log of each part, and open it for lines that are added."""
    logs = []
    for number in range(1, PARTS + 1):
        log = PartLog(folder, Part(number, PARTS))
        log.add(Entry("", "", "", 0.0, [], []))  # with its first line
        logs.append(log.path.open("a"))
    return logs


def restart(folder: Path, images: int) -> str:
    inputs = in_order(inputs_of(folder, images))
    PartPlan.of(inputs).begin(folder, inputs)
    missing = PartTable(folder, Part(1, PARTS), inputs, instances=False).missing()
    return f"{len(missing):,} of {len(inputs) // PARTS:,} images of the part are missing"


def merge(folder: Path, images: int) -> str:
    merged = merge_parts(folder)
    return f"{merged.images:,} images in the table, {merged.missing:,} missing"


def in_parquet(folder: Path) -> str:
    write_tables(folder, wanted=True)
    return f"{(folder / 'predictions.parquet').stat().st_size / 1e6:,.0f} MB"


def measured(name: str, work: Callable[[], object]) -> None:
    """Do some work in a copy of this process, and print how long it took and the most memory that it had."""
    pid = os.fork()
    if not pid:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started, computed = time.perf_counter(), time.process_time()
        found = work() or ""
        seconds, computed = time.perf_counter() - started, time.process_time() - computed
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        memory = f"{(most - before) / 1024:,.0f} MiB more than before"
        workers = resource.getrusage(resource.RUSAGE_CHILDREN)
        if by_workers := workers.ru_utime + workers.ru_stime:
            memory = f"{by_workers:.1f} s of it in worker processes, {memory} in this one"
        processor = f"{computed + by_workers:.1f} s of the processor"
        print(f"{name}: {seconds:.1f} s, {processor}, {memory}. {found}", flush=True)
        os._exit(0)
    os.waitpid(pid, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[100_000])
    for images in parser.parse_args().images:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            print(f"{images:,} images in {PARTS} parts")
            measured("write logs", lambda folder=folder, images=images: write(folder, images))
            measured("restart of a part", lambda folder=folder, images=images: restart(folder, images))
            measured("merge", lambda folder=folder, images=images: merge(folder, images))
            measured("the table in Parquet", lambda folder=folder: in_parquet(folder))


if __name__ == "__main__":
    main()
