"""Our pass through SAM's image encoder gives the numbers of the library, whatever the shape of grid and windows."""

import copy

import pytest
import torch
from torch import nn
from transformers import SamVisionConfig
from transformers.models.sam.modeling_sam import SamVisionEncoder

from promise_seg.sam import packed_layers, vit_attention
from promise_seg.sam.vit_encoder import encode_vit

SHAPES = {"windows that fit": (32, 4), "padded windows": (28, 4), "a window as large as the grid": (32, 8)}
"""The side of the image and of a window; patches have 4 px, and every second block attends to the whole grid."""


def make_encoder(side: int, window: int, **more: object) -> SamVisionEncoder:
    """Four blocks with random weights everywhere, which the library itself would leave at 0 in biases and positions."""
    config = SamVisionConfig(
        hidden_size=24, output_channels=16, num_hidden_layers=4, num_attention_heads=3, image_size=side, patch_size=4,
        window_size=window, global_attn_indexes=[1, 3], mlp_dim=32, **more,
    )  # fmt: skip
    encoder = SamVisionEncoder._from_config(config, attn_implementation="sdpa").eval()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            spread = 1.0 if "rel_pos" in name else 0.3
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * spread)
    return encoder


def some_pixels(side: int, count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(4))


def check_same(encoder: nn.Module, pixels: torch.Tensor, tolerance: float = 1e-5) -> None:
    theirs = encoder(pixels).last_hidden_state
    ours = encode_vit(encoder, pixels, (1, 2)).embedding
    assert (ours - theirs).abs().max() <= tolerance * theirs.abs().max()


@pytest.fixture(params=SHAPES)
def shape(request) -> tuple[int, int]:
    return SHAPES[request.param]


@torch.no_grad()
@pytest.mark.parametrize("tile", [2**21, 3 * 7 * 7 * 2, 1], ids=["all at once", "some rows", "one row"])
def test_tiles_of_any_size_give_the_library_s_numbers(shape, tile, monkeypatch):
    monkeypatch.setattr(vit_attention, "TILE", tile)
    check_same(make_encoder(*shape), some_pixels(shape[0]))


@pytest.mark.parametrize("chunk", [512, 5])
def test_gradients_are_the_library_s(shape, chunk, monkeypatch):
    monkeypatch.setattr(vit_attention, "CHUNK", chunk)
    ours, pixels = make_encoder(*shape), some_pixels(shape[0])
    theirs = copy.deepcopy(ours)
    check_same(ours, pixels)
    encode_vit(ours, pixels, ()).embedding.square().sum().backward()
    theirs(pixels).last_hidden_state.square().sum().backward()
    gradients = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    assert all(gradient.abs().max() > 0 for gradient in gradients.values())
    for name, parameter in ours.named_parameters():
        largest = gradients[name].abs().max()
        assert (parameter.grad - gradients[name]).abs().max() <= 1e-4 * largest, name


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_as_near_to_full_precision_as_the_library(shape, dtype):
    encoder, pixels = make_encoder(*shape), some_pixels(shape[0])
    full = encoder(pixels).last_hidden_state
    half = copy.deepcopy(encoder).to(dtype)
    theirs = half(pixels.to(dtype)).last_hidden_state
    ours = encode_vit(half, pixels, ()).embedding
    assert ours.dtype == dtype
    assert (ours - full).abs().mean() <= 1.2 * (theirs - full).abs().mean()


@torch.no_grad()
def test_autocast_works(shape):
    encoder, pixels = make_encoder(*shape), some_pixels(shape[0])
    full = encode_vit(encoder, pixels, ()).embedding
    with torch.autocast("cpu", torch.bfloat16):
        mixed = encode_vit(encoder, pixels, ()).embedding
    assert 0 < (mixed - full).abs().mean() < 0.02 * full.abs().mean()


@torch.no_grad()
def test_a_layer_without_bias_pads_with_zeros():
    check_same(make_encoder(28, 4, qkv_bias=False), some_pixels(28))


@torch.no_grad()
def test_stages_stay_what_they_were_when_their_blocks_ended():
    encoder, pixels = make_encoder(28, 4), some_pixels(28)
    seen = []
    handles = [layer.register_forward_hook(lambda *args: seen.append(args[2])) for layer in encoder.layers]
    encoder(pixels)
    for handle in handles:
        handle.remove()
    for ours, theirs in zip(encode_vit(encoder, pixels, range(4)).stages, seen, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_no_bias_of_all_queries_and_keys_is_ever_made(monkeypatch):
    """The largest tensor of a global block is its hidden layer of the MLP or its tokens, not its scores."""
    monkeypatch.setattr(vit_attention, "TILE", 16 * 256)
    encoder = make_encoder(64, 4)
    sizes = []

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            found = func(*args, **(kwargs or {}))
            if isinstance(found, torch.Tensor):
                sizes.append(found.numel())
            return found

    with Watch():
        encode_vit(encoder, some_pixels(64, 1), ())
    assert max(sizes) < 3 * 256 * 256 / 2


@torch.no_grad()
@pytest.mark.parametrize("channels", [5, 8])
def test_a_bias_is_a_product_of_channels_that_say_where_keys_are(channels):
    """The way that CUDA takes, on the CPU."""
    generator = torch.Generator().manual_seed(5)
    queries, keys, values = torch.randn(3, 2, 3, 20, channels, generator=generator).unbind(0)
    by_row, by_column = (torch.randn(2, 3, 20, size, generator=generator) for size in (4, 5))
    bias = (by_row[..., :, None] + by_column[..., None, :]).flatten(3)
    expected = torch.nn.functional.scaled_dot_product_attention(queries, keys, values, attn_mask=bias)
    found = vit_attention._attend_with_places(queries, keys, values, by_row, by_column)
    torch.testing.assert_close(found, expected)


@torch.no_grad()
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-3), (torch.bfloat16, 3e-2)])
@pytest.mark.parametrize("chunk", [8, vit_attention.CHUNK])
def test_cuda_gives_the_numbers_of_the_cpu(dtype, tolerance, chunk, monkeypatch):
    monkeypatch.setattr(vit_attention, "CHUNK", chunk)
    encoder, pixels = make_encoder(128, 14), some_pixels(128)
    expected = encoder(pixels).last_hidden_state
    found = encode_vit(encoder.to("cuda", dtype), pixels.cuda(), ()).embedding.float().cpu()
    assert (found - expected).abs().max() <= tolerance * expected.abs().max()


@torch.no_grad()
@pytest.mark.parametrize("rows", [3, 512])
@pytest.mark.parametrize("bias", [True, False])
def test_a_packed_layer_does_what_the_layer_does_to_any_number_of_rows(rows, bias):
    layer, tokens = nn.Linear(12, 20, bias=bias), torch.randn(7, 12)
    torch.testing.assert_close(packed_layers.packed(layer, rows)(tokens), layer(tokens), atol=1e-5, rtol=1e-5)


def test_a_layer_that_was_replaced_is_called_itself():
    """Such as one of 8 bits, or one with an adapter."""

    class Doubled(nn.Linear):
        def forward(self, tokens):
            return 2 * super().forward(tokens)

    layer = Doubled(3, 3)
    assert packed_layers.packed(layer) is layer


@torch.no_grad()
def test_without_onednn_the_numbers_are_the_same(shape, monkeypatch):
    monkeypatch.setattr(packed_layers, "_OPERATORS", ("not_there", "nor_this"))
    assert not packed_layers.is_available()
    check_same(make_encoder(*shape), some_pixels(shape[0]))
