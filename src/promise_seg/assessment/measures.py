"""The table of all measures, from which the lists, headings, order and explanations of measures are made.

A new measure is one entry of :data:`MEASURES`, with its computation next to similar ones (``surfaces.py`` for
distances, ``metrics.py`` for overlaps, etc.). See "Recipes" in CONTRIBUTING.md.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import numpy as np

from promise_seg.arrays import Float64Array
from promise_seg.assessment.mask_pair import MaskPair
from promise_seg.assessment.structure import THRESHOLDS


class Given(Enum):
    """The result of a measure if a mask is empty; the value describes it in words."""

    PERFECT = "perfect"
    WORST = "at its worst (0, or the image's diagonal for distances)"
    COMPUTED = "as for any other image"


class WhenEmpty(NamedTuple):
    """The rule for empty masks: the result of a measure if the ground truth, the prediction or both are empty."""

    both: Given = Given.PERFECT
    only_truth: Given = Given.WORST
    only_prediction: Given = Given.WORST

    def for_pair(self, pair: MaskPair) -> Given:
        """Return the rule for one pair of masks; ``COMPUTED`` if neither is empty."""
        if pair.has_truth:
            return Given.COMPUTED if pair.has_prediction else self.only_prediction
        return self.only_truth if pair.has_prediction else self.both


_USUAL = WhenEmpty()
_COMPUTED = WhenEmpty(Given.COMPUTED, Given.COMPUTED, Given.COMPUTED)
_ALIGNMENT = WhenEmpty(only_prediction=Given.COMPUTED)


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One measure of a prediction against its ground truth.

    Args:
        name: the name in files and on the command line.
        heading: the heading in tables and on pages.
        what: a short description for the documentation.
        compute: function that returns the value for a pair of masks, called only if ``when_empty`` does not define it.
        curve: function that returns the values (256,) at all thresholds, for measures at the threshold that is best on
            average over all images. ``compute`` is then the value at the best threshold of a single image.
        when_empty: the rule for empty masks.
        lower_is_better: whether lower is better.
        is_distance: whether values are in pixels or millimetres, at worst the image's diagonal, instead of in [0, 1].
        uses_tolerance: whether it depends on ``--tolerance`` without being a distance.
        only_for_instances: whether it is defined only for the objects of instance maps.

    Raises:
        ValueError: if a distance is not better when lower, or the rule for empty masks needs an unknown worst value.
    """

    name: str
    heading: str
    what: str
    compute: Callable[[MaskPair], float]
    curve: Callable[[MaskPair], Float64Array] | None = None
    when_empty: WhenEmpty = _USUAL
    lower_is_better: bool = False
    is_distance: bool = False
    uses_tolerance: bool = False
    only_for_instances: bool = False

    def __post_init__(self) -> None:
        if self.is_distance and not self.lower_is_better:
            raise ValueError(f"{self.name}: a distance is better when lower")
        if self.lower_is_better and not self.is_distance and Given.WORST in self.when_empty:
            raise ValueError(f"{self.name}: only distances and measures that are better when higher have a worst value")

    @property
    def needs_same_tolerance(self) -> bool:
        """Whether values are comparable only if measured with the same tolerance; its unit is that of all distances."""
        return self.is_distance or self.uses_tolerance

    def value(self, pair: MaskPair) -> float:
        """Return the value for one image, by the rule for empty masks if a mask is empty.

        Raises:
            ValueError: if the measure is defined only for objects, and there are none.
        """
        given = self.when_empty.for_pair(pair)
        if given == Given.COMPUTED:
            return self.compute(pair)
        if given == Given.PERFECT:
            return 0.0 if self.lower_is_better else 1.0
        return pair.diagonal if self.is_distance else 0.0

    def values_by_threshold(self, pair: MaskPair) -> Float64Array:
        """Return the values (256,) at all thresholds for one image, by the rule for empty masks if a mask is empty.

        Raises:
            ValueError: if the measure has no curve.
        """
        if self.curve is None:
            raise ValueError(f"{self.name}: is not measured at thresholds")
        if self.when_empty.for_pair(pair) == Given.COMPUTED:
            return self.curve(pair)
        return np.full(len(THRESHOLDS), self.value(pair))


