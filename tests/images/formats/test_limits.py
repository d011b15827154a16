"""Files that promise more than memory should hold are refused before anything is decoded, with the limit in words."""

import gzip
import io
import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import nibabel as nib
import numpy as np
import pytest
import tifffile
from PIL import Image
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from promise_seg.errors import ImageError, SettingsError
from promise_seg.images.formats.limits import DEFAULT_MAX_VALUES, SparingFile, max_values
from promise_seg.images.formats.pictures import Picture
from promise_seg.images.readers import read_image
from tests.files import make_dicom, write_nifti

VARIABLE = "PROMISE_SEG_MAX_VALUES"
ALLOWED_GROWTH = 100 * 2**20
_MEASURE = """
import json, sys
from promise_seg.images.formats.pictures import Picture
from promise_seg.images.readers import read_image
from promise_seg.errors import PromiseError
from promise_seg.processes import most_memory
before = most_memory()  # not the larger one of the tests, which getrusage passes on
try:
    said = str(read_image(sys.argv[1]).shape)
except PromiseError as error:
    said = str(error)
print(json.dumps([said, most_memory() - before]))
"""


def _png(width: int, height: int, bits: int = 8, rows: int | None = None) -> bytes:
    """One grey everywhere, compressed without ever being held."""
    packer, line = zlib.compressobj(9), b"\0" * (1 + width * bits // 8)
    body = b"".join(packer.compress(line) for _ in range(height if rows is None else rows)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", body), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


def _tiff(width: int, height: int, tile: int | None = None) -> bytes:
    """Of 16 x 16 pixels by its strip, of any size by its tags."""
    stream = io.BytesIO()
    options = {} if tile is None else {"tile": (16, 16)}
    tifffile.imwrite(stream, np.zeros((16, 16), np.uint8), compression="zlib", metadata=None, **options)
    data, changed = stream.getvalue(), {256: width, 257: height, 322: tile, 323: tile}
    at = int.from_bytes(data[4:8], "little")
    for start in range(at + 2, at + 2 + 12 * int.from_bytes(data[at : at + 2], "little"), 12):
        value = changed.get(int.from_bytes(data[start : start + 2], "little"))
        if value is not None:
            data = data[: start + 2] + struct.pack("<HII", 4, 1, value) + data[start + 12 :]
    return data


def _nifti(shape: tuple[int, int, int], zeros: int) -> bytes:
    header = nib.Nifti1Header()
    header.set_data_shape(shape)
    header.set_data_dtype(np.int16)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    return gzip.compress(header.binaryblock + b"\0" * 4 + b"\0" * zeros)


def _nrrd(sizes: str, values: bytes) -> bytes:
    header = f"NRRD0004\ntype: uchar\ndimension: 3\nsizes: {sizes}\nencoding: gzip\n\n"
    return header.encode() + gzip.compress(values)


def _dicom(dataset: Dataset, syntax: str, *codes: bytes) -> bytes:
    if codes:
        dataset.PixelData = encapsulate(list(codes))
        dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = syntax
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _rle_frames() -> bytes:
    dataset = make_dicom(np.zeros((4, 4), np.uint8), NumberOfFrames=1000)
    dataset.Rows = dataset.Columns = 65535
    return _dicom(dataset, RLELossless, struct.pack("<16I", 1, 64, *[0] * 14) + b"\x81\0" * 200)


def _deflated() -> bytes:
    dataset = make_dicom(np.zeros((4, 4), np.uint8))
    dataset.PixelData = bytes(2**27)
    return _dicom(dataset, DeflatedExplicitVRLittleEndian)


PROMISES: dict[str, tuple[Callable[[], bytes], str]] = {
    "one-colour.png": (lambda: _png(30000, 30000, bits=1), "30000 x 30000 x 1"),
    "claim.tif": (lambda: _tiff(10**6, 10**6), "1000000 x 1000000"),
    "tile.tif": (lambda: _tiff(16, 16, tile=2**20), "1048576 x 1048576"),
    "volume.nii.gz": (lambda: _nifti((4000, 4000, 4000), 10**7), "4000 x 4000 x 4000"),
    "volume.nrrd": (lambda: _nrrd("4000 4000 4000", bytes(10**7)), "4000 x 4000 x 4000"),
    "frames.dcm": (_rle_frames, "1000 x 65535 x 65535 x 1"),
}


def _measured(path: Path, **environment: str) -> tuple[str, int]:
    """What reading says, and by how many bytes the peak of memory grows, in a process of its own."""
    said = subprocess.run(
        [sys.executable, "-c", _MEASURE, str(path)], capture_output=True, text=True, check=True,
        env=os.environ | environment,
    ).stdout  # fmt: skip
    message, grown = json.loads(said)
    return message, grown


@pytest.mark.slow
@pytest.mark.parametrize("name", PROMISES)
def test_what_promises_too_much_is_refused_before_it_is_decoded(tmp_path, name):
    make, size = PROMISES[name]
    path = tmp_path / name
    path.write_bytes(make())
    assert path.stat().st_size < 2**20
    message, grown = _measured(path)
    assert message.startswith(f"{path}: too large: {size} values, more than the limit of 536,870,912.")
    assert f"${VARIABLE}" in message
    assert grown < ALLOWED_GROWTH


@pytest.mark.slow
def test_a_deflated_file_is_refused_as_it_unfolds(tmp_path):
    path = tmp_path / "deflated.dcm"
    path.write_bytes(_deflated())
    assert path.stat().st_size < 2**20
    message, grown = _measured(path, **{VARIABLE: "1000000"})
    assert message.startswith(f"{path}: too large: deflated, over 1,000,000 values")
    assert grown < ALLOWED_GROWTH


def _jpeg2000() -> bytes:
    return imagecodecs.jpeg2k_encode(np.zeros((6000, 6000), np.uint8), codecformat="j2k", level=10)


def _tiff_of(code: bytes) -> bytes:
    stream = io.BytesIO()
    options = {"shape": (16, 16), "dtype": np.uint8, "compression": "jpeg2000", "tile": (16, 16)}
    tifffile.imwrite(stream, iter([code]), metadata=None, **options)
    return stream.getvalue()


CODES: dict[str, Callable[[bytes], bytes]] = {
    "code.dcm": lambda code: _dicom(make_dicom(np.zeros((16, 16), np.uint8)), JPEG2000Lossless, code),
    "code.tif": _tiff_of,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CODES)
def test_compressed_pixels_cannot_be_more_than_their_file_says(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(CODES[name](_jpeg2000()))
    assert path.stat().st_size < 2**14
    message, grown = _measured(path)
    assert message.endswith("declare 36,000,000 values, but its header declares 256")
    assert grown < ALLOWED_GROWTH


@pytest.mark.slow
def test_no_more_of_an_nrrd_file_is_unpacked_than_its_header_says(tmp_path):
    path = tmp_path / "packed.nrrd"
    path.write_bytes(_nrrd("4 4 4", bytes(2**28)))
    assert path.stat().st_size < 2**20
    message, grown = _measured(path)
    assert message == "(4, 4, 3)"
    assert grown < ALLOWED_GROWTH


@pytest.mark.slow
def test_extensions_of_a_nifti_header_cannot_be_endless(tmp_path):
    header = nib.Nifti1Header()
    header.set_data_shape((4, 4, 4))
    header["vox_offset"], header["magic"] = 384, b"n+1"
    path = tmp_path / "extended.nii.gz"
    path.write_bytes(gzip.compress(header.binaryblock + b"\1\0\0\0" + struct.pack("<ii", 2**27, 0) + bytes(2**27)))
    message, grown = _measured(path)
    assert "an extension of its header says that it has 134217728 bytes" in message
    assert grown < ALLOWED_GROWTH


def test_extensions_of_a_usual_size_are_fine(tmp_path):
    image = nib.Nifti1Image(np.ones((3, 4, 5), np.int16), np.diag([-1, -1, 1, 1]))
    image.header.extensions.append(nib.nifti1.Nifti1Extension(6, b"said by a scanner" * 9))
    nib.save(image, tmp_path / "v.nii.gz")
    assert read_image(tmp_path / "v.nii.gz").shape == (4, 3, 3)


def test_a_stated_length_takes_no_memory(tmp_path):
    """Python's own files fail at once when asked for so much."""
    path = tmp_path / "file"
    path.write_bytes(b"hello" * 9)
    with SparingFile(path) as file:
        assert file.read(2**62) == b"hello" * 9
        assert file.read(2**62) == b""
        file.seek(40)
        assert file.read(2**62) == b"hello"
        file.seek(1000)
        assert file.read(2**62) == b""


def test_large_grey_pictures_within_the_limit_are_read(tmp_path):
    """Pillow by itself refuses what has more than 179 million pixels."""
    limit = Image.MAX_IMAGE_PIXELS
    path = tmp_path / "slide.png"
    path.write_bytes(_png(20000, 10000, bits=1))
    assert Picture(path).values(0).shape == (10000, 20000)
    assert limit == Image.MAX_IMAGE_PIXELS


def test_the_variable_raises_and_lowers_the_limit(tmp_path, monkeypatch):
    path = write_nifti(tmp_path / "v.nii.gz", np.zeros((10, 10, 10), np.int16))
    assert max_values() == DEFAULT_MAX_VALUES
    monkeypatch.setenv(VARIABLE, "999")
    with pytest.raises(ImageError, match=r"v\.nii\.gz: too large: 10 x 10 x 10 values, more than the limit of 999\."):
        read_image(path)
    monkeypatch.setenv(VARIABLE, "1000")
    assert read_image(path).shape == (10, 10, 3)
    claims = tmp_path / "claims.nii.gz"
    claims.write_bytes(_nifti((4000, 4000, 4000), 1000))
    with pytest.raises(ImageError, match="too large"):
        read_image(claims)
    monkeypatch.setenv(VARIABLE, str(2**40))
    with pytest.raises(ImageError, match=r"claims\.nii\.gz: (damaged or truncated|not enough memory)"):
        read_image(claims)


@pytest.mark.parametrize("text", ["", "0", "-5", "many", "1e9", "1.5", "²"])
def test_nonsense_in_the_variable_is_the_users_to_mend(tmp_path, monkeypatch, text):
    path = write_nifti(tmp_path / "v.nii", np.zeros((3, 3, 3), np.int16))
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(SettingsError, match=rf"\${VARIABLE}: '.*' is not a whole number above 0"):
        read_image(path)
