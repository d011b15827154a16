"""The cost of what is held and read of millions of images before the first of them is predicted: of a part, and of the
process that gives out the work of a Ray cluster. There are no images, and nothing is predicted.

    python -m benchmarks.fleet_bookkeeping --images 100000 1000000 10000000

All but a hundredth of the images are in the logs of eight parts. The images, their masks and their overlays are empty
files, a thousand of each, to which all folders lead. Each step runs in a process of its own, whose processor time and
peak memory are printed. It starts workers where there is more than one processor and much to read.
"""

import argparse
import hashlib
import json
import operator
import tempfile
from collections.abc import Iterator
from pathlib import Path

from promise_seg.images.exports.input_list import InputList
from promise_seg.parallel.parts import Part
from promise_seg.parallel.workers import Workers
from promise_seg.prediction.line_outlines import outlined_lines_in
from promise_seg.prediction.part_logs import Entry, LogReader
from promise_seg.prediction.part_plan import PartPlan, in_order
from promise_seg.prediction.part_table import PartTable
from promise_seg.prediction.table import COLUMNS
from promise_seg.processes import most_memory
from promise_seg.storage.sealed import KEY

from .parts import PARTS, POINTS, measured, opened_logs

IN_FOLDER = 1000
"""How many images are in each folder."""
NAMES = [f"image_{number:03}" for number in range(IN_FOLDER)]


def inputs_of(folder: Path, images: int) -> InputList:
    """Return the images as a list of a folder does, but for listing it."""
    return InputList.of_files(folder / "images", names_and_stems(folder, images))


def names_and_stems(folder: Path, images: int) -> Iterator[tuple[str, str]]:
    """Yield what a listing yields, in much less time."""
    for number in range(-(-images // IN_FOLDER)):
        above = f"{number:05}/"
        before = f"{folder}/images/{above}"
        for name in NAMES[: images - number * IN_FOLDER]:
            yield f"{before}{name}.png", f"{above}{name}"


def write(folder: Path, images: int) -> None:
    """Write what the processes of all parts leave but for the last hundredth of the images."""
    for kind in ("images", "masks", "overlays"):
        first = folder / kind / "00000"
        first.mkdir(parents=True)
        for name in NAMES:
            (first / f"{name}.png").touch()
        for number in range(1, -(-images // IN_FOLDER)):
            (folder / kind / f"{number:05}").symlink_to(first)
    inputs = inputs_of(folder, images)
    PartPlan.of(inputs).begin(folder, inputs)
    logs = opened_logs(folder)
    line = dict.fromkeys(COLUMNS, "12345") | {"nothing_here": "0", "points": POINTS, "image_sha256": "0" * 64}
    facts = vars(Entry("*s", "*k", "*k", 0.5, [[0, 0]], [line | {"image": "*k", "mask": "masks/*s.png"}]))
    pattern = json.dumps(facts, sort_keys=True)
    states = [json.dumps(inputs[number].state()) for number in range(min(images, IN_FOLDER))]
    for number in range(images - images // 100):
        text = pattern.replace("0.5", f"{1e9 + number}").replace("[[0, 0]]", states[number % IN_FOLDER])
        text = text.replace("*s", inputs.stem(number)).replace("*k", inputs.key(number))
        seal = f'"{KEY}": "{hashlib.sha256(text.encode()).hexdigest()}", '
        logs[number % PARTS].write(text.replace('"image"', f'{seal}"image"', 1) + "\n")  # as sealed_line makes it
    for log in logs:
        log.close()


def restart(folder: Path, images: int, part: Part) -> tuple[int, int]:
    """Find what is missing, and ask for the first of it; return how many images the part has, and the missing ones."""
    inputs = in_order(inputs_of(folder, images))
    PartPlan.of(inputs).begin(folder, inputs)
    table = PartTable(folder, part, inputs, instances=False)
    total, missing = len(table.inputs), table.missing()
    for one in missing[:IN_FOLDER]:
        assert table.piece(one).found is None
    return total, len(missing)


def in_words(folder: Path, images: int, part: Part) -> str:
    total, missing = restart(folder, images, part)
    return f"{missing:,} of {total:,} images are missing"


def memory_of_a_worker(folder: Path) -> str:
    """Read a few hundred thousand lines in worker processes, and say how much memory one of them had at most."""
    with Workers(2) as workers:
        for _ in workers.mapped(outlined_lines_in, LogReader(folder).new_ranges()[:100]):
            pass
        most = max(found or 0 for _, found in workers.mapped(operator.call, [most_memory] * PARTS))
    return f"each has {most / 2**20:,.0f} MiB in all"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[100_000])
    parser.add_argument("--without-logs", action="store_true", help="as before a first run: all images are missing")
    options = parser.parse_args()
    for images in options.images:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name).resolve()
            print(f"{images:,} images in {PARTS} parts")
            if not options.without_logs:
                measured("write logs", lambda folder=folder, images=images: write(folder, images))
                measured("worker processes", lambda folder=folder: memory_of_a_worker(folder))
            for words, part in (("one of the parts", Part(1, PARTS)), ("all of them, as on a Ray cluster", Part(1, 1))):
                measured(words, lambda folder=folder, images=images, part=part: in_words(folder, images, part))


if __name__ == "__main__":
    main()
