"""Images of a real archive, Orthanc, are predicted, and their segmentations are sent back to it."""

import base64
import json
from collections import Counter
from io import BytesIO
from threading import Lock

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.uid import ComputedRadiographyImageStorage, generate_uid

import promise_seg
from promise_seg.archives.connection import Connection
from promise_seg.checkpoint import save_checkpoint
from promise_seg.cli.main import main
from promise_seg.images.exports.inputs import find_inputs
from promise_seg.prediction.folders import predict_folder as predict_inputs
from promise_seg.prediction.labelling import Labeller
from promise_seg.prediction.predictor import Predictor
from tests.archives.images import report
from tests.archives.orthanc import PASSWORD, USER, Orthanc, why_not
from tests.archives.serving import Said, json_answer
from tests.files import write_dicom, write_series
from tests.helpers import make_model

pytestmark = [pytest.mark.slow, pytest.mark.skipif(why_not() is not None, reason=str(why_not()))]

LOGIN = f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"


def stack(count, seed):
    return np.random.default_rng(seed).integers(-100, 400, (count, 12, 10)).astype(np.int16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """200 instances as files: five studies of a CT and an MR, one of a CT, one of two radiographs, and a report."""
    place = tmp_path_factory.mktemp("images")
    for number in range(5):
        study = {"study": generate_uid(), "StudyDate": f"2026010{number + 1}", "PatientID": f"p{number}"}
        for kind, count in (("CT", 24), ("MR", 12)):
            write_series(place / f"{number}{kind}", stack(count, number), Modality=kind, **shared(study))
    write_series(place / "5CT", stack(17, 5), Modality="CT", StudyDate="20260201", PatientID="p5")
    study = generate_uid()
    for number in range(2):
        write_dicom(
            place / "7CR" / f"{number}.dcm", stack(1, number)[0], placed=False, Modality="CR", PatientID="p7",
            sop_class=ComputedRadiographyImageStorage, StudyInstanceUID=study,
        )  # fmt: skip
    report(PatientID="p6").save_as(place / "6SR", enforce_file_format=True)
    return place


def shared(study):
    return {"StudyDate": study["StudyDate"], "PatientID": study["PatientID"], "StudyID": study["study"][-8:]}


@pytest.fixture(scope="module")
def archive(folder, tmp_path_factory):
    place = tmp_path_factory.mktemp("orthanc")
    found = Orthanc(place / "archive")
    found.start()
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) == 200
    found.put((pydicom.dcmread(path) for path in files), place / "scratch")
    yield found
    found.close()


@pytest.fixture(scope="module")
def labeller(tiny_sam):
    return Labeller({1: Predictor(make_model(tiny_sam))})


@pytest.fixture(autouse=True)
def _images_alone(archive):
    """Each test finds the archive without segmentations: those of other tests have the same identifiers."""
    archive.remove_segmentations()


@pytest.fixture
def _login(monkeypatch):
    monkeypatch.setenv("PROMISE_SEG_ARCHIVE_USER", USER)
    monkeypatch.setenv("PROMISE_SEG_ARCHIVE_PASSWORD", PASSWORD)


@pytest.fixture
def proxy(serve, archive):
    """A server before the archive that logs in by itself."""
    return serve(onward=f"http://127.0.0.1:{archive.port}", login=LOGIN)


def masks_by_series(place):
    """The segmentations of a folder, by the series that they refer to and the number of their images."""
    found = {}
    for path in sorted((place / "masks").rglob("*.dcm")):
        header = pydicom.dcmread(path)
        referenced = header.ReferencedSeriesSequence[0]
        uids = tuple(sorted(one.ReferencedSOPInstanceUID for one in referenced.ReferencedInstanceSequence))
        found[referenced.SeriesInstanceUID, uids] = path
    return found


