"""The section about how far a model's masks can be trusted."""

from promise_seg.assessment.trust_quality import TrustQuality
from promise_seg.quantities import count_in_words
from promise_seg.reporting.blocks import Chart, Facts, Section, Table, Text
from promise_seg.reporting.charts import calibration_chart, line_chart
from promise_seg.reporting.document import ReportedEvaluation
from promise_seg.trust.calibration_report import describe_trust_quality
from promise_seg.trust.trust_model import FLATTERING, UNCOMBINED


def trust_section(evaluation: ReportedEvaluation) -> Section:
    """Return the section that shows whether trust ranks a model's own masks as Dice does, and is calibrated."""
    quality = evaluation.trust
    if quality is None:
        words = "This model is not calibrated and has no trust scores: see promise calibrate."
        return Section("Trust", (Text(words, "note"),))
    texts = [
        Text(
            "A trust score is the Dice that the model expects of its own mask. "
            f"These scores are for {evaluation.images_words}."
        )
    ]
    if evaluation.trust_calibrated_on_these_rows:
        texts.append(Text(f"{FLATTERING[0].upper()}{FLATTERING[1:]}.", "warning"))
    if evaluation.trust_of_uncombined_slices:
        texts.append(Text(f"{UNCOMBINED[0].upper()}{UNCOMBINED[1:]}.", "note"))
    facts = Facts(describe_trust_quality(quality))
    if quality.is_constant:
        same = f"The trust score is {quality.calibration[0].trust:.3f} for all of these images, so it cannot rank them."
        return Section("Trust", (*texts, Text(same, "note"), facts))
    parts = Table(
        ("mean trust", "mean Dice", "images"),
        tuple((f"{part.trust:.3f}", f"{part.dice:.3f}", str(part.images)) for part in quality.calibration),
        "Trust and Dice of images with similar trust",
    )
    return Section("Trust", (*texts, *_charts(quality), facts, parts))


def _charts(quality: TrustQuality) -> tuple[Chart, Chart]:
    """Return the charts of the calibration, and of the Dice of the most trusted images."""
    calibration = calibration_chart(
        [(part.trust, part.dice) for part in quality.calibration],
        name="Mean Dice over mean trust of images with similar trust",
        caption=f"Each point is the mean of {_bin_sizes(quality)} with similar trust. Above the dashed line, masks are "
        "better than expected; below it, they are worse. The axes show only the range of the points.",
    )
    full = quality.risk_coverage[-1].dice if quality.risk_coverage else 0.0
    coverage = line_chart(
        {
            "images ranked by trust": [(part.coverage, part.dice) for part in quality.risk_coverage],
            "random order": [(part.coverage, full) for part in quality.risk_coverage],
        },
        name="Mean Dice of the most trusted share of images",
        x_label="share of the images, the most trusted first",
        y_label="mean Dice",
        caption="If the line falls from left to right, the most trusted images are the best. The mean gap between the "
        "line and a Dice of 1 is the AURC.",
    )
    return calibration, coverage


def _bin_sizes(quality: TrustQuality) -> str:
    """Return the numbers of images in the bins of a calibration: ``12 images``, or ``11 to 13 images``."""
    fewest, most = (end(part.images for part in quality.calibration) for end in (min, max))
    return count_in_words(most, "image") if fewest == most else f"{fewest} to {count_in_words(most, 'image')}"
