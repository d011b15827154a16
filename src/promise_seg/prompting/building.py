"""Build an auto-prompting module by its kind."""

from promise_seg.prompting.apm import AutoPrompter
from promise_seg.prompting.apm_cross import CrossPrompter
from promise_seg.prompting.apm_heatmap import HeatmapPrompter
from promise_seg.prompting.apm_resnet import ResnetPrompter
from promise_seg.sam.features import FeatureSizes
from promise_seg.vocabulary import ApmKind, PositionCode


def build_apm(
    kind: ApmKind,
    sizes: FeatureSizes,
    num_points: int = 16,
    num_foreground: int = 8,
    position_code: PositionCode | None = None,
) -> AutoPrompter:
    """An untrained APM for a SAM of these sizes. ``position_code`` matters for ``cross`` only."""
    points = (num_points, num_foreground)
    if kind == ApmKind.RESNET:
        return ResnetPrompter(sizes.stage_channels, sizes.side, *points)
    if kind == ApmKind.CROSS:
        code = position_code or PositionCode.GEOMETRIC
        return CrossPrompter(sizes.stage_channels, sizes.num_heads, sizes.side, *points, code)
    return HeatmapPrompter(sizes.embedding_channels, sizes.stage_channels, sizes.side, sizes.grid, *points)
