"""The command ``promise plan``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from promise_seg.cli.common import given_of, print_table, quiet_libraries, stages_bar
from promise_seg.cli.options import COMPUTING, DATA, MODEL, DeviceOption, ImageSizeOption, SamOption, choice, option
from promise_seg.vocabulary import ApmKind, FleetWork, Variant

if TYPE_CHECKING:
    from promise_seg.workflows.timing import SpeedReport

_WorkersOption = Annotated[
    str,
    option(
        "--workers",
        metavar="N",
        about="Number of processes like this one; 8xFILE: eight like that of a --profile FILE.",
        panel=COMPUTING,
    ),
]


def plan(
    context: typer.Context,
    images: Annotated[float, option("--images", metavar="N", about="How many images: 5000, 10e6.", panel=DATA)],
    work: Annotated[FleetWork, choice(FleetWork, "--work", about="The work to plan", panel=DATA)] = (FleetWork.PREDICT),
    views: Annotated[int, option("--views", min=1, about="Views of each image to encode.", panel=DATA)] = 1,
    image_file: Annotated[
        str, option("--image-file", metavar="SIZE", about="Size of an image's file, for the network.", panel=DATA)
    ] = "0B",
    workers: _WorkersOption = "1",
    price: Annotated[
        float | None, option("--price", metavar="MONEY", about="Price of an hour of a worker.", panel=COMPUTING)
    ] = None,
    memory: Annotated[
        str | None,
        option(
            "--memory",
            metavar="SIZE",
            about="Memory of a computer, or of its GPU, to count the workers that fit.",
            panel=COMPUTING,
        ),
    ] = None,
    profile: Annotated[
        Path | None,
        option(
            "--profile",
            metavar="FILE",
            about="Times that promise bench -o measured on a worker; without it, they are measured now.",
            panel=COMPUTING,
            show_default=False,
        ),
    ] = None,
    sam: SamOption = "nano",
    image_size: ImageSizeOption = None,
    variant: Annotated[Variant | None, choice(Variant, "--variant", about="The model", panel=MODEL)] = None,
    apm: Annotated[ApmKind | None, choice(ApmKind, "--apm", about="The auto-prompter", panel=MODEL)] = None,
    device: DeviceOption = "auto",
) -> None:
    """Estimate the hours, disk space, memory, network traffic and money that it takes to encode or predict a very large
    number of images."""
    quiet_libraries()
    from promise_seg.quantities import bytes_of_words
    from promise_seg.workflows import fleet_plans

    count, profile = fleet_plans.workers_of(workers, profile)
    sizes = {"image_bytes": bytes_of_words(image_file, "--image-file")}
    fleet_plans.checked_work(work, images=images, workers=count, views=views, price=price)
    if memory is not None:
        sizes["computer_bytes"] = bytes_of_words(memory, "--memory")
    if profile is not None:
        _check_unmeasured(context, profile)
    measured = profile or _measured(sam, image_size=image_size, variant=variant, apm=apm, device=device)
    found = fleet_plans.plan_fleet(measured, images=images, work=work, workers=count, views=views, price=price, **sizes)
    print_table(("what", "how much"), found.rows())
    if not isinstance(measured, Path):
        typer.echo(f"measured with {measured.sam} at {measured.image_size} px on {measured.hardware}")


def _measured(sam: str, **options: Any) -> "SpeedReport":
    """Measure the speed of this computer."""
    from promise_seg.workflows.timing import bench

    with stages_bar() as progress:
        return bench(sam, clicks=1, progress=progress, **options)


def _check_unmeasured(context: typer.Context, profile: Path) -> None:
    """Refuse options for measuring if a profile was given, which holds earlier measurements.

    Raises:
        SettingsError: naming the option.
    """
    from promise_seg.errors import SettingsError

    for name in given_of(context, ("sam", "image_size", "variant", "apm", "device")):
        raise SettingsError(
            f"--{name.replace('_', '-')}: is for measuring here, but --profile {profile} was measured already. "
            "Leave one of them out"
        )
