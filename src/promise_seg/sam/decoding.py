"""Our own pass through SAM's mask decoder, so that a token shift is an argument and not a change of a shared module."""

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
    """All masks of SAM's decoder, with its mask tokens shifted image by image.

    The steps and their order are those of the library's ``SamMaskDecoder.forward``, so that without a shift the result
    is the same to the last bit. It holds no state: threads may call it at once, and it can be traced for export.

    Args:
        decoder: a ``SamMaskDecoder`` of ``transformers``; nothing in it is changed.
        embedding: (B, C, h, w), the image embedding.
        positions: (B, C, h, w), the position code of the embedding.
        sparse: (B, K, N, C), the embedded points and boxes of K sets of prompts, or ``None`` without any.
        dense: (B, C, h, w), the embedded mask prompts.
        token_shift: (B, M, C), added to the M mask tokens; the IoU token is not shifted.

    Returns:
        Mask logits (B, K, M, 4h, 4w), the first of the M being the single mask for unambiguous prompts; their predicted
        IoU (B, K, M); and the tokens that they came from (B, K, M, 2C), each followed by the IoU token.

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
    """Let tokens and image attend to each other, and enlarge the image: the part that SAM and SAM-HQ share.

    Args:
        decoder: a mask decoder of ``transformers``; nothing in it is changed.
        mask_tokens: (M, C), one for each mask.
        embedding, positions, sparse, dense: see :func:`decode_tokens`.
        token_shift: (B, M, C), added to the mask tokens.

    Returns:
        The tokens (B, K, 1 + M + N, C), first that of the IoU, then those of the masks; and the image
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
