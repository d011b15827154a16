"""Which images a project has: found, looked at, and known by their content."""

import io
import os
import time

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from promise_seg.annotator.catalogue import Catalogue
from promise_seg.annotator.database import Database
from promise_seg.annotator.finding import find_images
from promise_seg.annotator.project import Options, Project
from promise_seg.errors import ImageError, ManifestError, PromiseError
from promise_seg.images.exports.inputs import Input
from promise_seg.images.reading import make_reading
from tests.annotator.helpers import bits_of, refusal
from tests.helpers import disc_image


def listed(project):
    return [one["name"] for one in project.images("name")]


def test_images_that_cannot_be_read_are_listed_and_skipped(model, tmp_path):
    place = tmp_path / "images"
    place.mkdir()
    Image.fromarray(disc_image(0)[0]).save(place / "good.png")
    (place / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (place / "drawing.png").write_text('<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>')
    with Project(model, [place], tmp_path / "project") as project:
        assert listed(project) == ["good.png"]
        unreadable = project.facts()["unreadable"]
        assert [one["name"] for one in unreadable] == ["broken.png", "drawing.png"]
        assert "not an image" in unreadable[0]["reason"]
    Image.fromarray(disc_image(1)[0]).save(place / "broken.png")
    with Project(model, [place], tmp_path / "project") as project:
        assert listed(project) == ["broken.png", "good.png"]  # it is looked at once more


def test_without_any_image_there_is_no_project(model, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match="no images found"):
        Project(model, [tmp_path / "empty"], tmp_path / "project")
    (tmp_path / "empty/a.png").write_text("nothing")
    with pytest.raises(PromiseError, match=r"none of 1 image\(s\) can be read"):
        Project(model, [tmp_path / "empty"], tmp_path / "project")
    with pytest.raises(ImageError, match="no such file or folder"):
        Project(model, [tmp_path / "nothing"], tmp_path / "project")


def test_a_manifest_stands_by_itself_and_names_files_that_are_there(model, images, tmp_path):
    with pytest.raises(ManifestError, match="give one manifest alone"):
        Project(model, [images, images.parent / "images"], tmp_path / "project")
    (images.parent / "images/1.png").unlink()
    with pytest.raises(ManifestError, match=r"manifest.csv:3: .*1.png: no such file"):
        Project(model, [images], tmp_path / "project")


def test_truth_needs_masks(model, images, tmp_path):
    with pytest.raises(ManifestError, match=r"--truth: .* has no mask"):
        Project(model, [images.parent / "images"], tmp_path / "project", Options(truth=True))


def test_a_folder_that_cannot_be_made_is_refused(model, images, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PromiseError, match="file"):
        Project(model, [images], tmp_path / "file")


def test_what_a_project_wrote_is_no_image_of_it(model, images, tmp_path):
    place = images.parent / "images"
    for _ in range(2):
        with Project(model, [place], place / "project") as project:
            assert listed(project) == ["0.png", "1.png", "2.png"]
            (place / "project/masks").mkdir(exist_ok=True)
            Image.new("L", (40, 30)).save(place / "project/masks/0.png")


def test_an_image_that_changed_on_disk_is_shown_as_such_and_never_mixed(tab, images):
    tab.act("add", slice=0, **{"class": 1}, mask=bits_of(slice(5, 15), slice(10, 30)))
    path = images.parent / "images/0.png"
    old = path.read_bytes()
    Image.fromarray(disc_image(9)[0]).save(path)
    assert tab.http.get(tab.place).json()["changed"]
    answer = tab.send({"type": "accept"})
    assert refusal(answer) == (409, "changed")
    assert "was changed after it had been added" in answer.json()["error"]["message"]
    assert refusal(tab.http.get(f"{tab.place}/slices/0/pixels")) == (409, "changed")
    path.write_bytes(old)  # with another time of change, but the same content
    assert not tab.http.get(tab.place).json()["changed"]
    assert tab.act("accept")["state"] == "done"
    path.unlink()
    assert tab.http.get(tab.place).json()["changed"]
    answer = tab.send({"type": "accept"})
    assert refusal(answer) == (409, "changed")
    assert answer.json()["error"]["message"].startswith("0.png, a file of this image, is no longer in its folder. Move")


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="the system has no links")
def test_an_image_that_became_a_link_to_another_file_is_not_shown(tab, images, tmp_path):
    secret = tmp_path / "secret.png"
    Image.new("RGB", (40, 30), "red").save(secret)
    path = images.parent / "images/0.png"
    path.unlink()
    path.symlink_to(secret)
    assert refusal(tab.http.get(f"{tab.place}/slices/0/pixels")) == (409, "changed")


