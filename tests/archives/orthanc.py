"""A real archive: Orthanc with its DICOMweb plugin, on a free port of this computer with a database of its own."""

import base64
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path

from pydicom.dataset import Dataset

from tests.archives.serving import held_port, port_of

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
USER, PASSWORD = "reader", "pass:word"
_START_SECONDS = 600


def why_not() -> str | None:
    """Why Orthanc cannot be started here; None if it can."""
    if shutil.which("Orthanc") is None or not PLUGIN.exists():
        return "orthanc and orthanc-dicomweb (Debian) are not on this machine"
    return None


class Orthanc:
    """One archive; its database and its port stay when it is stopped and started again, until it is closed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._held = folder, held_port()
        self.port = port_of(self._held)
        self._process: subprocess.Popen | None = None
        folder.mkdir(parents=True)
        settings = {
            "Name": "tests", "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db"),
            "Plugins": [str(PLUGIN)], "HttpPort": self.port, "DicomServerEnabled": False, "RemoteAccessAllowed": False,
            "AuthenticationEnabled": True, "RegisteredUsers": {USER: PASSWORD}, "HttpThreadsCount": 4,
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        }  # fmt: skip
        (folder / "orthanc.json").write_text(json.dumps(settings))

    @property
    def address(self) -> str:
        """The address that users give."""
        return f"dicomweb+http://127.0.0.1:{self.port}/dicom-web"

    def start(self) -> None:
        """Start it, and return when it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(["Orthanc", str(self.folder / "orthanc.json")], stdout=log, stderr=log)
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            try:
                self.get("/system")
            except urllib.error.HTTPError:
                raise
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise RuntimeError((self.folder / "log").read_text())

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped since."""
        return self._process is not None

    def stop(self) -> None:
        """Stop it at once, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """Stop it for good."""
        self.stop()
        self._held.close()

    def ask(self, path: str, body: bytes | None = None, kind: str = "", method: str | None = None) -> bytes:
        """Ask its services for anything."""
        login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        headers = {"Authorization": f"Basic {login}", "Accept": "application/dicom+json, application/json"}
        if body is not None:
            headers["Content-Type"] = kind
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, headers, method=method)
        with urllib.request.urlopen(request, timeout=_START_SECONDS) as answer:
            return answer.read()

    def get(self, path: str) -> object:
        """Return what its own interface says, from JSON."""
        return json.loads(self.ask(path))

    def put(self, images: Iterable[Dataset], scratch: Path) -> None:
        """Store images through its own interface."""
        for image in images:
            image.save_as(scratch, enforce_file_format=True)
            self.ask("/instances", scratch.read_bytes(), "application/dicom")

    def segmentations(self) -> list[bytes]:
        """Return the files of all segmentations that it holds."""
        found = self.get("/series?expand")
        return [
            self.ask(f"/instances/{instance}/file")
            for series in found if series["MainDicomTags"]["Modality"] == "SEG" for instance in series["Instances"]
        ]  # fmt: skip

    def remove_segmentations(self) -> None:
        """Leave the images alone in it."""
        for series in self.get("/series?expand"):
            if series["MainDicomTags"]["Modality"] == "SEG":
                self.ask(f"/series/{series['ID']}", method="DELETE")
