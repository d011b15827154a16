"""Options that several commands share, and helpers that define options.

This module is imported whenever a command line is parsed, so it must not import torch.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from promise_seg.bounds import LARGEST_INPUT_SIDE
from promise_seg.storage.object_stores import is_address
from promise_seg.vocabulary import (
    EncoderPrecision,
    PromptSource,
    Protocol,
    Slices,
    SplitChoice,
    StorePrecision,
)

DATA = "Data"
MODEL = "Model"
TRAINING = "Training"
SCORING = "Scoring"
OUTPUT = "Output"
COMPUTING = "Computing"
PARTS = "Several processes"
"""The panels of ``--help``, by which the options are grouped."""

_WIDEST = {DATA: 12}  # maximum width of a list of choices next to the option's name, for terminals of 80 columns
_WIDEST_ELSEWHERE = 20


def option(*names: str, about: str, panel: str, **more: Any) -> Any:
    """Return a typer option with a help text, in a panel of ``--help``."""
    return typer.Option(*names, help=about, rich_help_panel=panel, **more)


def choice(words: type[StrEnum], *names: str, about: str, panel: str, **more: Any) -> Any:
    """Return an option whose value is one of several words.

    In ``--help``, a short list of words is next to the option's name. A longer list is part of the help text, where
    lines are broken only between words.

    Args:
        words: the words to choose from.
        names: the names of the option; by default made from the name of the parameter.
        about: the help text, a sentence without its full stop.
        panel: the panel of ``--help``.
        more: other arguments of ``typer.Option``.
    """
    if len("|".join(words)) <= _WIDEST.get(panel, _WIDEST_ELSEWHERE):
        return typer.Option(*names, help=f"{about}.", rich_help_panel=panel, **more)
    return typer.Option(*names, metavar="WORD", help=f"{about}: {listed(list(words))}.", rich_help_panel=panel, **more)


def listed(words: list[str]) -> str:
    """Join words as in a sentence: ``a, b or c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _devices(incomplete: str) -> list[str]:
    return [word for word in ("auto", "cpu", "cuda", "mps") if word.startswith(incomplete)]


def _sams(incomplete: str) -> list[str]:
    from promise_seg.sam.known import KNOWN_SAMS

    return [name for name in ("nano", *KNOWN_SAMS) if name.startswith(incomplete)]


