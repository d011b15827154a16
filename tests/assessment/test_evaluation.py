import numpy as np
import pytest
import torch
from PIL import Image

from promise_seg.assessment.evaluation import Assessment, PromptSource, evaluate, make_prompts
from promise_seg.data.geometry import Fit
from promise_seg.errors import SettingsError
from promise_seg.features.encoding import Sample, features_of
from promise_seg.model import Variant, bare_model
from tests.helpers import make_model


def run(model, checked, source, **values):
    return evaluate(model, checked, Assessment(prompts=PromptSource(source), **values))


@pytest.mark.parametrize("source", ["apm", "oracle", "box", "none"])
def test_every_source_of_prompts(tiny_sam, checked, source):
    results = run(make_model(tiny_sam), checked, source)
    assert len(results) == len(checked)
    assert all(0 <= r.scores.dice <= 1 for r in results)


def test_scores_are_at_the_image_s_own_size(tiny_sam, checked, monkeypatch):
    from promise_seg.assessment import evaluation

    shapes = []
    real = evaluation.score_mask
    monkeypatch.setattr(
        evaluation, "score_mask", lambda probs, truth: shapes.append((probs.shape, truth.shape)) or real(probs, truth)
    )
    run(make_model(tiny_sam), checked[:2], "apm")
    assert shapes == [((30, 40), (30, 40))] * 2


def test_own_points_never_read_a_mask(tiny_sam, checked, monkeypatch):
    model = make_model(tiny_sam).eval()
    sample = Sample.of(checked[0], tiny_sam, Fit.STRETCH)
    features = features_of([sample], tiny_sam, None)
    checked[0].row.mask.unlink()
    prompts = make_prompts(model, features, [sample], Assessment(prompts=PromptSource.APM))
    assert prompts.points_xy.shape == (1, 1, 16, 2)


def test_oracle_points_depend_on_the_image_not_on_its_place(tiny_sam, checked):
    model = bare_model(tiny_sam)
    forward = {r.checked.row.image: r.scores for r in run(model, checked, "oracle")}
    backward = {r.checked.row.image: r.scores for r in run(model, checked[::-1], "oracle")}
    for image, scores in forward.items():
        assert scores.dice == pytest.approx(backward[image].dice, abs=1e-6)
    other = [r.scores.dice for r in run(model, checked, "oracle", seed=1)]
    assert other != [r.scores.dice for r in run(model, checked, "oracle")]


def test_batches_do_not_matter(tiny_sam, checked):
    from promise_seg.assessment.evaluation import decode_rows

    model = make_model(tiny_sam)
    assessment = Assessment(prompts=PromptSource.APM)
    one, many = (
        torch.stack([d.mask_logits for d in decode_rows(model, checked, assessment, batch_size=b)]) for b in (1, 10)
    )
    torch.testing.assert_close(one, many, atol=1e-3, rtol=1e-3)


def test_models_without_apm_have_no_own_points(tiny_sam, checked):
    with pytest.raises(SettingsError, match="--prompts apm: the variant ips has no auto-prompting"):
        run(make_model(tiny_sam, Variant.IPS), checked, "apm")


def test_an_empty_ground_truth_is_scored(tiny_sam, manifest):
    from promise_seg.data.checks import check_rows
    from promise_seg.data.manifest import read_manifest

    Image.fromarray(np.zeros((30, 40), np.uint8)).save(manifest.parent / "masks/0.png")
    rows = check_rows(read_manifest(manifest))[:1]
    for source in PromptSource:
        assert run(make_model(tiny_sam), rows, source)[0].scores.dice in {0.0, 1.0}


def test_only_oracle_sources_read_the_truth_and_say_so():
    assert [s for s in PromptSource if s.reads_truth] == [PromptSource.ORACLE, PromptSource.BOX]
    assert all("oracle" in s.label for s in PromptSource if s.reads_truth)
    assert not any("oracle" in s.label for s in PromptSource if not s.reads_truth)
