"""``promise predict --ray`` and ``promise features encode --ray``, with workers in this process."""

import json
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict, replace

import numpy as np
import pytest

import promise_seg
from promise_seg.checkpoint import SAM_BESIDE, save_checkpoint
from promise_seg.cli.main import main
from promise_seg.errors import PromiseError, SettingsError
from promise_seg.features.store import FeatureStore
from promise_seg.fleet.work import SharedFolders
from promise_seg.inference.encoding import Sample
from promise_seg.inference.sharing import encoding_claims, name_of_claim
from promise_seg.prediction.part_plan import PartPlan
from promise_seg.storage.holders import Holder
from promise_seg.vocabulary import Fit, StorePrecision
from promise_seg.workflows import ray_encoding, ray_predicting
from promise_seg.workflows.feature_plans import FeatureWork
from promise_seg.workflows.ray_encoding import EncodeJob, EncodeWork
from tests.files import write_video
from tests.fleet.local_fleet import use_local_fleet
from tests.helpers import disc_image, make_model
from tests.parallel.killed_processes import entries
from tests.prediction.part_helpers import content, failures


@pytest.fixture
def run(tiny_sam, tmp_path):
    model = make_model(tiny_sam)
    model.config = model.config.model_copy(update={"sam": SAM_BESIDE})
    save_checkpoint(model, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def sam_folder(tiny_sam, tmp_path):
    tiny_sam.model.save_pretrained(tmp_path / "sam")
    return str(tmp_path / "sam")


def words_of(capsys):
    printed = capsys.readouterr()
    return " ".join((printed.out + printed.err).split())


@pytest.mark.slow
def test_predict_on_a_cluster(run, manifest, tmp_path, capsys, monkeypatch):
    images, out = manifest.parent / "images", tmp_path / "out"
    promise_seg.predict_folder(run, images, tmp_path / "whole")
    poison, last = ["2.png"], sorted(images.iterdir())[-1]
    use_local_fleet(monkeypatch, ray_predicting, dies=lambda items: items[0].input.path.name in poison)
    sound = last.read_bytes()
    last.write_bytes(b"nothing")
    command = ["predict", str(run), str(images), "-o", str(out), "--ray", "auto"]
    log = tmp_path / "log.jsonl"
    assert main([*command, "--log-file", str(log)]) == 2
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    ended = Counter((line["work"], line["item"], line["event"]) for line in lines if "item" in line)
    gone = {"2", last.stem}
    assert ended == Counter(("predict", one.stem, "failed" if one.stem in gone else "done") for one in images.iterdir())
    printed = words_of(capsys)
    assert "the worker died while processing it: killed" in printed
    assert {line["image"]: line["kind"] for line in failures(out)} == {
        str(images / "2.png"): "failed",
        str(last): "failed",
    }
    poison.clear()
    last.write_bytes(sound)
    assert main(command) == 0
    assert "2 predicted" in words_of(capsys)
    assert content(out) == content(tmp_path / "whole")
    assert list(out.glob(".*")) == []  # the mark by which workers know the folder is gone
    (images / "new.png").write_bytes(sound)
    assert main(command) == 0  # another list, as the first is complete
    (images / "newer.png").write_bytes(b"nothing")
    assert main(command) == 2
    (images / "newest.png").write_bytes(sound)
    capsys.readouterr()
    assert main(command) == 2
    assert "files were added, removed or renamed in the meantime" in words_of(capsys)


@pytest.mark.slow
def test_encode_on_a_cluster(manifest, sam_folder, tmp_path, capsys, monkeypatch):
    use_local_fleet(monkeypatch, ray_encoding)
    settings = ["--sam", sam_folder, "--variant", "ips", "--views", "1", "--device", "cpu"]
    assert main(["features", "encode", str(manifest), *settings, "--store", str(tmp_path / "whole")]) == 0
    command = ["features", "encode", str(manifest), *settings, "--store", str(tmp_path / "store"), "--ray", "auto"]
    assert main(command) == 0
    assert entries(tmp_path / "store") == entries(tmp_path / "whole")
    capsys.readouterr()
    seen = []
    work = FeatureWork(manifest, sam=sam_folder, variant="ips", views=1, device="cpu", store=tmp_path / "store")
    work.encode(ray="auto", progress=lambda stage, done, total, note="": seen.append((stage, done == total)))
    assert ("looking", True) in seen  # which takes long where the store is far away
    assert main(command) == 0
    assert "views, 0 of them to be encoded" in words_of(capsys)


def test_a_process_that_gives_out_work_needs_no_gpu_for_what_needs_one(manifest, sam_folder, tmp_path, monkeypatch):
    use_local_fleet(monkeypatch, ray_encoding)
    work = FeatureWork(manifest, sam=sam_folder, variant="ips", store=tmp_path / "store", encoder_precision="fp16")
    with pytest.raises(PromiseError, match=r"the worker on node a: --encoder-precision fp16: a CPU gains nothing"):
        work.encode(ray="auto")


@pytest.mark.slow
def test_a_worker_that_has_another_model_leaves_the_plan_as_it_was(run, manifest, tmp_path, capsys, monkeypatch):
    use_local_fleet(monkeypatch, ray_predicting)
    images, out = sorted((manifest.parent / "images").iterdir()), tmp_path / "out"
    assert main(["predict", str(run), str(images[0]), "-o", str(out), "--ray", "auto"]) == 0
    before = PartPlan.read(out)
    assert before.complete
    given = ["-o", str(out), "--ray", "auto", "--always-segment"]
    for chosen in (images[:1], images[:2]):  # nothing is missing, and something is
        capsys.readouterr()
        assert main(["predict", str(run), *map(str, chosen), *given]) == 2
        assert "contains predictions without --always-segment" in words_of(capsys)
        assert PartPlan.read(out) == before


def test_without_a_cluster_no_folder_is_made(run, manifest, tmp_path, capsys, monkeypatch):
    use_local_fleet(monkeypatch, ray_predicting, ray_encoding)

    @contextmanager
    def nowhere(options):
        raise SettingsError("--ray auto: no Ray cluster runs on this computer")
        yield

    for module in (ray_predicting, ray_encoding):
        monkeypatch.setattr(module, "connected", nowhere)
    out, store = tmp_path / "out", tmp_path / "store"
    assert main(["predict", str(run), str(manifest.parent / "images"), "-o", str(out), "--ray", "auto"]) == 2
    work = FeatureWork(manifest, variant="ips", views=0, store=store)
    with pytest.raises(SettingsError, match="no Ray cluster runs"):
        work.encode(ray="auto")
    assert not out.exists()
    assert not store.exists()


def test_a_sam_that_is_loaded_is_not_sent(manifest, tiny_sam, tmp_path, monkeypatch):
    use_local_fleet(monkeypatch, ray_encoding)
    with pytest.raises(PromiseError, match="a SAM that is loaded already is not sent to a cluster"):
        FeatureWork(manifest, sam=tiny_sam, store=tmp_path).encode(ray="auto")


def test_a_worker_encodes_what_is_missing_and_names_what_it_cannot_do(checked, tiny_sam, tmp_path):
    samples = [Sample.of(row, tiny_sam, Fit.STRETCH) for row in checked[:4]]
    store = FeatureStore(tmp_path / "store")
    work = EncodeWork(tiny_sam, store, (0,))
    assert work.do(samples[:1], again=False).done == 1
    damaged = samples[2].checked.row.image
    damaged.write_bytes(b"nothing")
    claim = encoding_claims(store).path(name_of_claim(samples[1], tiny_sam.features_sha256, store))
    claim.parent.mkdir(parents=True, exist_ok=True)
    claim.write_text(json.dumps(asdict(replace(Holder.this_process(), system="elsewhere", host="node7"))))
    answer = work.do(samples, again=True)
    assert (answer.done, answer.already_there) == (1, 1)
    assert "node7" in answer.claimed[1]
    assert str(damaged) in answer.problems[2]


def test_a_worker_on_a_computer_that_sees_other_files_does_not_begin(sam_folder, tmp_path):
    place = SharedFolders(str(tmp_path), str(tmp_path / "mark"), "token")
    job = EncodeJob(sam_folder, 64, None, "cpu", str(tmp_path / "store"), StorePrecision.FP16, (0,), place)
    with pytest.raises(PromiseError, match="is a different folder on this computer, or does not exist"):
        job.open()


@pytest.mark.slow
def test_encode_on_a_cluster_into_an_object_store(manifest, sam_folder, tmp_path, capsys, monkeypatch):
    use_local_fleet(monkeypatch, ray_encoding)
    monkeypatch.setenv("PROMISE_SEG_COPIES", str(tmp_path / "copies"))
    address = "memory://encode_on_a_cluster/store"
    command = ["features", "encode", str(manifest), "--sam", sam_folder, "--variant", "ips", "--views", "0"]
    command += ["--device", "cpu", "--store", address]
    assert main([*command, "--ray", "auto"]) == 0
    assert f"in {address}" in words_of(capsys)
    assert main(command) == 0
    assert "0 views encoded" in words_of(capsys)
    assert main(["features", "status", "--store", address]) == 0
    assert str(tmp_path / "copies") in words_of(capsys)


def test_an_option_without_effect_is_noted_by_a_cluster(run, manifest, tmp_path, capsys, monkeypatch):
    use_local_fleet(monkeypatch, ray_predicting)
    command = ["predict", str(run), str(manifest.parent / "images"), "--every", "2", "--ray", "auto"]
    assert main([*command, "-o", str(tmp_path / "out")]) == 0
    assert words_of(capsys).count("--every 2: none of the inputs is a video") == 1
    assert main([*command, "-o", str(tmp_path / "out")]) == 0
    assert "--every 2" not in words_of(capsys)  # the kind of images that are there already is not known
    write_video(manifest.parent / "images/clip.mkv", np.stack([disc_image(7, 32, 40)[0]] * 3))
    assert main([*command, "-o", str(tmp_path / "new")]) == 0
    assert "--every 2" not in words_of(capsys)