@pytest.mark.usefixtures("_login")
def test_200_instances_in_and_segmentations_back(archive, folder, labeller, tmp_path):
    some = [folder / name for name in ("3MR", "5CT", "7CR")]
    local = predict_inputs(labeller, find_inputs(some), tmp_path / "local")
    assert (local.predicted, local.problems) == (4, [])
    before = archive.get("/instances")
    outcome = promise_seg.predict_folder(labeller, archive.address, tmp_path / "out", send=True)
    assert outcome.predicted == 13
    assert [line.partition("/studies/")[2].partition(": ")[2] for line in outcome.problems] == [
        "has no images; its series are SR"
    ]

    expected, found = masks_by_series(tmp_path / "local"), masks_by_series(tmp_path / "out")
    assert len(found) == 13
    assert expected.keys() <= found.keys()
    stored = {header.SOPInstanceUID: header for header in map(read, archive.segmentations())}
    assert len(stored) == 13
    images = {
        one.SOPInstanceUID: one for one in (pydicom.dcmread(path) for path in folder.rglob("*") if path.is_file())
    }
    for key, path in expected.items():  # as files are predicted
        ours, local_mask = hd.seg.segread(found[key]), hd.seg.segread(path)
        assert np.array_equal(ours.pixel_array, local_mask.pixel_array)
        assert ours.SOPInstanceUID == local_mask.SOPInstanceUID  # the same content, the same identifier
    for key, path in found.items():
        written = hd.seg.segread(path)
        sent = stored[written.SOPInstanceUID]
        assert np.array_equal(sent.pixel_array, written.pixel_array)
        first = images[key[1][0]]
        assert (sent.StudyInstanceUID, sent.PatientID) == (first.StudyInstanceUID, first.PatientID)
        assert sent.FrameOfReferenceUID == first.FrameOfReferenceUID
        referenced = sent.ReferencedSeriesSequence[0]
        assert referenced.SeriesInstanceUID == first.SeriesInstanceUID
        assert {one.ReferencedSOPInstanceUID for one in referenced.ReferencedInstanceSequence} <= images.keys()
        for frame, group in zip(sent.pixel_array.reshape(-1, *sent.pixel_array.shape[-2:]),
                                sent.get("PerFrameFunctionalGroupsSequence", ()), strict=False):  # fmt: skip
            assert frame.shape == (first.Rows, first.Columns)
            (derived,) = group.DerivationImageSequence
            assert derived.SourceImageSequence[0].ReferencedSOPInstanceUID in key[1]
    assert len(archive.get("/instances")) == len(before) + 13
    assert not list((tmp_path / "out" / "retrieved").rglob("*.dcm"))


def read(content):
    return hd.seg.segread(BytesIO(content))


def predict(labeller, server, out, filters="?PatientID=p5", **more):
    return promise_seg.predict_folder(labeller, server.address() + filters, out, **more)


@pytest.fixture
def run(tiny_sam, tmp_path):
    """A model for the command line."""
    tiny_sam.model.save_pretrained(tmp_path / "sam")
    save_checkpoint(make_model(tiny_sam), tmp_path / "run" / "best")
    return [str(tmp_path / "run"), "--sam", str(tmp_path / "sam"), "--device", "cpu", "-o", str(tmp_path / "out")]


@pytest.mark.usefixtures("_login")
def test_the_command(archive, run, capsys, monkeypatch):
    address = f"{archive.address}?PatientID=p7"
    assert main(["predict", run[0], address, *run[1:], "--send"]) == 0
    printed = capsys.readouterr()
    assert "2 predicted, 0 already there" in printed.err
    assert "2 segmentation(s) sent, 0 were there already" in printed.err
    assert main(["predict", run[0], f"{archive.address}?PatientID=p6", *run[1:]]) == 2
    assert "has no images; its series are SR" in capsys.readouterr().err
    monkeypatch.setenv("PROMISE_SEG_ARCHIVE_PASSWORD", "s3cret")
    assert main(["predict", run[0], address, *run[1:]]) == 2
    printed = capsys.readouterr()
    assert "rejects the login (401). Check PROMISE_SEG_ARCHIVE_USER" in printed.err
    in_address = address.replace("://", "://reader:s3cret@")
    assert main(["predict", run[0], in_address, *run[1:]]) == 2
    printed = (printed, capsys.readouterr())
    assert "contains an @, as after a user name or password" in printed[1].err
    assert "s3cret" not in str(printed)


