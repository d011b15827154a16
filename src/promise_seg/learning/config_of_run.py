"""The config of the model that a run trains, before anything is chosen on validation rows."""

from collections.abc import Sequence

from promise_seg._version import __version__
from promise_seg.dataset.checks import CheckedRow
from promise_seg.learning.settings import TrainSettings
from promise_seg.model import ModelConfig
from promise_seg.prompting.apm import PointCounts
from promise_seg.sam.backbone import Backbone


def config_of_run(
    settings: TrainSettings, train: Sequence[CheckedRow], sam: Backbone, *, separates: bool
) -> ModelConfig:
    """Return the config of the model that a run trains.

    Args:
        settings: the settings of the training.
        train: the train rows.
        sam: the SAM that the model is built around.
        separates: whether the model learns to separate objects.
    """
    apm = settings.apm_config
    return ModelConfig(
        variant=settings.variant,
        apm=None
        if apm is None
        else apm.completed(learns_presence=any(r.foreground_pixels == 0 for r in train), separates=separates),
        oracle=PointCounts(num_points=settings.num_points, num_foreground=settings.num_foreground),
        train_also=settings.train_also,
        has_given_shift=settings.has_given_shift,
        learns_quality=settings.learns_quality,
        fit=settings.fit,
        reading=train[0].reading,
        encoder_precision=sam.encoder_precision,
        sam=sam.name,
        sam_sha256=sam.sha256,
        image_size=sam.image_size,
        promise_seg_version=__version__,
    )
