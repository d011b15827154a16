"""The commands ``promise features plan | encode | status | prune``."""

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promise_seg.cli.common import (
    given_of,
    print_line,
    print_lines,
    print_table,
    quiet_libraries,
    read_data,
    stages_bar,
)
from promise_seg.cli.groups import ENCODING, Group, Values, with_groups
from promise_seg.cli.options import (
    MODEL,
    TRAINING,
    DataArgument,
    PartOption,
    RayCpusOption,
    RayOption,
    StoreOption,
    choice,
    option,
)
from promise_seg.cli.reading_options import READING
from promise_seg.training_defaults import DEFAULTS
from promise_seg.vocabulary import ApmKind, Fit, Recipe, TrainableVariant

if TYPE_CHECKING:
    from promise_seg.features.contents import Kind
    from promise_seg.images.reading import ReadingOptions
    from promise_seg.workflows.feature_plans import FeatureWork

_HASH_SHOWN = 12


VariantOption = Annotated[
    TrainableVariant, choice(TrainableVariant, "--variant", about="Which parts will be trained", panel=MODEL)
]
ApmOption = Annotated[
    ApmKind, choice(ApmKind, "--apm", about="The auto-prompter, which decides which stages are stored", panel=MODEL)
]
FitOption = Annotated[Fit, choice(Fit, "--fit", about="How images become squares", panel=MODEL)]
ViewsOption = Annotated[int, option("--views", min=0, about="Views of each train image.", panel=TRAINING)]
AugmentationOption = Annotated[
    Recipe, choice(Recipe, "--augmentation", about="How images are augmented", panel=TRAINING)
]
SeedOption = Annotated[int, option("--seed", min=0, about="Seed of the draw of val rows.", panel=TRAINING)]


_SETTINGS = Group(
    {
        "variant": (VariantOption, TrainableVariant(DEFAULTS["variant"])),
        "apm": (ApmOption, DEFAULTS["apm"]),
        "fit": (FitOption, DEFAULTS["fit"]),
        "views": (ViewsOption, DEFAULTS["views"]),
        "augmentation": (AugmentationOption, DEFAULTS["augmentation"]),
        "seed": (SeedOption, DEFAULTS["seed"]),
    }
)
"""The training settings that determine which features are encoded."""


@with_groups(reading=READING, settings=_SETTINGS, encoding=ENCODING)
def plan(
    context: typer.Context, data: DataArgument, reading: "ReadingOptions", settings: Values, encoding: Values
) -> None:
    """Estimate the time, disk space and memory that encoding will take. A few images are encoded for the measurement,
    and their features are stored."""
    from promise_seg.errors import PromiseError

    work = _work(context, data, reading, settings, encoding)
    with stages_bar() as progress:
        found = work.plan(progress)
    print(found.words)
    try:
        found.check_space()
    except PromiseError as error:
        print_lines([str(error)], "warning")


@with_groups(reading=READING, settings=_SETTINGS, encoding=ENCODING)
def encode(
    context: typer.Context,
    data: DataArgument,
    reading: "ReadingOptions",
    settings: Values,
    *,
    part: PartOption = None,
    ray: RayOption = None,
    ray_cpus: RayCpusOption = 1,
    encoding: Values,
) -> int:
    """Encode all images that promise train needs with the same options, and store their features. Several processes
    can share the work."""
    work = _work(context, data, reading, settings, encoding)
    with stages_bar() as progress:
        found = work.encode(part, progress, ray=ray, ray_cpus=ray_cpus)
    print_line(f"{found.encoded:,} views encoded, {found.already_there:,} already there, in {work.store.place}")
    for problem in found.problems:
        print(f"promise: error: {problem}", file=sys.stderr)
    return 2 if found.problems else 0


def _work(
    context: typer.Context, data: Path, reading: "ReadingOptions", settings: Values, encoding: Values
) -> "FeatureWork":
    """Return the encoding that a training with the given settings needs."""
    quiet_libraries()
    from promise_seg.dataset.manifest import scan_manifest
    from promise_seg.workflows.feature_plans import FeatureWork
    from promise_seg.workflows.training_settings import usual_reading

    usual = usual_reading(encoding["protocol"], None)
    reading.applied_to(usual)
    scan_manifest(data)  # before SAM is loaded; unusable rows are reported with the files
    return FeatureWork(
        lambda: read_data(data, reading, usual, val_share=encoding["val_share"], seed=settings["seed"]),
        note=print_line, **encoding, **given_of(context, settings),
    )  # fmt: skip


def status(store: StoreOption = None) -> None:
    """Show the content of the feature store, and when each part was last used."""
    from promise_seg.features.contents import shares_of
    from promise_seg.quantities import bytes_in_words, seconds_in_words

    folder = _folder_of(store)
    shares = shares_of(folder)
    rows = [
        (
            share.kind.network[:_HASH_SHOWN] or "not noted",
            share.kind.side,
            share.kind.precision,
            _tensors(share.kind),
            f"{share.entries:,}",
            bytes_in_words(share.size),
            f"{seconds_in_words(max(0.0, time.time() - share.last_used))} ago",
        )
        for share in shares
    ]
    if rows:
        print_table(("network (SHA-256)", "px", "precision", "tensors", "entries", "size", "last used"), rows)
    entries, size = sum(share.entries for share in shares), sum(share.size for share in shares)
    print(f"{folder}: {entries:,} entries, {bytes_in_words(size)}")


def prune(
    most: Annotated[
        str,
        typer.Option(
            "--to", metavar="SIZE", help="Size to reduce the store to: 500MB, 20GB or 0B.", show_default=False
        ),
    ],
    store: StoreOption = None,
) -> None:
    """Remove the least recently used features until the store is no larger than a given size. Features that a running
    training uses are kept."""
    from promise_seg.features.pruning import prune as prune_store
    from promise_seg.quantities import bytes_in_words, bytes_of_words

    folder = _folder_of(store)
    found = prune_store(folder, bytes_of_words(most, "--to"))
    print(
        f"{folder}: {found.freed:,} entries freed, {bytes_in_words(found.freed_bytes)}; {found.kept:,} are left, "
        f"{bytes_in_words(found.kept_bytes)}"
    )
    if found.spared:
        print_line(f"note: {found.spared:,} of them are used by a training that runs, and were spared")


def _folder_of(store: str | None) -> Path:
    """Return the folder of the feature store: of the given one, which must exist, or of the user's, which need not.

    For a feature store at an address, it is the folder of its local copies.
    """
    from promise_seg.features.contents import check_is_store
    from promise_seg.features.remote import folder_of_copies
    from promise_seg.features.store import FeatureStore
    from promise_seg.storage.object_stores import check_address, is_address

    named = os.environ.get("PROMISE_SEG_STORE") if store is None else store
    if named is not None and is_address(named):
        check_address(named, "--store" if store is not None else "PROMISE_SEG_STORE")
        return folder_of_copies(named)
    if store is not None:
        check_is_store(Path(store))
    return FeatureStore(store).folder


def _tensors(kind: "Kind") -> str:
    """Return the names of the tensors of a kind, with the stages in one list: ``embedding, stages 2, 3, 4``."""
    numbers = sorted(int(name.removeprefix("stage_")) + 1 for name in kind.tensors if name.startswith("stage_"))
    others = [name for name in kind.tensors if not name.startswith("stage_")]
    words = [f"stages {', '.join(map(str, numbers))}"] if numbers else []
    return ", ".join(others + words)
