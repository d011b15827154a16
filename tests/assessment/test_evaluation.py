import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from promise_seg.assessment.evaluation import Assessment, evaluate, score_row
from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.errors import SettingsError
from promise_seg.images.cut_masks import CutMask
from promise_seg.images.reading import make_reading
from promise_seg.inference import rows
from promise_seg.inference.encoding import Sample, sam_features
from promise_seg.inference.masks import Masks
from promise_seg.inference.prompting import make_prompts
from promise_seg.inference.rows import DecodedRow
from promise_seg.model import bare_model, choose_mask
from promise_seg.rules.postprocessing import PostProcessing
from promise_seg.vocabulary import Fit, PromptSource, Protocol, Variant
from tests.helpers import assert_same_dice, disc_image, make_model


def decoded_as(sample, mask_logits, iou, objects=None):
    return DecodedRow(sample, Masks(mask_logits, iou, sample.geometry), objects)


def run(model, checked, source, **values):
    return evaluate(model, checked, Assessment(prompts=PromptSource(source), **values))


def note_decoding(model, monkeypatch):
    """A list of the prompts that the model is given from now on, each with what it made of them."""
    seen, decode = [], model.decode

    def note(features, prompts, *, apart=False):
        seen.append((prompts, decode(features, prompts, apart=apart)))
        return seen[-1][1]

    monkeypatch.setattr(model, "decode", note)
    return seen


def overlap(mask, truth):
    return 2 * (mask & truth).sum() / (mask.sum() + truth.sum())


@pytest.mark.parametrize("source", list(PromptSource))
def test_every_source_of_prompts(tiny_sam, checked, source, monkeypatch):
    """Each gives the prompts it is named after, and the scores are of the masks that the model makes of them."""
    model = make_model(tiny_sam).eval()
    samples = [Sample.of(row, tiny_sam, model.config.fit) for row in checked]
    seen = note_decoding(model, monkeypatch)
    results = run(model, checked, source)
    ((prompts, decoded),) = seen
    if source == PromptSource.APM:
        own = model.propose(sam_features(samples, tiny_sam, None))
        torch.testing.assert_close(prompts.points_xy_model, own.points_xy_model)
    elif source == PromptSource.ORACLE:
        for sample, points, labels in zip(samples, prompts.points_xy_model, prompts.point_labels, strict=True):
            x, y = points[0].long().unbind(-1)
            assert sample.mask()[y, x].tolist() == labels[0].bool().tolist() == [True] * 8 + [False] * 8
    elif source == PromptSource.BOX:
        for sample, box in zip(samples, prompts.boxes_xyxy_model, strict=True):
            rows, columns = np.nonzero(sample.mask())
            assert box[0].tolist() == [columns.min(), rows.min(), columns.max(), rows.max()]
    else:
        assert (prompts.points_xy_model, prompts.boxes_xyxy_model, prompts.mask_logits) == (None, None, None)
    chosen = choose_mask(decoded, model.config.mask_choice).mask_logits[:, 0]
    for row, sample, result, logits in zip(checked, samples, results, chosen, strict=True):
        mask = sample.geometry.logits_to_image(logits).sigmoid().numpy() > 0.5
        assert result.checked is row
        assert result.scores.dice == pytest.approx(overlap(mask, row.mask()))


def test_scores_are_at_the_image_s_own_size(tiny_sam, checked, monkeypatch):
    from promise_seg.assessment import evaluation

    shapes = []
    real = evaluation.score_mask

    def note(probs, truth, *predicted):
        shapes.append((probs.shape, truth.shape))
        return real(probs, truth, *predicted)

    monkeypatch.setattr(evaluation, "score_mask", note)
    run(make_model(tiny_sam), checked[:2], "apm")
    assert shapes == [((30, 40), (30, 40))] * 2


def test_own_points_never_read_a_mask(tiny_sam, checked, monkeypatch):
    model = make_model(tiny_sam).eval()
    sample = Sample.of(checked[0], tiny_sam, Fit.STRETCH)
    features = sam_features([sample], tiny_sam, None)
    checked[0].row.mask.unlink()
    prompts = make_prompts(model, features, [sample], Assessment(prompts=PromptSource.APM))
    assert prompts.points_xy_model.shape == (1, 1, 16, 2)


