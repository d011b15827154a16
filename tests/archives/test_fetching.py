"""Series of an archive are copied into a folder that can be predicted and trained on."""

import json
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

import promise_seg
from promise_seg.archives.connection import Connection
from promise_seg.cli.main import main
from promise_seg.dataset.checks import check_rows
from promise_seg.dataset.manifest import read_manifest
from promise_seg.images.exports.inputs import find_inputs
from promise_seg.prediction.labelling import Labeller
from promise_seg.prediction.predictor import Predictor
from tests.archives.images import dicom_bytes, file_of, parts_answer, report
from tests.archives.orthanc import PASSWORD, USER, Orthanc, why_not
from tests.archives.serving import Said, json_answer
from tests.files import write_series
from tests.helpers import make_model

needs_orthanc = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


def shelf(files):
    """A rule that answers as an archive with files, by study, series and modality, and instance."""

    def answer(asked):
        parts = urlsplit(asked.path)
        study, series, instance = ([*parts.path.split("/")[3::2], "", "", ""])[:3]
        kept = [key for key in files if not study or (key[0] == study and (not series or key[1] == series))]
        listed = parts.path.split("/")[-1]
        if listed == "studies":
            return items({"0020000D": one} for one in dict.fromkeys(key[0] for key in kept))
        if listed == "series":
            wanted = parse_qs(parts.query).get("Modality")
            return items({"0020000E": key[1], "00080060": key[2]} for key in kept if not wanted or key[2] in wanted)
        found = {uid: file for key in kept for uid, file in files[key].items()}
        if listed == "instances":
            return items({"00080018": uid} for uid in found)
        return parts_answer([file for uid, file in found.items() if instance in ("", uid)])

    return answer


def items(found):
    rows = [{tag: {"vr": "UI", "Value": [value]} for tag, value in one.items()} for one in found]
    return json_answer(json.dumps(rows))


FILES = {
    ("1", "1.1", "CT"): {f"1.1.{n}": dicom_bytes(f"1.1.{n}") for n in range(3)},
    ("2", "2.1", "CT"): {"2.1.0": dicom_bytes("2.1.0")},
    ("3", "3.1", "SR"): {"3.1.0": file_of(report(SOPInstanceUID="3.1.0"))},
}


def retrieved(server):
    """The paths below the root of the requests that were no searches."""
    return [one.path.removeprefix("/dicom-web") for one in server.asked if "?" not in one.path]


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.dcm")}


WHOLE = {f"{s}/{r}/{uid}.dcm": file for (s, r, kind), found in FILES.items() if kind != "SR"
         for uid, file in found.items()}  # fmt: skip


def test_whole_series_are_copied_once_and_what_has_no_images_is_said(serve, tmp_path, capsys):
    server = serve(shelf(FILES))
    words = ["data", "fetch", server.address(), "-o", str(tmp_path / "here")]
    assert main(words) == 2
    printed = " ".join(capsys.readouterr().err.split())
    assert f"2 series in {tmp_path / 'here/images'}, 2 of them new" in printed
    assert "/studies/3: has no images; its series are SR" in printed
    assert "Traceback" not in printed
    assert content(tmp_path / "here/images") == WHOLE
    server.asked.clear()
    assert main([*words[:2], f"{server.address()}?StudyInstanceUID=1", *words[3:]]) == 0
    assert f"1 series in {tmp_path / 'here/images'}, 0 of them new" in " ".join(capsys.readouterr().err.split())
    assert retrieved(server) == []


def test_what_is_damaged_missing_or_new_is_retrieved_and_nothing_else(serve, tmp_path):
    files = {key: dict(found) for key, found in FILES.items() if key[2] == "CT"}
    server = serve(shelf(files))
    found = promise_seg.fetch_archive(server.address(), tmp_path)
    assert (found.series, found.new, found.problems) == (2, 2, [])
    (tmp_path / "images/1/1.1/1.1.0.dcm").write_bytes(b"damaged")
    (tmp_path / "images/1/1.1/1.1.2.dcm").unlink()
    files["2", "2.1", "CT"]["2.1.9"] = dicom_bytes("2.1.9")
    server.asked.clear()
    found = promise_seg.fetch_archive(server.address(), tmp_path)
    assert (found.series, found.new) == (2, 2)
    ends = [path.rpartition("/")[2] for path in retrieved(server)]
    assert ends == ["1.1.0", "1.1.2", "2.1.9"]
    assert content(tmp_path / "images") == WHOLE | {"2/2.1/2.1.9.dcm": files["2", "2.1", "CT"]["2.1.9"]}
    del files["2", "2.1", "CT"]["2.1.0"]
    assert promise_seg.fetch_archive(server.address(), tmp_path).new == 1
    assert [path.name for path in (tmp_path / "images/2/2.1").iterdir()] == ["2.1.9.dcm"]


