"""Paths lead to files of the page and to images of the project, and nowhere else."""

from uuid import UUID

import pytest

from promise_seg.annotator.app import page_files
from tests.annotator.helpers import API, previews

PATHS = [
    "/page/../app.py", "/page/%2e%2e/app.py", "/page/%252e%252e/app.py", "/page/..%2fapp.py", "/page/..%5capp.py",
    "/page/..\\app.py", "/page//etc/passwd", "/page/%2fetc%2fpasswd", "/page/C:%5cwindows%5cwin.ini", "/page/C:/x.js",
    "/page/index.html%00.js", "/page/index.html%0a", "/page/js", "/page/js/", "/page/", "/page/INDEX.HTML",
    "/page/__init__.py", "/index.html", "/%2e%2e/%2e%2e/etc/passwd",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_out_of_the_page(client, path):
    assert client.get(path).status_code == 404


def test_the_page_is_served_with_its_types(client):
    kinds = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
    assert page_files()
    for name in page_files():
        answer = client.get(f"/page/{name}")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kinds[name[name.rindex(".") :]])


@pytest.mark.parametrize(
    "number", ["-1", "0", "99", "1.5", "1e3", "abc", "..", "9" * 30, "%00", "1%0a", "1;drop table images"]
)
def test_numbers_of_images_are_numbers(client, number):
    for rest in ("", "/thumbnail", "/slices/0/pixels"):
        assert client.get(f"{API}/images/{number}{rest}").status_code in (404, 422)
    assert client.get(f"{API}/images/1/slices/{number}/pixels").status_code in (404, 422, 200)


@pytest.mark.parametrize("window", ["low=1", "low=nan&high=2", "low=3&high=2", "low=1e400&high=inf", "low=x&high=2"])
def test_windows_are_two_numbers(client, window):
    assert client.get(f"{API}/images/1/slices/0/pixels?{window}").status_code == 422


@pytest.mark.parametrize("number", [2**31, 2**63, 10**30, -1])
def test_numbers_of_images_have_a_bound(client, number):
    assert client.request("DELETE", f"{API}/images/{number}/lease", json={"client": str(UUID(int=1))}).is_success
    with previews(client, number) as socket:
        for question in ({}, {"object": 1}):
            socket.send_json({"n": 1, "slice": 0, **question})
            assert socket.receive_json()["error"]["code"] == "unknown"
