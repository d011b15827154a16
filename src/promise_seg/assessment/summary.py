"""The result of an evaluation as one type: written as ``summary_<prompts>.json`` here, and read everywhere else."""

import hashlib
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from promise_seg.assessment.trust_quality import TrustQuality
from promise_seg.errors import SettingsError, first_line
from promise_seg.quantities import count_in_words
from promise_seg.sealed import read_sealed
from promise_seg.validation import faults_of
from promise_seg.vocabulary import MaskChoice, PromptSource, Protocol

Ends = tuple[float, float]
"""The ends of a 95 % interval."""


class _Open(BaseModel):
    """A part of a file that another version may have written, with fields that this one does not know."""

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())


class Stratum(_Open):
    """Means over a part of the images; the interval is ``None`` if there are fewer than two groups."""

    images: int
    groups: int
    dice: float
    dice_interval: Ends | None
    iou: float


class TestLooks(_Open):
    """Counts of how often some test images were scored before. A look is one evaluation, budget or report.

    Args:
        this_model: looks with this very model, this one among them.
        other_models: looks at any of these images with another model from the same folder, or another choice among
            SAM's masks.
        looked_at: how many of these images those saw.
        beside: other runs in the same parent folder that were scored on any of these images.
        note: the warning about ``other_models``; ``None`` if there were none.
        beside_note: the note about ``beside``; ``None`` if there are none.
        damage_note: the warning that earlier looks cannot be read; ``None`` if all can, and in older files.
    """

    __test__ = False  # pytest takes it for a test otherwise

    this_model: int
    other_models: int
    looked_at: int = 0
    beside: int = 0
    note: str | None
    beside_note: str | None = None
    damage_note: str | None = None


class SeenInTraining(_Open):
    """Counts of images that a model knows from its training.

    Args:
        trained_on: images that it was trained on.
        chosen_on: images that are ``val`` rows of its training, and are in another split here.
        note: the warning about them; ``None`` if there are none.
    """

    trained_on: int
    chosen_on: int
    note: str | None


