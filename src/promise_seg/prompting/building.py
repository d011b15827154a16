"""All kinds of auto-prompting modules, by the classes of their configs: the only place that knows which there are."""

from typing import Annotated, Any, get_args

from pydantic import Field, TypeAdapter, ValidationError

from promise_seg.errors import SettingsError, words_of
from promise_seg.prompting.apm import ApmConfig, PointCounts
from promise_seg.prompting.apm_cross import CrossConfig
from promise_seg.prompting.apm_heatmap import HeatmapConfig
from promise_seg.prompting.apm_peaks import PeaksConfig
from promise_seg.prompting.apm_pretrained import PretrainedConfig
from promise_seg.prompting.apm_resnet import ResnetConfig
from promise_seg.vocabulary import ApmKind, Protocol

AnyApmConfig = PretrainedConfig | HeatmapConfig | PeaksConfig | ResnetConfig | CrossConfig
ApmField = Annotated[AnyApmConfig, Field(discriminator="kind")]
"""The config of an APM of any kind, as it stands in a file: its ``kind`` tells its class."""

CONFIGS: dict[ApmKind, type[ApmConfig]] = {cls.model_fields["kind"].default: cls for cls in get_args(AnyApmConfig)}
_CHECK: TypeAdapter[AnyApmConfig] = TypeAdapter(ApmField)


def make_apm_config(kind: ApmKind, protocol: Protocol = Protocol.OWN, **values: Any) -> AnyApmConfig:
    """Return the config of an APM.

    Args:
        kind: of which APM.
        protocol: sets those options that ``values`` does not name.
        values: numbers of points, and options of this kind.

    Raises:
        SettingsError: if this kind has no such option, or the option cannot have such a value.
    """
    try:
        return _CHECK.validate_python({"kind": kind} | CONFIGS[kind].defaults_of(protocol) | values)
    except ValidationError as error:
        faults = [_fault(kind, tuple(map(str, one["loc"][1:])), words_of(one), one["input"]) for one in error.errors()]
        raise SettingsError("; ".join(faults)) from error


def options_of(kind: ApmKind) -> list[str]:
    """Return the names of the options that a kind of APM has, beside its numbers of points."""
    return CONFIGS[kind].options()


def _fault(kind: ApmKind, place: tuple[str, ...], message: str, value: Any) -> str:
    if not place:
        return f"--apm {kind}: {message}"
    name = place[0]
    option = name.removeprefix("num_") if name in PointCounts.model_fields else f"apm-{name.replace('_', '-')}"
    return f"--apm {kind}: --{option} {value}: {message}"
