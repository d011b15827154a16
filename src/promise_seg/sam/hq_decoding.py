"""Our own forward pass of the mask decoder of SAM-HQ, with the token shift as an argument."""

import torch
from torch import Tensor
from transformers.models.sam_hq.modeling_sam_hq import SamHQMaskDecoder

from promise_seg.sam.decoding import attended


def hq_features(decoder: SamHQMaskDecoder, embedding: Tensor, early: Tensor) -> Tensor:
    """Return the features for the mask of the HQ token, which depend only on the image.

    Shape: ``embedding`` (B, C, h, w) and ``early`` (B, h, w, D), the output of the first block with global attention,
        to (B, C / 8, 4h, 4w).
    """
    late = decoder.encoder_conv2(decoder.activation(decoder.encoder_norm(decoder.encoder_conv1(embedding))))
    compressed = decoder.compress_vit_conv1(early.permute(0, 3, 1, 2).contiguous())
    compressed = decoder.compress_vit_conv2(decoder.activation(decoder.compress_vit_norm(compressed)))
    found: Tensor = late + compressed
    return found


def decode_hq_tokens(
    decoder: SamHQMaskDecoder,
    embedding: Tensor,
    fine: Tensor,
    positions: Tensor,
    sparse: Tensor | None,
    dense: Tensor,
    token_shift: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return all masks of SAM-HQ's decoder: the logits of each of SAM's masks plus those of the HQ token's mask.

    The steps are those of the official code. The library's ``SamHQMaskDecoder.forward``, in ``transformers`` 5.24,
    computes masks from the image embedding before the transformer, and sorts them by their IoU.

    Args:
        decoder: a ``SamHQMaskDecoder`` of ``transformers``; nothing in it is changed.
        embedding: (B, C, h, w), the image embedding.
        fine: (B, C / 8, 4h, 4w), from :func:`hq_features`.
        positions: (B, C, h, w), the position code of the embedding.
        sparse: (B, K, N, C), the embedded points and boxes of K sets of prompts; ``None`` if there are none.
        dense: (B, C, h, w), the embedded mask prompts.
        token_shift: (B, M + 1, C), added to the M mask tokens and to the HQ token; the IoU token is not shifted.

    Returns:
        Mask logits (B, K, M, 4h, 4w), where the first of the M masks is the single mask for unambiguous prompts; their
        predicted IoU (B, K, M); and the output tokens (B, K, M, 2C): each mask token joined with the IoU token.

    Source: Ke et al., Segment Anything in High Quality, 2023, section 3.2.
    """
    count = decoder.num_mask_tokens - 1
    mask_tokens = torch.cat([decoder.mask_tokens.weight, decoder.hq_token.weight])
    out, image = attended(decoder, mask_tokens, embedding, positions, sparse, dense, token_shift)
    batch, sets = out.shape[:2]
    of_hq = decoder.mask_conv2(decoder.activation(decoder.mask_norm(decoder.mask_conv1(image))))
    of_hq = of_hq + fine.repeat_interleave(sets, 0)
    heads = [*decoder.output_hypernetworks_mlps, decoder.hq_mask_mlp]
    filters = torch.stack([head(out[:, :, 1 + number]) for number, head in enumerate(heads)], 2)
    side = image.shape[-2:]
    plain = filters[:, :, :count] @ image.reshape(batch, sets, image.shape[1], -1)
    refined = filters[:, :, count:] @ of_hq.reshape(batch, sets, of_hq.shape[1], -1)
    mask_logits = (plain + refined).reshape(batch, sets, count, *side)
    ends = torch.cat([out[:, :, 1 : 1 + count], out[:, :, :1].expand(-1, -1, count, -1)], -1)
    return mask_logits, decoder.iou_prediction_head(out[:, :, 0]), ends
