"""The summary of an evaluation, stored as ``summary_<prompts>.json`` and read by comparisons, reports and others."""

import hashlib
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from promise_seg.assessment.trust_quality import TrustQuality
from promise_seg.errors import SettingsError, first_line
from promise_seg.quantities import count_in_words
from promise_seg.storage.sealed import read_sealed
from promise_seg.validation import faults_of
from promise_seg.vocabulary import MaskChoice, PromptSource, Protocol

Ends = tuple[float, float]
"""The ends of a 95 % interval; with two or three groups, of the range of the group means."""


class _Open(BaseModel):
    """A part of a file that may come from another version; fields that this version does not know are kept."""

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())


class Stratum(_Open):
    """Means over a stratum of the images; the interval is ``None`` if there are fewer than two groups."""

    images: int
    groups: int
    dice: float
    dice_interval: Ends | None
    iou: float


class TestLooks(_Open):
    """The number of times that these test images were scored before. A look is one evaluation, budget or report.

    Args:
        this_model: number of looks with exactly this model, including the current look.
        other_models: number of looks at any of these images with another model from the same folder, or with other
            options that change the masks: the choice among SAM's masks, ``--slices`` or ``--always-segment``.
        looked_at: number of these images that were scored in ``other_models``.
        beside: number of other runs in the same parent folder that were scored on any of these images.
        note: the warning about ``other_models``; ``None`` if there were none.
        beside_note: the note about ``beside``; ``None`` if there are none.
        damage_note: the warning that earlier looks cannot be read; ``None`` if all can, and in older files.
    """

    __test__ = False  # keeps pytest from collecting this class as a test

    this_model: int
    other_models: int
    looked_at: int = 0
    beside: int = 0
    note: str | None
    beside_note: str | None = None
    damage_note: str | None = None


class SeenInTraining(_Open):
    """The numbers of images that a model knows from its training.

    Args:
        trained_on: number of images that the model was trained on.
        chosen_on: number of images that were ``val`` rows of its training, and are in another split here.
        note: the warning about these images; ``None`` if there are none.
    """

    trained_on: int
    chosen_on: int
    note: str | None


class Subject(_Open):
    """The subject of an evaluation: the model, the images, and how they were read.

    Args:
        model: the model, as the user named it.
        variant: the variant of the model, which tells its trainable parts.
        sam, image_size: the SAM that the model was trained with, and the side of its input in pixels.
        model_sha256: the hash of the model's weights and config.
        reading: the options with which files were read.
        data, split: the manifest, and the split of its rows.
        mask_choice, postprocessing: the choice among SAM's masks, and the post-processing; not set for a model without
            a SAM.
        always_segment: true if images that the model judged to be empty were segmented too; otherwise not set.
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
    always_segment: bool | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the content of the JSON file, without fields that were not set."""
        return self.model_dump(mode="json", exclude_unset=True)


class VolumeSummary(_Open):
    """The means over volumes, in addition to those over their slices.

    Args:
        volumes, groups, slices: the numbers of volumes, groups and slices; groups are patients, if the manifest names
            them.
        parts: number of volumes of which only some slices are rows; they are scored on these slices.
        slices_with_empty_truth: number of slices of these volumes without the object.
        volumes_with_empty_truth, volumes_with_empty_prediction: numbers of volumes with an empty mask, to which the
            rule for empty masks applies.
        volumes_without_distances: number of volumes without known positions of their slices; means of distances and of
            the surface Dice are over all other volumes.
        tolerance: the tolerance of the surface Dice, in mm; distances are in mm too.
        rule_for_nothing: a description of the rule for slices and volumes without the object.
        mean, interval, median: statistics over volumes by the names of the measures; the intervals are those of the
            mean, and resample groups.
        mean_of_groups: the mean over groups, weighted equally, by the names of the measures.
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
        """A description of the number of volumes, how many of them are incomplete, and the number of their slices."""
        parts = f", {self.parts} of them in part," if self.parts else ""
        return f"{count_in_words(self.volumes, 'volume')}{parts} of {count_in_words(self.slices, 'slice')}"


class EvaluationSummary(Subject):
    """The means over the images, their intervals, and everything that they depend on.

    Args:
        prompts, prompts_meaning: the source of prompts, as a name and in words.
        prompts_read_the_ground_truth: whether the prompts were made from the ground truth.
        oracle_points: the number of oracle points; ``None`` with other prompts.
        seed: the seed of oracle points and intervals.
        protocol, protocol_deviations: the scoring protocol, and its deviations from our own protocol, in words.
        tolerance: the tolerance of the surface Dice, with the unit of all distances, such as ``2px``.
        images, groups: the numbers of images and groups.
        images_with_empty_truth, images_with_empty_prediction: the numbers of images with an empty mask, to which the
            rule for empty masks applies.
        rule_for_nothing: a description of that rule.
        mean, interval: statistics by the names of the measures; an interval is ``None`` with fewer than two groups.
        thresholds: the threshold with the best mean over all images, by the names of the measures that use one; not in
            older files.
        strata: means over strata, by ``size`` or a column of the manifest, and then by the name of the stratum.
        objects, object_dice: the number of objects and their mean Dice, if objects were prompted separately.
        volumes: the means over volumes, if the images are slices of volumes.
        trust: the quality of the trust scores, if the model is calibrated and its own masks were scored.
        trust_calibrated_on_these_rows: whether the model was calibrated on these rows, so ``trust`` is optimistic.
        trust_of_uncombined_slices: the number of slices that were combined with their volumes before they were scored.
            Trust judges their masks before that, and ``trust`` is measured on these; not set if there are none.
        test_looks: the counts of looks, if test rows were scored with a model that has a folder.
        seen_in_training: the counts of known images, if the model's training recorded its images.
        scores_sha256, volumes_sha256: the hashes of the files of scores that belong to this summary; not in older
            files.
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
    trust_of_uncombined_slices: int | None = None
    test_looks: TestLooks | None = None
    seen_in_training: SeenInTraining | None = None
    scores_sha256: str | None = None
    volumes_sha256: str | None = None

    def with_trust(self, quality: TrustQuality, *, calibrated_on_these_rows: bool, uncombined_slices: int = 0) -> Self:
        """Return the summary with the quality of the trust scores added.

        Args:
            quality: the quality of the trust scores.
            calibrated_on_these_rows: whether the model was calibrated on the same rows.
            uncombined_slices: the number of slices whose trust is that of another mask than the scored one.
        """
        facts = {"trust": quality, "trust_calibrated_on_these_rows": calibrated_on_these_rows}
        if uncombined_slices:
            facts["trust_of_uncombined_slices"] = uncombined_slices
        return self.model_copy(update=facts)

    def with_volumes(self, volumes: VolumeSummary) -> Self:
        """Return the summary with the means over volumes added."""
        return self.model_copy(update={"volumes": volumes})

    def with_notes(
        self, *, test_looks: TestLooks | None = None, seen_in_training: SeenInTraining | None = None
    ) -> Self:
        """Return the summary with notes about its images added; notes that are ``None`` are left unchanged."""
        notes = {"test_looks": test_looks, "seen_in_training": seen_in_training}
        return self.model_copy(update={name: note for name, note in notes.items() if note is not None})


def scores_sha256(path: Path) -> str:
    """Return the SHA-256 of a file of scores, as stored in the summary of the same evaluation."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_summary(path: Path) -> EvaluationSummary:
    """Read a summary that :func:`~promise_seg.assessment.report.write_results` wrote.

    Raises:
        FileNotFoundError: if there is no such file.
        SettingsError: if the file is damaged, or fields are missing or invalid.
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
