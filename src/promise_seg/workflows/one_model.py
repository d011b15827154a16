"""Checks for training one network for all classes of label maps."""

from promise_seg.dataset.dataset import Dataset
from promise_seg.errors import SettingsError
from promise_seg.learning.settings import TrainSettings
from promise_seg.vocabulary import ApmKind, TrainAlso


def check_one_model(settings: TrainSettings) -> None:
    """Refuse settings with which several classes cannot share a network, before any data are read.

    Raises:
        SettingsError: naming the first of these settings, and the way out.
    """
    found = None
    if not settings.has_apm:
        found = f"the variant {settings.variant} has no auto-prompter that classes could share. Choose apm or apm+ips"
    elif settings.apm != ApmKind.PRETRAINED:
        found = f"--apm {settings.apm} is learned for one class. Choose --apm {ApmKind.PRETRAINED}"
    elif settings.train_also != TrainAlso.NONE:
        found = f"--train-also {settings.train_also} changes SAM for one class. Leave one of them out"
    if found is not None:
        raise SettingsError(f"--one-model: {found}")


def check_has_classes(rows: Dataset) -> None:
    """Check that rows are of several classes.

    Raises:
        SettingsError: if their masks are read as one class, or as instances.
    """
    if not rows.is_of_several_classes:
        raise SettingsError(
            "--one-model: is for label maps with several classes; add --class all or --class 1,2, or leave --one-model "
            "out"
        )
