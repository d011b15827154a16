"""The defaults of the settings of new trainings. Options of a single kind of APM have theirs in its config class.

``promise train``, :func:`promise_seg.train`, benchmarks and the annotator take them from here. A run that earlier
versions began lacks the settings that were added after it; its values for these are in
:data:`promise_seg.config_versions.FIRST_SETTINGS`.
"""

from typing import Any

from promise_seg.vocabulary import (
    ApmKind,
    Fit,
    GivenPrompts,
    Optimizer,
    Precision,
    Protocol,
    Recipe,
    TrainAlso,
    Variant,
)

DEFAULTS: dict[str, Any] = {
    "protocol": Protocol.OWN,
    "variant": Variant.APM_IPS,
    "apm": ApmKind.PRETRAINED,
    "apm_options": {},
    "train_also": TrainAlso.NONE,
    "num_points": 16,
    "num_foreground": 8,
    "fit": Fit.STRETCH,
    "epochs": 40,
    "batch_size": 16,
    "accumulate": 1,
    "views": 8,
    "augmentation": Recipe.OWN,
    "optimizer": Optimizer.ADAMW,
    "learning_rate": 5e-4,
    "weight_decay": 0.01,
    "warmup_share": 0.05,
    "mask_weight": 1.0,
    "point_weight": 1.0,
    "saliency_weight": 1.0,
    "edge_weight": 0.0,
    "distance_weight": 1.0,
    "presence_weight": 0.5,
    "quality_weight": 1.0,
    "shifts": 2,
    "given_prompts": GivenPrompts.ALL,
    "learns_quality": True,
    "decoder_interval": 1,
    "own_sets": 4,
    "val_interval": 1,
    "scores_volumes": True,
    "mixes_views": False,
    "inverted_views": 0.0,
    "separate_objects": True,
    "precision": Precision.NO,
    "seed": 0,
}
"""The defaults of all settings, by the names of :class:`~promise_seg.learning.settings.TrainSettings`."""

IMAGES_SEEN = 7_000
"""The number of training images that the APM ``pretrained`` sees over all epochs, within the two bounds below."""
LEAST_EPOCHS, MOST_EPOCHS = 20, 60

DEFAULTS_OF_APM: dict[ApmKind, dict[str, Any]] = {
    ApmKind.PRETRAINED: {
        "epochs": LEAST_EPOCHS,
        "batch_size": 8,
        "edge_weight": 2.0,
        "decoder_interval": 2,
        "own_sets": 2,
        "val_interval": 1,
        "mixes_views": True,
    }
}
"""The defaults that differ for models with one kind of APM."""

PRETRAINED_OPTIONS: dict[str, Any] = {"map_stride": 2, "map_norm": "none", "start": "scenes", "looks": 2}
"""Options of the APM ``pretrained`` that new runs have, and models of the versions before these options have not."""

REFERENCE_DEFAULTS: dict[str, Any] = {
    "protocol": Protocol.REFERENCE,
    "apm": ApmKind.RESNET,
    "fit": Fit.SQUARE,
    "epochs": 200,
    "batch_size": 8,
    "views": 0,
    "augmentation": Recipe.REFERENCE,
    "optimizer": Optimizer.ADAM,
    "learning_rate": 1e-5,
    "weight_decay": 0.0,
    "warmup_share": 0.0,
    "point_weight": 0.0,
    "saliency_weight": 0.0,
    "shifts": 1,
    "given_prompts": GivenPrompts.POINTS,
    "learns_quality": False,
    "scores_volumes": False,
    "separate_objects": False,
}
"""The defaults that differ in the published procedure. Source: ProMISe, "Training"."""


def usual_defaults() -> dict[str, Any]:
    """Return the settings of a training for which the user gives none, as ``promise train --help`` shows them."""
    return DEFAULTS | DEFAULTS_OF_APM.get(DEFAULTS["apm"], {})
