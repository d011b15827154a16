"""Options for reading files, which many commands share."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from promise_seg.cli.groups import Group
from promise_seg.cli.options import DATA, ThresholdOption, choice
from promise_seg.vocabulary import Axis, Channel

if TYPE_CHECKING:
    from promise_seg.images.reading import ReadingOptions

WindowOption = Annotated[
    str | None,
    typer.Option(
        "--window",
        metavar="WINDOW",
        help="How values become grey: own (the file's), percentile, LEVEL,WIDTH, or brain, lung ...; three joined by + "
        "make the three channels.",
        rich_help_panel=DATA,
    ),
]
AxisOption = Annotated[Axis | None, choice(Axis, "--axis", about="The plane in which volumes are sliced", panel=DATA)]
ChannelOption = Annotated[
    Channel | None, choice(Channel, "--channel", about="The colour channel that is read as grey", panel=DATA)
]
ChannelsOption = Annotated[
    str | None,
    typer.Option(
        "--channels",
        metavar="CHANNELS",
        help="Which channels go to SAM's three inputs, by number from 0 or by name: 2,0,1 or DAPI,GFP; - leaves an "
        "input black. Files of one case differ in the last word of their names: flair,t1ce,t2 or 0000,0001.",
        rich_help_panel=DATA,
    ),
]
CropOption = Annotated[
    bool | None,
    typer.Option(
        "--crop-border/--no-crop-border", help="Crop the black border around the image.", rich_help_panel=DATA
    ),
]
ClassOption = Annotated[
    str | None,
    typer.Option(
        "--class",
        metavar="CLASS",
        help="Masks are label maps: segment this class; 1,2,5 or all: one model per class.",
        rich_help_panel=DATA,
    ),
]
InstancesOption = Annotated[
    bool,
    typer.Option("--instances", help="Masks are instance maps: each value is one object.", rich_help_panel=DATA),
]
TileOption = Annotated[
    str | None,
    typer.Option(
        "--tile",
        metavar="SIDE",
        help="Process larger images in tiles of this side, in pixels; auto: by the sizes of the objects, and for "
        "trained models as in training; none: whole images.",
        rich_help_panel=DATA,
        show_default=False,
    ),
]
OverlapOption = Annotated[
    int | None,
    typer.Option(
        "--overlap",
        min=0,
        metavar="PIXELS",
        help="Overlap of neighbouring tiles, in pixels; by default from the objects, or a quarter of a tile.",
        rich_help_panel=DATA,
    ),
]
LevelOption = Annotated[
    int | None,
    typer.Option(
        "--level",
        min=0,
        metavar="NUMBER",
        help="Level of an image pyramid to read; 0 is the finest.",
        rich_help_panel=DATA,
    ),
]


def _as_reading(**values: Any) -> "ReadingOptions":
    from promise_seg.images.reading import ReadingOptions

    return ReadingOptions(**values)


READING = Group(
    {
        "window": (WindowOption, None),
        "channel": (ChannelOption, None),
        "channels": (ChannelsOption, None),
        "axis": (AxisOption, None),
        "crop_border": (CropOption, None),
        "label": (ClassOption, None),
        "instances": (InstancesOption, False),
        "mask_threshold": (ThresholdOption, None),
        "tile": (TileOption, None),
        "overlap": (OverlapOption, None),
        "level": (LevelOption, None),
    },
    make=_as_reading,
)
"""Options for reading files, named after the fields of ``ReadingOptions``."""

TILING = Group(READING.only("tile", "overlap", "level").options)
"""Options for reading images that are larger than a tile."""
