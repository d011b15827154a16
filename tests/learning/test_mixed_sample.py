"""Views of two images, and when a training learns from them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from promise_seg.augmentation.windows import Window
from promise_seg.images.geometry import on_mask
from promise_seg.inference.encoding import Sample
from promise_seg.learning.mixed_sample import MixedSample
from promise_seg.learning.training_set import Draw
from promise_seg.prompting.apm import IMAGE
from promise_seg.vocabulary import Fit
from tests.learning.runs import Killed, results, start

WINDOW = Window(left=4, top=8, width=16)


def test_image_and_mask_come_from_the_same_view_in_each_place(checked, tiny_sam):
    one, other = (Sample.of(row, tiny_sam, Fit.STRETCH, number) for number, row in enumerate(checked[:2], 1))
    mixed = MixedSample.of_two(one, other, WINDOW)
    for side in (one.side, 2 * one.side):
        inside = WINDOW.paste(np.zeros((side, side), bool), np.ones((side, side), bool))
        assert np.array_equal(mixed.image_at(side)[inside], other.image_at(side)[inside])
        assert np.array_equal(mixed.image_at(side)[~inside], one.image_at(side)[~inside])
    inside = WINDOW.paste(np.zeros((one.side, one.side), bool), np.ones((one.side, one.side), bool))
    assert np.array_equal(mixed.mask(), np.where(inside, other.mask(), one.mask()))
    assert np.array_equal(mixed.image(), np.where(inside[..., None], other.image(), one.image()))


def test_objects_of_the_two_views_keep_apart(checked, tiny_sam, monkeypatch):
    one, other = (Sample.of(row, tiny_sam, Fit.STRETCH, 0) for row in checked[:2])
    side = one.side
    labels = {id(one.checked): np.zeros((side, side), np.uint16), id(other.checked): np.ones((side, side), np.uint16)}
    labels[id(one.checked)][: side // 2] = 1
    labels[id(one.checked)][side // 2 :] = 2
    monkeypatch.setattr(Sample, "instances", lambda self: labels[id(self.checked)])
    found = MixedSample.of_two(one, other, WINDOW).instances()
    inside = WINDOW.paste(np.zeros((side, side), bool), np.ones((side, side), bool))
    assert (found[inside] == 3).all()
    assert np.array_equal(found[~inside], labels[id(one.checked)][~inside])


def test_objects_keep_apart_beside_the_highest_number_that_a_file_can_hold(checked, tiny_sam, monkeypatch):
    one, other = (Sample.of(row, tiny_sam, Fit.STRETCH, 0) for row in checked[:2])
    numbers = {id(one.checked): 65_535, id(other.checked): 65_535}
    monkeypatch.setattr(Sample, "instances", lambda self: np.full((32, 32), numbers[id(self.checked)], np.uint16))
    found = MixedSample.of_two(one, other, WINDOW).instances()
    assert set(np.unique(found)) == set(np.unique(on_mask(found, found > 0))) == {65_535, 131_070}


def test_only_maps_alone_are_learned_from_mixed_views(checked, tiny_sam, store, accelerator, tmp_path):
    run = start(
        tmp_path / "run", checked, tiny_sam, store, accelerator, apm="pretrained", apm_options={"side": 64},
        mixes_views=True, decoder_interval=2, views=1,
    )  # fmt: skip
    samples = [run.training_set._new_view(Draw(0, 0, (0, epoch, 0), for_maps=True)) for epoch in range(20)]
    mixed = [sample for sample in samples if isinstance(sample, MixedSample)]
    assert 5 < len(mixed) < 15
    assert len({sample.window for sample in mixed}) > 3
    number = samples.index(mixed[0])
    draw = Draw(0, 0, (0, number, 0), for_maps=True)
    found, again = run.training_set[draw], run.training_set[draw]
    assert np.array_equal(found.features[IMAGE][0].numpy(), mixed[0].image_at(64))
    assert torch.equal(found.map_target, again.map_target)
    whole = run.training_set[replace(draw, for_maps=False)]
    assert "embedding" in whole.features
    plain = start(
        tmp_path / "plain", checked, tiny_sam, store, accelerator, apm="pretrained", apm_options={"side": 64}, views=1
    )
    assert not isinstance(plain.training_set._new_view(draw), MixedSample)


@pytest.mark.slow
def test_a_run_with_mixed_views_resumes_exactly(checked, tiny_sam, store, accelerator, tmp_path):
    def begin(folder):
        return start(
            tmp_path / folder, checked, tiny_sam, store, accelerator, apm="pretrained", apm_options={"side": 64},
            mixes_views=True, decoder_interval=2, views=1, epochs=2, batch_size=1,
        )  # fmt: skip

    def kill(_stage, done, *_):
        if done == 3:
            raise Killed

    begin("whole").run()
    with pytest.raises(Killed):
        begin("broken").run(kill)
    begin("broken").run()
    assert results(tmp_path / "broken") == results(tmp_path / "whole")
