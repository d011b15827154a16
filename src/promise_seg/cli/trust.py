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


def print_uncertainty(trust: "TrustModel") -> None:
    """Print a warning if the quality of trust scores that were just fitted is uncertain."""
    if trust.why_uncertain:
        print_line(f"warning: {trust.why_uncertain}")


def print_learned(trust: "TrustModel") -> None:
    """Print the result of a calibration, and its cross-validated quality on val rows."""
    from promise_seg.workflows.run_summary import constant_trust_in_words

    calibration = trust.calibration
    line = calibration.line
    if not trust.why_constant:
        weights = ", ".join(
            f"{name.replace('_', ' ')} {w:+.3f}" for name, w in zip(line.names, line.weights, strict=True)
        )
        print_line(f"trust = {line.mean:.3f}, and for each standard deviation: {weights}")
    else:
        print_line(constant_trust_in_words(trust))
    print_line(f"decision: {calibration.empty_detection.rule}")
    print_quality(calibration.quality, "trust on val rows, each judged without its group")
    print_uncertainty(trust)