def test_a_part_of_a_series_is_kept_apart_until_the_rest_comes(serve, tmp_path, waits):
    answer = shelf(FILES)
    server = serve(lambda asked: Said(404) if "/1.1" in asked.path and "?" not in asked.path else answer(asked))
    found = promise_seg.fetch_archive(f"{server.address()}?Modality=CT", tmp_path)
    (problem,) = found.problems
    assert "3 of 3 instances were not received, and an incomplete series is not used" in problem
    assert found.series == 1
    server.rule = lambda asked: answer(asked) if not asked.path.endswith("/1.1.2") else Said(404)
    server.rule, whole = (lambda asked: parts_answer([]) if asked.path.endswith("/1.1") else whole(asked)), server.rule
    promise_seg.fetch_archive(f"{server.address()}?Modality=CT", tmp_path)
    assert sorted(path.name for path in (tmp_path / "retrieved/1/1.1").iterdir()) == ["1.1.0.dcm", "1.1.1.dcm"]
    assert not (tmp_path / "images/1").exists()
    server.rule = answer
    server.asked.clear()
    assert promise_seg.fetch_archive(f"{server.address()}?Modality=CT", tmp_path).problems == []
    assert [path.rpartition("/")[2] for path in retrieved(server)] == ["1.1.2"]
    assert content(tmp_path / "images") == WHOLE


def test_a_series_without_pixels_is_said_each_time_and_retrieved_once(serve, tmp_path):
    server = serve(shelf({("3", "3.1", "OT"): FILES["3", "3.1", "SR"]}))
    for count in (1, 0):
        server.asked.clear()
        (problem,) = promise_seg.fetch_archive(server.address(), tmp_path).problems
        assert "/studies/3/series/3.1: has no images with pixels. It is not retrieved again" in problem
        assert len(retrieved(server)) == count
        assert content(tmp_path) == {}


