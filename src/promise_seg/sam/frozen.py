"""SAM itself, any ``SamModel`` of ``transformers``, as a backbone."""

import torch
from torch import Tensor
from transformers import SamModel

from promise_seg.sam.backbone import Backbone, Decoded, weights_sha256
from promise_seg.sam.decoding import decode_tokens
from promise_seg.sam.features import Features, FeatureSizes, stage_blocks
from promise_seg.sam.normalisation import normalise
from promise_seg.sam.vit_encoder import encode_vit


class FrozenSam(Backbone):
    """A frozen SAM: ViT-B, ViT-L, ViT-H and models with their architecture.

    Args:
        model: any ``SamModel``.
        name: the name that the user gave to the SAM, for messages and checkpoints.
        sha256: hash of the weights as published, if they were changed since (see
            :func:`~promise_seg.sam.resizing.resize`); computed from the weights if ``None``.
        notes: notes for the user on how the SAM was loaded, a line each.
        trained_at: the input size that the SAM was trained at, in pixels, if it is used at another size.
    """

    model: SamModel

    def __init__(
        self,
        model: SamModel,
        name: str,
        sha256: str | None = None,
        notes: tuple[str, ...] = (),
        trained_at: int | None = None,
    ) -> None:
        vision = model.config.vision_config
        grid = vision.image_size // vision.patch_size
        blocks = stage_blocks(vision.num_hidden_layers)
        super().__init__(
            name=name,
            sha256=sha256 or weights_sha256(model),
            sizes=FeatureSizes(
                side=vision.image_size,
                grid=grid,
                embedding_channels=vision.output_channels,
                stage_channels=(vision.hidden_size,) * len(blocks),
                num_heads=vision.num_attention_heads,
            ),
            num_mask_tokens=model.mask_decoder.num_mask_tokens,
            mask_side=4 * grid,
            notes=notes,
            trained_at=trained_at,
        )
        self.model = model
        self._stage_blocks = blocks
        self.train()

    def _encode(self, images: Tensor) -> Features:
        found = encode_vit(self._encoder, normalise(images.to(self.device)), self._stage_blocks)
        return Features.of(found.embedding.float(), torch.stack(found.stages, 1).float())

    def _decode_embedded(
        self, features: Features, sparse: Tensor | None, dense: Tensor, token_shift: Tensor | None, multimask: bool
    ) -> Decoded:
        embedding = features.embedding
        positions = self.model.get_image_wide_positional_embeddings().expand(embedding.shape[0], -1, -1, -1)
        mask_logits, iou, tokens = decode_tokens(
            self.model.mask_decoder, embedding, positions, sparse, dense, token_shift
        )
        wanted = slice(1, None) if multimask else slice(0, 1)
        return Decoded(mask_logits[:, :, wanted], iou[:, :, wanted], tokens[:, :, wanted])
