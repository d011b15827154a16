"""SAM 2 and its relatives, as classes of ``transformers``, as backbones."""

from typing import TYPE_CHECKING, TypeAlias

from torch import Tensor, nn

from promise_seg.sam.backbone import Backbone, Decoded, weights_sha256
from promise_seg.sam.encoder_precision import DTYPES
from promise_seg.sam.features import EMBEDDING, Features, FeatureSizes
from promise_seg.sam.normalisation import HALF, PIXEL_MEAN, PIXEL_STD, normalise
from promise_seg.sam.sam2_decoding import decode_sam2_tokens
from promise_seg.sam.trunks import Convolutions, Hiera, PlainTransformer, Trunk, on_grid

if TYPE_CHECKING:  # these classes are slow to import
    from transformers import EdgeTamModel, Sam2Model, Sam3TrackerModel

    AnySam2: TypeAlias = Sam2Model | EdgeTamModel | Sam3TrackerModel

FINE, FINEST = "fine", "finest"
"""Names of the features at two and four times the resolution of the embedding, which only the decoder uses."""
MOST_OF_A_MASK = 32.0
"""The absolute value to which the logits of mask prompts are clamped, as in the masks of the official predictor."""


class FrozenSam2(Backbone):
    """A frozen SAM 2, EdgeTAM or tracker of SAM 3, used for single images.

    It follows the official image predictor where the library differs: there are no sparse tokens without prompts or
    with only a mask prompt, masks are never selected by stability, and mask prompts are clamped.

    Args:
        model: a model of one of the three classes.
        name: the name that the user gave to the SAM, for messages and checkpoints.
        sha256: hash of the weights as published; computed from the weights if ``None``.
        notes: notes for the user on how the SAM was loaded, a line each.
        trained_at: the input size that the SAM was trained at, in pixels, if it is used at another size.
    """

    model: "AnySam2"

    def __init__(
        self,
        model: "AnySam2",
        name: str,
        sha256: str | None = None,
        notes: tuple[str, ...] = (),
        trained_at: int | None = None,
    ) -> None:
        trunk = _trunk(model, model.vision_encoder)
        prompt = model.config.prompt_encoder_config
        grid = prompt.image_size // prompt.patch_size
        super().__init__(
            name=name,
            sha256=sha256 or weights_sha256(model),
            sizes=FeatureSizes(
                side=prompt.image_size,
                grid=grid,
                embedding_channels=model.hidden_dim,
                stage_channels=trunk.stage_channels,
                num_heads=trunk.num_heads,
            ),
            num_mask_tokens=model.mask_decoder.num_mask_tokens,
            mask_side=4 * grid,
            notes=notes,
            trained_at=trained_at,
        )
        self.model = model
        self.input_scale = (HALF, HALF) if isinstance(trunk, PlainTransformer) else (PIXEL_MEAN, PIXEL_STD)
        self.train()

    def _encode(self, images: Tensor) -> Features:
        """Run the steps of the library's encoder; the stages are at the resolution of the embedding, or coarser."""
        encoder = self._encoder
        pixels = normalise(images.to(self.device), *self.input_scale)
        pyramid = _trunk(self.model, encoder)(pixels.to(DTYPES.get(self.encoder_precision, pixels.dtype)))
        finest, fine, coarse = (level.float() for level in pyramid.levels)
        decoder = self.model.mask_decoder
        tensors = {
            EMBEDDING: (coarse + self.model.no_memory_embedding.reshape(1, -1, 1, 1)).contiguous(),
            FINE: decoder.conv_s1(fine).contiguous(),
            FINEST: decoder.conv_s0(finest).contiguous(),
        }
        for number, stage in enumerate(pyramid.stages):
            tensors[f"stage_{number}"] = on_grid(stage.float(), self.sizes.grid)
        return Features(tensors)

    def _mask_prompt(self, mask_logits: Tensor) -> Tensor:
        """See :meth:`Backbone._mask_prompt`."""
        return mask_logits.clamp(-MOST_OF_A_MASK, MOST_OF_A_MASK)

    def _decode_embedded(
        self, features: Features, sparse: Tensor | None, dense: Tensor, token_shift: Tensor | None, multimask: bool
    ) -> Decoded:
        embedding = features.embedding
        positions = self.model.get_image_wide_positional_embeddings().expand(embedding.shape[0], -1, -1, -1)
        found = decode_sam2_tokens(
            self.model.mask_decoder, embedding, features.tensors[FINE], features.tensors[FINEST], positions, sparse,
            dense, token_shift,
        )  # fmt: skip
        wanted = slice(1, None) if multimask else slice(0, 1)
        return Decoded(
            found.mask_logits[:, :, wanted],
            found.iou[:, :, wanted],
            found.tokens[:, :, wanted],
            object_logits=found.object_logits,
        )


def _trunk(model: "AnySam2", encoder: nn.Module) -> Trunk:
    """Return the trunk around an encoder, which is the model's own or a copy of it in another precision."""
    kind = type(model).__name__  # the config cannot be used: it names the kind of the file
    if kind == "Sam3TrackerModel":
        return PlainTransformer(encoder)
    if kind == "EdgeTamModel":
        return Convolutions(encoder, model.config.mask_decoder_config.num_attention_heads)
    return Hiera(encoder)
