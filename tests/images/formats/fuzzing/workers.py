"""Try cases in processes of their own, with bounded memory.

So a decoder that crashes, hangs or swells is told from one that merely fails. By hand, from some case on and with more
of them: ``python -m tests.images.formats.fuzzing.workers NEW_FOLDER CASES_PER_SEED WORKER WORKERS FIRST_CASE``.
"""

import faulthandler
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from promise_seg.errors import PromiseError
from promise_seg.images.formats.opening import open_source
from promise_seg.images.masks import MaskRule
from promise_seg.images.readers import read_image, read_labels
from promise_seg.images.reading import Reading
from promise_seg.images.windows import parse_window
from promise_seg.vocabulary import Axis, MaskKind
from tests.helpers import read_mask
from tests.images.formats.fuzzing.cases import ODDITIES, make_case
from tests.images.formats.fuzzing.seeds import Seed, seeds

CASES_PER_SEED = 36
WORKERS = 2
MAX_CRASHES = 5
MAX_VALUES = 2**22
"""The limit on a file's values during the test; far below the default, so that what ignores it is noticed."""
MEMORY_GROWTH = 2**29
"""Bytes of address space beyond what the libraries take: 128 for each value of the largest file."""
PEAK_GROWTH = 2**28
"""Bytes of memory that any case may really use."""
SECONDS_PER_CASE = 120
"""More than any takes by far: it tells what hangs."""

WINDOWS = tuple(map(parse_window, ("own", "percentile", "lung")))
READINGS = (*(Reading(window=w) for w in WINDOWS), Reading(axis=Axis.CORONAL))
RULES = (*map(MaskRule, MaskKind), MaskRule(MaskKind.CLASSES, 1), MaskRule(threshold=100))
OUT_OF_MEMORY = re.compile("not enough memory|unable to alloc|malloc|MemoryError", re.IGNORECASE)


def _ours(attempt: Callable[[], object], paths: list[Path]) -> bool:
    """Whether it went well: if not, there must be an error of ours as it should be."""
    try:
        attempt()
    except PromiseError as error:
        message = str(error)
        if len(message.splitlines()) != 1:
            raise AssertionError(f"an error of several lines: {message!r}") from error
        if not any(str(path) in message for path in paths):
            raise AssertionError(f"an error that does not name the file: {message}") from error
        if OUT_OF_MEMORY.search(message):
            raise AssertionError(f"needs more memory than it may: {message}") from error
        return False
    return True


def try_case(main: Path, image: Path | None) -> bool:
    """Read a file in every way. Whether any of them gave an array."""
    paths = [main] if image is None else [main, image]

    def images(path: Path, reading: Reading) -> None:
        source = open_source(path, reading.axis)
        for index in {0, len(source) - 1}:
            seen, expected = read_image(path, reading, index), source.values(index).shape[:2]
            assert seen.dtype == np.uint8
            assert seen.shape == (*expected, 3)
            assert seen.size

    def mask(rule: MaskRule) -> None:
        source = None if image is None else open_source(image)
        for index in {0, 0 if source is None else len(source) - 1}:
            labels, found = read_labels(main, source, index), read_mask(main, rule, source, index)
            assert found.dtype == bool
            assert found.ndim == 2
            assert found.shape == labels.shape
            assert found.size

    went = [_ours(lambda p=path, r=reading: images(p, r), paths) for path in paths for reading in READINGS]
    return any(went + [_ours(lambda r=rule: mask(r), paths) for rule in RULES])


def _place(case: Seed, folder: Path) -> tuple[Path, Path | None]:
    folder.mkdir(parents=True)
    for name, data in case.files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if data is None:
            path.mkdir()
        elif isinstance(data, str):
            os.mkfifo(path)
        else:
            path.write_bytes(data)
    return folder / case.main, None if case.image is None else folder / case.image


def _status(name: str) -> int:
    """Bytes, from what Linux says of this process."""
    return int(re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)[1]) * 1024


def _report(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


def work(folder: Path, per_seed: int, worker: int, workers: int, first: int) -> None:
    """Every ``workers``-th case. Says on standard output what it tries, before it does, and how it went."""
    os.environ["PROMISE_SEG_MAX_VALUES"] = str(MAX_VALUES)
    warnings.simplefilter("ignore")
    faulthandler.enable()
    known = seeds()
    for number, seed in enumerate(known):  # also loads what the libraries load late
        _report(case=-1, what=f"valid {seed.main}")
        assert try_case(*_place(seed, folder / f"seed-{first}-{number}")), seed.main
    resource.setrlimit(resource.RLIMIT_AS, (_status("VmSize") + MEMORY_GROWTH, resource.RLIM_INFINITY))
    for number in range(first, len(known) * per_seed + len(ODDITIES)):
        if number % workers != worker:
            continue
        case = make_case(number, known, per_seed)
        _report(case=number, what=case.what)
        place = folder / f"case-{number}"
        main, image = _place(case, place)
        Path("/proc/self/clear_refs").write_text("5")  # the peak of memory is from now
        before = _status("VmRSS")
        faulthandler.dump_traceback_later(SECONDS_PER_CASE, exit=True)
        try:
            went = try_case(main, image)
        except Exception:
            _report(case=number, what=case.what, fault=traceback.format_exc())
        else:
            shutil.rmtree(place)
            _report(case=number, went=went, grew=_status("VmHWM") - before)
        faulthandler.cancel_dump_traceback_later()


def _run(folder: Path, worker: int, first: int) -> tuple[list[dict], str | None]:
    """What a process says until it ends, and how it ended if not well."""
    log, errors = folder / f"log-{worker}-{first}", folder / f"errors-{worker}-{first}"
    words = [sys.executable, "-m", __name__, folder / f"files-{worker}", CASES_PER_SEED, worker, WORKERS, first]
    with log.open("w") as out, errors.open("w") as err:
        root = Path(__file__).parents[4]
        done = subprocess.run([str(w) for w in words], cwd=root, stdout=out, stderr=err, check=False)
    said = [json.loads(line) for line in log.read_text().splitlines()]
    return said, None if done.returncode == 0 else f"ended with {done.returncode}: {errors.read_text()[-3000:]}"


def all_of(folder: Path, worker: int) -> tuple[list[dict], list[str]]:
    """All cases of one worker; after a crash those that follow."""
    said: list[dict] = []
    crashes: list[str] = []
    first = 0
    while len(crashes) < MAX_CRASHES:
        more, ending = _run(folder, worker, first)
        said += more
        if ending is None:
            break
        last = more[-1] if more else {"case": -1, "what": "nothing yet"}
        crashes.append(f"case {last['case']} ({last.get('what')}) {ending}")
        if last["case"] < 0:
            break
        first = last["case"] + 1
    return said, crashes


if __name__ == "__main__":
    work(Path(sys.argv[1]), *map(int, sys.argv[2:]))
