"""The options of a report."""

from collections.abc import Sequence
from dataclasses import dataclass

from promise_seg.assessment.measuring import DEFAULT_TOLERANCE, Tolerance
from promise_seg.errors import SettingsError
from promise_seg.images.reading import NO_OPTIONS, ReadingOptions
from promise_seg.inference.prompting import check_prompts
from promise_seg.model import PromiseModel
from promise_seg.vocabulary import PromptSource


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """The options of a report.

    Args:
        run: the model, as the user named it.
        data: the manifest, as the user named it.
        output: the folder of the report, as the user named it.
        is_bare: whether the model is a SAM alone, which has no folder.
        split: the name of the reported split.
        prompts: the kinds of prompts; the worst cases are those of the first.
        by: columns of the manifest to group the images by, in addition to their size.
        tolerance: the tolerance of outlines.
        seed: the seed of oracle points, draws and intervals.
        budget: whether the prompt error budget is measured too.
        images: whether the worst cases are drawn.
        worst: the number of worst cases.
        sam: the SAM, as the user named it; ``None`` for that of the model.
        image_size: the input size of a bare SAM, in pixels.
        reading: the reading options that differ from those of training.
    """

    run: str
    data: str
    output: str
    prompts: tuple[PromptSource, ...]
    is_bare: bool = False
    split: str = "test"
    by: tuple[str, ...] = ()
    tolerance: Tolerance = DEFAULT_TOLERANCE
    seed: int = 0
    budget: bool = True
    images: bool = True
    worst: int = 12
    sam: str | None = None
    image_size: int | None = None
    reading: ReadingOptions = NO_OPTIONS


def pick_prompts(names: Sequence[str], model: PromiseModel) -> tuple[PromptSource, ...]:
    """Return the kinds of prompts for a report; by default own prompts, if the model has an APM, and oracle points.

    Raises:
        SettingsError: if a name is not a kind of prompts, or the model cannot make them.
    """
    for name in names:
        if name not in tuple(PromptSource):
            raise SettingsError(f"--prompts {name}: expected {', '.join(PromptSource)}")
    own = () if model.apm is None else (PromptSource.APM,)
    chosen = tuple(PromptSource(name) for name in dict.fromkeys(names)) or (*own, PromptSource.ORACLE)
    for source in chosen:
        check_prompts(model, source)
    return chosen