MEASURES = (
    Measure(
        name="dice",
        heading="Dice",
        what="twice the common area over the sum of both areas",
        compute=lambda pair: pair.overlap.dice,
    ),
    Measure(
        name="iou",
        heading="IoU",
        what="the common area over the area of the union",
        compute=lambda pair: pair.overlap.iou,
    ),
    Measure(
        name="mae",
        heading="MAE",
        what="mean absolute error of the probabilities",
        compute=lambda pair: pair.overlap.mae,
        when_empty=_COMPUTED,
        lower_is_better=True,
    ),
    Measure(
        name="precision",
        heading="precision",
        what="the share of the prediction that is correct",
        compute=lambda pair: pair.overlap.precision,
    ),
    Measure(
        name="recall",
        heading="recall",
        what="the share of the ground truth that is found",
        compute=lambda pair: pair.overlap.recall,
        when_empty=WhenEmpty(only_truth=Given.PERFECT),
    ),
    Measure(
        name="s_measure",
        heading="S-measure",
        what="S-measure: structural similarity (Fan et al. 2017)",
        compute=lambda pair: pair.structure.s_measure,
        when_empty=_COMPUTED,
    ),
    Measure(
        name="maxEm",
        heading="maxEm",
        what="E-measure: enhanced alignment (Fan et al. 2018), at the one of 256 thresholds with the best mean over "
        "all images",
        compute=lambda pair: float(pair.structure.e_curve.max()),
        curve=lambda pair: pair.structure.e_curve,
        when_empty=_ALIGNMENT,
    ),
    Measure(
        name="meanEm",
        heading="meanEm",
        what="E-measure, the mean over 256 thresholds",
        compute=lambda pair: float(pair.structure.e_curve.mean()),
        when_empty=_ALIGNMENT,
    ),
    Measure(
        name="adpEm",
        heading="adpEm",
        what="E-measure at twice the image's mean probability (adaptive)",
        compute=lambda pair: pair.structure.e_adaptive,
        when_empty=_ALIGNMENT,
    ),
    Measure(
        name="maxFm",
        heading="maxFm",
        what="F-measure (Achanta et al. 2009), at the one of 256 thresholds with the best mean over all images",
        compute=lambda pair: float(pair.structure.f_curve.max()),
        curve=lambda pair: pair.structure.f_curve,
        when_empty=_ALIGNMENT,
    ),
    Measure(
        name="meanFm",
        heading="meanFm",
        what="F-measure, the mean over 256 thresholds",
        compute=lambda pair: float(pair.structure.f_curve.mean()),
        when_empty=_ALIGNMENT,
    ),
    Measure(
        name="adpFm",
        heading="adpFm",
        what="F-measure at twice the image's mean probability (adaptive)",
        compute=lambda pair: pair.structure.f_adaptive,
        when_empty=_ALIGNMENT,
    ),
    Measure(
        name="weighted_f",
        heading="weighted F",
        what="weighted F-measure (Margolin et al. 2014)",
        compute=lambda pair: pair.structure.weighted_f,
    ),
    Measure(
        name="hd95",
        heading="HD95",
        what="95th percentile of the distances between the outlines, the larger of both directions",
        compute=lambda pair: pair.surfaces.hd95,
        lower_is_better=True,
        is_distance=True,
    ),
    Measure(
        name="assd",
        heading="ASSD",
        what="average symmetric surface distance: the mean of the distances between the outlines, of both directions",
        compute=lambda pair: pair.surfaces.average_distance,
        lower_is_better=True,
        is_distance=True,
    ),
    Measure(
        name="surface_dice",
        heading="surface Dice",
        what="the share of both outlines within the tolerance of the other (normalised surface distance)",
        compute=lambda pair: pair.surfaces.surface_dice,
        uses_tolerance=True,
    ),
    Measure(
        name="centre_distance",
        heading="centre distance",
        what="distance between the centres of mass",
        compute=lambda pair: pair.surfaces.centre_distance,
        lower_is_better=True,
        is_distance=True,
    ),
    Measure(
        name="average_precision",
        heading="AP",
        what="hits / (hits + false alarms + misses), the mean over IoU thresholds of 0.5, 0.55 ... 0.95",
        compute=lambda pair: pair.matched.average_precision,
        when_empty=_COMPUTED,
        only_for_instances=True,
    ),
    Measure(
        name="average_precision_50",
        heading="AP at 0.5",
        what="the same at an IoU of 0.5",
        compute=lambda pair: pair.matched.average_precision_50,
        when_empty=_COMPUTED,
        only_for_instances=True,
    ),
    Measure(
        name="panoptic_quality",
        heading="PQ",
        what="panoptic quality (Kirillov et al. 2019); objects are matched by an IoU above 0.5",
        compute=lambda pair: pair.matched.panoptic_quality,
        when_empty=_COMPUTED,
        only_for_instances=True,
    ),
    Measure(
        name="object_f1",
        heading="F1",
        what="2 hits / (predicted + true objects), the mean over IoU thresholds of 0.5, 0.55 ... 0.95",
        compute=lambda pair: pair.matched.mean_f1,
        when_empty=_COMPUTED,
        only_for_instances=True,
    ),
    Measure(
        name="object_f1_50",
        heading="F1 at 0.5",
        what="the same at an IoU of 0.5",
        compute=lambda pair: pair.matched.f1_at(0.5),
        when_empty=_COMPUTED,
        only_for_instances=True,
    ),
    Measure(
        name="object_f1_75",
        heading="F1 at 0.75",
        what="the same at an IoU of 0.75",
        compute=lambda pair: pair.matched.f1_at(0.75),
        when_empty=_COMPUTED,
        only_for_instances=True,
    ),
    Measure(
        name="object_f1_90",
        heading="F1 at 0.9",
        what="the same at an IoU of 0.9",
        compute=lambda pair: pair.matched.f1_at(0.9),
        when_empty=_COMPUTED,
        only_for_instances=True,
    ),
    Measure(
        name="count_error",
        heading="count error",
        what="the difference between the numbers of predicted and true objects, as a share of the larger one",
        compute=lambda pair: pair.matched.count_error,
        when_empty=_COMPUTED,
        lower_is_better=True,
        only_for_instances=True,
    ),
)
"""All measures, in the order of files and tables."""

