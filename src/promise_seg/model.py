"""SAM, auto-prompter and pattern shift joined in one model: the only place that decides what is frozen."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from promise_seg._version import __version__
from promise_seg.config_versions import as_version_1, from_version_1
from promise_seg.errors import CheckpointError
from promise_seg.images.reading import DEFAULT_READING, KeptReading, Reading
from promise_seg.ips import GivenShift, PatternShift
from promise_seg.mask_quality import MaskQuality
from promise_seg.prompting.apm import IMAGE, AutoPrompter, PointCounts, Proposal, some_sets
from promise_seg.prompting.building import ApmField
from promise_seg.prompting.given_prompts import Answer, form_of
from promise_seg.prompting.map_in_masks import with_map, with_map_as_asked
from promise_seg.prompting.side_by_side import are_alike, sets_of, side_by_side
from promise_seg.rules.instance_rule import InstanceRule
from promise_seg.rules.postprocessing import NO_POST, PostProcessing
from promise_seg.rules.volume_rule import VolumeRule
from promise_seg.sam.backbone import Backbone, Decoded, state_sha256
from promise_seg.sam.features import Features
from promise_seg.sam.pickles import differences
from promise_seg.sam.prompts import Prompts
from promise_seg.sam.tuned import tuned
from promise_seg.validation import faults_of
from promise_seg.vocabulary import EncoderPrecision, Fit, MaskChoice, PromptForm, TrainAlso, Variant

FORMAT_VERSION: Literal[2] = 2

IMAGES = "images"
"""Name of images among the features that are not encoded yet."""
ABSENT_LOGIT = -20.0
"""The logit of each pixel of an image without foreground: a probability of practically zero."""
SAM_BESIDE = "<beside>"
"""The ``sam`` of a config whose SAM is in a folder next to it. It cannot be a path or name that a user gives."""


class ModelConfig(BaseModel):
    """The ``config.json`` of a checkpoint: everything that is needed to rebuild a model, apart from its weights.

    Args:
        variant: the trainable parts around SAM.
        apm: config of the auto-prompting module, if there is one.
        oracle: numbers of the oracle points that the shift is trained with and, without an APM, validated with.
        train_also: the parts of SAM that were trained too.
        fit: how images are made square.
        reading: how image files are read, as in training.
        mask_choice: which of SAM's masks is used; for a model with an APM, for the APM's own prompts.
        map_share: weight of the APM's saliency logits in the mask logits for its own prompts, 0 to 1.
        second_pass: whether SAM's masks for the APM's own prompts are fed back to SAM once.
        presence_threshold: least presence probability for a mask that is not empty, for own prompts; ``None`` for any.
        has_given_shift: whether given prompts are answered with a shift of their own.
        learns_quality: whether a trained module estimates which of SAM's masks is best.
        given: how given prompts of each form are answered, for forms for which that was measured.
        postprocessing: post-processing of mask probabilities.
        instances: how objects are separated, if that was measured.
        volumes: how the slices of a volume are combined, if that was chosen; otherwise slices are segmented separately.
        encoder_precision: precision in which SAM encoded the training images.
        sam: where the SAM is, or :data:`SAM_BESIDE`; ``sam_sha256`` is the hash of that SAM's weights.
        image_size: side of the model frame, in pixels.
        promise_seg_version: version of the program that trained the model.
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
    map_share: float = Field(0.0, ge=0, le=1)
    second_pass: bool = False
    presence_threshold: float | None = Field(None, ge=0, le=1)
    has_given_shift: bool = False
    learns_quality: bool = False
    given: dict[PromptForm, Answer] = {}
    postprocessing: PostProcessing = NO_POST
    instances: InstanceRule | None = None
    volumes: VolumeRule | None = None
    encoder_precision: EncoderPrecision = EncoderPrecision.FP32
    sam: str
    sam_sha256: str
    image_size: int
    promise_seg_version: str

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.variant.has_apm != (self.apm is not None):
            raise ValueError(f"variant {self.variant} {'needs' if self.variant.has_apm else 'cannot have'} an apm")
        return self

    @property
    def instance_rule(self) -> InstanceRule:
        """The rule that separates objects; if it was not measured, the default rule with the config's ``map_share``."""
        return self.instances or InstanceRule(map_share=self.map_share)

    @staticmethod
    def of_any_version(values: Any, where: str) -> "ModelConfig":
        """Return the config in a file, of the current version of the format or an earlier one.

        Args:
            values: JSON content of the file.
            where: name of the file, for messages.

        Raises:
            CheckpointError: if the version is unknown, or the config has unknown or invalid values.
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
            raise CheckpointError(f"{where}: {faults_of(error, ModelConfig, 'config')}") from error

    def sha256_with(self, state: str) -> str:
        """Return the hash of this config together with ``state``, the hash of the trained weights.

        It is the same in every version of the format, so that records about a model stay valid.
        """
        values = as_version_1(self.model_dump(mode="json"), self.model_dump(mode="json", exclude_defaults=True))
        return hashlib.sha256(f"{json.dumps(values, sort_keys=True)}{state}".encode()).hexdigest()


class ModelOutput(NamedTuple):
    """The output for a training step: masks for the APM's own and for given prompts, and the APM's proposal."""

    own: Decoded | None
    given: tuple[Decoded, ...]
    proposal: Proposal | None


class PromiseModel(nn.Module):
    """A frozen SAM with the trainable parts of a variant.

    Training, evaluation, prediction and correction by hand all go through the same :meth:`encode` and :meth:`decode`.
    """

    def __init__(self, config: ModelConfig, sam: Backbone) -> None:
        super().__init__()
        self.config = config
        self.always_segments = False
        """Whether images that are judged to contain nothing are segmented anyway."""
        self.sam = tuned(sam, config.train_also)
        self.apm: AutoPrompter | None = None
        self.ips: PatternShift | None = None
        self.ips_given: GivenShift | None = None
        self.quality: MaskQuality | None = None
        if config.apm is not None:
            self.apm = config.apm.build(sam.sizes)
        if config.variant.has_ips:
            self.ips = PatternShift(sam.embedding_channels, sam.num_mask_tokens)
        if config.has_given_shift:
            self.ips_given = GivenShift(sam.embedding_channels, sam.num_mask_tokens)
        if config.learns_quality:
            self.quality = MaskQuality(sam.token_channels)
        frozen = None if self.apm is None else self.apm.frozen_part
        self._frozen = ("sam.",) if frozen is None else ("sam.", f"apm.{frozen}.")
        self.to(sam.device)

    @property
    def device(self) -> torch.device:
        """The device that the model computes on."""
        return self.sam.device

    @property
    def stages_read(self) -> tuple[int, ...]:
        """The stages of SAM's encoder that the APM reads in addition to the embedding."""
        return () if self.apm is None else self.apm.stages_read

    def trainable_parameters(self) -> dict[str, nn.Parameter]:
        """Return the trainable parameters by name; names begin with the part of the model, ``sam.`` for parts of SAM
        that are trained too."""
        return {name: p for name, p in self.named_parameters() if not name.startswith(self._frozen) or p.requires_grad}

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return groups of trainable parameters for an optimizer; the fast part of the APM is a group of its own."""
        parameters = self.trainable_parameters()
        fast = None if self.apm is None else self.apm.fast_part
        if fast is None:
            return [{"params": list(parameters.values())}]
        is_fast = {name: name.startswith(f"apm.{fast}.") for name in parameters}
        return [
            {"params": [p for name, p in parameters.items() if not is_fast[name]]},
            {"params": [p for name, p in parameters.items() if is_fast[name]], "scale": 2.0},
        ]

    def trainable_state(self) -> dict[str, Tensor]:
        """Return the parameters and buffers of the trainable parts, which are the content of a checkpoint."""
        trained = self.trainable_parameters()
        return {n: v for n, v in self.state_dict().items() if not n.startswith(self._frozen) or n in trained}

    def load_trainable_state(
        self, state: Mapping[str, Tensor], where: str, name_in_file: Callable[[str], str] = lambda name: name
    ) -> None:
        """Load weights into the trainable parts.

        Args:
            state: tensors, by our names.
            where: name of the file, for messages.
            name_in_file: converts our name of a tensor to its name in the file, for messages.

        Raises:
            CheckpointError: if keys are missing or unexpected, or tensors have another shape.
        """
        expected = {name_in_file(name): v for name, v in self.trainable_state().items()}
        if wrong := differences({name_in_file(name): v for name, v in state.items()}, expected):
            raise CheckpointError(f"{where}: does not fit the variant {self.config.variant}: {wrong}")
        self.load_state_dict(state, strict=False)

    def sha256(self) -> str:
        """Return the hash of the config and of the trained weights."""
        return self.config.sha256_with(state_sha256(self.trainable_state()))

    def encode(self, images: Tensor) -> Features:
        """Run the image encoder; see :meth:`Backbone.encode`.

        An APM that reads the image itself gets these images, resized. If the file has more pixels than the model frame,
        :mod:`promise_seg.inference.encoding` gives it the pixels of the file instead.
        """
        features = self.sam.encode(images)
        if self.apm is None or self.apm.image_side is None:
            return features
        pixels = images.permute(0, 3, 1, 2).to(features.embedding)
        size = (self.apm.image_side, self.apm.image_side)
        pixels = F.interpolate(pixels, size=size, mode="bilinear", align_corners=False, antialias=True)
        image = pixels.permute(0, 2, 3, 1)
        maps = self.apm.frozen_maps(image)
        return Features({**features.tensors, **({IMAGE: image} if maps is None else maps.tensors)})

    def propose(self, features: Features) -> Proposal:
        """Return the prompts that the APM proposes.

        Raises:
            ValueError: if this variant has no APM.
        """
        if self.apm is None:
            raise ValueError(f"variant {self.config.variant} has no auto-prompting module")
        proposal: Proposal = self.apm(features)
        return proposal

    def answer_to(self, prompts: Prompts) -> Answer:
        """Return how prompts are answered: the choice of mask, the use of the shift, and the share of the saliency map.

        The model's own prompts are answered as in training, given prompts as was measured for their form. The saliency
        map has no share if a mask is given as a prompt, as the two may contradict each other.
        """
        if isinstance(prompts, Proposal):
            return self.answer_to_form(None)
        answer = self.answer_to_form(form_of(prompts))
        return answer if prompts.mask_logits is None else answer.model_copy(update={"map_share": 0.0})

    def answer_to_form(self, form: PromptForm | None) -> Answer:
        """Return how given prompts of a form are answered; ``None`` stands for the model's own prompts or none."""
        usual = Answer(mask_choice=self.config.mask_choice)
        return usual if form is None else self.config.given.get(form, usual)

    def decode(self, features: Features, prompts: Prompts, *, apart: bool = False) -> Decoded:
        """Return masks for any prompts, shifted if this variant has an IPS.

        Masks for the APM's own prompts, a :class:`Proposal`, are mixed with its saliency map, and are empty for images
        that are judged to contain nothing (:func:`presence_of`). If the config says so, SAM's masks are fed back to SAM
        once before that.

        Masks for given points and boxes are mixed with the saliency map as was measured for their form, within the
        limits that the prompts set (:func:`with_map_as_asked`), if the features contain what the APM needs for its map.

        Args:
            features: the features of B images.
            prompts: K sets of prompts for each image.
            apart: whether each of the APM's own prompts shall have the mask of its own object (:func:`with_map`);
                otherwise the masks are meant to be joined.
        """
        answer = self.answer_to(prompts)
        shifted = answer.shifted
        decoded = self.sam_masks(features, prompts, shifted=shifted)
        if not isinstance(prompts, Proposal):
            return self._with_map_of(features, prompts, decoded, answer.map_share)
        presence_logits = presence_of(prompts, decoded)
        if self.config.second_pass:
            refined = replace(prompts, mask_logits=choose_mask(decoded, self.config.mask_choice).mask_logits)
            decoded = self.sam_masks(features, refined, shifted=shifted)
        mask_logits = with_map(decoded.mask_logits, prompts, self.config.map_share, apart=apart)
        threshold = None if self.always_segments else self.config.presence_threshold
        if threshold is not None and presence_logits is not None:
            absent = presence_logits.sigmoid() < threshold
            mask_logits = mask_logits.masked_fill(absent[:, None, None, None, None], ABSENT_LOGIT)
        return decoded._replace(mask_logits=mask_logits)

    def _with_map_of(self, features: Features, prompts: Prompts, decoded: Decoded, share: float) -> Decoded:
        """Return masks for given prompts, mixed with the saliency map."""
        saliency_logits = None if self.apm is None or not share else self.apm.saliency_of(features)
        if saliency_logits is None:
            return decoded
        mixed = with_map_as_asked(decoded.mask_logits, saliency_logits, prompts, share, self.sam.image_size)
        return decoded._replace(mask_logits=mixed)

    def sam_masks(self, features: Features, prompts: Prompts, *, shifted: bool = True) -> Decoded:
        """Return SAM's masks for prompts without any further changes, with or without the shift for such prompts."""
        shift = None
        if shifted and self.ips_given is not None and not isinstance(prompts, Proposal):
            shift = self.ips_given(features.embedding, prompts)
        elif shifted and self.ips is not None:
            shift = self.ips(features.embedding)
        decoded = self.sam.decode(features, prompts, shift)
        if self.quality is None or decoded.tokens is None:
            return decoded
        return decoded._replace(learned_iou=self.quality(decoded.tokens, decoded.iou))

    def forward(
        self, features: Features, *given: Prompts, most_sets: int | None = None, decodes: bool = True
    ) -> ModelOutput:
        """Return SAM's masks for the APM's own prompts and for given prompts.

        Args:
            features: features, or images (B, S, S, 3) under :data:`IMAGES` to encode, if the encoder is trained too.
            given: given prompts, of any number of forms.
            most_sets: maximum number of the APM's own sets of prompts that are decoded per image, drawn at random.
            decodes: whether SAM decodes masks; otherwise a model with an APM returns only the APM's proposal.
        """
        if IMAGES in features.tensors:
            rest = {name: value for name, value in features.tensors.items() if name != IMAGES}
            features = Features({**self.encode(features.tensors[IMAGES]).tensors, **rest})
        if self.apm is None:
            asked = given or (Prompts(),)
            return ModelOutput(None, tuple(self.sam_masks(features, prompts) for prompts in asked), None)
        proposal = self.propose(features)
        if not decodes:
            return ModelOutput(None, (), proposal)
        if len(given) == 1 and self.ips_given is None and are_alike(proposal, given[0]):
            both = self.sam_masks(features, side_by_side(proposal, given[0]))
            return ModelOutput(sets_of(both, slice(0, 1)), (sets_of(both, slice(1, None)),), proposal)
        if most_sets is not None and proposal.per_image > most_sets:
            proposal = some_sets(proposal, most_sets)
        own = self.sam_masks(features, proposal)
        return ModelOutput(own, tuple(self.sam_masks(features, prompts) for prompts in given), proposal)


