"""DICOM images as an archive answers with them."""

from io import BytesIO

import numpy as np
from pydicom.dataset import Dataset

from tests.archives.serving import Said
from tests.files import make_dicom

BOUNDARY = "mark"


def dicom_bytes(uid: str, **elements: object) -> bytes:
    """The file of a small image."""
    pixels = np.random.default_rng(0).integers(0, 99, (4, 5)).astype(np.int16)
    image = make_dicom(pixels, SOPInstanceUID=uid, **elements)
    image.file_meta.MediaStorageSOPInstanceUID = uid
    return file_of(image)


def file_of(image: Dataset) -> bytes:
    """The bytes of a file."""
    file = BytesIO()
    image.save_as(file, enforce_file_format=True)
    return file.getvalue()


def report(**elements: object) -> Dataset:
    """An object without pixels."""
    elements = {"Modality": "SR", **elements}
    found = make_dicom(np.zeros((1, 1), np.uint8), sop_class="1.2.840.10008.5.1.4.1.1.88.11", **elements)
    for name in ("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
                 "SamplesPerPixel", "PhotometricInterpretation"):  # fmt: skip
        delattr(found, name)
    return found


def parts_answer(files: list[bytes], cut: int | None = None) -> Said:
    """An answer with files, which breaks off after so many bytes."""
    body = (
        b"".join(b"--mark\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n" for file in files) + b"--mark--"
    )
    return Said(200, body, {"Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'}, cut)
