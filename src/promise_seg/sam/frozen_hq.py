"""SAM-HQ, any ``SamHQModel`` of ``transformers``, as a backbone."""

from typing import Self

from torch import Tensor
from transformers import SamConfig, SamHQModel, SamModel

from promise_seg.errors import CheckpointError
from promise_seg.sam.backbone import Backbone, Decoded, weights_sha256
from promise_seg.sam.features import Features, stage_blocks
from promise_seg.sam.frozen import FrozenSam
from promise_seg.sam.hq_decoding import decode_hq_tokens, hq_features
from promise_seg.vocabulary import EncoderPrecision

FINE = "hq_features"
"""Name of the features for the mask of the HQ token, at four times the resolution of the embedding."""


class FrozenSamHq(Backbone):
    """A frozen SAM-HQ: a SAM with an additional mask token, whose mask is added to each of SAM's own masks.

    Args:
        model: any ``SamHQModel``.
        name: the name that the user gave to the SAM, for messages and checkpoints.
        sha256: hash of the weights as published; computed from the weights if ``None``.
        notes: notes for the user on how the SAM was loaded, a line each.
        trained_at: the input size that the SAM was trained at, in pixels, if it is used at another size.

    Raises:
        CheckpointError: if the first block with global attention, whose output the HQ token needs, is not a stage.
    """

    model: SamHQModel

    def __init__(
        self,
        model: SamHQModel,
        name: str,
        sha256: str | None = None,
        notes: tuple[str, ...] = (),
        trained_at: int | None = None,
    ) -> None:
        encoder = FrozenSam(model, name, sha256 or weights_sha256(model), notes, trained_at)
        super().__init__(
            name=name,
            sha256=encoder.sha256,
            sizes=encoder.sizes,
            num_mask_tokens=model.mask_decoder.num_mask_tokens,
            mask_side=encoder.mask_side,
            notes=notes,
            trained_at=trained_at,
        )
        vision = model.config.vision_config
        blocks, first = stage_blocks(vision.num_hidden_layers), min(vision.global_attn_indexes, default=None)
        if first not in blocks:
            raise CheckpointError(
                f"--sam {name}: a SAM-HQ that reads block {first}, counting from 0; expected one of the blocks whose "
                f"outputs are the stages: {', '.join(map(str, blocks))}"
            )
        self.model = model
        self._inside = (encoder,)  # a tuple hides it, as its parts belong to the model
        self._read_stage = blocks.index(first)
        self.train()

    def in_precision(self, precision: EncoderPrecision) -> Self:
        """See :meth:`Backbone.in_precision`."""
        found = super().in_precision(precision)
        if found is not self:
            found._inside = (self._inside[0].in_precision(precision),)
        return found

    def _encode(self, images: Tensor) -> Features:
        """Run the encoder of SAM, and compute the features for the HQ token."""
        found = self._inside[0].encode(images)
        fine = hq_features(self.model.mask_decoder, found.embedding, found.stage(self._read_stage))
        return Features({**found.tensors, FINE: fine.contiguous()})

    def _decode_embedded(
        self, features: Features, sparse: Tensor | None, dense: Tensor, token_shift: Tensor | None, multimask: bool
    ) -> Decoded:
        embedding = features.embedding
        positions = self.model.get_image_wide_positional_embeddings().expand(embedding.shape[0], -1, -1, -1)
        mask_logits, iou, tokens = decode_hq_tokens(
            self.model.mask_decoder, embedding, features.tensors[FINE], positions, sparse, dense, token_shift
        )
        wanted = slice(1, None) if multimask else slice(0, 1)
        return Decoded(mask_logits[:, :, wanted], iou[:, :, wanted], tokens[:, :, wanted])

    def with_sha256(self, sha256: str) -> Backbone:
        """See :meth:`Backbone.with_sha256`; models of earlier versions were trained with the plain SAM inside."""
        if self.sha256 == sha256 or self.image_size != self.trained_at:
            return self
        inside = FrozenSam(self._sam_inside(), self.name, trained_at=self.trained_at)
        return inside if inside.sha256 == sha256 else self

    def _sam_inside(self) -> SamModel:
        config = self.model.config
        parts = {
            name: {key: value for key, value in getattr(config, name).to_dict().items() if key != "model_type"}
            for name in ("vision_config", "prompt_encoder_config", "mask_decoder_config")
        }
        parts["mask_decoder_config"].pop("vit_dim")
        inside = SamModel(SamConfig(**parts))
        wanted, state = inside.state_dict().keys(), self.model.state_dict()
        inside.load_state_dict({name: value for name, value in state.items() if name in wanted})
        return inside.to(self.device)
