"""What the two commands that fetch find on a server of this machine: a small data set, and a file in place of a SAM."""

import hashlib
import http.server
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from promise_seg.curation.sets.known_sets import KNOWN_SETS, Archive
from promise_seg.sam.known import KNOWN_SAMS
from tests.crash.processes import beside
from tests.curation.sets.helpers import FileServer, kvasir, zip_of
from tests.curation.sets.test_arranging import small

_IMAGES = 2
_SAM_BYTES = 50_000


@contextmanager
def serving_known_files() -> Iterator[str]:
    """Serve both, tell this process what they are, and give the address of the server."""
    archive, sam = zip_of(kvasir(_IMAGES)), random.Random(0).randbytes(_SAM_BYTES)
    KNOWN_SETS["kvasir-seg"] = replace(
        small("kvasir-seg", _IMAGES),
        archives=(Archive(file_name="kvasir-seg.zip", size=len(archive), sha256=hashlib.sha256(archive).hexdigest()),),
    )
    KNOWN_SAMS["sam_vit_b"] = replace(KNOWN_SAMS["sam_vit_b"], size=len(sam), sha256=hashlib.sha256(sam).hexdigest())
    files = {"kvasir-seg.zip": archive, "sam.pth": sam}
    handler = type("KnownFiles", (FileServer,), {"files": files, "cuts": [], "requested": []})

    def serve(tell: int) -> None:
        with http.server.HTTPServer(("127.0.0.1", 0), handler) as server:
            server.handle_error = lambda *_args: None  # a client that is killed is what is tested
            os.write(tell, f"{server.server_port}\n".encode())
            server.serve_forever()

    with beside(serve) as port:
        yield f"http://127.0.0.1:{port}"
