"""A Ray cluster of two nodes ends with what one process makes, though a worker is killed and an image is damaged."""

import threading
from pathlib import Path

import psutil
import pytest

pytest.importorskip("ray", reason="Ray is not installed: pip install 'promise-seg[ray]'")
from ray.cluster_utils import Cluster

import promise_seg
from promise_seg.cli.main import main
from promise_seg.errors import PromiseError, SettingsError
from promise_seg.features.store import FeatureStore
from promise_seg.fleet import ray_cluster
from promise_seg.fleet.ray_cluster import RayFleet
from promise_seg.workflows.feature_plans import FeatureWork
from tests.helpers import write_dataset
from tests.killed_fleet import make_images, make_run, workers_below
from tests.parallel.killed_processes import entries
from tests.prediction.part_helpers import content, failures

IMAGES = 20
TRIES = 5
"""How often a command is given at most: on a busy computer it may end before one of its workers is killed."""


@pytest.fixture(scope="module")
def cluster():
    cluster = Cluster()
    cluster.add_node(num_cpus=0)
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    yield cluster
    cluster.shutdown()


def kill_one_worker(out: Path, ended: threading.Event, killed: list[int]) -> None:
    """Kill a worker as soon as something was predicted, unless the command ends before; note its number."""
    while not ended.wait(0.01):
        if list(out.glob("overlays/*/*.png")) and (found := workers_below(psutil.Process())):
            found[0].kill()
            killed.append(found[0].pid)
            return


@pytest.mark.slow
def test_a_cluster_ends_with_what_one_process_makes(cluster, tmp_path, capsys):
    run, images = make_run(tmp_path), make_images(tmp_path, IMAGES)
    promise_seg.predict_folder(run, images, tmp_path / "whole")
    sound = (images / "p1/5.png").read_bytes()
    (images / "p1/5.png").write_bytes(b"nothing")
    killed = []
    for number in range(TRIES):
        out, ended = tmp_path / f"out{number}", threading.Event()
        killer = threading.Thread(target=kill_one_worker, args=(out, ended, killed))
        killer.start()
        command = ["predict", str(run), str(images), "-o", str(out), "--ray", cluster.address]
        code = main(command)
        ended.set()
        killer.join()
        assert code == 2, capsys.readouterr().err
        if killed:
            break
    assert killed, "the command ended each time before a worker was killed"
    assert list(out.glob("overlays/*/*.png")), capsys.readouterr().err
    ((failed),) = failures(out)
    assert (failed["image"], failed["kind"]) == (str(images / "p1/5.png"), "failed")
    (images / "p1/5.png").write_bytes(sound)
    capsys.readouterr()
    assert main(command) == 0
    printed = capsys.readouterr()
    assert f"1 predicted, {IMAGES - 1} already there" in printed.out + printed.err
    assert content(out) == content(tmp_path / "whole")
    assert main(command[:-1] + ["127.0.0.1:1"]) == 0  # nothing is missing, so that no cluster is needed


@pytest.mark.slow
def test_no_more_workers_are_started_than_fit_into_the_memory(tmp_path, monkeypatch):
    started, start = [], RayFleet.start
    monkeypatch.setattr(RayFleet, "start", lambda fleet, node: started.append(fleet._memory) or start(fleet, node))
    run, images, node = make_run(tmp_path), make_images(tmp_path, 30), Cluster()
    node.add_node(num_cpus=4, memory=2_500_000_000, object_store_memory=100_000_000)
    try:
        monkeypatch.setattr(RayFleet, "note_memory", lambda fleet, most: setattr(fleet, "_memory", 1_000_000_000))
        assert main(["predict", str(run), str(images), "--ray", node.address, "-o", str(tmp_path / "out")]) == 0
        assert started[0] == 0, "the first says what each needs"
        assert started[1:] in ([], [1_000_000_000]), "one more fits beside it, unless all is done before it is started"
        assert content(tmp_path / "out") == content(predicted_alone(run, images, tmp_path / "whole"))
    finally:
        node.shutdown()


def predicted_alone(run: Path, images: Path, out: Path) -> Path:
    promise_seg.predict_folder(run, images, out)
    return out


@pytest.mark.slow
def test_a_cluster_encodes_what_one_process_encodes(cluster, tmp_path, monkeypatch):
    manifest, settings = write_dataset(tmp_path / "data"), {"variant": "ips", "views": 1, "device": "cpu"}
    FeatureWork(manifest, store=FeatureStore(tmp_path / "whole"), **settings).encode()
    found = FeatureWork(manifest, store=FeatureStore(tmp_path / "store"), **settings).encode(ray=cluster.address)
    assert (found.already_there, found.problems) == (0, [])
    assert found.encoded == len(entries(tmp_path / "whole"))
    assert entries(tmp_path / "store") == entries(tmp_path / "whole")

    again = FeatureWork(manifest, store=FeatureStore(tmp_path / "store"), **settings).encode(ray="127.0.0.1:1")
    assert (again.encoded, again.already_there) == (0, found.encoded)
    with pytest.raises(SettingsError, match="--ray-cpus 64: the largest node has 1 CPUs"):
        FeatureWork(manifest, store=tmp_path / "other", **settings).encode(ray=cluster.address, ray_cpus=64)
    monkeypatch.setattr(ray_cluster, "__version__", "9.9")
    with pytest.raises(PromiseError, match=r"node .*: has promise-seg .*, and this is 9\.9\. Let all computers"):
        FeatureWork(manifest, store=tmp_path / "other", **settings).encode(ray=cluster.address)
    assert entries(tmp_path / "other") == {}
