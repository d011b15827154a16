"""``promise predict`` and ``promise features encode`` of what lies on a server that speaks S3, and written to one."""

import csv
import io
import json

import fsspec
import pytest

from promise_seg.checkpoint import SAM_BESIDE, save_checkpoint
from promise_seg.cli.main import main
from promise_seg.features.store import FeatureStore
from promise_seg.prediction.labelling import Labeller
from promise_seg.storage import object_stores, remote_paths
from promise_seg.workflows import ray_predicting
from tests.fleet.local_fleet import use_local_fleet
from tests.helpers import make_model
from tests.lossy_proxy import LossyProxy
from tests.prediction.part_helpers import content, failures, write_pictures

IMAGES = 6


@pytest.fixture(scope="module")
def run(tiny_sam, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    model = make_model(tiny_sam)
    model.config = model.config.model_copy(update={"sam": SAM_BESIDE})
    save_checkpoint(model, folder / "run")
    return str(folder / "run")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("pictures") / "images", IMAGES)


@pytest.fixture(scope="module")
def whole(run, images, tmp_path_factory):
    """The files of the predictions that a run in a folder makes, without the names of images."""
    out = tmp_path_factory.mktemp("whole")
    assert main(["predict", run, str(images), "-o", str(out)]) == 0
    return of_images(content(out))


@pytest.fixture
def bucket(s3_at, images, monkeypatch):
    """A bucket with the images."""
    monkeypatch.setattr(object_stores, "_FIRST_PAUSE_SECONDS", 0.001)
    found = Bucket()
    for path in images.rglob("*.png"):
        found.put(f"images/{path.relative_to(images).as_posix()}", path.read_bytes())
    yield found
    remote_paths._copies().forget()


class Bucket:
    """A bucket as a test sees it."""

    def __init__(self):
        self._system = fsspec.filesystem("s3", use_listings_cache=False)

    def put(self, name, data):
        self._system.pipe_file(f"bucket/{name}", data)

    def remove(self, name):
        self._system.rm_file(f"bucket/{name}")

    def names(self, below):
        return sorted(path.removeprefix(f"bucket/{below}/") for path in self._system.find(f"bucket/{below}"))

    def files(self, below):
        """The content of the objects of predictions, but those that only parts have."""
        names = [name for name in self.names(below) if not name.startswith("parts/")]
        return {name: self._system.cat_file(f"bucket/{below}/{name}") for name in names}


def of_images(files):
    """Files of predictions, and in place of the table its lines without the names of the images."""
    table = csv.DictReader(io.StringIO(files["predictions.csv"].decode()))
    lines = sorted(json.dumps({name: cell for name, cell in line.items() if name != "image"}) for line in table)
    return {name: data for name, data in files.items() if name != "predictions.csv"} | {"predictions.csv": lines}


def words_of(capsys):
    printed = capsys.readouterr()
    return " ".join((printed.out + printed.err).split())


@pytest.mark.slow
def test_images_at_addresses_are_predicted_as_those_of_a_folder(run, bucket, whole, tmp_path, capsys, monkeypatch):
    assert main(["predict", run, "s3://bucket/images", "-o", str(tmp_path / "out")]) == 0
    found = content(tmp_path / "out")
    assert of_images(found) == whole
    assert b"s3://bucket/images/p0/0.png" in found["predictions.csv"]
    assert main(["predict", run, "s3://bucket/images", "-o", str(tmp_path / "out")]) == 0
    assert f"0 predicted, {IMAGES} already there" in words_of(capsys)
    assert main(["predict", run, "s3://bucket/images", "-o", str(tmp_path / "parts"), "--part", "1/1"]) == 0
    bucket.put("images/p0/0.png", b"nothing")
    fetch, fetched = object_stores.ObjectFolder.fetch, []
    monkeypatch.setattr(object_stores.ObjectFolder, "fetch", lambda *given: fetched.append(given[1]) or fetch(*given))
    assert main(["predict", run, "s3://bucket/images", "-o", str(tmp_path / "parts"), "--part", "1/1"]) == 2
    assert "1 of them to be predicted" in words_of(capsys)
    assert fetched == ["images/p0/0.png"]  # the states of the others tell


@pytest.mark.slow
def test_a_manifest_names_images_at_addresses(run, bucket, images, whole, tmp_path, capsys):
    names = [path.relative_to(images).as_posix() for path in sorted(images.rglob("*.png"))]
    rows = [f"{'s3://bucket/' if number % 2 else ''}images/{name},test,none.png" for number, name in enumerate(names)]
    bucket.put(
        "set.csv", "\n".join(["image_name,train_type,mask_name", *rows, "images/gone.png,test,none.png"]).encode()
    )
    out = tmp_path / "out"
    assert main(["predict", run, "s3://bucket/set.csv", "-o", str(out), "--part", "1/1"]) == 2
    assert "s3://bucket/images/gone.png: cannot be read: No such file or directory" in words_of(capsys)
    assert main(["predict", "--merge", "-o", str(out)]) == 2
    [line] = failures(out)
    assert (line["image"], line["kind"]) == ("s3://bucket/images/gone.png", "failed")
    masks = {name.rpartition("/")[2]: data for name, data in content(out).items() if name.startswith("masks/")}
    assert masks == {name.rpartition("/")[2]: data for name, data in whole.items() if name.startswith("masks/")}
    assert main(["predict", run, "s3://bucket/set.csv", str(images), "-o", str(tmp_path / "new")]) == 2
    assert "give one manifest alone" in words_of(capsys)


