"""Files that unpack to far more than they are, slow requests, and what becomes of them."""

import gzip
import io
import socket
import struct
import zipfile
import zlib
from contextlib import suppress

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from promise_seg.annotator import connections
from promise_seg.annotator.project import Project
from promise_seg.annotator.running import running

LIMIT = 2**20
SIDE = 5000
"""Pixels of the bombs: 24 times as many as are allowed."""


def png():
    """A PNG of zeros."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def tiff():
    """A TIFF whose only strip is packed zeros."""
    strip = zlib.compress(b"\0" * 1000)
    entries = [
        (256, 4, SIDE), (257, 4, SIDE), (258, 3, 8), (259, 3, 8), (262, 3, 1), (273, 4, 200), (277, 3, 1),
        (278, 4, SIDE), (279, 4, len(strip)),
    ]  # fmt: skip
    directory = struct.pack("<H", len(entries))
    for tag, kind, value in entries:
        directory += struct.pack("<HHI", tag, kind, 1) + (
            struct.pack("<HH", value, 0) if kind == 3 else struct.pack("<I", value)
        )
    return (b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", 0)).ljust(200, b"\0") + strip


def nifti():
    """A NIfTI header of a large volume, and few packed bytes."""
    header = nib.Nifti1Header()
    header.set_data_shape((SIDE, SIDE, 1))
    header.set_data_dtype(np.int16)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    return gzip.compress(header.binaryblock + b"\0" * 1004)


def npz():
    """A zip with an array of zeros."""
    inner = io.BytesIO()
    np.lib.format.write_array_header_1_0(inner, {"descr": "|u1", "fortran_order": False, "shape": (SIDE, SIDE)})
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("arr_0.npy", inner.getvalue() + b"\0" * SIDE * SIDE)
    return stream.getvalue()


BOMBS = {"a.png": png, "b.tif": tiff, "c.nii.gz": nifti, "d.npz": npz}


@pytest.mark.parametrize("name", BOMBS)
def test_what_unpacks_to_too_much_is_listed_and_never_unpacked(name, model, tmp_path, folder, monkeypatch):
    monkeypatch.setenv("PROMISE_SEG_MAX_VALUES", str(LIMIT))
    place = tmp_path / "images"
    place.mkdir()
    (place / name).write_bytes(BOMBS[name]())
    Image.fromarray(np.zeros((30, 40), np.uint8)).save(place / "good.png")
    assert (place / name).stat().st_size < SIDE * SIDE / 100
    with Project(model, [place], folder) as project:
        ((listed, reason),) = project.catalogue.faults()
        assert listed == name
        assert "values" in reason
        assert [one["name"] for one in project.images("name")] == ["good.png"]


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"])
def test_headers_that_never_end_are_not_waited_for(project, monkeypatch, sent):
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.05)
    with (
        running(project) as access,
        socket.create_connection(("127.0.0.1", access.port), timeout=60) as slow,
        suppress(ConnectionError),  # where it was closed before this was sent
    ):
        slow.sendall(sent)
        assert slow.recv(100) == b""  # it was closed


def test_a_connection_is_kept_for_the_next_request(project, monkeypatch):
    monkeypatch.setattr(connections, "HEADER_SECONDS", 60.0)
    with running(project) as access, socket.create_connection(("127.0.0.1", access.port), timeout=60) as kept:
        for _ in range(2):
            kept.sendall(f"GET /api/v1/project HTTP/1.1\r\nHost: 127.0.0.1:{access.port}\r\n\r\n".encode())
            assert kept.recv(20).startswith(b"HTTP/1.1 401")
            answer = b""
            while b"}}" not in answer:
                answer += kept.recv(2000) or b"}} closed"
            assert b"closed" not in answer
