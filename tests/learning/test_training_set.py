"""Draws of an epoch, and the masks that each set of prompts asks for."""

import threading

import numpy as np
import pytest
import torch
from PIL import Image

from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.images.geometry import shrink_mask
from promise_seg.images.reading import make_reading
from promise_seg.inference.encoding import Sample
from promise_seg.learning.objective import training_losses
from promise_seg.learning.training_set import Draw, EpochDraws, collate
from promise_seg.model import ModelOutput
from promise_seg.prompting.apm import IMAGE
from promise_seg.prompting.oracle import oracle_box
from promise_seg.sam.backbone import Decoded
from promise_seg.vocabulary import Fit, Recipe
from tests.files import write_nifti
from tests.learning.runs import start


def test_an_epoch_draws_each_row_once_and_in_its_own_order():
    draws = EpochDraws(20, 4, seed=1)
    first = list(draws)
    assert sorted(d.row for d in first) == list(range(20))
    assert {d.view for d in first} == {0, 1, 2, 3}
    assert list(draws) == first
    draws.epoch = 1
    assert list(draws) != first


@pytest.mark.slow
def test_with_no_fixed_views_each_epoch_sees_new_ones_and_stores_none(checked, tiny_sam, store, accelerator, tmp_path):
    draws = EpochDraws(4, 0, seed=1)
    seen = []
    for draws.epoch in range(5):
        seen += [{draw.view for draw in draws}]
    assert seen == [{1}, {2}, {3}, {4}, {5}]
    run = start(tmp_path / "run", checked, tiny_sam, store, accelerator, views=0)
    assert run.encode() == 2  # the val rows
    run.run()
    assert len(list(store.folder.rglob("*.safetensors"))) == 2


def test_each_slice_of_a_volume_has_its_own_mask(tiny_sam, store, accelerator, tmp_path):
    """Views of all slices are the same where nothing is drawn at random."""
    labels = np.zeros((20, 24, 4), np.uint8)
    for number in range(4):
        labels[4 * number : 4 * number + 5, 5:15, number] = 1
    lines = ["image_name,train_type,mask_name"]
    for split in ("train", "val"):
        image = np.random.default_rng(len(lines)).integers(0, 99, labels.shape).astype(np.int16)
        write_nifti(tmp_path / f"{split}.nii", image)
        write_nifti(tmp_path / f"{split}_m.nii", labels)
        lines.append(f"{split}.nii,{split},{split}_m.nii")
    (tmp_path / "m.csv").write_text("\n".join(lines))
    rows = check_rows(read_manifest(tmp_path / "m.csv"))
    run = start(tmp_path / "run", rows, tiny_sam, store, accelerator, augmentation=Recipe.NONE)
    for again in range(2):
        for row in range(4):
            item = run.training_set[Draw(row, 0, (again,))]
            sample = Sample.of(rows[row], tiny_sam, run.settings.fit)
            assert torch.equal(item.target, shrink_mask(torch.from_numpy(sample.mask())[None], tiny_sam.mask_side))


def with_instances(manifest):
    """The data set's masks as instance maps: the left and the right half of each object."""
    for path in (manifest.parent / "masks").iterdir():
        labels = (np.asarray(Image.open(path)) > 0).astype(np.uint16)
        middle = int(np.nonzero(labels)[1].mean())
        labels[:, middle:] *= 2
        Image.fromarray(labels).save(path)
    return check_rows(read_manifest(manifest), make_reading(instances=True))


def test_points_and_boxes_ask_for_one_object_and_own_prompts_for_all(manifest, tiny_sam, store, accelerator, tmp_path):
    """Points lie on their side of this object's outline, and the box is around it, but for what a person misses."""
    rows = with_instances(manifest)
    run = start(tmp_path / "run", rows, tiny_sam, store, accelerator)
    seen = set()
    for seed in range(12):
        item = run.training_set[Draw(0, 0, (seed,))]
        whole, one = item.target > 0.5, item.oracle_target > 0.5
        assert not (one & ~whole).any()
        assert 0 < one.sum() < whole.sum()
        x, y = item.oracle_points_xy_model[0, 0].long().T
        assert torch.equal(one[0, y, x], item.oracle_labels[0, 0] == 1)
        box = torch.from_numpy(oracle_box(one[0].numpy()))
        size = (box[2:] - box[:2] + 1).repeat(2)
        assert ((item.oracle_boxes[0, 0] - box).abs() <= 0.15 * size + 1e-3).all()
        seen.add(float(item.oracle_target.sum()))
    assert len(seen) == 2
    assert run.run().config.reading.masks == "instances"


