"""Several writers share a store on a real HTTP server that speaks S3, also when connections are lost in the middle."""

import threading

import pytest

pytest.importorskip("s3fs", reason="s3fs is not installed: pip install 'promise-seg[s3]'")
pytest.importorskip("moto.server", reason="moto's server is not installed: pip install 'moto[server]'")
import fsspec

from promise_seg.cli.main import main
from promise_seg.errors import PromiseError
from promise_seg.features.remote import RemoteFeatureStore
from promise_seg.features.store import FeatureStore
from promise_seg.inference.encoding import Sample, encode_missing
from promise_seg.storage import object_stores
from promise_seg.vocabulary import Fit
from promise_seg.workflows.ray_encoding import EncodeWork
from tests.archives.serving import held_port, port_of
from tests.lossy_proxy import LossyProxy


@pytest.mark.slow
def test_several_writers_and_lost_connections(checked, tiny_sam, tmp_path, s3_server, s3_at, monkeypatch):
    samples = [Sample.of(row, tiny_sam, Fit.STRETCH, view) for view in range(2) for row in checked[:4]]
    whole = FeatureStore(tmp_path / "whole")
    encode_missing(samples, tiny_sam, whole)
    proxy = LossyProxy(s3_server, 0.4)
    s3_at(proxy.port)
    monkeypatch.setattr(object_stores, "_FIRST_PAUSE_SECONDS", 0.001)
    answers, stores = [], []
    for number in range(3):
        monkeypatch.setenv("PROMISE_SEG_COPIES", str(tmp_path / f"copies{number}"))
        stores.append(RemoteFeatureStore("s3://bucket/store"))

    def write(number):
        answers.append(EncodeWork(tiny_sam, stores[number], range(4)).do(samples[number::2] + samples, again=False))

    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    proxy.close()
    assert proxy.cut
    assert len(answers) == 3
    s3_at(s3_server)
    system = fsspec.filesystem("s3", use_listings_cache=False)
    found = {path.removeprefix("bucket/store/"): system.cat_file(path) for path in system.find("bucket/store")}
    found.pop("promise-store.json")
    assert found == {
        path.relative_to(whole.folder).as_posix(): path.read_bytes() for path in whole.folder.glob("??/*.safetensors")
    }


def test_a_bucket_that_is_not_there(s3_at, monkeypatch, capsys, manifest):
    with pytest.raises(PromiseError, match="--store s3://nothing/store: the bucket nothing does not exist"):
        RemoteFeatureStore("s3://nothing/store")
    assert main(["features", "encode", str(manifest), "--store", "s3://nothing/store"]) == 2
    assert "the bucket nothing does not exist" in " ".join(capsys.readouterr().err.split())


def test_a_server_that_is_away(s3_at, monkeypatch):
    monkeypatch.setattr(object_stores, "_FIRST_PAUSE_SECONDS", 0.0)
    with held_port() as held:
        s3_at(port_of(held))
        with pytest.raises(PromiseError, match="the server did not answer in 9 attempts"):
            RemoteFeatureStore("s3://bucket/store")
