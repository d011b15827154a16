"""The faults of a benchmark's spec that concern several of its entries. All of them are found, each with its place."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from promise_seg.benchmarking.baselines import with_baselines
from promise_seg.errors import SettingsError

if TYPE_CHECKING:
    from promise_seg.benchmarking.spec import BenchmarkSpec

_NO_FOLDERS = ("con", "prn", "aux", "nul")


_NAMED = ("data", "sams", "models")
"""The parts of a spec whose entries have names."""


def place_with_name(values: Any, loc: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Return the place of a fault with the name of its data set, SAM or model instead of its position.

    Args:
        values: the spec as it was read from YAML.
        loc: the place that pydantic states, such as ``("data", 0, "window")``.
    """
    if len(loc) < 2 or loc[0] not in _NAMED or not isinstance(loc[1], int):
        return loc
    part, number, rest = loc[0], loc[1], loc[2:]
    expanded, _ = with_baselines(values)
    entries = expanded.get(part)
    if isinstance(entries, dict):
        return (part, str(list(entries)[number]), *rest)
    entry = entries[number]
    name = entry.get("name") if isinstance(entry, dict) else None
    return loc if name is None else (part, str(name), *rest)


def faults_between(spec: "BenchmarkSpec") -> Iterator[str]:
    """Yield a line for each fault: names, the data sets and models that entries refer to, and settings of runs."""
    yield from _name_faults(spec)
    yield from _data_faults(spec)
    yield from _budget_faults(spec)
    yield from _setting_faults(spec)


def _name_faults(spec: "BenchmarkSpec") -> Iterator[str]:
    for what in _NAMED:
        names = [part.name for part in getattr(spec, what)]
        folders = [name.casefold() for name in names]
        if doubled := [name for name in names if folders.count(name.casefold()) > 1]:
            yield f"{what}: duplicate name {doubled[0]!r}, or names that differ only in capitals"
        for name in dict.fromkeys(names):
            if name.casefold() in _NO_FOLDERS:
                yield f"{what}: {name!r} is not a valid folder name on every system"


def _data_faults(spec: "BenchmarkSpec") -> Iterator[str]:
    known = {data.name for data in spec.data}
    for data in spec.data:
        for name in sorted(set(data.tests) - known):
            yield f"data.{data.name}.tests: unknown data set {name!r}"
        try:
            _ = data.reading
        except SettingsError as error:
            yield f"data.{data.name}: {error}"
    if not any(data.train for data in spec.data):
        yield "data: all data sets have train: false, so there is nothing to train on"


def _budget_faults(spec: "BenchmarkSpec") -> Iterator[str]:
    """Yield the faults of models that get the CPU time of another model, which has to be trained before them."""
    before: dict[str, set[int]] = {}
    for model in spec.models:
        seeds = set(model.seeds or spec.seeds)
        if model.budget_of is not None and model.budget_of not in before:
            yield f"models.{model.name}.budget_of: expected a trained model that is listed before it"
        elif model.budget_of is not None and (strangers := seeds - before[model.budget_of]):
            yield (
                f"models.{model.name}.seeds: {model.budget_of} is not trained with seed {min(strangers)}, so its time "
                "is unknown"
            )
        if model.is_promise:
            before[model.name] = seeds


def _setting_faults(spec: "BenchmarkSpec") -> Iterator[str]:
    """Create all settings once, so that invalid ones are reported before training starts."""
    precisions = set()
    for data in spec.data:
        for model in spec.models if data.train else ():
            try:
                precisions.add(spec.settings(data, model, spec.seeds[0]).precision)
            except SettingsError as error:
                yield f"models.{model.name} on {data.name}: {error}"
    if len(precisions) > 1:
        yield "training: precision must be the same for all runs, because they share one process"