@pytest.mark.parametrize(
    ("said", "words"),
    [(Said(200), "the answer has the content type (none); expected multipart/related with DICOM files"),
     (Said(200, b"<html>", {"Content-Type": "text/html"}), "text/html"),
     (parts_answer([]), "did not send them, such as 1.1.0"),
     (parts_answer([b"no DICOM"]), "the answer has a part that is not a DICOM file")],
)  # fmt: skip
def test_an_archive_that_answers_200_and_gives_nothing(serve, tmp_path, waits, said, words):
    answer = shelf({key: FILES[key] for key in FILES if key[0] == "1"})
    server = serve(lambda asked: answer(asked) if "?" in asked.path else said)
    found = promise_seg.fetch_archive(server.address(), tmp_path)
    (problem,) = found.problems
    assert "3 of 3 instances were not received" in problem
    assert words in problem
    assert (found.series, content(tmp_path)) == (0, {})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [([], "-o: an archive has no name of its own"),
     (["-o", "x", "--accept-licence"], "--accept-licence: is for published data sets, not for archives"),
     (["-o", "x", "--from", "y"], "--from: is for published data sets"),
     (["-o", "taken"], "taken: is a file; expected a folder")],
)  # fmt: skip
def test_mistakes(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("taken").touch()
    assert main(["data", "fetch", "dicomweb://localhost:1/d", *arguments]) == 2
    assert words in " ".join(capsys.readouterr().err.split())
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_segmentations_are_of_archives_alone(capsys):
    assert main(["data", "fetch", "kvasir-seg", "--segmentations"]) == 2
    assert "--segmentations: is for archives" in capsys.readouterr().err


def test_a_filter_that_nothing_fits_and_a_mirror_in_the_environment(serve, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PROMISE_SEG_MIRROR", "https://mirror.example")  # of published data sets
    assert main(["data", "fetch", serve(shelf({})).address(), "-o", str(tmp_path / "here")]) == 2
    assert "has no studies that fit the filters" in capsys.readouterr().err
    assert not (tmp_path / "here").exists()


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """An Orthanc with three studies of a CT and an MR."""
    place = tmp_path_factory.mktemp("orthanc")
    found = Orthanc(place / "archive")
    found.start()
    for number in range(3):
        study = {"StudyDate": f"2026010{number + 1}", "PatientID": f"p{number}", "StudyID": generate_uid()[-8:]}
        for kind, count in (("CT", 4), ("MR", 3)):
            stack = np.random.default_rng(number).integers(-100, 400, (count, 12, 10)).astype(np.int16)
            folder = write_series(place / f"{number}{kind}", stack, Modality=kind, **study)
            found.put(map(pydicom.dcmread, folder.iterdir()), place / "scratch")
    yield found
    found.close()


@pytest.fixture
def _login(monkeypatch):
    monkeypatch.setenv("PROMISE_SEG_ARCHIVE_USER", USER)
    monkeypatch.setenv("PROMISE_SEG_ARCHIVE_PASSWORD", PASSWORD)


def stored(archive, modality):
    """The files that Orthanc holds of a modality, by their identifiers."""
    found = {}
    for series in archive.get("/series?expand"):
        if series["MainDicomTags"]["Modality"] == modality:
            for one in series["Instances"]:
                uid = archive.get(f"/instances/{one}")["MainDicomTags"]["SOPInstanceUID"]
                found[uid] = archive.ask(f"/instances/{one}/file")
    return found


@pytest.mark.slow
@needs_orthanc
@pytest.mark.usefixtures("_login")
def test_what_orthanc_holds_is_copied_byte_for_byte_and_can_be_trained_on(archive, tiny_sam, tmp_path):
    labeller = Labeller({1: Predictor(make_model(tiny_sam))})
    address = f"{archive.address}?Modality=CT"
    sent = promise_seg.predict_folder(labeller, address, tmp_path / "out", send=True)
    assert (sent.predicted, sent.problems) == (3, [])
    try:
        found = promise_seg.fetch_archive(address, tmp_path / "here", segmentations=True)
        assert (found.series, found.new, found.problems) == (6, 6, [])
        files = {Path(name).stem: file for name, file in content(found.folder).items()}
        assert files == stored(archive, "CT") | stored(archive, "SEG")
    finally:
        archive.remove_segmentations()
    rows = check_rows(read_manifest(tmp_path / "here/manifest.csv"))
    assert len({row.row.image for row in rows}) == 3
    images = tmp_path / "images"
    promise_seg.fetch_archive(address, images)
    assert [one.stem for one in find_inputs([images / "images"])] == [one.stem for one in find_inputs([images])]
    local = promise_seg.predict_folder(labeller, images / "images", tmp_path / "local")
    assert (local.predicted, local.problems) == (3, [])


@pytest.mark.slow
@needs_orthanc
@pytest.mark.usefixtures("_login")
@pytest.mark.parametrize("comes_back", [True, False])
def test_an_orthanc_that_stops_in_the_middle(archive, tmp_path, monkeypatch, comes_back):
    """It is waited for; if it does not come back, the same command goes on later."""

    def stop_at_second(stage, done, total, note=""):
        if stage == "studies" and done == 1 and archive.is_running and not waits:
            archive.stop()

    def rest(_, seconds):
        waits.append(seconds)
        if comes_back and not archive.is_running:
            archive.start()

    waits = []
    monkeypatch.setattr(Connection, "_rest", rest)
    address = f"{archive.address}?Modality=MR"
    try:
        found = promise_seg.fetch_archive(address, tmp_path, progress=stop_at_second)
    finally:
        if not archive.is_running:
            archive.start()
    assert waits
    if not comes_back:
        (problem,) = found.problems
        assert "nothing listens at this host and port" in problem
        assert "1 of 3 studies are done; nothing is lost, and the same command resumes with the others" in problem
        first = found.new
        assert 0 < first < 3
        found = promise_seg.fetch_archive(address, tmp_path)
        assert found.new == 3 - first
    assert (found.series, found.problems) == (3, [])
    files = {Path(name).stem: file for name, file in content(found.folder).items()}
    assert files == stored(archive, "MR")


def test_a_token_that_expires_in_the_middle(serve, tmp_path, monkeypatch):
    uses, answer = Counter(), shelf({key: FILES[key] for key in FILES if key[2] == "CT"})

    def check(asked):
        token = asked.headers.get("Authorization", "")
        uses[token] += 1
        return answer(asked) if token == "Bearer second" or uses[token] < 9 else Said(401)

    server = serve(check)
    monkeypatch.setenv("PROMISE_SEG_ARCHIVE_TOKEN", "first")
    found = promise_seg.fetch_archive(server.address(), tmp_path)
    (problem,) = found.problems
    assert "no longer accepts the login (401), probably because the token has expired" in problem
    assert "of 2 studies are done; nothing is lost, and the same command resumes with the others" in problem
    assert found.series < 2
    monkeypatch.setenv("PROMISE_SEG_ARCHIVE_TOKEN", "second")
    assert promise_seg.fetch_archive(server.address(), tmp_path).problems == []
    assert content(tmp_path / "images") == WHOLE
