"""Our own forward pass of SAM's mask decoder, with the token shift as an argument instead of a change of the module."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from transformers.models.sam.modeling_sam import SamMaskDecoder

if TYPE_CHECKING:
    from transformers.models.sam_hq.modeling_sam_hq import SamHQMaskDecoder


def decode_tokens(
    decoder: SamMaskDecoder,
    embedding: Tensor,
    positions: Tensor,
    sparse: Tensor | None,
    dense: Tensor,
    token_shift: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return all masks of SAM's decoder, with the mask tokens shifted image by image.

    The steps and their order are those of the library's ``SamMaskDecoder.forward``, so without a shift the result is
    bit-identical. The function is stateless: several threads may call it at once, and it can be traced for export.

    Args:
        decoder: a ``SamMaskDecoder`` of ``transformers``; nothing in it is changed.
        embedding: (B, C, h, w), the image embedding.
        positions: (B, C, h, w), the position code of the embedding.
        sparse: (B, K, N, C), the embedded points and boxes of K sets of prompts; ``None`` if there are none.
        dense: (B, C, h, w), the embedded mask prompts.
        token_shift: (B, M, C), added to the M mask tokens; the IoU token is not shifted.

    Returns:
        Mask logits (B, K, M, 4h, 4w), where the first of the M masks is the single mask for unambiguous prompts; their
        predicted IoU (B, K, M); and the output tokens (B, K, M, 2C): each mask token joined with the IoU token.

    Source: Kirillov et al., Segment Anything, 2023, appendix A, "Lightweight mask decoder"; ProMISe, section on IPS.
    """
    count = decoder.num_mask_tokens
    out, image = attended(decoder, decoder.mask_tokens.weight, embedding, positions, sparse, dense, token_shift)
    batch, sets = out.shape[:2]
    filters = torch.stack(
        [mlp(out[:, :, 1 + number]) for number, mlp in enumerate(decoder.output_hypernetworks_mlps)], 2
    )
    side = image.shape[-2:]
    mask_logits = (filters @ image.reshape(batch, sets, image.shape[1], -1)).reshape(batch, sets, count, *side)
    ends = torch.cat([out[:, :, 1 : 1 + count], out[:, :, :1].expand(-1, -1, count, -1)], -1)
    return mask_logits, decoder.iou_prediction_head(out[:, :, 0]), ends


def attended(
    decoder: "SamMaskDecoder | SamHQMaskDecoder",
    mask_tokens: Tensor,
    embedding: Tensor,
    positions: Tensor,
    sparse: Tensor | None,
    dense: Tensor,
    token_shift: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Run the transformer and the upscaling of a mask decoder, the part that SAM and SAM-HQ share.

    Args:
        decoder: a mask decoder of ``transformers``; nothing in it is changed.
        mask_tokens: (M, C), one token per mask.
        embedding, positions, sparse, dense: see :func:`decode_tokens`.
        token_shift: (B, M, C), added to the mask tokens.

    Returns:
        The tokens (B, K, 1 + M + N, C): the IoU token, the mask tokens and the prompt tokens; and the upscaled image
        (B * K, C / 8, 4h, 4w).
    """
    batch, channels, height, width = embedding.shape
    sets = 1 if sparse is None else sparse.shape[1]
    mask_tokens = mask_tokens.repeat(batch, sets, 1, 1)
    if token_shift is not None:
        mask_tokens = mask_tokens + token_shift[:, None].to(mask_tokens)
    tokens = torch.cat([decoder.iou_token.weight.repeat(batch, sets, 1, 1), mask_tokens], 2)
    if sparse is not None:
        tokens = torch.cat([tokens, sparse], 2)
    out, keys = decoder.transformer(
        point_embeddings=tokens.to(decoder.iou_token.weight.dtype),
        image_embeddings=(embedding + dense).repeat_interleave(sets, 0),
        image_positional_embeddings=positions.repeat_interleave(sets, 0),
        attention_similarity=None,
        target_embedding=None,
    )
    image = keys.transpose(2, 3).reshape(batch * sets, channels, height, width)
    image = decoder.activation(decoder.upscale_layer_norm(decoder.upscale_conv1(image)))
    return out, decoder.activation(decoder.upscale_conv2(image))
