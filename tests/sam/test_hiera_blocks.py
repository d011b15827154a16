"""Our pass through the blocks of SAM 2's image encoder gives the numbers of the library, whatever the grid."""

import copy

import pytest
import torch
from transformers.models.sam2.modeling_sam2 import Sam2HieraDetConfig, Sam2HieraDetModel

from promise_seg.sam import packed_layers
from promise_seg.sam.hiera_blocks import pass_block

SHAPES = {"windows that fit": (64, (8, 4, 4, 2)), "padded windows": (56, (4, 4, 3, 3)), "odd grids": (56, (4, 4, 4, 3))}
"""The side of the image and the windows of each stage; patches have 4 px, and one block attends to all of its grid."""


def make_trunk(side: int, windows: tuple[int, ...]) -> Sam2HieraDetModel:
    """Five blocks in four stages with random weights everywhere, also in biases, of which padding is made."""
    config = Sam2HieraDetConfig(
        hidden_size=8, num_attention_heads=1, image_size=[side, side], blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[8, 16, 32, 64], num_attention_heads_per_stage=[1, 2, 4, 8],
        window_size_per_stage=list(windows), global_attention_blocks=[3],
        window_positional_embedding_background_size=[4, 4],
    )  # fmt: skip
    trunk = Sam2HieraDetModel._from_config(config, attn_implementation="sdpa").eval()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in trunk.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return trunk


def some_tokens(trunk: Sam2HieraDetModel, side: int) -> torch.Tensor:
    return trunk.patch_embed(torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(4)))


@pytest.fixture(params=SHAPES)
def shape(request) -> tuple[int, tuple[int, ...]]:
    return SHAPES[request.param]


@pytest.fixture(params=[True, False], ids=["oneDNN", "without oneDNN"])
def _with_or_without_onednn(request, monkeypatch):
    if not request.param:
        monkeypatch.setattr(packed_layers, "is_available", lambda: False)


@torch.no_grad()
@pytest.mark.usefixtures("_with_or_without_onednn")
@pytest.mark.parametrize("rows", [512, 5])
def test_every_block_gives_the_library_s_numbers(shape, rows, monkeypatch):
    monkeypatch.setattr(packed_layers, "ROWS", rows)
    trunk = make_trunk(*shape)
    ours = theirs = some_tokens(trunk, shape[0])
    for block in trunk.blocks:
        ours, theirs = pass_block(block, ours), block(theirs)
        assert ours.shape == theirs.shape
        assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


def test_gradients_are_those_of_the_library_s_own_block(shape):
    one, other = make_trunk(*shape), make_trunk(*shape)
    tokens = some_tokens(one, shape[0]).detach()
    pass_block(one.blocks[2], tokens.new_zeros(1, 6, 6, 16) + 1).sum().backward()
    other.blocks[2](tokens.new_zeros(1, 6, 6, 16) + 1).sum().backward()
    for mine, theirs in zip(one.blocks[2].parameters(), other.blocks[2].parameters(), strict=True):
        assert torch.equal(mine.grad, theirs.grad)


@torch.no_grad()
def test_nothing_in_the_encoder_is_changed(shape):
    trunk = make_trunk(*shape)
    before = copy.deepcopy(trunk.state_dict())
    hidden = some_tokens(trunk, shape[0])
    kept = hidden.clone()
    pass_block(trunk.blocks[0], hidden)
    assert torch.equal(hidden, kept)
    assert all(torch.equal(value, before[name]) for name, value in trunk.state_dict().items())
