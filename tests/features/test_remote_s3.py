"""Several writers share a store on a real HTTP server that speaks S3, also when connections are lost in the middle."""

import random
import socket
import threading
from contextlib import suppress

import pytest

pytest.importorskip("s3fs", reason="s3fs is not installed: pip install 'promise-seg[s3]'")
pytest.importorskip("moto.server", reason="moto's server is not installed: pip install 'moto[server]'")
import fsspec
import s3fs
from moto.server import ThreadedMotoServer

from promise_seg import object_stores
from promise_seg.cli.main import main
from promise_seg.errors import PromiseError
from promise_seg.features.remote import RemoteFeatureStore
from promise_seg.features.store import FeatureStore
from promise_seg.inference.encoding import Sample, encode_missing
from promise_seg.vocabulary import Fit
from promise_seg.workflows.ray_encoding import EncodeWork

BYTES_AT_ONCE = 4096


class LossyProxy:
    """Forwards connections to a server, and cuts some of them after a number of bytes by chance.

    Args:
        port: of the server.
        share: of the connections that are cut.
    """

    def __init__(self, port, share):
        self._port, self._share, self._rng, self.cut = port, share, random.Random(5), 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            left = self._rng.randrange(60_000) if self._rng.random() < self._share else None
            threading.Thread(target=self._join, args=(client, left), daemon=True).start()

    def _join(self, client, left):
        server = socket.create_connection(("127.0.0.1", self._port))
        threading.Thread(target=self._copy, args=(server, client, None), daemon=True).start()
        self._copy(client, server, left)

    def _copy(self, source, target, left):
        with suppress(OSError):
            while data := source.recv(BYTES_AT_ONCE):
                if left is not None and (left := left - len(data)) < 0:
                    self.cut += 1
                    break
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self):
        self._listener.close()


@pytest.fixture(scope="module")
def server():
    found = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    found.start()
    yield found.get_host_and_port()[1]
    found.stop()


@pytest.fixture
def through(server, monkeypatch, tmp_path):
    """Let S3 be at a port: that of the server, or of a proxy."""

    def at(port):
        for name, value in {"ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "y", "DEFAULT_REGION": "us-east-1",
                            "ENDPOINT_URL": f"http://127.0.0.1:{port}"}.items():  # fmt: skip
            monkeypatch.setenv(f"AWS_{name}", value)
        s3fs.S3FileSystem.clear_instance_cache()

    monkeypatch.setenv("PROMISE_SEG_COPIES", str(tmp_path / "copies"))
    at(server)
    with suppress(FileExistsError):
        fsspec.filesystem("s3").mkdir("bucket")
    yield at
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.slow
def test_several_writers_and_lost_connections(checked, tiny_sam, tmp_path, server, through, monkeypatch):
    samples = [Sample.of(row, tiny_sam, Fit.STRETCH, view) for view in range(2) for row in checked[:4]]
    whole = FeatureStore(tmp_path / "whole")
    encode_missing(samples, tiny_sam, whole)
    proxy = LossyProxy(server, 0.4)
    through(proxy.port)
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
    through(server)
    system = fsspec.filesystem("s3", use_listings_cache=False)
    found = {path.removeprefix("bucket/store/"): system.cat_file(path) for path in system.find("bucket/store")}
    found.pop("promise-store.json")
    assert found == {
        path.relative_to(whole.folder).as_posix(): path.read_bytes() for path in whole.folder.glob("??/*.safetensors")
    }


def test_a_bucket_that_is_not_there(through, monkeypatch, capsys, manifest):
    with pytest.raises(PromiseError, match="--store s3://nothing/store: there is no bucket nothing"):
        RemoteFeatureStore("s3://nothing/store")
    assert main(["features", "encode", str(manifest), "--store", "s3://nothing/store"]) == 2
    assert "there is no bucket nothing" in " ".join(capsys.readouterr().err.split())


def test_a_server_that_is_away(through, monkeypatch):
    monkeypatch.setattr(object_stores, "_FIRST_PAUSE_SECONDS", 0.0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        through(free.getsockname()[1])
    with pytest.raises(PromiseError, match="the server gave no answer in 9 tries"):
        RemoteFeatureStore("s3://bucket/store")
