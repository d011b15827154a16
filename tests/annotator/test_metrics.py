"""The metrics of the annotator: at a port of their own, if asked for, beside the browser's session; no names."""

import threading
from urllib.request import urlopen

import pytest
from starlette.testclient import TestClient

from promise_seg.annotator.app import create_app
from promise_seg.annotator.metrics import metrics_layer
from promise_seg.errors import SettingsError
from promise_seg.monitoring import metrics as served
from tests.annotator.conftest import PORT
from tests.annotator.helpers import API


def asked(address):
    with urlopen(address) as answer:
        return answer.read().decode().splitlines()


def test_requests_and_images_are_counted_while_a_browser_has_the_session(project, access):
    pytest.importorskip("prometheus_client")
    notes = []
    with metrics_layer(project, 0, note=notes.append) as layer:
        client = TestClient(create_app(project, access, layer), base_url=f"http://127.0.0.1:{PORT}")
        client.get(f"/?token={access.token}")
        assert client.get(f"{API}/images/1").status_code == 200
        assert client.get(f"{API}/images/999").status_code == 404
        assert client.get("/nothing/at/all").status_code == 404
        lines = asked(notes[0].removeprefix("metrics at "))
    assert 'promise_seg_annotator_images{state="open"} 3.0' in lines
    assert 'promise_seg_annotator_images{state="done"} 0.0' in lines
    counts = [line for line in lines if line.startswith("promise_seg_annotator_request_seconds_count")]
    assert f'{{method="GET",route="{API}/images/{{number}}",status="404"}} 1.0' in "".join(counts)
    assert 'route="other"' in "".join(counts)
    assert not [name for name in (one["name"] for one in project.images("name")) if name in "".join(lines)]
    assert "999" not in "".join(counts)


def test_they_are_off_unless_asked_for(client):
    assert client.get("/metrics").status_code == 404


def test_images_are_counted_by_one_question(project, monkeypatch):
    row = type(project.catalogue).row  # which asks for a single image, as another thread does that encodes ahead

    def elsewhere(catalogue, number):
        assert threading.current_thread() is not threading.main_thread()
        return row(catalogue, number)

    monkeypatch.setattr(type(project.catalogue), "row", elsewhere)
    assert project.catalogue.states() == {"open": 3, "done": 0, "skipped": 0}
    assert project.facts()["counts"] == project.catalogue.states()


def test_mistakes(project, monkeypatch):
    with pytest.raises(SettingsError, match=r"--metrics-host 0\.0\.0\.0: needs --metrics PORT"):
        metrics_layer(project, None, "0.0.0.0")
    monkeypatch.setattr(served, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"needs prometheus-client.*promise-seg\[monitoring\]"):
        metrics_layer(project, 0).__enter__()
