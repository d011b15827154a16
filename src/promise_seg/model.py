"""SAM, prompter and shift joined. The only place that decides what is frozen."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from promise_seg._version import __version__
from promise_seg.errors import CheckpointError, SettingsError
from promise_seg.images.masks import MaskRule
from promise_seg.images.reading import Reading
from promise_seg.images.windows import parse_window
from promise_seg.ips import PatternShift
from promise_seg.postprocessing import NO_POST, PostProcessing
from promise_seg.prompting.apm import AutoPrompter, Proposal
from promise_seg.prompting.building import build_apm
from promise_seg.sam.backbone import Backbone, Decoded, state_sha256
from promise_seg.sam.features import Features
from promise_seg.sam.pickles import differences
from promise_seg.sam.prompts import Prompts
from promise_seg.sam.tuned import tuned
from promise_seg.vocabulary import ApmKind, Axis, Fit, MaskChoice, MaskKind, PositionCode, TrainAlso, Variant

FORMAT_VERSION: Literal[1] = 1

SAM_BESIDE = "<beside>"
"""As the ``sam`` of a config: the SAM stands in a folder beside it. No path or name that a user gives looks so."""


class ModelConfig(BaseModel):
    """All that is needed to build a model anew, apart from its weights; the ``config.json`` of a checkpoint."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = FORMAT_VERSION
    variant: Variant
    apm: ApmKind | None = None
    position_code: PositionCode | None = None
    num_points: int = Field(16, ge=1)
    num_foreground: int = Field(8, ge=0)
    train_also: TrainAlso = TrainAlso.NONE
    fit: Fit = Fit.STRETCH
    window: str = "own"
    axis: Axis = Axis.AUTO
    crop_border: bool = False
    masks: MaskKind = MaskKind.BINARY
    label: int | None = None
    mask_choice: MaskChoice = MaskChoice.SCORE
    postprocessing: PostProcessing = NO_POST
    sam: str
    sam_sha256: str
    image_size: int
    promise_seg_version: str

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        has_apm = self.variant.has_apm
        if has_apm != (self.apm is not None):
            raise ValueError(f"variant {self.variant} {'needs' if has_apm else 'cannot have'} an apm")
        if (self.apm == ApmKind.CROSS) != (self.position_code is not None):
            raise ValueError("position_code belongs to the apm cross, which needs one, and to no other")
        if self.num_foreground > self.num_points:
            raise ValueError(f"num_foreground ({self.num_foreground}) exceeds num_points ({self.num_points})")
        try:
            parse_window(self.window)
        except SettingsError as error:
            raise ValueError(str(error)) from None
        return self

    @property
    def reading(self) -> Reading:
        """How files are read for this model: as those that it was trained on."""
        return Reading(
            window=parse_window(self.window), axis=self.axis, crop_border=self.crop_border,
            masks=MaskRule(self.masks, self.label),
        )  # fmt: skip


class ModelOutput(NamedTuple):
    """What a training step needs: masks for each set of prompts, and what the APM proposed."""

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
            self.apm = build_apm(config.apm, sam.sizes, config.num_points, config.num_foreground, config.position_code)
        if config.variant.has_ips:
            self.ips = PatternShift(sam.embedding_channels, sam.num_mask_tokens)
        self.to(sam.device)

    def train(self, mode: bool = True) -> Self:
        """Switches the trainable parts; the SAM, or what of it is not trained, stays frozen."""
        super().train(mode)
        return self

    @property
    def device(self) -> torch.device:
        return self.sam.device

    def trainable_parameters(self) -> dict[str, nn.Parameter]:
        """By names that begin with ``apm.`` or ``ips.``, or ``sam.`` for parts of SAM that are trained too."""
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
        config = json.dumps(self.config.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(f"{config}{state_sha256(self.trainable_state())}".encode()).hexdigest()

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
        if own.points_xy is None or own.point_labels is None or oracle.points_xy is None or oracle.point_labels is None:
            raise ValueError("oracle prompts beside an APM must be points")
        both = Prompts(
            points_xy=torch.cat([own.points_xy, oracle.points_xy], 1),
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
        variant=Variant.SAM, fit=fit, sam=sam.name, sam_sha256=sam.sha256, image_size=sam.image_size,
        promise_seg_version=__version__, **reading_fields(reading or Reading()),
    )  # fmt: skip
    return PromiseModel(config, sam).eval()


def reading_fields(reading: Reading) -> dict[str, Any]:
    """What of a reading a config keeps; a threshold of grey masks belongs to the data alone."""
    return {
        "window": str(reading.window),
        "axis": reading.axis,
        "crop_border": reading.crop_border,
        "masks": reading.masks.kind,
        "label": reading.masks.label,
    }