def test_oracle_points_depend_on_the_image_not_on_its_place(tiny_sam, checked):
    model = bare_model(tiny_sam)
    forward, backward, other = (
        [r.scores.dice for r in run(model, rows, "oracle", seed=seed)]
        for rows, seed in ((checked, 0), (checked[::-1], 0), (checked, 1))
    )
    assert_same_dice(forward, backward[::-1])
    assert np.abs(np.subtract(forward, other)).max() > 0.02


def test_batches_do_not_matter(tiny_sam, checked):
    from promise_seg.inference.rows import decode_rows

    model = make_model(tiny_sam)
    assessment = Assessment(prompts=PromptSource.APM)
    one, many = (
        torch.stack([d.masks.mask_logits for d in decode_rows(model, checked, assessment, batch_size=b)])
        for b in (1, 10)
    )
    torch.testing.assert_close(one, many, atol=1e-3, rtol=1e-3)


def test_models_without_apm_have_no_own_points(tiny_sam, checked):
    with pytest.raises(SettingsError, match="--prompts apm: the variant ips has no auto-prompting"):
        run(make_model(tiny_sam, Variant.IPS), checked, "apm")


def test_an_empty_ground_truth_is_scored(tiny_sam, manifest):
    from promise_seg.dataset.checks import check_rows
    from promise_seg.dataset.manifest import read_manifest

    Image.fromarray(np.zeros((30, 40), np.uint8)).save(manifest.parent / "masks/0.png")
    rows = check_rows(read_manifest(manifest))[:1]
    model = make_model(tiny_sam)
    for source in PromptSource:
        for threshold, found in ((0.999, False), (0.001, True)):
            post = PostProcessing(threshold=threshold)
            model.config = model.config.model_copy(update={"postprocessing": post})
            (result,) = run(model, rows, source)
            assert result.is_empty is not found
            assert result.scores.dice == (0 if found else 1)


def test_only_oracle_sources_read_the_truth_and_say_so():
    assert [s for s in PromptSource if s.reads_truth] == [PromptSource.ORACLE, PromptSource.BOX]
    assert all("oracle" in s.heading for s in PromptSource if s.reads_truth)
    assert not any("oracle" in s.heading for s in PromptSource if not s.reads_truth)


@pytest.fixture
def nuclei(tmp_path):
    """Two images: three objects of which one is a single pixel, and none."""
    labels = np.zeros((30, 40), np.uint16)
    labels[2:12, 2:14], labels[15:28, 20:38], labels[20, 5] = 1, 700, 3
    lines = ["image_name,train_type,mask_name"]
    for name, found in (("a", labels), ("b", labels * 0)):
        Image.fromarray(disc_image(len(lines))[0]).save(tmp_path / f"{name}.png")
        Image.fromarray(found).save(tmp_path / f"{name}_i.png")
        lines.append(f"{name}.png,test,{name}_i.png")
    (tmp_path / "m.csv").write_text("\n".join(lines))
    return check_rows(read_manifest(tmp_path / "m.csv"), make_reading(instances=True))


@pytest.mark.parametrize("source", ["oracle", "box"])
def test_each_object_is_prompted_for_itself(tiny_sam, nuclei, source, monkeypatch):
    model = make_model(tiny_sam)
    seen = note_decoding(model, monkeypatch)
    with_objects, without = run(model, nuclei, source, num_points=4)
    asked, decoded = [prompts for prompts, _ in seen], seen[0][1]
    assert with_objects.objects == 3
    logits = choose_mask(decoded, model.config.mask_choice).mask_logits[0]
    masks = Sample.of(nuclei[0], tiny_sam, model.config.fit).geometry.logits_to_image(logits).sigmoid().numpy() > 0.5
    dice = [overlap(mask, truth) for mask, truth in zip(masks, nuclei[0].instances(), strict=True)]
    assert with_objects.object_dice == pytest.approx(np.mean(dice))
    assert (without.objects, without.object_dice) == (None, None)
    assert [p.per_image for p in asked] == [3, 1]
    if source == "oracle":
        geometry = Sample.of(nuclei[0], tiny_sam, model.config.fit).geometry
        truth = nuclei[0].instances()
        for points, labels, mask in zip(asked[0].points_xy_model[0], asked[0].point_labels[0], truth, strict=True):
            places = np.round(geometry.points_to_image(points.numpy())).astype(int)
            inside = [mask[min(y, 29), min(x, 39)] for x, y in places]
            near = ndimage.binary_dilation(mask, iterations=2)
            assert all(near[min(y, 29), min(x, 39)] for (x, y), label in zip(places, labels, strict=True) if label)
            assert not all(inside)
    else:
        assert asked[0].boxes_xyxy_model.shape == (1, 3, 4)