DataArgument = Annotated[
    Path,
    typer.Argument(help="CSV with the columns image_name,train_type,mask_name, or its address.", show_default=False),
]
ModelArgument = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="Output folder of promise train, a checkpoint, a .pt file of the published code, or bare for SAM alone.",
        show_default=False,
    ),
]
TrainedArgument = Annotated[
    Path, typer.Argument(metavar="MODEL", help="Output folder of promise train, or a checkpoint.", show_default=False)
]
TrainedPlaceArgument = Annotated[
    Path | None,
    typer.Argument(metavar="MODEL", help="Output folder of promise train, or a checkpoint.", show_default=False),
]
PartOption = Annotated[
    str | None,
    typer.Option(
        "--part",
        metavar="K/N",
        help="Do part K of N while other processes do the other parts; slurm: the part of this task of a job array.",
        rich_help_panel=PARTS,
        show_default=False,
    ),
]
RayOption = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Use a Ray cluster: auto for that of this computer, local to start one here, or HOST:PORT.",
        rich_help_panel=PARTS,
        show_default=False,
    ),
]
RayCpusOption = Annotated[
    int,
    typer.Option("--ray-cpus", metavar="N", help="CPUs of each worker of --ray.", rich_help_panel=PARTS),
]
SamOption = Annotated[
    str,
    typer.Option(
        "--sam",
        metavar="SAM",
        help="nano, a name from promise sam list, an official .pth file, or a folder or hub name of transformers.",
        rich_help_panel=MODEL,
        autocompletion=_sams,
    ),
]
SamPlaceOption = Annotated[
    str | None,
    typer.Option(
        "--sam",
        metavar="SAM",
        help="Location of the SAM, if it has moved since training.",
        rich_help_panel=MODEL,
        autocompletion=_sams,
    ),
]
ImageSizeOption = Annotated[
    int | None,
    typer.Option(
        "--image-size",
        min=16,
        max=LARGEST_INPUT_SIDE,
        metavar="PIXELS",
        help="Use SAM at a different input size than it was trained at.",
        rich_help_panel=MODEL,
    ),
]
BareSizeOption = Annotated[
    int | None,
    typer.Option(
        "--image-size",
        min=16,
        max=LARGEST_INPUT_SIDE,
        metavar="PIXELS",
        help="Input size of a bare SAM.",
        rich_help_panel=MODEL,
    ),
]
ProtocolOption = Annotated[
    Protocol,
    choice(Protocol, "--protocol", about="reference is the published procedure, to repeat its numbers", panel=TRAINING),
]
ScoringProtocolOption = Annotated[
    Protocol,
    choice(Protocol, "--protocol", about="reference is the published procedure, to repeat its numbers", panel=SCORING),
]
AlwaysSegmentOption = Annotated[
    bool,
    typer.Option(
        "--always-segment",
        help="Also segment images that the model judges to show no object; their masks are empty otherwise.",
        rich_help_panel=MODEL,
        show_default=False,
    ),
]
SlicesOption = Annotated[
    Slices,
    choice(
        Slices,
        "--slices",
        about="How the slices of a volume are combined; auto: as promise tune-postprocess chose, or else each",
        panel=MODEL,
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="DEVICE",
        help="auto, cpu, cuda or mps.",
        rich_help_panel=COMPUTING,
        autocompletion=_devices,
    ),
]
StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="PLACE",
        help="Feature store: a folder or s3://...; default $PROMISE_SEG_STORE or the user's cache.",
        rich_help_panel=COMPUTING,
        show_default=False,
    ),
]
StoreFolderOption = Annotated[
    Path | None,
    typer.Option(
        "--store",
        metavar="FOLDER",
        help="Feature store; default $PROMISE_SEG_STORE or the user's cache.",
        rich_help_panel=COMPUTING,
        show_default=False,
    ),
]
TrainValShareOption = Annotated[
    float,
    option(
        "--val-share",
        min=0.01,
        max=0.9,
        metavar="SHARE",
        about="Share of the train rows to validate on, where there are no val rows.",
        panel=DATA,
    ),
]
StorePrecisionOption = Annotated[
    StorePrecision,
    choice(
        StorePrecision,
        "--store-precision",
        about="Precision of stored features; int8 takes half the space, with 8 bits over the range of each channel",
        panel=COMPUTING,
    ),
]
EncoderPrecisionOption = Annotated[
    EncoderPrecision | None,
    choice(
        EncoderPrecision,
        "--encoder-precision",
        about="Precision of SAM's encoder, by default fp32; bf16 and fp16 are for GPUs, int8 for CPUs",
        panel=COMPUTING,
    ),
]
OtherEncoderPrecisionOption = Annotated[
    EncoderPrecision | None,
    choice(
        EncoderPrecision,
        "--encoder-precision",
        about="Precision of SAM's encoder, if not that of training; bf16 and fp16 are for GPUs, int8 for CPUs",
        panel=COMPUTING,
    ),
]
SplitOption = Annotated[SplitChoice, choice(SplitChoice, "--split", about="Which rows", panel=DATA)]
ThresholdOption = Annotated[
    float | None,
    typer.Option(
        "--mask-threshold",
        min=0,
        max=65534,
        metavar="VALUE",
        help="Threshold for grey or soft masks, such as 127 or 0.5: values above it are foreground.",
        rich_help_panel=DATA,
    ),
]
ByOption = Annotated[
    list[str] | None,
    typer.Option(
        "--by",
        metavar="COLUMN",
        help="Also report means by this column of the manifest.",
        rich_help_panel=SCORING,
    ),
]
ToleranceOption = Annotated[
    str,
    typer.Option(
        "--tolerance",
        metavar="LENGTH",
        help="Tolerance of the surface Dice, and the unit of distances: 2px, or 1.5mm.",
        rich_help_panel=SCORING,
    ),
]
PromptsOption = Annotated[
    PromptSource,
    choice(PromptSource, "--prompts", about="Where prompts come from; apm: the model's own", panel=SCORING),
]


def output_option(about: str, *, may_be_address: bool = False, **more: Any) -> Any:
    """Return the option ``-o``, ``--output``."""
    return typer.Option(
        "-o", "--output", metavar="PATH", help=about, rich_help_panel=OUTPUT, show_default=False,
        callback=None if may_be_address else no_address, **more,
    )  # fmt: skip


def no_address(output: Path | None) -> Path | None:
    """Refuse an address (such as ``s3://...``) as output, because a path would turn it into local folders.

    Raises:
        typer.BadParameter: if the output is an address.
    """
    if output is not None and is_address(str(output)):
        raise typer.BadParameter("only promise predict writes to addresses. Choose a folder, and copy it there")
    return output


ValShareOption = Annotated[
    float | None,
    option(
        "--val-share",
        min=0.01,
        max=0.9,
        metavar="SHARE",
        about="Share of the train rows to validate on, where there are no val rows; default: that of training.",
        panel=DATA,
    ),
]
SplitSeedOption = Annotated[
    int | None,
    option("--seed", min=0, about="Seed of that draw of val rows; default: that of training.", panel=DATA),
]
