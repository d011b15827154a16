"""Our own forward pass of the mask decoder of SAM 2, with the token shift as an argument."""

from typing import NamedTuple

import torch
from torch import Tensor
from transformers.models.sam2.modeling_sam2 import Sam2MaskDecoder

_IOU, _MASKS = 1, 2  # positions among the decoder's tokens: object score, IoU, masks, prompts


class Sam2Tokens(NamedTuple):
    """The outputs of SAM 2's decoder for B images with K sets of prompts each: M masks for each set.

    Shape: mask logits (B, K, M, 4h, 4w), where the first of the M masks is the single mask for unambiguous prompts;
        their predicted IoU (B, K, M) in [0, 1]; the output tokens (B, K, M, 2C), each mask token joined with the IoU
        token; and the object score (B, K), a logit.
    """

    mask_logits: Tensor
    iou: Tensor
    tokens: Tensor
    object_logits: Tensor


def decode_sam2_tokens(
    decoder: Sam2MaskDecoder,
    embedding: Tensor,
    fine: Tensor,
    finest: Tensor,
    positions: Tensor,
    sparse: Tensor | None,
    dense: Tensor,
    token_shift: Tensor | None,
) -> Sam2Tokens:
    """Return all masks of SAM 2's decoder, with the mask tokens shifted image by image.

    The steps are those of the library's ``Sam2MaskDecoder.forward``, so without a shift the result is bit-identical.
    The exception is that masks are never selected by stability, which the library does in evaluation mode only.

    Args:
        decoder: the decoder of a ``Sam2Model``, or of a relative with the same parts; nothing in it is changed.
        embedding: (B, C, h, w), the image embedding.
        fine: (B, C / 4, 2h, 2w), the projected features at twice the resolution of the embedding.
        finest: (B, C / 8, 4h, 4w), the projected features at four times the resolution of the embedding.
        positions: (B, C, h, w), the position code of the embedding.
        sparse: (B, K, N, C), the embedded points and boxes of K sets of prompts; ``None`` if there are none.
        dense: (B, C, h, w), the embedded mask prompts.
        token_shift: (B, M, C), added to the M mask tokens; the tokens of object score and IoU are not shifted.

    Source: Ravi et al., SAM 2, 2024, appendix C, "Prompt encoder and mask decoder"; ProMISe, section on IPS.
    """
    batch, channels, height, width = embedding.shape
    sets = 1 if sparse is None else sparse.shape[1]
    count = decoder.num_mask_tokens
    mask_tokens = decoder.mask_tokens.weight.repeat(batch, sets, 1, 1)
    if token_shift is not None:
        mask_tokens = mask_tokens + token_shift[:, None].to(mask_tokens)
    heads = torch.cat([decoder.obj_score_token.weight, decoder.iou_token.weight])
    parts = [heads.repeat(batch, sets, 1, 1), mask_tokens]
    if sparse is not None:
        parts.append(sparse)
    out, keys = decoder.transformer(
        point_embeddings=torch.cat(parts, 2).to(decoder.iou_token.weight.dtype),
        image_embeddings=(embedding + dense).repeat_interleave(sets, 0),
        image_positional_embeddings=positions.repeat_interleave(sets, 0),
        attention_similarity=None,
    )
    image = keys.transpose(2, 3).reshape(batch * sets, channels, height, width)
    image = decoder.upscale_conv1(image) + fine.repeat_interleave(sets, 0)
    image = decoder.activation(decoder.upscale_layer_norm(image))
    image = decoder.activation(decoder.upscale_conv2(image) + finest.repeat_interleave(sets, 0))
    filters = torch.stack(
        [mlp(out[:, :, _MASKS + number]) for number, mlp in enumerate(decoder.output_hypernetworks_mlps)], 2
    )
    side = image.shape[-2:]
    mask_logits = (filters @ image.reshape(batch, sets, image.shape[1], -1)).reshape(batch, sets, count, *side)
    iou_token = out[:, :, _IOU]
    ends = torch.cat([out[:, :, _MASKS : _MASKS + count], iou_token[:, :, None].expand(-1, -1, count, -1)], -1)
    scores = decoder.pred_obj_score_head(out[:, :, 0])[..., 0]
    return Sam2Tokens(mask_logits, decoder.iou_prediction_head(iou_token), ends, scores)
