"""``promise features plan | encode | status | prune``"""

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from promise_seg.cli.common import console, print_line, print_lines, print_table, quiet_libraries, read_data, stages_bar
from promise_seg.cli.options import (
    MODEL,
    TRAINING,
    DataArgument,
    DeviceOption,
    EncoderPrecisionOption,
    ImageSizeOption,
    PartOption,
    ProtocolOption,
    RayCpusOption,
    RayOption,
    SamOption,
    StoreOption,
    StorePrecisionOption,
    TrainValShareOption,
    choice,
    option,
)
from promise_seg.cli.reading_options import with_reading
from promise_seg.dataset.shares import DEFAULT_VAL_SHARE
from promise_seg.vocabulary import ApmKind, Fit, Protocol, Recipe, StorePrecision, TrainableVariant

if TYPE_CHECKING:
    from promise_seg.features.contents import Kind
    from promise_seg.images.reading import ReadingOptions

_HASH_SHOWN = 12


VariantOption = Annotated[
    TrainableVariant, choice(TrainableVariant, "--variant", about="Which parts will be trained", panel=MODEL)
]
ApmOption = Annotated[
    ApmKind, choice(ApmKind, "--apm", about="The auto-prompter, which reads some stages or none", panel=MODEL)
]
FitOption = Annotated[Fit, choice(Fit, "--fit", about="How images become squares", panel=MODEL)]
ViewsOption = Annotated[int, option("--views", min=0, about="Views of each train image.", panel=TRAINING)]
AugmentationOption = Annotated[Recipe, choice(Recipe, "--augmentation", about="How views are drawn", panel=TRAINING)]
SeedOption = Annotated[int, option("--seed", min=0, about="Seed of the draw of val rows.", panel=TRAINING)]


@with_reading()
def plan(
    context: typer.Context,
    data: DataArgument,
    reading: "ReadingOptions",
    variant: VariantOption = TrainableVariant.APM_IPS,
    apm: ApmOption = ApmKind.PRETRAINED,
    sam: SamOption = "nano",
    image_size: ImageSizeOption = None,
    fit: FitOption = Fit.STRETCH,
    views: ViewsOption = 8,
    augmentation: AugmentationOption = Recipe.OWN,
    protocol: ProtocolOption = Protocol.OWN,
    seed: SeedOption = 0,
    val_share: TrainValShareOption = DEFAULT_VAL_SHARE,
    device: DeviceOption = "auto",
    encoder_precision: EncoderPrecisionOption = None,
    store: StoreOption = None,
    store_precision: StorePrecisionOption = StorePrecision.FP16,
) -> None:
    """Say what encoding will take in time, disk and memory, measured on a few images, which are stored."""
    quiet_libraries()
    from promise_seg.errors import PromiseError
    from promise_seg.features.remote import open_store
    from promise_seg.workflows import feature_plans, training

    usual = training.usual_reading(protocol, None)
    rows = read_data(data, reading, usual, val_share=val_share, seed=seed)
    with stages_bar() as progress:
        found = feature_plans.plan_features(
            rows, sam=sam, image_size=image_size, protocol=protocol, val_share=val_share, device=device,
            encoder_precision=encoder_precision, store=open_store(store, store_precision), progress=progress,
            note=print_line, **_given(context),
        )  # fmt: skip
    print(found.words)
    try:
        found.check_space()
    except PromiseError as error:
        print_lines([str(error)], "warning")


@with_reading()
def encode(
    context: typer.Context,
    data: DataArgument,
    reading: "ReadingOptions",
    variant: VariantOption = TrainableVariant.APM_IPS,
    apm: ApmOption = ApmKind.PRETRAINED,
    sam: SamOption = "nano",
    image_size: ImageSizeOption = None,
    fit: FitOption = Fit.STRETCH,
    views: ViewsOption = 8,
    augmentation: AugmentationOption = Recipe.OWN,
    protocol: ProtocolOption = Protocol.OWN,
    seed: SeedOption = 0,
    val_share: TrainValShareOption = DEFAULT_VAL_SHARE,
    part: PartOption = None,
    ray: RayOption = None,
    ray_cpus: RayCpusOption = 1,
    device: DeviceOption = "auto",
    encoder_precision: EncoderPrecisionOption = None,
    store: StoreOption = None,
    store_precision: StorePrecisionOption = StorePrecision.FP16,
) -> int:
    """Encode what promise train will read with the same options; several processes may share the work."""
    quiet_libraries()
    from promise_seg.features.remote import open_store
    from promise_seg.workflows import feature_plans, training

    usual = training.usual_reading(protocol, None)
    rows = read_data(data, reading, usual, val_share=val_share, seed=seed)
    where = open_store(store, store_precision)
    with stages_bar() as progress:
        found = feature_plans.encode_features(
            rows, sam=sam, image_size=image_size, protocol=protocol, val_share=val_share, device=device,
            encoder_precision=encoder_precision, store=where, part=part, ray=ray, ray_cpus=ray_cpus, progress=progress,
            note=print_line, **_given(context),
        )  # fmt: skip
    console.print(f"{found.encoded:,} views encoded, {found.already_there:,} already there, in {where.place}")
    for problem in found.problems:
        print(f"promise: error: {problem}", file=sys.stderr)
    return 2 if found.problems else 0


def _given(context: typer.Context) -> dict[str, Any]:
    """The settings of the training that were given on the command line."""
    names = ("variant", "apm", "fit", "views", "augmentation", "seed")
    return {
        name: context.params[name]
        for name in names
        if (source := context.get_parameter_source(name)) is not None and source.name != "DEFAULT"
    }


def status(store: StoreOption = None) -> None:
    """Show what is in the store, and when it was last used."""
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
        typer.Option("--to", metavar="SIZE", help="Size that the store may have: 500MB, 20GB; 0B.", show_default=False),
    ],
    store: StoreOption = None,
) -> None:
    """Free the features that were not used for longest, down to a size. A training that runs keeps what it uses."""
    from promise_seg.features.pruning import prune as prune_store
    from promise_seg.quantities import bytes_in_words, bytes_of_words

    folder = _folder_of(store)
    found = prune_store(folder, bytes_of_words(most, "--to"))
    print(
        f"{folder}: {found.freed:,} entries freed, {bytes_in_words(found.freed_bytes)}; {found.kept:,} are left, "
        f"{bytes_in_words(found.kept_bytes)}"
    )
    if found.spared:
        console.print(f"note: {found.spared:,} of them are used by a training that runs, and were spared")


def _folder_of(store: str | None) -> Path:
    """The folder of the user's store, which may not be there yet, or of one that is named, which must be.

    Of a store on an object store, it is the folder of the copies on this computer.
    """
    from promise_seg.features.contents import check_is_store
    from promise_seg.features.remote import folder_of_copies
    from promise_seg.features.store import FeatureStore
    from promise_seg.object_stores import is_address

    named = os.environ.get("PROMISE_SEG_STORE") if store is None else store
    if named is not None and is_address(named):
        return folder_of_copies(named)
    if store is not None:
        check_is_store(Path(store))
    return FeatureStore(store).folder


def _tensors(kind: "Kind") -> str:
    """The tensors of a kind, with the stages together: ``embedding, stages 2 to 4``."""
    numbers = sorted(int(name.removeprefix("stage_")) + 1 for name in kind.tensors if name.startswith("stage_"))
    others = [name for name in kind.tensors if not name.startswith("stage_")]
    words = [f"stages {', '.join(map(str, numbers))}"] if numbers else []
    return ", ".join(others + words)