@pytest.mark.slow
def test_predictions_at_an_address_through_a_bad_line(run, bucket, whole, s3_server, s3_at, capsys):
    proxy = LossyProxy(s3_server, 0.2)
    s3_at(proxy.port)
    assert main(["predict", run, "s3://bucket/images", "-o", "s3://bucket/out"]) == 0
    proxy.close()
    assert proxy.cut
    s3_at(s3_server)
    assert of_images(bucket.files("out")) == whole
    capsys.readouterr()
    assert main(["predict", run, "s3://bucket/images", "-o", "s3://bucket/out/"]) == 0
    assert f"0 predicted, {IMAGES} already there, in s3://bucket/out" in words_of(capsys)
    bucket.remove("out/masks/p1/3.png")
    assert main(["predict", run, "s3://bucket/images", "-o", "s3://bucket/out", "--parquet"]) == 0
    assert f"1 predicted, {IMAGES - 1} already there" in words_of(capsys)
    assert {name: data for name, data in of_images(bucket.files("out")).items() if ".parquet" not in name} == whole
    assert "predictions.parquet" in bucket.files("out")


@pytest.mark.slow
def test_parts_at_an_address_go_on_after_they_were_killed(run, bucket, whole, images, capsys, monkeypatch):
    label, done = Labeller.label, []

    def dies(self, *arguments, **more):
        done.append(1)
        if len(done) > 2:
            raise KeyboardInterrupt
        return label(self, *arguments, **more)

    monkeypatch.setattr(Labeller, "label", dies)
    command = ["predict", run, str(images), "-o", "s3://bucket/out"]
    assert main([*command, "--part", "1/2"]) == 130
    monkeypatch.setattr(Labeller, "label", label)
    assert main(["predict", "--status", "-o", "s3://bucket/out"]) == 0
    assert f"2 of {IMAGES} images done, 0 failed, 4 missing" in words_of(capsys)
    assert main(["predict", "--merge", "-o", "s3://bucket/out"]) == 2
    printed = words_of(capsys)
    assert "2 images in s3://bucket/out/predictions.csv" in printed
    assert "4 images are missing and 0 failed; s3://bucket/out/failures.csv names them" in printed
    assert bucket.files("out")["failures.csv"].count(b"not predicted yet") == 4
    [log] = [name for name in bucket.names("out") if name.endswith(".jsonl")]
    bucket.remove(f"out/{log}")  # as if the process was killed before it was put
    for part in ("1/2", "2/2"):
        assert main([*command, "--part", part]) == 0
    assert main(["predict", "--merge", "-o", "s3://bucket/out"]) == 0
    assert of_images(bucket.files("out")) == whole
    assert (
        main([*command[:2], str(images / "p0"), *command[3:], "--part", "1/1"]) == 0
    )  # another list, as it is complete
    assert main([*command, "--part", "1/1"]) == 2
    assert "s3://bucket/out: contains predictions in parts of 3 images" in words_of(capsys)


@pytest.mark.slow
def test_a_cluster_predicts_at_an_address(run, bucket, whole, capsys, monkeypatch):
    poison = ["2.png"]
    use_local_fleet(monkeypatch, ray_predicting, dies=lambda items: items[0].input.path.name in poison)
    command = ["predict", run, "s3://bucket/images", "-o", "s3://bucket/out", "--ray", "auto"]
    assert main(command) == 2
    assert "the worker died while processing it" in words_of(capsys)
    assert b"s3://bucket/images/p0/2.png,failed" in bucket.files("out")["failures.csv"]
    poison.clear()
    assert main(command) == 0
    assert "1 predicted" in words_of(capsys)
    assert of_images(bucket.files("out")) == whole
    assert main(command) == 0
    assert f"{IMAGES:,} images, 0 of them to be predicted" in words_of(capsys)


@pytest.mark.parametrize(
    ("options", "words"),
    [(["-o", "https://host/out"], "nothing can be written to a web server"),
     (["-o", "s3://key:secret@bucket/out"], "contains credentials"),
     (["-o", "s3://nothing/out"], "-o s3://nothing/out: the bucket nothing does not exist"),
     (["-o", "s3://bucket/out", "--format", "coco"], "--format coco: the file is written from all masks"),
     (["-o", "s3://bucket/out", "--instances"], "--instances: objects.csv is written from the files of all images")],
)  # fmt: skip
def test_what_cannot_be_written_is_refused(options, words, run, images, bucket, capsys):
    assert main(["predict", run, str(images), *options]) == 2
    printed = words_of(capsys)
    assert words in printed
    assert "secret" not in printed
    assert bucket.names("out") == []


