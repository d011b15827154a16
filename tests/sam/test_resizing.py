import pytest
import torch

from promise_seg.errors import SettingsError
from promise_seg.sam.frozen import FrozenSam
from promise_seg.sam.loading import load_sam, notes_with_trained_model, resized_note
from promise_seg.sam.resizing import resize
from tests.helpers import some_points


@pytest.mark.parametrize("size", [16, 24, 48, 64])
def test_it_runs_at_other_sizes(tiny_sam, size):
    sam = FrozenSam(resize(tiny_sam.model, size), "resized")
    assert (sam.image_size, sam.sizes.grid, sam.mask_side) == (size, size // 4, size)
    features = sam.encode(torch.randint(0, 256, (2, size, size, 3)))
    assert features.stage(1).shape[1:3] == (size // 4, size // 4)
    assert sam.decode(features, some_points()).mask_logits.shape[-1] == size


def test_only_position_parameters_change(tiny_sam):
    before, after = tiny_sam.model.state_dict(), resize(tiny_sam.model, 48).state_dict()
    changed = {name for name in before if before[name].shape != after[name].shape}
    assert changed == {
        "vision_encoder.pos_embed",
        *(f"vision_encoder.layers.{i}.attn.rel_pos_{axis}" for i in (1, 3) for axis in "hw"),  # those of global blocks
    }
    assert all(torch.equal(before[name], after[name]) for name in before.keys() - changed)


def test_its_own_size_is_left_alone(tiny_sam):
    assert resize(tiny_sam.model, 32) is tiny_sam.model


def test_constant_positions_stay_constant(tiny_sam):
    model = resize(tiny_sam.model, 32)
    with torch.no_grad():
        saved = model.vision_encoder.pos_embed.clone()
        model.vision_encoder.pos_embed.fill_(0.25)
        resized = resize(model, 64)
        model.vision_encoder.pos_embed.copy_(saved)
    torch.testing.assert_close(resized.vision_encoder.pos_embed, torch.full((1, 16, 16, 16), 0.25))


@pytest.mark.parametrize("size", [30, 33, 12, 4])
def test_sizes_that_cannot_work_say_which_do(tiny_sam, size):
    with pytest.raises(SettingsError, match="multiple of this SAM's patch size 4, and at least 16"):
        resize(tiny_sam.model, size)


@pytest.mark.parametrize("size", [4100, 10**9])
def test_sizes_that_would_exhaust_the_memory_are_refused_before(size):
    with pytest.raises(SettingsError, match=rf"^--image-size {size}: expected at most 4096 pixels.* by --tile$"):
        load_sam("nano", image_size=size)


def test_loading_at_another_size_keeps_the_hash_and_says_so(tiny_sam, tmp_path):
    tiny_sam.model.save_pretrained(tmp_path)
    sam = load_sam(str(tmp_path), image_size=64)
    assert sam.sha256 == tiny_sam.sha256
    assert sam.image_size == 64
    assert sam.notes == (resized_note(32, 64),)
    assert notes_with_trained_model(sam) == ()
    assert load_sam(str(tmp_path)).notes == ()


def test_the_nano_sam_at_twice_its_size():
    sam = load_sam("nano", image_size=256)
    assert sam.encode(torch.zeros(1, 256, 256, 3)).embedding.shape[-2:] == (32, 32)