def test_pixels_are_those_that_the_model_sees(tab, images):
    found = Image.open(io.BytesIO(tab.http.get(f"{tab.place}/slices/0/pixels").content))
    assert found.format == "PNG"
    assert np.array_equal(np.asarray(found), np.asarray(Image.open(images.parent / "images/0.png").convert("RGB")))
    thumbnail = Image.open(io.BytesIO(tab.http.get(f"{tab.place}/thumbnail").content))
    assert max(thumbnail.size) <= 160
    assert tab.http.get(tab.place).json()["window"] is None
    assert refusal(tab.http.get(f"{tab.place}/slices/0/pixels?low=0&high=9")) == (422, "invalid")


def test_pictures_are_encoded_anew_without_what_else_was_in_the_file(model, images, tmp_path):
    facts = PngInfo()
    facts.add_text("Comment", "PatientName")
    path = images.parent / "images/0.png"
    Image.fromarray(disc_image(0)[0]).save(path, pnginfo=facts)
    assert b"PatientName" in path.read_bytes()
    with Project(model, [path], tmp_path / "other") as project:
        assert b"PatientName" not in project.pictures.pixels(1, 0)
        assert b"PatientName" not in project.pictures.thumbnail(1)


def test_a_volume_has_slices_and_a_window(model, volume, tmp_path):
    with Project(model, [volume], tmp_path / "project") as project:
        assert listed(project) == ["scan.nii.gz"]
        image = project.image(1)
        assert (image["slices"], image["width"], image["height"]) == (5, 40, 30)
        assert (image["window"]["lowest"], image["window"]["highest"]) == (-200, 340)
        dark = np.asarray(Image.open(io.BytesIO(project.pictures.pixels(1, 2, 400, 500))))
        bright = np.asarray(Image.open(io.BytesIO(project.pictures.pixels(1, 2, -300, -250))))
        assert dark.max() == 0
        assert bright.min() == 255


def test_the_least_certain_come_first(project):
    deadline = time.monotonic() + 60
    while not all(one["ready"] for one in project.images("name")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    trust = [one["trust"] for one in project.images("trust")]
    assert None not in trust
    assert trust == sorted(trust)
    assert project.segmenter.is_ready(1, 0)


def touched(path):
    """Another time of change, and the same content."""
    facts = path.stat()
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns + 10**9))


def test_a_touched_file_is_the_same_on_a_disk_that_takes_nothing(tab, project, images):
    touched(images.parent / "images/0.png")
    project._database.connection.execute("PRAGMA query_only = ON")
    answer = tab.http.get("/api/v1/images")
    project._database.connection.execute("PRAGMA query_only = OFF")
    assert answer.status_code == 200
    assert not any(one["changed"] for one in answer.json()["images"])


def test_a_changed_file_is_read_once(project, images, monkeypatch):
    sha256, read = Input.sha256, []
    project._ahead.stop()  # which asks for the same, in a thread of its own

    def counted(self):
        read.append(self.path.name)
        return sha256(self)

    monkeypatch.setattr(Input, "sha256", counted)
    Image.fromarray(disc_image(9)[0]).save(images.parent / "images/0.png")
    assert [project.catalogue.is_changed(1) for _ in range(3)] == [True] * 3
    assert read == ["0.png"]
    touched(images.parent / "images/0.png")
    assert project.catalogue.is_changed(1)
    assert read == ["0.png"] * 2


def test_each_image_is_looked_up_without_reading_all_others(folder, tmp_path):
    """The names of all images were once read for each of them, which took minutes for a hundred thousand images."""
    folder.mkdir()
    places = [tmp_path / name for name in ("few", "many")]
    for place, count in zip(places, (3, 9), strict=True):
        place.mkdir()
        for number in range(count):
            Image.new("RGB", (8, 6), (number, 0, 0)).save(place / f"{number}.png")
    database, read = Database(folder), []
    one_by_an_index = ("key = ", "sha256 = ")
    database.connection.set_trace_callback(
        lambda words: (
            read.append(words) if "FROM images" in words and not any(k in words for k in one_by_an_index) else None
        )
    )
    counts = []
    for place in places * 2:  # the second time, all of them are known
        read.clear()
        catalogue = Catalogue(database, make_reading())
        catalogue.add(find_images([place], make_reading(), folder, print))
        counts.append(len(read))
    assert len(set(counts)) == 1
    assert [row["stem"] for row in catalogue.rows()] == ["0_2", "1_2", "2_2", "3", "4", "5", "6", "7", "8"]
    database.close()