def test_instances_and_the_object_that_is_asked_for_move_with_the_view(
    manifest, tiny_sam, store, accelerator, tmp_path
):
    run = start(tmp_path / "run", with_instances(manifest), tiny_sam, store, accelerator, views=5)
    count = len(run.training_set)
    for number, sample in enumerate(run.training_set.samples(5)):
        view, row = divmod(number, count)
        assert np.array_equal(sample.instances() > 0, sample.mask())
        item = run.training_set.item(Draw(row, view, (number,)), with_inputs=False)
        whole, one = item.target > 0.5, item.oracle_target > 0.5
        assert one.any()
        assert not (one & ~whole).any()


@pytest.mark.parametrize("view", range(4))
def test_an_image_that_the_auto_prompter_sees_stays_on_its_mask(view, checked, tiny_sam, store, accelerator, tmp_path):
    """Whatever else is done to its colours with each draw."""
    run = start(tmp_path / "run", checked, tiny_sam, store, accelerator, apm="pretrained", apm_options={"side": 32})
    for row in range(3):
        item = run.training_set[Draw(row, view, (view, row))]
        grey, inside = item.features[IMAGE][0].float().mean(-1), item.target[0] > 0.5
        assert grey[inside].mean() > grey[~inside].mean() + 50


def test_presence_is_that_of_an_object_in_the_view(manifest, tiny_sam, store, accelerator, tmp_path):
    for number in (0, 2):
        Image.fromarray(np.zeros((30, 40), np.uint8)).save(manifest.parent / f"masks/{number}.png")
    run = start(tmp_path / "run", check_rows(read_manifest(manifest)), tiny_sam, store, accelerator)
    items = [run.training_set.item(Draw(row, 0, (1,)), with_inputs=False) for row in range(4)]
    assert torch.equal(collate(items).presence, torch.tensor([0.0, 1.0, 0.0, 1.0]))


def test_binary_masks_are_asked_for_as_they_are(checked, tiny_sam, store, accelerator, tmp_path):
    run = start(tmp_path / "run", checked, tiny_sam, store, accelerator)
    item = run.training_set[Draw(0, 1, (1,))]
    assert torch.equal(item.target, item.oracle_target)


def test_each_set_of_prompts_is_compared_with_what_it_asks_for(manifest, tiny_sam, store, accelerator, tmp_path):
    run = start(tmp_path / "run", with_instances(manifest), tiny_sam, store, accelerator)
    batch = collate([run.training_set[Draw(0, 0, (1,))]])
    right = torch.stack([batch.target, batch.oracle_target], 1)[:, :, None].expand(-1, -1, 3, -1, -1) * 20 - 10
    proposal = run.model.propose(batch.inputs)

    def loss(logits):
        own, given = (Decoded(logits[:, n : n + 1], torch.zeros(1, 1, 3)) for n in range(2))
        output = ModelOutput(own, (given,), proposal)
        return float(training_losses(output, batch, run.settings, 32)["mask"])

    assert loss(right) < 0.1 < loss(right.flip(1))


def test_inputs_that_stay_black_are_black_in_all_views_of_training(manifest, tiny_sam, store, accelerator, tmp_path):
    """Also where the encoder learns, or the auto-prompter sees the image itself."""
    rows = check_rows(read_manifest(manifest), make_reading(channels="red,green"))
    everywhere = check_rows(read_manifest(manifest), make_reading(channels="red,green,blue"))
    for recipe in (Recipe.OWN, Recipe.LIGHT):
        for view in range(1, 5):
            sample = Sample.of(rows[0], tiny_sam, Fit.STRETCH, view, recipe)
            for image in (sample.image(), sample.image_at(48)):
                assert image[..., :2].any()
                assert not image[..., 2].any()
    assert Sample.of(everywhere[0], tiny_sam, Fit.STRETCH, 1).image()[..., 2].any()
    run = start(tmp_path / "run", rows, tiny_sam, store, accelerator, apm="pretrained")
    for number in range(4):
        seen = run.training_set[Draw(0, 1, (number,))].inputs.tensors[IMAGE]
        assert seen[..., :2].any()
        assert not seen[..., 2].any()


def test_batches_are_read_by_another_thread_in_the_order_of_the_draws(checked, tiny_sam, store, accelerator, tmp_path):
    run = start(tmp_path / "run", checked, tiny_sam, store, accelerator, views=1)
    threads, real = set(), run.training_set._inputs

    def inputs(sample, draw):
        threads.add(threading.current_thread())
        return real(sample, draw)

    run.training_set._inputs = inputs
    read = list(run.steps.batches())
    assert threading.current_thread() not in threads
    expected = list(run.steps.loader)
    assert len(read) == len(expected)
    for one, other in zip(read, expected, strict=True):
        assert torch.equal(one.target, other.target)
        assert torch.equal(one.oracle_points_xy_model, other.oracle_points_xy_model)
