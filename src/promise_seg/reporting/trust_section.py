"""How far a model's masks can be trusted, as a section."""

from promise_seg.assessment.report import interval_words
from promise_seg.reporting.blocks import Facts, Section, Table, Text
from promise_seg.reporting.charts import calibration_chart, line_chart
from promise_seg.trust.quality import NothingHere, Quality


def trust_section(quality: Quality | None, images: str) -> Section:
    """Whether the trust scores of a model's own masks order images as their Dice does, and mean what they say.

    ``images`` says of how many images of which split they are.
    """
    if quality is None:
        words = "This model is not calibrated, and has no trust scores: see promise calibrate."
        return Section("Trust", (Text(words, "note"),))
    calibration = calibration_chart(
        [(part.trust, part.dice, part.images) for part in quality.calibration],
        name="Mean Dice over mean trust of images that are trusted about equally",
        caption="Numbers: images of each part. On the dashed line the trust is the Dice.",
    )
    full = quality.risk_coverage[-1].dice if quality.risk_coverage else 0.0
    coverage = line_chart(
        {
            "images in the order of trust": [(part.coverage, part.dice) for part in quality.risk_coverage],
            "in any order": [(part.coverage, full) for part in quality.risk_coverage],
        },
        name="Mean Dice of the share of images that is trusted most",
        x_label="share of the images, the most trusted first",
        y_label="mean Dice",
        caption="Further up on the left: the images that are trusted most are better.",
    )
    parts = Table(
        ("mean trust", "mean Dice", "images"),
        tuple((f"{part.trust:.3f}", f"{part.dice:.3f}", str(part.images)) for part in quality.calibration),
        "Trust and Dice of images that are trusted about equally",
    )
    text = Text(f"A trust score is the Dice that a model expects of its own mask. These are of {images}.")
    return Section("Trust", (text, calibration, coverage, _facts(quality), parts))


def _facts(quality: Quality) -> Facts:
    ends = quality.rank_correlation_interval
    correlation = "-" if quality.rank_correlation is None else f"{quality.rank_correlation:.3f}"
    between = "" if ends is None else f" (95 %: {interval_words(list(ends))})"
    risk = f"{quality.area_under_risk:.3f} (by chance {quality.area_by_chance:.3f}, at best {quality.area_ideal:.3f})"
    return Facts(
        (
            ("Rank correlation with Dice", correlation + between),
            ("Area under risk", risk),
            ("Mean absolute error as a guess of Dice", f"{quality.mean_absolute_error:.3f}"),
            *_nothing_facts(quality.nothing_here),
        )
    )


def _nothing_facts(found: NothingHere) -> list[tuple[str, str]]:
    return [
        ("Says that there is nothing", found.rule),
        ("Objects seen where there are none", _share(found.false_alarms, found.images_without_object)),
        ("Objects missed", _share(found.misses, found.images_with_object)),
    ]


def _share(count: int, of: int) -> str:
    return f"{count} of {of} images ({count / of:.1%})" if of else "no such images"