def test_a_second_call_does_only_what_is_missing(proxy, archive, labeller, tmp_path):
    out = tmp_path / "out"
    filters = "?PatientID=p7&Modality=CR"
    assert predict(labeller, proxy, out, filters).predicted == 2
    assert len([one for one in proxy.asked if "?" not in one.path]) == 2  # a series each
    table = (out / "predictions.csv").read_bytes()
    proxy.asked.clear()
    again = predict(labeller, proxy, out, filters)
    assert (again.predicted, again.already_there, again.problems) == (0, 2, [])
    assert all("?" in one.path for one in proxy.asked)  # only searches
    assert (out / "predictions.csv").read_bytes() == table

    # A process was killed before it removed the images of a series.
    left = next((out / "retrieved").rglob("*.json")).with_suffix("") / "left.dcm"
    left.parent.mkdir()
    left.write_bytes(b"")
    predict(labeller, proxy, out, filters)
    assert not left.parent.exists()

    lost = min((out / "masks").rglob("*.dcm"))
    lost.unlink()
    proxy.asked.clear()
    assert predict(labeller, proxy, out, filters).predicted == 1
    assert len([one for one in proxy.asked if "?" not in one.path]) == 1  # one series is retrieved
    assert lost.exists()

    proxy.asked.clear()
    sent = predict(labeller, proxy, out, filters, send=True)
    assert (sent.predicted, sent.already_there, sent.problems) == (0, 2, [])
    assert len(proxy.of_kind("POST", "/studies")) == 2
    proxy.asked.clear()
    predict(labeller, proxy, out, filters, send=True)
    predict(labeller, proxy, tmp_path / "elsewhere", filters, send=True)  # the same content is not sent again
    assert proxy.of_kind("POST", "/studies") == []


def test_images_that_came_later_are_predicted_with_the_others(proxy, archive, labeller, tmp_path):
    place = write_series(tmp_path / "late", stack(4, 9), PatientID="p9")
    first, *others = sorted(place.iterdir())
    archive.put([pydicom.dcmread(path) for path in others], tmp_path / "scratch")
    out = tmp_path / "out"
    assert predict(labeller, proxy, out, "?PatientID=p9").predicted == 1
    archive.put([pydicom.dcmread(first)], tmp_path / "scratch")
    assert predict(labeller, proxy, out, "?PatientID=p9").predicted == 1
    (mask,) = masks_by_series(out).values()
    uids = [pydicom.dcmread(path).SOPInstanceUID for path in (first, *others)]
    assert hd.seg.segread(mask).get_pixels_by_source_instance(
        uids, assert_missing_frames_are_empty=True
    ).shape[0] == 4  # fmt: skip


@pytest.mark.usefixtures("_login")
@pytest.mark.parametrize("comes_back", [True, False])
def test_an_archive_that_stops_in_the_middle(archive, labeller, tmp_path, monkeypatch, comes_back):
    """It is waited for; if it does not come back, the same command goes on later."""
    turn, waits, begun = Lock(), [], []

    def stop_at_second(stage, done, total, note=""):
        begun.extend([stage] * (stage == "retrieving" and done == 1))
        if len(begun) == 2 and archive.is_running and not waits:
            archive.stop()

    def rest(_, seconds):
        with turn:
            waits.append(seconds)
            if comes_back and not archive.is_running:
                archive.start()

    monkeypatch.setattr(Connection, "_rest", rest)
    out, address = tmp_path / "out", f"{archive.address}?StudyDate=20260101-20260103&Modality=MR"
    try:
        outcome = promise_seg.predict_folder(labeller, address, out, progress=stop_at_second)
    finally:
        if not archive.is_running:
            archive.start()
    assert waits
    if comes_back:
        assert (outcome.predicted, outcome.problems) == (3, [])
        return
    (problem,) = outcome.problems
    assert "nothing listens at this host and port" in problem
    assert "of 3 studies are done; nothing is lost, and the same command resumes with the others" in problem
    assert outcome.predicted < 3
    again = promise_seg.predict_folder(labeller, address, out)
    assert (again.predicted, again.already_there, again.problems) == (3 - outcome.predicted, outcome.predicted, [])
    assert len(masks_by_series(out)) == 3


def test_a_token_that_expires_in_the_middle(proxy, labeller, tmp_path, monkeypatch):
    uses = Counter()

    def check(asked):
        token = asked.headers.get("Authorization", "")
        uses[token] += 1
        return None if token == "Bearer second" or uses[token] < 7 else Said(401)

    proxy.rule = check
    monkeypatch.setenv("PROMISE_SEG_ARCHIVE_TOKEN", "first")
    out, filters = tmp_path / "out", "?StudyDate=20260103-20260105&Modality=MR"
    outcome = predict(labeller, proxy, out, filters)
    (problem,) = outcome.problems
    assert "no longer accepts the login (401), probably because the token has expired" in problem
    assert "of 3 studies are done; nothing is lost, and the same command resumes with the others" in problem
    assert outcome.predicted < 3
    monkeypatch.setenv("PROMISE_SEG_ARCHIVE_TOKEN", "second")
    again = predict(labeller, proxy, out, filters)
    assert (again.predicted + again.already_there, again.problems) == (3, [])
    assert len(masks_by_series(out)) == 3


