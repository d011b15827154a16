"""A worker that is told images a few at a time makes what one process makes, and does nothing twice."""

import json
from dataclasses import asdict, replace

import pytest

from promise_seg.errors import PromiseError
from promise_seg.images.exports.inputs import find_inputs
from promise_seg.parallel.parts import Part
from promise_seg.prediction.folders import predict_folder
from promise_seg.prediction.labelling import Labeller
from promise_seg.prediction.merging import merge_parts
from promise_seg.prediction.part_logs import LogReader
from promise_seg.prediction.part_plan import PartPlan, in_order
from promise_seg.prediction.part_run import prediction_claims
from promise_seg.prediction.part_table import PartTable
from promise_seg.prediction.piece_work import PieceWork
from promise_seg.prediction.predictor import Predictor
from promise_seg.storage.claims import Claims
from promise_seg.storage.holders import Holder
from promise_seg.vocabulary import ApmKind, OutputFormat
from tests.helpers import make_model
from tests.prediction.part_helpers import content, write_pictures

IMAGES = 5


@pytest.fixture
def inputs(tmp_path):
    return in_order(find_inputs([write_pictures(tmp_path / "images", IMAGES)]))


@pytest.fixture
def out(inputs, tmp_path):
    PartPlan.of(inputs).begin(tmp_path / "out", inputs)
    return tmp_path / "out"


def work_in(out, labeller):
    return PieceWork(labeller, out, OutputFormat.AUTO, keep_empty_frames=False, every=1)


def pieces_of(out, inputs):
    table = PartTable(out, Part(1, 1), inputs, instances=False)
    return [table.piece(one) for one in table.missing()]


def test_two_workers_make_what_one_process_makes(inputs, out, labeller, tmp_path):
    predict_folder(labeller, inputs, tmp_path / "whole")
    first, second = work_in(out, labeller), work_in(out, labeller)
    assert first.facts == second.facts
    pieces = pieces_of(out, inputs)
    assert first.do(pieces[3:], again=False).done == 2
    assert second.do(pieces[:1], again=False).done == 1
    assert second.do(pieces[1:3], again=False).done == 2
    assert merge_parts(out).is_complete
    assert content(out) == content(tmp_path / "whole")
    assert pieces_of(out, inputs) == []


def test_what_a_dead_worker_had_done_is_not_done_again(inputs, out, labeller):
    pieces = pieces_of(out, inputs)
    work_in(out, labeller).do(pieces[:2], again=False)
    answer = work_in(out, labeller).do(pieces[:3], again=True)
    assert (answer.done, answer.already_there) == (1, 2)
    assert merge_parts(out).repeated == 0


def test_what_others_did_since_the_images_were_listed_is_not_done_again(inputs, out, labeller):
    pieces = pieces_of(out, inputs)
    work_in(out, labeller).do(pieces[:2], again=False)
    answer = work_in(out, labeller).do(pieces[:3], again=False)
    assert (answer.done, answer.already_there) == (1, 2)


def test_logs_are_read_from_where_they_were_known(inputs, out, labeller, monkeypatch):
    work_in(out, labeller).do(pieces_of(out, inputs)[:2], again=False)
    table = PartTable(out, Part(1, 1), inputs, instances=False)
    pieces = [table.piece(one) for one in table.missing()]
    work_in(out, labeller).do(pieces[:1], again=False)
    read, entry_of = [], LogReader.entry
    monkeypatch.setattr(LogReader, "entry", lambda self, line: read.append(line) or entry_of(self, line))
    work = PieceWork(labeller, out, OutputFormat.AUTO, keep_empty_frames=False, every=1, ends=table.ends)
    for _ in range(2):
        assert work.do(pieces[:1], again=True).already_there == 1
    assert len(read) == 2 * 2  # a header and an image, twice


def test_a_problem_has_its_place_and_an_image_that_failed_before_is_right_later(inputs, out, labeller):
    sound = inputs[1].path.read_bytes()
    inputs[1].path.write_bytes(b"nothing")
    work = work_in(out, labeller)
    answer = work.do(pieces_of(out, inputs)[:3], again=False)
    assert list(answer.problems) == [1]
    assert str(inputs[1].path) in answer.problems[1]
    assert merge_parts(out).failed == 1
    inputs[1].path.write_bytes(sound)
    pieces = pieces_of(out, inputs)
    assert pieces[0].latest is not None  # so that the new line counts as later, whatever the clocks say
    assert work.do([replace(pieces[0], latest=pieces[0].latest + 1e6), *pieces[1:]], again=False).done == 3
    assert merge_parts(out).is_complete


def test_an_image_that_was_touched_is_read_and_not_predicted_again(inputs, out, labeller):
    work = work_in(out, labeller)
    work.do(pieces_of(out, inputs), again=False)
    inputs[0].path.touch()
    answer = work.do(pieces_of(out, inputs), again=False)
    assert (answer.done, answer.already_there) == (0, 1)
    assert pieces_of(out, inputs) == []


def test_images_that_others_have_claimed_are_named_and_the_claims_of_the_dead_are_ended(inputs, out, labeller):
    stem, claims = inputs[2].stem, prediction_claims(out)
    dead = replace(Holder.this_process(), system="elsewhere", host="node7")
    path = claims.path(stem)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(dead)))
    work, pieces = work_in(out, labeller), pieces_of(out, inputs)
    answer = work.do(pieces, again=False)
    assert answer.done == IMAGES - 1
    assert "node7" in answer.claimed[2]
    claims.end_of(stem, replace(dead, pid=dead.pid + 1))  # somebody else's
    assert path.exists()
    claims.end_of(stem, replace(dead, token="of another claim", since="later"))
    assert not path.exists()
    assert work.do(pieces[2:3], again=True).done == 1


def test_a_volume_whose_slices_would_lie_among_other_masks_is_refused(inputs, out, labeller, tmp_path):
    pieces = pieces_of(out, inputs)
    assert {piece.below for piece in pieces} == {None}
    table = PartTable(out, Part(1, 1), inputs, instances=False)
    folder = replace(inputs[0], stem="p0")
    assert table.piece(folder).below == next(one.name for one in inputs if one.stem.startswith("p0/"))


def test_another_model_is_refused_before_anything_is_written(out, inputs, labeller, tiny_sam):
    other = Labeller({1: Predictor(make_model(tiny_sam, apm=ApmKind.PEAKS))})
    before = set(out.iterdir())
    work_in(out, other)  # that never gets an image
    assert set(out.iterdir()) == before
    work_in(out, labeller).do(pieces_of(out, inputs)[:1], again=False)
    with pytest.raises(PromiseError, match="contains predictions of another model"):
        work_in(out, other)


def test_claims_of_the_living_are_kept(tmp_path):
    claims = Claims(tmp_path)
    claims.take("x")
    Claims(tmp_path).end_of("x", replace(Holder.this_process(), started=0.0))
    assert claims.is_held("x")
    Claims(tmp_path).end_of("nothing", Holder.this_process())