def presence_of(proposal: Proposal, decoded: Decoded) -> Tensor | None:
    """Return the logits (B,) of the presence of any foreground in each image, or ``None`` if there are none.

    They come from the APM or, if it predicts none, are the largest of SAM's object scores for the APM's prompts.
    """
    if proposal.presence_logits is not None or decoded.object_logits is None:
        return proposal.presence_logits
    return decoded.object_logits.amax(1)


def choose_mask(decoded: Decoded, choice: MaskChoice) -> Decoded:
    """Return one of SAM's masks for each set of prompts: (B, K, M, h, w) to (B, K, h, w), the IoU (B, K, M) to (B, K).

    If the mask is chosen by the learned estimate of quality, that replaces SAM's own estimate in the result.
    """
    iou = decoded.iou
    if choice == MaskChoice.LEARNED and decoded.learned_iou is not None:
        iou = decoded.learned_iou
    if choice in (MaskChoice.SCORE, MaskChoice.LEARNED):
        best = iou.argmax(-1)
    else:
        best = torch.full(decoded.iou.shape[:2], int(choice), device=decoded.iou.device)
    index = best[..., None, None, None].expand(-1, -1, 1, *decoded.mask_logits.shape[-2:])
    return Decoded(decoded.mask_logits.gather(2, index)[:, :, 0], iou.gather(2, best[..., None])[..., 0])


def bare_model(sam: Backbone, fit: Fit = Fit.STRETCH, reading: Reading | None = None) -> PromiseModel:
    """Return a SAM without any trained parts around it: the baseline."""
    config = ModelConfig(
        variant=Variant.SAM, fit=fit, reading=reading or DEFAULT_READING, sam=sam.name, sam_sha256=sam.sha256,
        image_size=sam.image_size, promise_seg_version=__version__,
    )  # fmt: skip
    return PromiseModel(config, sam).eval()
