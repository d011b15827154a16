"""The default model learns from masks of every size, down to a pixel and up to the whole image."""

import numpy as np
import pytest
from PIL import Image

from promise_seg.assessment.evaluation import Assessment, evaluate
from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.errors import ManifestError
from promise_seg.learning.settings import make_settings
from promise_seg.learning.training import TrainingRun
from promise_seg.vocabulary import PromptSource
from tests.helpers import make_tiny_sam, write_dataset


def one_pixel(mask):
    mask[5, 7] = 255


def a_line(mask):
    mask[9, 3:30] = 255


def corners(mask):
    mask[[0, 0, -1, -1], [0, -1, 0, -1]] = 255


def all_of_it(mask):
    mask[:] = 255


def nothing(mask):
    mask[:] = 0


@pytest.fixture
def run_on(tmp_path, store, accelerator):
    def make(draw):
        rows = read_manifest(write_dataset(tmp_path / "data", ("train",) * 4 + ("val",) * 2))
        for row in rows:
            pixels = np.zeros_like(np.asarray(Image.open(row.mask)))
            draw(pixels)
            Image.fromarray(pixels).save(row.mask)
        settings = make_settings(apm="pretrained", apm_side=32, epochs=1, batch_size=3, views=2)
        checked = check_rows(rows)
        return TrainingRun(tmp_path / "run", checked, make_tiny_sam(), store, settings, accelerator), checked

    return make


@pytest.mark.slow
@pytest.mark.parametrize("draw", [one_pixel, a_line, corners, all_of_it])
def test_it_learns_and_answers_every_kind_of_prompt(run_on, draw):
    """Boxes of one pixel or one line have no area; a full image has no background to click on."""
    run, checked = run_on(draw)
    model = run.run()
    for source in (PromptSource.APM, PromptSource.BOX, PromptSource.ORACLE):
        for result in evaluate(model, checked, Assessment(prompts=source)):
            assert 0 <= result.scores.dice <= 1


def test_with_nothing_to_learn_from_it_says_so_and_trains_nothing(run_on):
    with pytest.raises(ManifestError, match="the masks of all train rows are empty; there is nothing to learn from"):
        run_on(nothing)