def test_own_points_are_for_the_union_of_all_objects(tiny_sam, nuclei):
    result = run(make_model(tiny_sam), nuclei, "apm")[0]
    assert result.objects is None
    assert result.checked.foreground_pixels == nuclei[0].mask().sum() == 10 * 12 + 13 * 18 + 1


def test_perfect_masks_of_objects_score_one(tiny_sam, nuclei):
    """Whatever the union's overlap: each object is compared with its own mask."""
    sample = Sample.of(nuclei[0], tiny_sam, Fit.STRETCH)
    truth = tuple(nuclei[0].instances()[:2])
    logits = torch.stack([torch.from_numpy(sample.to_frame(m)).float() * 20 - 10 for m in truth])[:, None]
    objects = tuple(CutMask.of(mask) for mask in truth)
    decoded = decoded_as(sample, logits.expand(-1, 3, -1, -1), torch.ones(2, 3), objects)
    assessment = Assessment(prompts=PromptSource.ORACLE)
    assert score_row(decoded, "score", assessment).object_dice > 0.9
    swapped = decoded_as(sample, logits.flip(0).expand(-1, 3, -1, -1), torch.ones(2, 3), objects)
    assert score_row(swapped, "score", assessment).object_dice == 0
    assert score_row(swapped, "score", assessment).scores.dice == score_row(decoded, "score", assessment).scores.dice


def test_many_objects_are_decoded_in_parts(tiny_sam, nuclei, monkeypatch):
    def decode(sets_at_once):
        monkeypatch.setattr(rows, "_OBJECTS_AT_ONCE", sets_at_once)
        model = make_model(tiny_sam)
        seen = note_decoding(model, monkeypatch)
        (result, _) = run(model, nuclei, "box")
        parts = [decoded.mask_logits for prompts, decoded in seen[:-1]]  # the last is of the image without objects
        assert [part.shape[1] for part in parts] == [min(sets_at_once, 3 - n) for n in range(0, 3, sets_at_once)]
        return torch.cat(parts, 1), result.object_dice

    (whole, dice_of_whole), (parts, dice_of_parts) = decode(32), decode(2)
    torch.testing.assert_close(parts, whole, atol=1e-3, rtol=1e-3)
    assert_same_dice([dice_of_parts], [dice_of_whole])


def test_by_the_reference_s_protocol_a_mask_is_empty_after_its_opening(tiny_sam, checked):
    sample = Sample.of(checked[0], tiny_sam, Fit.STRETCH)
    logits = torch.full((256, 256), -5.0)
    assessment = Assessment(prompts=PromptSource.APM, protocol=Protocol.REFERENCE)

    def is_empty():
        return score_row(decoded_as(sample, logits[None, None], torch.ones(1, 1)), "0", assessment, full=True).is_empty

    assert is_empty()
    logits[100:104, 100:104] = 5  # gone after the opening
    assert is_empty()
    logits[100:106, 100:106] = 5
    assert not is_empty()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_measure_that_is_no_number_is_named_with_its_image(tiny_sam, checked, monkeypatch, value):
    from promise_seg.assessment import evaluation

    real = evaluation.measure

    def spoiled(*args):
        measured = real(*args)
        return measured._replace(values=measured.values | {"s_measure": value})

    monkeypatch.setattr(evaluation, "measure", spoiled)
    with pytest.raises(
        SettingsError, match=rf"^\S*manifest\.csv:2: \S*0\.png: s_measure is {value}, expected"
    ) as error:
        run(make_model(tiny_sam), checked, "apm")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_logits_that_are_no_numbers_are_refused(tiny_sam, checked, value):
    sample = Sample.of(checked[0], tiny_sam, Fit.STRETCH)
    logits = torch.full((8, 8), -5.0)
    logits[3, 3] = value
    with pytest.raises(SettingsError, match="the model produced NaN or infinite logits"):
        score_row(
            decoded_as(sample, logits[None, None], torch.ones(1, 1)),
            "0",
            Assessment(prompts=PromptSource.APM),
            full=True,
        )


@pytest.mark.parametrize("count", [0, 1025, 10**9])
def test_numbers_of_oracle_points_out_of_range_are_refused(count):
    with pytest.raises(SettingsError, match=rf"^--points {count}: expected a whole number from 1 to 1024$"):
        Assessment(prompts=PromptSource.ORACLE, num_points=count)
