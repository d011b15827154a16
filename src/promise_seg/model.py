"""SAM, prompter and shift as one model: the only place that decides what is frozen."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, Self

import torch
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from torch import Tensor, nn

from promise_seg._version import __version__
from promise_seg.config_versions import as_version_1, from_version_1
from promise_seg.errors import CheckpointError, words_of
from promise_seg.images.reading import DEFAULT_READING, KeptReading, Reading
from promise_seg.ips import PatternShift
from promise_seg.postprocessing import NO_POST, PostProcessing
from promise_seg.prompting.apm import AutoPrompter, PointCounts, Proposal
from promise_seg.prompting.building import ApmField
from promise_seg.sam.backbone import Backbone, Decoded, state_sha256
from promise_seg.sam.features import Features
from promise_seg.sam.pickles import differences
from promise_seg.sam.prompts import Prompts
from promise_seg.sam.tuned import tuned
from promise_seg.vocabulary import Fit, MaskChoice, TrainAlso, Variant

FORMAT_VERSION: Literal[2] = 2

SAM_BESIDE = "<beside>"
"""The ``sam`` of a config whose SAM is in a folder next to it. It cannot be a path or name that a user gives."""


class ModelConfig(BaseModel):
    """All that is needed to build a model anew, apart from its weights; the ``config.json`` of a checkpoint.

    Args:
        variant: which parts it has around its SAM.
        apm: of its auto-prompting module, if it has one.
        oracle: of the oracle points that its shift learned from, and that it is chosen with if it has no APM.
        train_also: which parts of SAM were trained too.
        fit: how images become squares.
        reading: how files are read: as those that it was trained on.
        mask_choice: which of SAM's masks counts.
        postprocessing: what is done to the probabilities of a mask.
        sam: where its SAM is, or :data:`SAM_BESIDE`; ``sam_sha256`` is the hash of that SAM's weights.
        image_size: side of the model frame, in pixels.
        promise_seg_version: of the program that trained it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[2] = FORMAT_VERSION
    variant: Variant
    apm: ApmField | None = None
    oracle: PointCounts = PointCounts()
    train_also: TrainAlso = TrainAlso.NONE
    fit: Fit = Fit.STRETCH
    reading: KeptReading = DEFAULT_READING
    mask_choice: MaskChoice = MaskChoice.SCORE
    postprocessing: PostProcessing = NO_POST
    sam: str
    sam_sha256: str
    image_size: int
    promise_seg_version: str

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.variant.has_apm != (self.apm is not None):
            raise ValueError(f"variant {self.variant} {'needs' if self.variant.has_apm else 'cannot have'} an apm")
        return self

    @staticmethod
    def of_any_version(values: Any, where: str) -> "ModelConfig":
        """Return the config that a file holds, of this version of the format or an earlier one.

        Args:
            values: the JSON of the file.
            where: for messages.

        Raises:
            CheckpointError: if it is of an unknown version, or holds unknown or impossible values.
        """
        version = values.get("format_version") if isinstance(values, dict) else None
        if version == 1:
            values = from_version_1(values)
        elif version is None:
            raise CheckpointError(
                f"{where}: not of a checkpoint of promise-seg: it has no format_version. Give the output folder of "
                "promise train, or a checkpoint in it; a SAM is given with --sam"
            )
        elif version != FORMAT_VERSION:
            raise CheckpointError(
                f"{where}: checkpoint format {version}, but this promise-seg reads formats 1 to {FORMAT_VERSION}. Use "
                "the version of promise-seg that wrote it."
            )
        try:
            return ModelConfig.model_validate(values)
        except ValidationError as error:
            details = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'config'}: {words_of(e)}" for e in error.errors())
            raise CheckpointError(f"{where}: {details}") from error

    def sha256_with(self, state: str) -> str:
        """Return the hash of this config and of the state of what was trained, itself a hash.

        It is the same in every version of the format, so that what was noted of a model stays valid.
        """
        values = as_version_1(self.model_dump(mode="json"), self.model_dump(mode="json", exclude_defaults=True))
        return hashlib.sha256(f"{json.dumps(values, sort_keys=True)}{state}".encode()).hexdigest()


class ModelOutput(NamedTuple):
    """The output for a training step: masks for each set of prompts, and what the APM proposed."""

    decoded: Decoded
    proposal: Proposal | None


