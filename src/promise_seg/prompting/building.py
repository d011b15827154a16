"""All kinds of auto-prompting modules, by the classes of their configs: the only place that lists the kinds."""

from collections.abc import Mapping
from typing import Annotated, Any, get_args

from pydantic import Field, TypeAdapter, ValidationError

from promise_seg.errors import SettingsError
from promise_seg.prompting.apm import ApmConfig, PointCounts
from promise_seg.prompting.apm_cross import CrossConfig
from promise_seg.prompting.apm_heatmap import HeatmapConfig
from promise_seg.prompting.apm_peaks import PeaksConfig
from promise_seg.prompting.apm_pretrained import PretrainedConfig
from promise_seg.prompting.apm_resnet import ResnetConfig
from promise_seg.validation import UNKNOWN, hint, words_of
from promise_seg.vocabulary import ApmKind, Protocol

AnyApmConfig = PretrainedConfig | HeatmapConfig | PeaksConfig | ResnetConfig | CrossConfig
ApmField = Annotated[AnyApmConfig, Field(discriminator="kind")]
"""The config of an APM of any kind, as in a file: ``kind`` determines the class."""

CONFIGS: dict[ApmKind, type[ApmConfig]] = {cls.model_fields["kind"].default: cls for cls in get_args(AnyApmConfig)}
_CHECK: TypeAdapter[AnyApmConfig] = TypeAdapter(ApmField)


def make_apm_config(kind: ApmKind, protocol: Protocol = Protocol.OWN, **values: Any) -> AnyApmConfig:
    """Return the config of an APM.

    Args:
        kind: kind of the APM.
        protocol: protocol whose defaults are used for options that ``values`` does not name.
        values: numbers of points, and options of this kind.

    Raises:
        SettingsError: if this kind has no such option, or the value of an option is invalid.
    """
    try:
        return _CHECK.validate_python({"kind": kind} | CONFIGS[kind].defaults_of(protocol) | values)
    except ValidationError as error:
        raise SettingsError("; ".join(_fault(kind, one) for one in error.errors())) from error


def options_of(kind: ApmKind) -> list[str]:
    """Return the names of the options of a kind of APM, without its numbers of points."""
    return CONFIGS[kind].options()


def _fault(kind: ApmKind, fault: Mapping[str, Any]) -> str:
    place = fault["loc"][1:]  # after the kind
    if not place:
        return f"--apm {kind}: {words_of(fault)}"
    option, value = _option(str(place[0])), fault["input"]
    if fault["type"] == UNKNOWN:
        known = hint(option, [_option(name) for name in options_of(kind)])
        return f"--apm {kind}: {option} {value}: this kind has no such option{known}"
    return f"--apm {kind}: {option} {value}: {words_of(fault)}"


def _option(name: str) -> str:
    if name in PointCounts.model_fields:
        return f"--{name.removeprefix('num_')}"
    return f"--apm-{name.replace('_', '-')}"
