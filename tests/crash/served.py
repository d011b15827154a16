"""What commands find on a server of this machine: a small data set, a file in place of a SAM, an archive of images."""

import hashlib
import http.server
import json
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from promise_seg.curation.sets.known_sets import KNOWN_SETS, Archive
from promise_seg.sam.known import KNOWN_SAMS
from tests.archives.images import dicom_bytes, parts_answer
from tests.archives.serving import json_answer
from tests.crash.processes import beside
from tests.curation.sets.helpers import FileServer, kvasir, zip_of
from tests.curation.sets.test_arranging import small

_IMAGES = 2
_SAM_BYTES = 50_000
_PLACED = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [1, 1], "StudyInstanceUID": "1",
           "SeriesInstanceUID": "2", "FrameOfReferenceUID": "3"}  # fmt: skip


class _Archive(http.server.BaseHTTPRequestHandler):
    """Below ``/dicom-web``, one study with a series of two images, as an archive has it."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if not path.startswith("/dicom-web/"):
            super().do_GET()
            return
        uids = [f"1.2.{number}" for number in range(_IMAGES)]
        said = parts_answer([
            dicom_bytes(uid, ImagePositionPatient=[0, 0, number], **_PLACED)
            for number, uid in enumerate(uids) if path.endswith(("/series/2", uid))
        ])  # fmt: skip
        for end, keyword, found in (("/studies", "0020000D", ["1"]), ("/series", "0020000E", ["2"]),
                                    ("/instances", "00080018", uids)):  # fmt: skip
            if path.endswith(end):
                said = json_answer(json.dumps([{keyword: {"vr": "UI", "Value": [uid]}} for uid in found]))
        self.send_response(said.status)
        for name, value in {**said.headers, "Content-Length": str(len(said.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(said.body)


@contextmanager
def serving_known_files() -> Iterator[str]:
    """Serve all of it, tell this process what it is, and give the address of the server."""
    archive, sam = zip_of(kvasir(_IMAGES)), random.Random(0).randbytes(_SAM_BYTES)
    KNOWN_SETS["kvasir-seg"] = replace(
        small("kvasir-seg", _IMAGES),
        archives=(Archive(file_name="kvasir-seg.zip", size=len(archive), sha256=hashlib.sha256(archive).hexdigest()),),
    )
    KNOWN_SAMS["sam_vit_b"] = replace(KNOWN_SAMS["sam_vit_b"], size=len(sam), sha256=hashlib.sha256(sam).hexdigest())
    files = {"kvasir-seg.zip": archive, "sam.pth": sam}
    handler = type("KnownFiles", (_Archive, FileServer), {"files": files, "cuts": [], "requested": []})

    def serve(tell: int) -> None:
        with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
            server.handle_error = lambda *_args: None  # a client that is killed is what is tested
            os.write(tell, f"{server.server_port}\n".encode())
            server.serve_forever()

    with beside(serve) as port:
        yield f"http://127.0.0.1:{port}"
