"""The command ``promise train``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promise_seg.bounds import LARGEST_INPUT_SIDE, MOST_POINTS
from promise_seg.cli.common import (
    given_of,
    print_deviations,
    print_line,
    print_lines,
    quiet_libraries,
    read_data,
    stages_bar,
)
from promise_seg.cli.groups import ENCODING, Values, with_groups
from promise_seg.cli.options import (
    COMPUTING,
    MODEL,
    TRAINING,
    DataArgument,
    choice,
    option,
    output_option,
)
from promise_seg.cli.reading_options import READING
from promise_seg.cli.trust import print_learned
from promise_seg.vocabulary import (
    ApmKind,
    Fit,
    Optimizer,
    Precision,
    Recipe,
    TrainableVariant,
    TrainAlso,
)

if TYPE_CHECKING:
    from promise_seg.images.reading import ReadingOptions
    from promise_seg.workflows.one_run import Trained

_SideOption = Annotated[
    int | None,
    option(
        "--apm-side",
        min=1,
        max=LARGEST_INPUT_SIDE,
        metavar="PIXELS",
        about="Input size of pretrained; near 256 by default, larger where objects are small.",
        panel=MODEL,
    ),
]
_MaxObjectsOption = Annotated[
    int, option("--apm-max-objects", min=1, about="The most objects that pretrained prompts for.", panel=MODEL)
]
_MapNormOption = Annotated[
    str,
    option(
        "--apm-map-norm",
        metavar="none|group",
        about="Normalisation after each convolution of the fine maps of pretrained.",
        panel=MODEL,
    ),
]
_StartOption = Annotated[
    str,
    option(
        "--apm-start",
        metavar="scenes|imagenet",
        about="Initial weights of pretrained: trained on drawn scenes, or on ImageNet alone.",
        panel=MODEL,
    ),
]


@with_groups(reading=READING, encoding=ENCODING)
def train(
    context: typer.Context,
    data: DataArgument,
    output: Annotated[Path, output_option("Folder of the run; an unfinished run there is resumed.")],
    reading: "ReadingOptions",
    *,
    variant: Annotated[
        TrainableVariant, choice(TrainableVariant, about="Which parts are trained", panel=MODEL)
    ] = TrainableVariant.APM_IPS,
    apm: Annotated[
        ApmKind, choice(ApmKind, about="The auto-prompter: ours, or one of the paper's", panel=MODEL)
    ] = ApmKind.PRETRAINED,
    points: Annotated[
        int, option("--points", min=1, max=MOST_POINTS, about="How many points the APM proposes.", panel=MODEL)
    ] = 16,
    foreground: Annotated[
        int | None,
        option("--foreground", min=0, about="How many points are foreground; by default half.", panel=MODEL),
    ] = None,
    apm_backbone: Annotated[
        str,
        option(
            "--apm-backbone",
            metavar="NAME",
            about="Backbone of pretrained: efficientnet-lite0, or a hub name or folder of transformers.",
            panel=MODEL,
        ),
    ] = "efficientnet-lite0",
    apm_side: _SideOption = None,
    apm_frozen: Annotated[
        bool,
        typer.Option(
            "--apm-frozen",
            help="Freeze the backbone of pretrained; its features are then stored.",
            rich_help_panel=MODEL,
            show_default=False,
        ),
    ] = False,
    apm_map_stride: Annotated[
        int,
        option(
            "--apm-map-stride",
            metavar="2|4",
            about="Width of a cell in the maps of pretrained, in pixels; 4 with --apm-frozen.",
            panel=MODEL,
        ),
    ] = 2,
    apm_map_norm: _MapNormOption = "none",
    apm_start: _StartOption = "scenes",
    apm_max_objects: _MaxObjectsOption = 16,
    apm_looks: Annotated[
        int,
        option(
            "--apm-looks",
            metavar="1|2",
            about="Passes of pretrained over an image in prediction; with 2, a mirrored one as well.",
            panel=MODEL,
        ),
    ] = 2,
    apm_distance: Annotated[
        float,
        option(
            "--apm-distance",
            metavar="SHARE",
            about="How far apart the points of peaks should be, as a share of the image's side.",
            panel=MODEL,
        ),
    ] = 0.1,
    encoding: Values,
    train_also: Annotated[
        TrainAlso, choice(TrainAlso, about="Parts of SAM to train as well", panel=MODEL)
    ] = TrainAlso.NONE,
    fit: Annotated[
        Fit, choice(Fit, about="How images become squares; pad is SAM's way, square pads on both sides", panel=MODEL)
    ] = Fit.STRETCH,
    init: Annotated[
        str | None,
        option(
            "--init",
            metavar="MODEL",
            about="Start from a run, a checkpoint or a .pt file of the published code: parts that fit are copied.",
            panel=MODEL,
        ),
    ] = None,
    one_model: Annotated[
        bool,
        typer.Option(
            "--one-model",
            help="Train one network for all classes of label maps, instead of a model for each.",
            rich_help_panel=MODEL,
            show_default=False,
        ),
    ] = False,
    epochs: Annotated[
        int,
        option(
            "--epochs",
            min=1,
            about="Passes over the train rows; 20 to 60 with pretrained, 40 otherwise.",
            panel=TRAINING,
        ),
    ] = 20,
    batch_size: Annotated[
        int, option("--batch-size", min=1, about="Images in a step; 16 with another APM.", panel=TRAINING)
    ] = 8,
    accumulate: Annotated[
        int,
        option(
            "--accumulate",
            min=1,
            about="Compute each batch in this many parts, one after the other, to save memory.",
            panel=TRAINING,
        ),
    ] = 1,
    learning_rate: Annotated[
        float, option("--learning-rate", about="The highest learning rate.", panel=TRAINING)
    ] = 5e-4,
    weight_decay: Annotated[
        float, option("--weight-decay", about="The weight decay of the optimizer.", panel=TRAINING)
    ] = 0.01,
    optimizer: Annotated[
        Optimizer, choice(Optimizer, about="What changes the weights", panel=TRAINING)
    ] = Optimizer.ADAMW,
    point_weight: Annotated[
        float, option("--point-weight", about="Weight of the loss on the points' positions.", panel=TRAINING)
    ] = 1.0,
    saliency_weight: Annotated[
        float, option("--saliency-weight", about="Weight of the loss on the saliency map.", panel=TRAINING)
    ] = 1.0,
    inverted_views: Annotated[
        float,
        option(
            "--inverted-views",
            metavar="SHARE",
            about="Share of new views with light and dark exchanged, for cells of either kind.",
            panel=TRAINING,
        ),
    ] = 0.0,
    views: Annotated[
        int,
        option(
            "--views",
            min=0,
            about="Views of each image: the image and augmented copies; 0: a new one each epoch, not stored.",
            panel=TRAINING,
        ),
    ] = 8,
    augmentation: Annotated[
        Recipe,
        choice(
            Recipe,
            about="How images are augmented; grey is for CT, MR and ultrasound, reference the paper's",
            panel=TRAINING,
        ),
    ] = Recipe.OWN,
    seed: Annotated[int, option("--seed", min=0, about="Seed of weights, draws and val rows.", panel=TRAINING)] = 0,
    precision: Annotated[Precision, choice(Precision, about="Mixed precision", panel=COMPUTING)] = Precision.NO,
) -> None:
    """Train a model on your images. SAM stays frozen unless --train-also is given. The same command resumes an
    interrupted training."""
    from promise_seg.learning.settings import APM_PREFIX, OPTIONS
    from promise_seg.protocol import training_deviations
    from promise_seg.workflows import training
    from promise_seg.workflows.one_model import check_one_model
    from promise_seg.workflows.starts import Starts
    from promise_seg.workflows.training_settings import settings_for, usual_reading

    given = given_of(context, (*OPTIONS.values(), *(name for name in context.params if name.startswith(APM_PREFIX))))
    protocol = encoding["protocol"]
    starts = None if init is None else Starts(init)
    settings = settings_for(protocol, starts, given)
    if one_model:
        check_one_model(settings)
    print_deviations(training_deviations(protocol))
    usual = usual_reading(protocol, starts)
    rows = read_data(data, reading, usual, val_share=encoding["val_share"], seed=settings.seed)
    quiet_libraries()
    with stages_bar() as progress:
        training.train(
            rows, output, init=starts, one_model=one_model, progress=progress, note=print_line, trained=_print,
            **encoding, **given,
        )  # fmt: skip


def _print(trained: "Trained") -> None:
    best = trained.best
    print_line(
        f"encoded {trained.encoded} views; best val Dice {best['dice']:.4f} at epoch {best['epoch'] + 1}, in "
        f"{trained.best_folder}"
    )
    print_lines(trained.lines)
    if trained.trust is not None:
        print_learned(trained.trust)
    if trained.why_no_trust:
        print_line(f"note: no trust scores: {trained.why_no_trust}")
