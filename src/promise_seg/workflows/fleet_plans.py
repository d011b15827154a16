"""Plan the encoding or predicting of very many images: hours, disk, memory, network and money.

The model is simple, as the work divides perfectly: every worker takes the measured time for each image, and has as many
images as any other, rounded up. A computer has as many workers as its memory and its cores allow. Slowdown by workers
that share a computer is not modelled.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from promise_seg.errors import SettingsError
from promise_seg.quantities import bytes_in_words, seconds_in_words
from promise_seg.storage.files import read_json_object
from promise_seg.vocabulary import FleetWork
from promise_seg.workflows.choices import chosen
from promise_seg.workflows.timing import ENCODE, PREDICT, SpeedReport

_MEASURED = {FleetWork.ENCODE: ENCODE, FleetWork.PREDICT: PREDICT}
_WORKERS = re.compile(r"([1-9][0-9]{0,14})(?:x(.+))?")
_USABLE = 0.9
"""The share of a computer's memory that workers may use."""
_SIZES = {FleetWork.ENCODE: "feature_bytes", FleetWork.PREDICT: "output_bytes"}


@dataclass(frozen=True)
class FleetPlan:
    """The amount of work, and the resources it takes.

    Args:
        work: the kind of work.
        items: the number of images, or of their views if these are encoded.
        workers: the number of processes, each like the one that was measured.
        seconds_each: median time of an item.
        slow_seconds_each: 95th percentile of the time of an item.
        bytes_each: disk space of the result of an item.
        image_bytes: size of the file that is read for an item.
        memory_bytes: memory of a worker; ``None`` if it was not measured.
        price: price of an hour of a worker.
        computer_bytes: memory of a computer, or of its GPU; ``None`` if it is not known.
        processes: the number of workers that a computer's cores suffice for; ``None`` if irrelevant, as on a GPU.
    """

    work: FleetWork
    items: int
    workers: int
    seconds_each: float
    slow_seconds_each: float
    bytes_each: int
    image_bytes: int
    memory_bytes: int | None = None
    price: float | None = None
    computer_bytes: int | None = None
    processes: int | None = None

    @property
    def workers_of_computer(self) -> int | None:
        """The number of workers that fit on a computer; ``None`` if its memory, or theirs, is not known."""
        if self.memory_bytes is None or self.computer_bytes is None:
            return None
        fitting = int(_USABLE * self.computer_bytes) // max(self.memory_bytes, 1)
        return fitting if self.processes is None else min(fitting, self.processes)

    @property
    def items_each(self) -> int:
        """The number of items of the worker that has most."""
        return -(-self.items // self.workers)

    @property
    def seconds(self) -> float:
        """The time until the last worker finishes, in seconds."""
        return self.items_each * self.seconds_each

    @property
    def worker_hours(self) -> float:
        """The hours of all workers together, which are paid until the last worker finishes."""
        return self.workers * self.seconds / 3600

    @property
    def disk_bytes(self) -> int:
        """The size of all results."""
        return self.items * self.bytes_each

    @property
    def bytes_per_second(self) -> float:
        """The bytes that all workers together read and write in a second."""
        return min(self.workers, self.items) * (self.image_bytes + self.bytes_each) / self.seconds_each

    @property
    def money(self) -> float | None:
        """The price of all worker hours; ``None`` if no price is given."""
        return None if self.price is None else self.price * self.worker_hours

    def rows(self) -> list[tuple[str, str]]:
        """Return the rows of a table: the name of each quantity and its amount."""
        what = "views to encode" if self.work == FleetWork.ENCODE else "images to predict"
        each = f"{self.seconds_each:.3g} s, {self.slow_seconds_each:.3g} s for the slowest twentieth"
        rows = [
            (what, f"{self.items:,}, up to {self.items_each:,} for each of {self.workers:,} workers"),
            ("time of one", each),
            ("time", f"{seconds_in_words(self.seconds)} ({self.seconds / 86400:,.1f} days)"),
            ("hours of all workers", f"{self.worker_hours:,.1f}"),
            ("disk", f"{bytes_in_words(self.disk_bytes)} ({bytes_in_words(self.bytes_each)} each)"),
            ("network", f"{bytes_in_words(self.bytes_per_second)} a second for all workers, if all files are remote"),
        ]
        if self.memory_bytes is not None:
            rows.append(("memory", f"{bytes_in_words(self.memory_bytes)} for each worker"))
        if self.workers_of_computer and self.computer_bytes is not None:
            computers = -(-self.workers // self.workers_of_computer)
            words = f"{self.workers_of_computer:,} workers fit on each, with {bytes_in_words(self.computer_bytes)}"
            cores = "" if self.processes is None else f" and cores for {self.processes:,}"
            rows.append(("computers", f"{computers:,}: {words}{cores}"))
        if self.money is not None:
            rows.append(("money", f"{self.money:,.2f} at {self.price:g} for an hour of a worker"))
        return rows


def plan_fleet(
    profile: SpeedReport | str | Path,
    *,
    images: float,
    work: str = FleetWork.PREDICT,
    workers: int = 1,
    views: int = 1,
    image_bytes: int = 0,
    price: float | None = None,
    computer_bytes: int | None = None,
) -> FleetPlan:
    """Estimate the cost of encoding or predicting many images from times that were measured on a few.

    Args:
        profile: the outcome of :func:`promise_seg.bench` on a worker, or the JSON file that it wrote.
        images: the number of images.
        work: ``predict`` or ``encode``.
        workers: the number of processes like the one that was measured.
        views: the number of views of each image, if images are encoded.
        image_bytes: the size of an image's file.
        price: price of an hour of a worker.
        computer_bytes: the memory of each computer, or of its GPU; by default that of the computer that was measured,
            whose cores are then taken into account too.

    Raises:
        SettingsError: if an option is invalid, no worker fits into the memory, or the profile lacks a required value.
    """
    kind = checked_work(work, images=images, workers=workers, views=views, price=price)
    facts = profile.facts() if isinstance(profile, SpeedReport) else _read(Path(profile))
    seconds, slow, size, memory = _times(facts, kind, profile)
    items = int(images) * (views if kind == FleetWork.ENCODE else 1)
    room, processes = (computer_bytes, None) if computer_bytes is not None else _computer_of(facts)
    plan = FleetPlan(kind, items, workers, seconds, slow, size, image_bytes, memory, price, room, processes)
    if plan.workers_of_computer == 0 and computer_bytes is not None and memory is not None:
        raise SettingsError(
            f"--memory {bytes_in_words(computer_bytes)}: a worker needs {bytes_in_words(memory)}, and a tenth of the "
            "memory is left free. Give more, or a smaller SAM or --image-size to promise bench"
        )
    return plan


def checked_work(work: str, *, images: float, workers: int, views: int, price: float | None) -> FleetWork:
    """Return the kind of work, after checking the numbers; see :func:`plan_fleet`.

    Raises:
        SettingsError: naming the invalid option, before anything is measured.
    """
    kind = chosen(FleetWork, work, "--work")
    if kind == FleetWork.PREDICT and views != 1:
        raise SettingsError(f"--views {views}: images are predicted once each. Leave it out, or give --work encode")
    for name, value in (("--images", images), ("--workers", workers), ("--views", views)):
        if not 1 <= value <= 1e15 or value != int(value):
            raise SettingsError(f"{name} {value:g}: expected a whole number from 1 to 1e15")
    if price is not None and not 0 <= price < float("inf"):
        raise SettingsError(f"--price {price:g}: expected a number from 0")
    return kind


def _times(
    facts: dict[str, Any], kind: FleetWork, profile: SpeedReport | str | Path
) -> tuple[float, float, int, int | None]:
    """Return the median and the 95th percentile of the seconds of an item, its bytes, and the memory of a worker.

    Raises:
        SettingsError: if the profile does not hold valid values for them.
    """
    try:
        timing = next(one for one in facts["timings"] if one["work"] == _MEASURED[kind])
        seconds, slow = float(timing["p50_seconds"]), float(timing["p95_seconds"])
        size, memory = int(facts[_SIZES[kind]]), facts.get("worker_memory_bytes", facts["memory_bytes"])
        is_sound = 0 < seconds < float("inf") and 0 < slow < float("inf") and size >= 0
        is_sound = is_sound and (memory is None or (type(memory) is int and memory >= 0))
    except (StopIteration, KeyError, TypeError, ValueError, OverflowError):
        is_sound = False
    if not is_sound:
        name = "this SAM and variant" if isinstance(profile, SpeedReport) else f"--profile {profile}"
        raise SettingsError(
            f"{name}: it was not measured how long it takes to {kind} an image. Run promise bench -o FILE with this "
            "version, and to predict with a variant that prompts itself, apm or apm+ips"
        )
    return seconds, slow, size, memory


def _computer_of(facts: dict[str, Any]) -> tuple[int | None, int | None]:
    """Return the memory of the computer that was measured, and the number of workers that its cores suffice for.

    Both are ``None`` for a GPU, and for profiles that lack them.
    """
    try:
        where, threads = facts["environment"], facts["threads"]
        if where["device"] == "cpu":
            return int(where["memory_bytes"]), max(int(where["cores"]) // int(threads), 1)
    except (KeyError, TypeError, ValueError, ArithmeticError):
        pass
    return None, None


def workers_of(words: str, profile: Path | None = None) -> tuple[int, Path | None]:
    """Return the number of workers that a text gives, and the profile of one of them, if there is any.

    Args:
        words: ``8``, or ``8xFILE`` for eight workers like the one measured in a file of ``promise bench -o``.
        profile: the profile that was given separately, if any.

    Raises:
        SettingsError: if the text is invalid, or names a second profile.
    """
    found = _WORKERS.fullmatch(words)
    if found is None:
        raise SettingsError(
            f"--workers {words}: expected a whole number from 1, such as 8, or 8xFILE with a file of promise bench -o"
        )
    count, named = int(found[1]), found[2]
    if named is None:
        return count, profile
    if profile is not None:
        raise SettingsError(
            f"--workers {words}: names a profile, and so does --profile {profile}. Leave one of them out"
        )
    if not Path(named).is_file():
        file = Path(named).with_suffix(".json")
        raise SettingsError(
            f"--workers {words}: there is no file {named} with times. Run promise bench -o {file} on one of the "
            f"workers, and give --workers {count}x{file}"
        )
    return count, Path(named)


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_json_object(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(
            f"--profile {path}: cannot be read: {reason}. Expected a file of promise bench -o"
        ) from error
