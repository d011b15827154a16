"""The section about how far a model's masks can be trusted."""

from promise_seg.assessment.trust_quality import TrustQuality
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
        [(part.trust, part.dice, part.images) for part in quality.calibration],
        name="Mean Dice over mean trust of images with similar trust",
        caption="Numbers: images in each bin. On the dashed line, trust is the Dice.",
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
        caption="Higher on the left means that the most trusted images are better.",
    )
    return calibration, coverage
