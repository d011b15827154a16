"""What is refused, and series that cannot be predicted: without an archive that would have to be started."""

import json
import os

import pytest

import promise_seg
from promise_seg.errors import ImageError, PromiseError, SettingsError
from promise_seg.prediction.labelling import Labeller
from promise_seg.prediction.predictor import Predictor
from promise_seg.storage.locks import alone_in
from promise_seg.workflows import archive_predicting
from tests.archives.images import dicom_bytes, file_of, parts_answer, report
from tests.archives.serving import json_answer
from tests.helpers import make_model

FILE = dicom_bytes("1.2.1", StudyInstanceUID="1", SeriesInstanceUID="2")
REPORT = file_of(report(SOPInstanceUID="1.2.1", StudyInstanceUID="1", SeriesInstanceUID="2"))


@pytest.fixture(scope="module")
def labeller(tiny_sam):
    return Labeller({1: Predictor(make_model(tiny_sam))})


def one_series(asked):
    """An archive with one image."""
    path, _, query = asked.path.partition("?")
    if not query:
        return parts_answer([FILE])
    tag, uid = next(
        (tag, uid) for end, tag, uid in
        (("studies", "0020000D", "1"), ("series", "0020000E", "2"), ("instances", "00080018", "1.2.1"))
        if path.endswith(end)
    )  # fmt: skip
    return json_answer(json.dumps([{tag: {"vr": "UI", "Value": [uid]}}]))


def predict(labeller, server, out, filters="", **more):
    return promise_seg.predict_folder(labeller, server.address() + filters, out, **more)


def test_images_that_cannot_be_told_apart_are_not_noted_as_none(serve, labeller, tmp_path, monkeypatch):
    def fail(*_):
        raise ImageError("a and b would both be written to masks/a")

    server, out = serve(one_series), tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr(archive_predicting, "inputs_of", fail)
        outcome = predict(labeller, server, out)
    (problem,) = outcome.problems
    assert problem.endswith("/studies/1/series/2: a and b would both be written to masks/a")
    again = predict(labeller, server, out)
    assert (again.predicted, again.problems) == (1, [])
    (out / "retrieved" / "1" / "2.json").unlink()  # as who wants to send a segmentation again does
    again = predict(labeller, server, out)
    assert (again.predicted, again.already_there, again.problems) == (0, 1, [])


def test_a_series_without_images_is_said_with_the_note_to_remove(serve, labeller, tmp_path, monkeypatch):
    from_archive = serve(lambda asked: one_series(asked) if "?" in asked.path else parts_answer([REPORT]))
    (problem,) = predict(labeller, from_archive, tmp_path).problems
    note = tmp_path / "retrieved" / "1" / "2.json"
    assert problem.endswith(f"is not retrieved again; to have it looked at once more, remove {note}")
    note.unlink()
    assert predict(labeller, serve(one_series), tmp_path).predicted == 1


def test_what_cannot_be_meant_is_refused_before_anything_is_asked(serve, labeller, tmp_path):
    server, out = serve(), tmp_path / "out"
    with pytest.raises(SettingsError, match=r"--send: sends segmentations of images that came from an archive"):
        promise_seg.predict_folder(labeller, tmp_path, out, send=True)
    with pytest.raises(SettingsError, match=r"--format nifti: archives store DICOM segmentations"):
        predict(labeller, server, out, send=True, output_format="nifti")
    with pytest.raises(SettingsError, match=r"--instances: archives store DICOM segmentations"):
        predict(labeller, server, out, send=True, instances=True)
    with pytest.raises(SettingsError, match=r"--to is only sent to"):
        predict(labeller, server, out, to=server.address("/dicom-web?Modality=CT"))
    with pytest.raises(SettingsError, match="one address"):
        promise_seg.predict_folder(labeller, [server.address(), tmp_path], out)
    assert server.asked == []
    assert not os.path.lexists(out)


def test_one_process_at_a_time_retrieves_into_a_folder(serve, labeller, tmp_path):
    with (
        alone_in(tmp_path / "out" / "retrieved", "retrieving images"),
        pytest.raises(PromiseError, match=r"is retrieving images here\. Wait for it, or choose another -o folder"),
    ):
        predict(labeller, serve(one_series), tmp_path / "out")


def test_nothing_that_fits(serve, labeller, tmp_path):
    with pytest.raises(PromiseError, match="has no studies that fit the filters"):
        predict(labeller, serve(lambda _: json_answer()), tmp_path / "out", "?PatientID=nobody")
