"""The settings of a training: from the options of the user, and from the model that it starts from."""

from collections.abc import Iterator, Mapping
from typing import Any

from promise_seg.images.reading import Reading
from promise_seg.learning.settings import OPTIONS, TrainSettings, make_settings
from promise_seg.prompting.apm import PointCounts, PointsConfig
from promise_seg.prompting.building import CONFIGS
from promise_seg.vocabulary import ApmKind, Protocol, Recipe, TrainAlso
from promise_seg.workflows.starts import Starts


def usual_reading(protocol: str, starts: Starts | None) -> Reading:
    """Return the default way of reading files: that of the model to start from, or else that of the protocol."""
    if starts is not None:
        return starts.reading
    return Reading(crop_border=protocol == Protocol.REFERENCE)


def settings_for(
    protocol: str, starts: Starts | None, given: dict[str, Any], begun: TrainSettings | None = None
) -> TrainSettings:
    """Return the settings of a training.

    Args:
        protocol: the protocol, which sets the defaults.
        starts: the model to start from, if there is one.
        given: the options by name; ``None`` for those that are not given.
        begun: the settings of the run to resume; options added after the version that began it stay off.

    Raises:
        SettingsError: naming each invalid value.
    """
    settings_of = {option: setting for setting, option in OPTIONS.items()}
    values = {settings_of.get(name, name): value for name, value in given.items() if value is not None}
    inherited = {} if starts is None else starts.first.settings
    if values.get("apm", inherited.get("apm")) != inherited.get("apm") or values.get("variant") == "ips":
        inherited = {name: value for name, value in inherited.items() if name not in ("apm", "apm_options")}
    if values.get("apm") == ApmKind.PRETRAINED:  # it takes no number of points
        inherited = {name: value for name, value in inherited.items() if name not in PointCounts.model_fields}
    if "num_points" in values:  # half of them are foreground, whatever the model to start from had
        inherited = {name: value for name, value in inherited.items() if name != "num_foreground"}
    return make_settings(begun, protocol=Protocol(protocol), **inherited | values)


def first_notes(settings: TrainSettings, starts: Starts | None, given: Mapping[str, Any]) -> Iterator[str]:
    """Yield notes for the user on the settings, a line each; ``given`` has ``None`` for options that are not given."""
    for name in ("apm", "point_weight", "saliency_weight", "inverted_views"):
        why = _without_effect(name, settings)
        if given[name] is not None and why is not None:
            yield f"--{name.replace('_', '-')} {given[name]} has no effect: {why}"
    if starts is not None:
        yield starts.words(settings)


def _without_effect(option: str, settings: TrainSettings) -> str | None:
    """Return why an option of auto-prompters has no effect with these settings, or ``None`` if it has one."""
    if not settings.has_apm:
        return f"the variant {settings.variant} has no auto-prompting module"
    if option == "point_weight" and not issubclass(CONFIGS[settings.apm], PointsConfig):
        return f"--apm {settings.apm} finds its points in its maps, and learns these"
    if option == "saliency_weight" and settings.apm in (ApmKind.RESNET, ApmKind.CROSS):
        return f"--apm {settings.apm} makes no saliency map"
    learns_anew = settings.apm == ApmKind.PRETRAINED and not settings.apm_options.get("frozen")
    keeps_sam = settings.train_also != TrainAlso.EVERYTHING
    if option == "inverted_views" and not (learns_anew and keeps_sam and settings.augmentation == Recipe.OWN):
        return (
            "only --apm pretrained learns from new views, where it is not frozen but SAM's encoder is, and with "
            "--augmentation own"
        )
    return None
