"""The summary of a finished run: everything that was measured and chosen on the val rows, in plain words."""

from typing import TYPE_CHECKING

from promise_seg.quantities import count_in_words
from promise_seg.storage.files import write_text

if TYPE_CHECKING:
    from promise_seg.trust.trust_model import TrustModel
    from promise_seg.workflows.one_run import Trained

SUMMARY_FILE = "summary.txt"


def write_summary(trained: "Trained") -> None:
    """Write the summary of a run into its folder, unless it is there already.

    Raises:
        PromiseError: if the file cannot be written.
    """
    text = "".join(f"{line}\n" for line in summary_lines(trained))
    path = trained.folder / SUMMARY_FILE
    if not path.exists() or path.read_text(encoding="utf-8", errors="replace") != text:
        write_text(path, text)


def summary_lines(trained: "Trained") -> list[str]:
    """Return the summary of a run: its scores, the choices made on the val rows, and the quality of trust scores."""
    lines = [*trained.score_lines, *trained.lines]
    if trained.trust is not None:
        lines += trust_lines(trained.trust)
    if trained.why_no_trust:
        lines.append(f"no trust scores: {trained.why_no_trust}")
    return lines


def trust_lines(trust: "TrustModel") -> list[str]:
    """Return at most three lines on the trust scores of a new model: how well they rank its masks, how uncertain that
    is, and the quality of the decision whether an image is empty."""
    calibration = trust.calibration
    quality = calibration.quality
    if trust.why_constant:
        lines = [constant_trust_in_words(trust)]
    else:
        ranks = "none" if quality.rank_correlation is None else f"{quality.rank_correlation:.2f}"
        lines = [
            f"trust: rank correlation with Dice {ranks}, cross-validated on "
            f"{count_in_words(quality.images, 'val image')}; promise calibrate prints the details"
        ]
    if trust.why_uncertain:
        lines.append(f"warning: {trust.why_uncertain}")
    if calibration.empty_detection.line is not None:
        nothing = quality.nothing_here
        lines.append(
            f"images without an object: not recognised in {nothing.false_alarms} of "
            f"{nothing.images_without_object}; an object overlooked in {nothing.misses} of "
            f"{nothing.images_with_object} (val rows, cross-validated)"
        )
    return lines


def constant_trust_in_words(trust: "TrustModel") -> str:
    """Return a line for a trust score that is the same for every image, with the reason."""
    return (
        f"trust is {trust.calibration.line.mean:.3f}, the mean Dice of the val rows, for every image, because "
        f"{trust.why_constant}"
    )