def test_an_archive_that_answers_200_and_stores_nothing(proxy, archive, labeller, tmp_path, waits):
    proxy.rule = lambda asked: json_answer("{}") if asked.method == "POST" else None
    out = tmp_path / "out"
    outcome = predict(labeller, proxy, out, "?PatientID=p7", send=True)
    assert outcome.predicted == 2
    assert len(outcome.problems) == 2
    assert all("confirmed that it stored the file, but does not list it" in line for line in outcome.problems)
    assert archive.segmentations() == []
    proxy.rule = lambda asked: None
    again = predict(labeller, proxy, out, "?PatientID=p7", send=True)
    assert (again.already_there, again.problems) == (2, [])
    assert len(archive.segmentations()) == 2


def test_an_overloaded_archive_is_given_the_time_that_it_asks_for(proxy, labeller, tmp_path, waits):
    proxy.rule = lambda asked: Said(503, headers={"Retry-After": "9"}) if asked.number % 3 == 1 else None
    notes = []
    outcome = predict(labeller, proxy, tmp_path / "out", note=notes.append)
    assert (outcome.predicted, outcome.problems) == (1, [])
    assert set(waits) == {9}
    assert sum("answered 503 Service Unavailable; trying again in 9 s" in line for line in notes) == len(waits)


def test_a_series_that_the_archive_does_not_give_does_not_stop_the_others(proxy, labeller, tmp_path, waits):
    paths = []

    def refuse_the_first(asked):
        if "?" not in asked.path and "series" in asked.path:
            paths.append(asked.path)
            return Said(404) if asked.path.startswith(paths[0]) else None
        return None

    proxy.rule = refuse_the_first
    outcome = predict(labeller, proxy, tmp_path / "out", "?PatientID=p7")
    assert outcome.predicted == 1
    (problem,) = outcome.problems
    assert "1 of 1 instances were not received" in problem
    proxy.rule = lambda asked: None
    again = predict(labeller, proxy, tmp_path / "out", "?PatientID=p7")
    assert (again.predicted, again.already_there, again.problems) == (1, 1, [])


def test_segmentations_are_sent_to_another_archive_with_credentials_of_its_own(
    proxy, serve, labeller, tmp_path, monkeypatch
):
    kept = []

    def other(asked):
        if asked.method == "POST":
            kept.append(asked)
        found = "[]" if not kept else json.dumps([{"00080018": {"vr": "UI", "Value": [asked.path.rpartition("=")[2]]}}])
        return json_answer(found)

    target = serve(other)
    monkeypatch.setenv("PROMISE_SEG_ARCHIVE_TOKEN", "source")
    monkeypatch.setenv("PROMISE_SEG_ARCHIVE_TO_TOKEN", "target")
    assert predict(labeller, proxy, tmp_path / "out", "?PatientID=p7", to=target.address()).problems == []
    assert {one.headers["Authorization"] for one in target.asked} == {"Bearer target"}
    assert {one.headers["Authorization"] for one in proxy.asked} == {"Bearer source"}
    assert kept
    assert proxy.of_kind("POST", "") == []


def test_a_series_without_pixels_is_said_each_time_and_retrieved_once(proxy, archive, labeller, tmp_path):
    archive.put([report(Modality="OT", PatientID="p8")], tmp_path / "scratch")
    for retrievals in (1, 0):
        proxy.asked.clear()
        outcome = predict(labeller, proxy, tmp_path / "out", "?PatientID=p8")
        (problem,) = outcome.problems
        assert ": has no images with pixels. It is not retrieved again" in problem
        assert len([one for one in proxy.asked if "?" not in one.path]) == retrievals


@pytest.mark.usefixtures("_login")
def test_an_option_without_effect_is_noted(archive, labeller, tmp_path):
    address = f"{archive.address}?PatientID=p7"
    outcome = promise_seg.predict_folder(labeller, address, tmp_path / "out", every=2)
    assert any(note.startswith("--every 2: none of the inputs is a video") for note in outcome.notes)