@pytest.mark.parametrize(
    ("places", "words"),
    [(["s3://nothing/images"], "s3://nothing/images: no such file or folder"),
     (["s3://key:secret@bucket/images"], "contains credentials"),
     (["s3://bucket/none.csv"], "s3://bucket/none.csv: no such file"),
     (["file:///etc/images"], "expected an address that begins with s3://, gs:// or https://")],
)  # fmt: skip
def test_what_cannot_be_read_is_said_in_one_line(places, words, run, bucket, tmp_path, capsys):
    assert main(["predict", run, *places, "-o", str(tmp_path / "out")]) == 2
    printed = words_of(capsys)
    assert words in printed
    assert "secret" not in printed


@pytest.fixture
def manifest_in_bucket(bucket, manifest):
    for path in manifest.parent.rglob("*"):
        if path.is_file():
            bucket.put(f"set/{path.relative_to(manifest.parent).as_posix()}", path.read_bytes())
    return f"s3://bucket/set/{manifest.name}"


def entries(store):
    return {path.name: path.read_bytes() for path in store.glob("??/*.safetensors")}


@pytest.mark.slow
def test_features_of_a_manifest_at_an_address(manifest, manifest_in_bucket, bucket, tmp_path, capsys, monkeypatch):
    options = ["--variant", "apm", "--apm", "heatmap", "--views", "1", "--device", "cpu"]
    assert main(["features", "encode", str(manifest), *options, "--store", str(tmp_path / "here")]) == 0
    for part in ("1/2", "2/2"):
        there = ["--store", str(tmp_path / "there"), "--part", part]
        assert main(["features", "encode", manifest_in_bucket, *options, *there]) == 0
    assert entries(tmp_path / "here") == entries(tmp_path / "there") != {}
    assert main(["data", "check", manifest_in_bucket]) == 0
    assert main(["data", "split", manifest_in_bucket, "-o", str(tmp_path / "new.csv"), "--test", "0.2"]) == 0
    assert "s3://bucket/set/images/" in (tmp_path / "new.csv").read_text()
    first = bucket.names("set/images")[0]
    bucket.remove(f"set/images/{first}")
    capsys.readouterr()
    assert main(["features", "encode", manifest_in_bucket, *options]) == 2
    assert f"s3://bucket/set/images/{first}: no such file" in words_of(capsys)
    assert main(["train", manifest_in_bucket, "-o", str(tmp_path / "run")]) == 2
    assert f"s3://bucket/set/images/{first}: no such file" in words_of(capsys)


@pytest.mark.slow
def test_an_image_that_was_changed_since_it_was_checked(manifest_in_bucket, bucket, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(remote_paths, "_MOST_COPIES", 0)
    second = bucket.names("set/images")[1]
    put, encode = FeatureStore.put, []

    def changes(self, key, features):
        if not encode:
            encode.append(1)
            for name in bucket.names("set/images"):
                bucket.put(f"set/images/{name}", bucket.files("set/images")[second])
        put(self, key, features)

    monkeypatch.setattr(FeatureStore, "put", changes)
    monkeypatch.setattr(remote_paths, "_LAST_FEW", 1)
    store = tmp_path / "store"
    assert main(["features", "encode", manifest_in_bucket, "--views", "1", "--store", str(store)]) == 2
    assert "was changed since it was read first" in words_of(capsys)


@pytest.mark.slow
def test_the_annotator_fetches_nothing(run, manifest, manifest_in_bucket, tmp_path, capsys):
    pytest.importorskip("fastapi")
    manifest.write_text("image_name,train_type,mask_name\ns3://bucket/images/p0/0.png,train,x.png\n")
    for place in (manifest_in_bucket, "s3://bucket/images", str(manifest)):
        assert main(["annotate", run, place, "-o", str(tmp_path / "project"), "--no-browser"]) == 2
        assert "the annotator does not fetch images from other computers" in words_of(capsys)
        assert not (tmp_path / "project").exists(), "no project is begun"


def test_only_predictions_are_written_to_addresses(manifest, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command in (["train", str(manifest)], ["data", "make", str(manifest.parent)], ["export", "run"]):
        assert main([*command, "-o", "s3://key:secret@bucket/x"]) == 2
        printed = words_of(capsys)
        assert "only promise predict writes to addresses" in printed
        assert "secret" not in printed
    assert not list(tmp_path.glob("s3*"))


@pytest.mark.slow
def test_an_option_without_effect_is_noted_at_an_address(run, bucket, capsys):
    command = ["predict", run, "s3://bucket/images", "-o", "s3://bucket/out", "--every", "2"]
    assert main(command) == 0
    assert "--every 2: none of the inputs is a video" in words_of(capsys)
