"""Helpers to print trust scores, which several commands share."""

from typing import TYPE_CHECKING

from promise_seg.cli.common import print_line, print_table
from promise_seg.quantities import count_in_words

if TYPE_CHECKING:
    from promise_seg.assessment.trust_quality import TrustQuality
    from promise_seg.trust.trust_model import TrustModel


def print_quality(quality: "TrustQuality", title: str) -> None:
    """Print the quality of trust scores as a short table on standard output."""
    from promise_seg.trust.calibration_report import describe_trust_quality

    print_table(("trust", ""), describe_trust_quality(quality), f"{title}, {count_in_words(quality.images, 'image')}")


def print_learned_briefly(trust: "TrustModel") -> None:
    """Print in at most two lines how well the trust scores of a new model rank its masks, and its decision rule."""
    calibration = trust.calibration
    quality = calibration.quality
    if trust.why_constant:
        print_line(_constant_in_words(trust))
    else:
        ranks = "none" if quality.rank_correlation is None else f"{quality.rank_correlation:.2f}"
        print_line(
            f"trust: rank correlation with Dice {ranks}, cross-validated on "
            f"{count_in_words(quality.images, 'val image')}; promise calibrate prints the details"
        )
    if calibration.empty_detection.line is not None:
        nothing = quality.nothing_here
        print_line(
            f"images without an object: not recognised in {nothing.false_alarms} of "
            f"{nothing.images_without_object}; an object overlooked in {nothing.misses} of "
            f"{nothing.images_with_object} (val rows, cross-validated)"
        )


def _constant_in_words(trust: "TrustModel") -> str:
    return (
        f"trust is {trust.calibration.line.mean:.3f}, the mean Dice of the val rows, for every image, because "
        f"{trust.why_constant}"
    )


def print_learned(trust: "TrustModel") -> None:
    """Print the result of a calibration, and its cross-validated quality on val rows."""
    calibration = trust.calibration
    line = calibration.line
    if not trust.why_constant:
        weights = ", ".join(
            f"{name.replace('_', ' ')} {w:+.3f}" for name, w in zip(line.names, line.weights, strict=True)
        )
        print_line(f"trust = {line.mean:.3f}, and for each standard deviation: {weights}")
    else:
        print_line(_constant_in_words(trust))
    print_line(f"decision: {calibration.empty_detection.rule}")
    print_quality(calibration.quality, "trust on val rows, each judged without its group")
