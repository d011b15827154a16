"""The options of ``promise train`` that are settings of the training, with the defaults of new trainings."""

from typing import Annotated, Any

import typer

from promise_seg.bounds import LARGEST_INPUT_SIDE, MOST_POINTS
from promise_seg.cli.groups import Group
from promise_seg.cli.options import COMPUTING, MODEL, TRAINING, choice, option
from promise_seg.training_defaults import DEFAULTS, LEAST_EPOCHS, MOST_EPOCHS, PRETRAINED_OPTIONS, usual_defaults
from promise_seg.vocabulary import ApmKind, Fit, Optimizer, Precision, Recipe, TrainableVariant, TrainAlso

_USUAL = usual_defaults()


def _group(options: dict[str, tuple[Any, Any]], **others: Any) -> Group:
    """Return a group of options.

    Args:
        options: the type and the typer option of each, by name.
        others: the defaults of options that are not named as a setting.
    """
    defaults = _USUAL | others
    return Group({name: (Annotated[kind, about], defaults[name]) for name, (kind, about) in options.items()})


PROMPTING = _group(
    {
        "variant": (TrainableVariant, choice(TrainableVariant, about="Which parts are trained", panel=MODEL)),
        "apm": (ApmKind, choice(ApmKind, about="The auto-prompter: ours, or one of the paper's", panel=MODEL)),
        "points": (
            int,
            option("--points", min=1, max=MOST_POINTS, about="How many points the APM proposes.", panel=MODEL),
        ),
        "foreground": (
            int | None,
            option("--foreground", min=0, about="How many points are foreground; by default half.", panel=MODEL),
        ),
        "apm_backbone": (
            str,
            option(
                "--apm-backbone",
                metavar="NAME",
                about="Backbone of pretrained: efficientnet-lite0, or a hub name or folder of transformers.",
                panel=MODEL,
            ),
        ),
        "apm_side": (
            int | None,
            option(
                "--apm-side",
                min=1,
                max=LARGEST_INPUT_SIDE,
                metavar="PIXELS",
                about="Input size of pretrained; near 256 by default, larger where objects are small.",
                panel=MODEL,
            ),
        ),
        "apm_frozen": (
            bool,
            typer.Option(
                "--apm-frozen",
                help="Freeze the backbone of pretrained; its features are then stored.",
                rich_help_panel=MODEL,
                show_default=False,
            ),
        ),
        "apm_map_stride": (
            int,
            option(
                "--apm-map-stride",
                metavar="2|4",
                about="Width of a cell in the maps of pretrained, in pixels; 4 with --apm-frozen.",
                panel=MODEL,
            ),
        ),
        "apm_map_norm": (
            str,
            option(
                "--apm-map-norm",
                metavar="none|group",
                about="Normalisation after each convolution of the fine maps of pretrained.",
                panel=MODEL,
            ),
        ),
        "apm_start": (
            str,
            option(
                "--apm-start",
                metavar="scenes|imagenet",
                about="Initial weights of pretrained: trained on drawn scenes, or on ImageNet alone.",
                panel=MODEL,
            ),
        ),
        "apm_max_objects": (
            int,
            option("--apm-max-objects", min=1, about="The most objects that pretrained prompts for.", panel=MODEL),
        ),
        "apm_looks": (
            int,
            option(
                "--apm-looks",
                metavar="1|2",
                about="Passes of pretrained over an image in prediction; with 2, a mirrored one as well.",
                panel=MODEL,
            ),
        ),
        "apm_distance": (
            float,
            option(
                "--apm-distance",
                metavar="SHARE",
                about="How far apart the points of peaks should be, as a share of the image's side.",
                panel=MODEL,
            ),
        ),
    },
    variant=TrainableVariant(_USUAL["variant"]), points=_USUAL["num_points"], foreground=None,
    apm_backbone="efficientnet-lite0", apm_side=None, apm_frozen=False, apm_max_objects=16, apm_distance=0.1,
    **{f"apm_{name}": value for name, value in PRETRAINED_OPTIONS.items()},
)  # fmt: skip
"""Options of the parts around SAM, and of the auto-prompter."""

FITTING = _group(
    {
        "train_also": (TrainAlso, choice(TrainAlso, about="Parts of SAM to train as well", panel=MODEL)),
        "fit": (
            Fit,
            choice(Fit, about="How images become squares; pad is SAM's way, square pads on both sides", panel=MODEL),
        ),
    }
)
"""Options of SAM in the model."""

LEARNING = _group(
    {
        "epochs": (
            int,
            option(
                "--epochs",
                min=1,
                about=f"Passes over the train rows; {LEAST_EPOCHS} to {MOST_EPOCHS} with pretrained, "
                f"{DEFAULTS['epochs']} otherwise.",
                panel=TRAINING,
            ),
        ),
        "batch_size": (
            int,
            option(
                "--batch-size",
                min=1,
                about=f"Images in a step; {DEFAULTS['batch_size']} with another APM.",
                panel=TRAINING,
            ),
        ),
        "accumulate": (
            int,
            option(
                "--accumulate",
                min=1,
                about="Compute each batch in this many parts, one after the other, to save memory.",
                panel=TRAINING,
            ),
        ),
        "learning_rate": (
            float,
            option("--learning-rate", about="The highest learning rate.", panel=TRAINING),
        ),
        "weight_decay": (
            float,
            option("--weight-decay", about="The weight decay of the optimizer.", panel=TRAINING),
        ),
        "optimizer": (Optimizer, choice(Optimizer, about="What changes the weights", panel=TRAINING)),
        "point_weight": (
            float,
            option("--point-weight", about="Weight of the loss on the points' positions.", panel=TRAINING),
        ),
        "saliency_weight": (
            float,
            option("--saliency-weight", about="Weight of the loss on the saliency map.", panel=TRAINING),
        ),
        "inverted_views": (
            float,
            option(
                "--inverted-views",
                metavar="SHARE",
                about="Share of new views with light and dark exchanged, for cells of either kind.",
                panel=TRAINING,
            ),
        ),
        "views": (
            int,
            option(
                "--views",
                min=0,
                about="Views of each image: the image and augmented copies; 0: a new one each epoch, not stored.",
                panel=TRAINING,
            ),
        ),
        "augmentation": (
            Recipe,
            choice(
                Recipe,
                about="How images are augmented; grey is for CT, MR and ultrasound, reference the paper's",
                panel=TRAINING,
            ),
        ),
        "seed": (int, option("--seed", min=0, about="Seed of weights, draws and val rows.", panel=TRAINING)),
        "precision": (Precision, choice(Precision, about="Mixed precision", panel=COMPUTING)),
    }
)
"""Options of learning: epochs, steps, losses and views."""
