"""Small DICOM, NIfTI and NRRD files, as hospitals and papers have them, and TLS certificates."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import cv2
import nibabel as nib
import nrrd
import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid


def write_nifti(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, np.eye(4) if affine is None else affine), path)
    return path


def write_nrrd(path: Path, array: np.ndarray, header: dict[str, object] | None = None) -> Path:
    """Write an array, columns first; a name that ends in ``.nhdr`` has its values in a file of their own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nrrd.write(str(path), array, dict(header or {}))
    return path


def write_metaimage(
    path: Path,
    stack: np.ndarray,
    *,
    matrix: Sequence[Sequence[float]] | None = ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    spacing: Sequence[float] = (1, 1, 1),
    origin: Sequence[float] = (0, 0, 0),
    data: str = "LOCAL",
    **fields: object,
) -> Path:
    """A MetaImage of slices (N, H, W), or of one (H, W), as ITK writes it; ``fields`` are added or replace others."""
    kinds = {"uint8": "MET_UCHAR", "int16": "MET_SHORT", "uint16": "MET_USHORT", "float32": "MET_FLOAT"}
    header = {"ObjectType": "Image", "NDims": stack.ndim, "BinaryData": "True", "BinaryDataByteOrderMSB": "False"}
    if matrix is not None:
        header["TransformMatrix"] = " ".join(str(value) for row in matrix for value in row)
        header["Offset"] = " ".join(map(str, origin))
    header["ElementSpacing"] = " ".join(map(str, spacing))
    header["DimSize"] = " ".join(map(str, stack.shape[::-1]))
    header |= {"ElementType": kinds[str(stack.dtype)]} | fields | {"ElementDataFile": data}
    text = "".join(f"{name} = {value}\n" for name, value in header.items()).encode()
    local = data == "LOCAL"
    path.write_bytes(text + (stack.tobytes() if local else b""))
    if not local:
        path.with_name(data).write_bytes(stack.tobytes())
    return path


def write_video(path: Path, frames: np.ndarray, code: str = "FFV1") -> Path:
    """A video of frames (N, H, W), or (N, H, W, 3) RGB; by default without any loss."""
    height, width, *colours = frames.shape[1:]
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    options = [cv2.VIDEOWRITER_PROP_IS_COLOR, int(bool(colours))]
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*code), 10.0, (width, height), options)
    assert writer.isOpened(), f"{code} cannot be written"
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[..., ::-1]) if colours else frame)
    writer.release()
    return path


def make_dicom(pixels: np.ndarray, *, sop_class: str = CTImageStorage, **elements: object) -> Dataset:
    """An image of one frame (H, W[, 3]), or of several (N, H, W) if NumberOfFrames is given; all else by keyword."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.FrameOfReferenceUID = generate_uid()
    dataset.PatientID, dataset.PatientName, dataset.Modality = "p1", "Test^Image", "CT"
    dataset.PatientBirthDate, dataset.PatientSex, dataset.AccessionNumber = "", "", ""
    dataset.StudyID, dataset.StudyDate, dataset.StudyTime, dataset.ReferringPhysicianName = "1", "", "", ""
    dataset.SeriesNumber = dataset.InstanceNumber = 1
    is_colour = pixels.ndim == 3 and pixels.shape[2] == 3 and "NumberOfFrames" not in elements
    dataset.Rows, dataset.Columns = pixels.shape[:2] if is_colour else pixels.shape[-2:]
    dataset.SamplesPerPixel = 3 if is_colour else 1
    dataset.PhotometricInterpretation = "RGB" if is_colour else "MONOCHROME2"
    if is_colour:
        dataset.PlanarConfiguration = 0
    bits = pixels.dtype.itemsize * 8
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelData = np.ascontiguousarray(pixels).tobytes() + b"\0" * (pixels.nbytes % 2)
    for name, value in elements.items():
        setattr(dataset, name, value)
    return dataset


def write_dicom(path: Path, pixels: np.ndarray, *, placed: bool = True, **elements: object) -> Path:
    """One file; ``placed`` says where it lies."""
    if placed:
        place = {
            "ImagePositionPatient": [0, 0, 0],
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
            "PixelSpacing": [1, 1],
        }
        elements = place | {"SliceThickness": 1} | elements
    path.parent.mkdir(parents=True, exist_ok=True)
    make_dicom(pixels, **elements).save_as(path, enforce_file_format=True)
    return path


def write_series(
    folder: Path,
    volume: np.ndarray | None = None,
    *,
    count: int = 4,
    prefix: str = "slice",
    step: float = 2.0,
    spacing: tuple[float, float] = (0.5, 0.8),
    origin: tuple[float, float, float] = (-10.0, -20.0, 30.0),
    orientation: tuple[float, ...] = (1, 0, 0, 0, 1, 0),
    **elements: object,
) -> Path:
    """A series of (N, H, W), its files named in another order than they lie in."""
    if volume is None:
        volume = np.random.default_rng(0).integers(-100, 400, (count, 12, 10)).astype(np.int16)
    shared = {"SeriesInstanceUID": generate_uid(), "StudyInstanceUID": generate_uid()}
    shared["FrameOfReferenceUID"] = generate_uid()
    normal = np.cross(orientation[:3], orientation[3:])
    for number, pixels in enumerate(volume):
        position = [float(v) for v in np.array(origin) + number * step * normal]
        write_dicom(
            folder / f"{prefix}{len(volume) - number:03d}", pixels, ImagePositionPatient=position,
            ImageOrientationPatient=list(orientation), PixelSpacing=list(spacing), SliceThickness=step,
            InstanceNumber=number + 1, **shared, **elements,
        )  # fmt: skip
    return folder


def decode_rle(code):
    """The mask (H, W) of one of COCO's codes, by its own library."""
    return np.asarray(coco_mask.decode(code | {"counts": code["counts"].encode("ascii")})).astype(bool)


def write_certificate(folder: Path, names: str) -> tuple[Path, Path]:
    """Write a TLS certificate that nobody signed, for names as OpenSSL writes them, and its key; return their paths."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not on this machine")
    key, found = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
         "/CN=localhost", "-addext", f"subjectAltName={names}", "-keyout", str(key), "-out", str(found)],
        check=True, capture_output=True,
    )  # fmt: skip
    return found, key