MEASURE_NAMES = tuple(measure.name for measure in MEASURES)
RENAMED = {"e_mean": "meanEm", "e_adaptive": "adpEm"}
"""The current names of measures that older evaluations have under another name."""
BEST_OF_EACH_IMAGE = "e_max"
"""A measure in older evaluations: the E-measure at each image's own best threshold, which no other software reports."""
_BY_NAME = {measure.name: measure for measure in MEASURES}


def find_measure(name: str) -> Measure | None:
    """Return the measure with this name, or ``None`` if this version has no such measure."""
    return _BY_NAME.get(name)


def about_older_name(name: str) -> str | None:
    """Explain by what a measure of older evaluations was replaced, as a sentence; ``None`` for any other name."""
    if name in RENAMED:
        return f"{name} is now called {RENAMED[name]}"
    if name == BEST_OF_EACH_IMAGE:
        return f"{name}, with each image's own best threshold, was replaced by maxEm, with one threshold for all images"
    return None


def heading_of(name: str, unit: str | None = None) -> str:
    """Return the heading of a measure, with the ``unit`` if it is a distance; the plain name for unknown measures."""
    measure = find_measure(name)
    if measure is None:
        return name.replace("_", " ")
    return measure.heading if unit is None or not measure.is_distance else f"{measure.heading} ({unit})"


def name_with_unit(name: str, unit: str) -> str:
    """Return the name of a measure as in files, with the ``unit`` if it is a distance."""
    measure = find_measure(name)
    return name if measure is None or not measure.is_distance else f"{name} ({unit})"


def lower_is_better(name: str) -> bool:
    """Whether lower is better for a measure; for an unknown measure higher is assumed to be better."""
    measure = find_measure(name)
    return measure is not None and measure.lower_is_better


def values_of(pair: MaskPair) -> dict[str, float]:
    """Return the values of all measures of one image by name, in order; measures of objects only for instance maps.

    Measures at a threshold that all images share are left out, see :func:`curves_of`.
    """
    has_objects = pair.objects is not None
    found = [one for one in MEASURES if one.curve is None]
    return {one.name: one.value(pair) for one in found if has_objects or not one.only_for_instances}


def curves_of(pair: MaskPair) -> dict[str, Float64Array]:
    """Return the values (256,) at all thresholds, for each measure at a threshold that all images share."""
    return {one.name: one.values_by_threshold(pair) for one in MEASURES if one.curve is not None}


_RULE_FOR_OBJECTS = (
    "measures of separate objects are computed from the objects, whatever the masks, and are perfect if there are "
    "neither true nor predicted ones"
)


def rule_for_nothing(measures: Sequence[Measure] = MEASURES) -> str:
    """Describe the values of measures for empty masks: the value of most measures, and the exceptions by name."""
    cases = (
        ("if both the ground truth and the prediction are empty", lambda rule: rule.both),
        ("if only the ground truth is empty", lambda rule: rule.only_truth),
        ("if only the prediction is empty", lambda rule: rule.only_prediction),
    )
    of_masks = [measure for measure in measures if not measure.only_for_instances]
    words = [f"{case}, {_given_words(of_masks, given)}" for case, given in cases]
    return "; ".join([*words, _RULE_FOR_OBJECTS] if len(of_masks) < len(measures) else words)


def _given_words(measures: Sequence[Measure], given: Callable[[WhenEmpty], Given]) -> str:
    names: dict[Given, list[str]] = {}
    for measure in measures:
        names.setdefault(given(measure.when_empty), []).append(measure.name)
    usual = max(names, key=lambda one: len(names[one]))
    others = [f"{_listed(names[one])} ({one.value})" for one in Given if one in names and one != usual]
    return f"every measure is {usual.value}" + (f", except {', and '.join(others)}" if others else "")


def _listed(names: Sequence[str]) -> str:
    return " and ".join(", ".join(names).rsplit(", ", 1))


def markdown_table(measures: Iterable[Measure] = MEASURES) -> str:
    """Return the table of measures for the documentation."""
    lines = ["| name | heading | what it says | better |", "| --- | --- | --- | --- |"]
    for one in measures:
        what = f"for instance maps: {one.what}" if one.only_for_instances else one.what
        lines.append(f"| `{one.name}` | {one.heading} | {what} | {'lower' if one.lower_is_better else 'higher'} |")
    return "\n".join(lines)