class Subject(_Open):
    """The subject of an evaluation: the model, the images, and how they were read.

    Args:
        model: the model, as the user named it.
        variant: which trainable parts it has.
        sam, image_size: the SAM around which it was trained, and the side of its input in pixels.
        model_sha256: hash of its weights and config.
        reading: how files were read.
        data, split: the manifest, and which of its rows.
        mask_choice, postprocessing: how a mask was made of SAM's; not there for a model without a SAM.
    """

    model: str
    variant: str
    sam: str
    image_size: int
    model_sha256: str
    reading: dict[str, str | bool | int | dict[str, int] | None]
    data: str
    split: str
    mask_choice: MaskChoice | None = None
    postprocessing: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the content of the file, without fields that were not set."""
        return self.model_dump(mode="json", exclude_unset=True)


class VolumeSummary(_Open):
    """The means over volumes, beside those over their slices.

    Args:
        volumes, groups, slices: how many there are; groups are patients, if the manifest names them.
        parts: volumes of which not all slices are rows, scored by those that are.
        slices_with_empty_truth: slices of these volumes without the object.
        volumes_with_empty_truth, volumes_with_empty_prediction: volumes that the rule for empty masks applies to.
        volumes_without_distances: volumes of which it is not known where their slices lie; means of distances and of
            the surface Dice are over the others.
        tolerance: of the surface Dice, in mm; distances are in mm too.
        rule_for_nothing: the rule for slices and volumes without the object, in words.
        mean, interval, median: over volumes, by the names of the measures; intervals are of the mean and resample
            groups.
        mean_of_groups: the mean over groups, each of which weighs the same.
    """

    volumes: int
    parts: int
    groups: int
    slices: int
    slices_with_empty_truth: int
    volumes_with_empty_truth: int
    volumes_with_empty_prediction: int
    volumes_without_distances: int
    tolerance: str
    rule_for_nothing: str
    mean: dict[str, float]
    interval: dict[str, Ends | None]
    median: dict[str, float]
    mean_of_groups: dict[str, float]

    @property
    def volumes_words(self) -> str:
        """The number of volumes and of their slices, and how many of them are not whole."""
        parts = f", {self.parts} of them in part," if self.parts else ""
        return f"{count_in_words(self.volumes, 'volume')}{parts} of {count_in_words(self.slices, 'slice')}"


class EvaluationSummary(Subject):
    """The means over the images, their intervals, and everything that they depend on.

    Args:
        prompts, prompts_meaning: the source of prompts, as a name and in words.
        prompts_read_the_ground_truth: whether they were made from the ground truth.
        oracle_points: how many there were; ``None`` with other prompts.
        seed: of oracle points and intervals.
        protocol, protocol_deviations: how it was scored, and where that differs from the published procedure.
        tolerance: of the surface Dice, with the unit of all distances, such as ``2px``.
        images, groups: how many there are.
        images_with_empty_truth, images_with_empty_prediction: how many images the rule for empty masks applies to.
        rule_for_nothing: that rule, in words.
        mean, interval: by the names of the measures; an interval is ``None`` with fewer than two groups.
        thresholds: the threshold that all images share, of measures at the one with the best mean; not in older files.
        strata: means over parts of the images, by ``size`` or a column of the manifest, and by the part's name.
        objects, object_dice: the number of objects and their mean Dice, if each was prompted separately.
        volumes: the means over volumes, if the images are slices of some.
        trust: the quality of the trust scores, if the model is calibrated and its own masks were scored.
        trust_calibrated_on_these_rows: whether that quality is overestimated.
        test_looks: the looks, if test rows were scored with a model that has a folder.
        seen_in_training: the known images, if the model's training recorded its images.
        scores_sha256, volumes_sha256: hashes of the files of scores that it belongs to, where it was written; not in
            older files.
    """

    prompts: PromptSource
    prompts_meaning: str
    prompts_read_the_ground_truth: bool
    oracle_points: int | None
    seed: int
    protocol: Protocol
    protocol_deviations: tuple[str, ...]
    tolerance: str
    images: int
    groups: int
    images_with_empty_truth: int
    images_with_empty_prediction: int
    rule_for_nothing: str
    mean: dict[str, float]
    interval: dict[str, Ends | None]
    strata: dict[str, dict[str, Stratum]]
    thresholds: dict[str, float] | None = None
    objects: int | None = None
    object_dice: float | None = None
    volumes: VolumeSummary | None = None
    trust: TrustQuality | None = None
    trust_calibrated_on_these_rows: bool = False
    test_looks: TestLooks | None = None
    seen_in_training: SeenInTraining | None = None
    scores_sha256: str | None = None
    volumes_sha256: str | None = None

    def with_trust(self, quality: TrustQuality, *, calibrated_on_these_rows: bool) -> Self:
        """Return the same with the quality of the trust scores."""
        return self.model_copy(update={"trust": quality, "trust_calibrated_on_these_rows": calibrated_on_these_rows})

    def with_volumes(self, volumes: VolumeSummary) -> Self:
        """Return the same with the means over volumes."""
        return self.model_copy(update={"volumes": volumes})

    def with_notes(
        self, *, test_looks: TestLooks | None = None, seen_in_training: SeenInTraining | None = None
    ) -> Self:
        """Return the summary with notes about its images; notes that are ``None`` are left as they are."""
        notes = {"test_looks": test_looks, "seen_in_training": seen_in_training}
        return self.model_copy(update={name: note for name, note in notes.items() if note is not None})


def scores_sha256(path: Path) -> str:
    """Return the hash of a file of scores, which the summary of the same evaluation holds."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_summary(path: Path) -> EvaluationSummary:
    """Return what :func:`~promise_seg.assessment.report.write_results` wrote.

    Raises:
        FileNotFoundError: if there is no such file.
        SettingsError: with what is missing or damaged.
    """
    try:
        return EvaluationSummary.model_validate(read_sealed(path))
    except ValidationError as error:
        details = faults_of(error, EvaluationSummary, most=3)
        raise SettingsError(
            f"{path}: not a summary by this version of promise evaluate: {details}. Evaluate again"
        ) from error
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: cannot be read: {first_line(error)}. Or evaluate again") from error