class PromiseModel(nn.Module):
    """A frozen SAM with the trainable parts of a variant.

    Training, evaluation, prediction and correction by hand all go through the same :meth:`encode` and :meth:`decode`.
    """

    def __init__(self, config: ModelConfig, sam: Backbone) -> None:
        super().__init__()
        self.config = config
        self.sam = tuned(sam, config.train_also)
        self.apm: AutoPrompter | None = None
        self.ips: PatternShift | None = None
        if config.apm is not None:
            self.apm = config.apm.build(sam.sizes)
        if config.variant.has_ips:
            self.ips = PatternShift(sam.embedding_channels, sam.num_mask_tokens)
        self.to(sam.device)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of the trainable parts; the SAM, or its untrained part, stays frozen."""
        super().train(mode)
        return self

    @property
    def device(self) -> torch.device:
        """The device that the model computes on."""
        return self.sam.device

    def trainable_parameters(self) -> dict[str, nn.Parameter]:
        """Return the parameters by names that begin with ``apm.`` or ``ips.``, or ``sam.`` for parts of SAM that are
        trained too."""
        return {name: p for name, p in self.named_parameters() if not name.startswith("sam.") or p.requires_grad}

    def trainable_state(self) -> dict[str, Tensor]:
        """Parameters and buffers of the trainable parts: what a checkpoint holds."""
        of_sam = {name for name in self.trainable_parameters() if name.startswith("sam.")}
        return {name: v for name, v in self.state_dict().items() if not name.startswith("sam.") or name in of_sam}

    def load_trainable_state(
        self, state: Mapping[str, Tensor], where: str, name_in_file: Callable[[str], str] = lambda name: name
    ) -> None:
        """Put weights into the trainable parts.

        Args:
            state: by our names.
            where: for messages.
            name_in_file: what a name is called there, for messages.

        Raises:
            CheckpointError: naming every missing, unexpected or misshapen key.
        """
        expected = {name_in_file(name): v for name, v in self.trainable_state().items()}
        if wrong := differences({name_in_file(name): v for name, v in state.items()}, expected):
            raise CheckpointError(f"{where}: does not fit the variant {self.config.variant}: {wrong}")
        self.load_state_dict(state, strict=False)

    def sha256(self) -> str:
        """Hash of the config and of all that was trained."""
        return self.config.sha256_with(state_sha256(self.trainable_state()))

    def encode(self, images: Tensor) -> Features:
        """Run the image encoder; see :meth:`Backbone.encode`."""
        return self.sam.encode(images)

    def propose(self, features: Features) -> Proposal:
        """The APM's points.

        Raises:
            ValueError: if this variant has no APM.
        """
        if self.apm is None:
            raise ValueError(f"variant {self.config.variant} has no auto-prompting module")
        proposal: Proposal = self.apm(features)
        return proposal

    def decode(self, features: Features, prompts: Prompts) -> Decoded:
        """Masks for prompts from anywhere, shifted if this variant has an IPS."""
        shift = None if self.ips is None else self.ips(features.embedding)
        return self.sam.decode(features, prompts, shift)

    def forward(self, features: Features | Tensor, oracle: Prompts | None = None) -> ModelOutput:
        """Masks for the APM's own points and for given oracle prompts, stacked along K in that order.

        ``features`` may be images (B, S, S, 3), which are then encoded: where the encoder learns too.
        """
        if isinstance(features, Tensor):
            features = self.encode(features)
        if self.apm is None:
            return ModelOutput(self.decode(features, oracle or Prompts()), None)
        proposal = self.propose(features)
        own = proposal.as_prompts()
        if oracle is None:
            return ModelOutput(self.decode(features, own), proposal)
        if (
            own.points_xy_model is None
            or own.point_labels is None
            or oracle.points_xy_model is None
            or oracle.point_labels is None
        ):
            raise ValueError("oracle prompts beside an APM must be points")
        both = Prompts(
            points_xy_model=torch.cat([own.points_xy_model, oracle.points_xy_model], 1),
            point_labels=torch.cat([own.point_labels, oracle.point_labels], 1),
        )
        return ModelOutput(self.decode(features, both), proposal)


def choose_mask(decoded: Decoded, choice: MaskChoice) -> Decoded:
    """One of SAM's masks for each set of prompts: (B, K, M, h, w) to (B, K, h, w), the IoU (B, K, M) to (B, K)."""
    if choice == MaskChoice.SCORE:
        best = decoded.iou.argmax(-1)
    else:
        best = torch.full(decoded.iou.shape[:2], int(choice), device=decoded.iou.device)
    index = best[..., None, None, None].expand(-1, -1, 1, *decoded.mask_logits.shape[-2:])
    return Decoded(decoded.mask_logits.gather(2, index)[:, :, 0], decoded.iou.gather(2, best[..., None])[..., 0])


def bare_model(sam: Backbone, fit: Fit = Fit.STRETCH, reading: Reading | None = None) -> PromiseModel:
    """A SAM with nothing trained around it: the baseline."""
    config = ModelConfig(
        variant=Variant.SAM, fit=fit, reading=reading or DEFAULT_READING, sam=sam.name, sam_sha256=sam.sha256,
        image_size=sam.image_size, promise_seg_version=__version__,
    )  # fmt: skip
    return PromiseModel(config, sam).eval()
