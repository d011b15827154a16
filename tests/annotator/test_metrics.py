"""The metrics of the annotator: behind its guard, and without names."""

import pytest

from promise_seg.annotator import metrics
from tests.annotator.conftest import PORT
from tests.annotator.helpers import API


def test_a_stranger_sees_no_metrics(stranger):
    answer = stranger.get(metrics.PATH)
    assert answer.status_code == 401
    assert "promise_seg" not in answer.text


def test_pages_of_other_servers_see_no_metrics(client):
    assert client.get(metrics.PATH, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert client.get(metrics.PATH, headers={"host": f"evil.com:{PORT}"}).status_code == 403


def test_requests_and_images_are_counted(client, project):
    pytest.importorskip("prometheus_client")
    assert client.get(f"{API}/images/1").status_code == 200
    assert client.get(f"{API}/images/999").status_code == 404
    assert client.get("/nothing/at/all").status_code == 404
    answer = client.get(metrics.PATH)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    lines = answer.text.splitlines()
    assert 'promise_seg_annotator_images{state="open"} 3.0' in lines
    counts = [line for line in lines if line.startswith("promise_seg_annotator_request_seconds_count")]
    assert f'{{method="GET",route="{API}/images/{{number}}",status="404"}} 1.0' in "".join(counts)
    assert 'route="other"' in "".join(counts)
    assert not [name for name in (one["name"] for one in project.images("name")) if name in answer.text]
    assert "999" not in "".join(counts)


def test_without_the_library_it_is_said_what_to_install(project, monkeypatch):
    from tests.annotator.helpers import client_of

    monkeypatch.setattr(metrics, "has_metrics", lambda: False)
    answer = client_of(project).get(metrics.PATH)
    assert answer.status_code == 404
    assert "pip install 'promise-seg[monitoring]'" in answer.text
