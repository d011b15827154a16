"""Small valid files of every kind: what is damaged."""

import gzip
import io
import itertools
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import highdicom
import imagecodecs
import nibabel as nib
import nrrd
import numpy as np
import tifffile
from PIL import Image
from pydicom import Dataset, uid
from pydicom.dataelem import DataElement
from pydicom.encaps import encapsulate
from pydicom.sr.coding import Code
from pydicom.uid import UID

from tests.files import make_dicom

PIPE = "pipe"
Files = dict[str, bytes | str | None]
"""What a folder holds, by relative path: files, a named pipe, or (``None``) empty folders."""


@dataclass(frozen=True)
class Seed:
    """A small valid file, or several: ``main`` is read as an image, and as a mask, of ``image`` if there is one."""

    files: Files
    main: str
    image: str | None = None
    what: str = "unchanged"


GREY = (np.add.outer(np.arange(12) * 9, np.arange(16) * 7) % 256).astype(np.uint8)
RGB = np.stack([GREY, 255 - GREY, GREY // 2], -1)
MASK = (GREY > 100).astype(np.uint8)
DEEP = GREY.astype(np.uint16) * 200


def picture_seeds() -> Iterator[tuple[str, bytes]]:
    def saved(image: Image.Image, kind: str, **options: object) -> bytes:
        stream = io.BytesIO()
        image.save(stream, kind, **options)
        return stream.getvalue()

    colour, grey = Image.fromarray(RGB), Image.fromarray(GREY)
    yield "rgb.png", saved(colour, "PNG")
    yield "mask.png", saved(Image.fromarray(MASK), "PNG")
    yield "palette.png", saved(colour.quantize(7), "PNG")
    yield "deep.png", saved(Image.fromarray(DEEP), "PNG")
    yield "bilevel.png", saved(Image.fromarray(MASK > 0), "PNG")
    yield "interlaced.png", _interlaced()
    exif = Image.Exif()
    exif[0x0112] = 6
    yield "turned.jpg", saved(colour, "JPEG", exif=exif)
    yield "progressive.jpg", saved(colour, "JPEG", progressive=True)
    yield "grey.jpg", saved(grey, "JPEG")
    yield "cmyk.jpg", saved(colour.convert("CMYK"), "JPEG")
    yield "colour.bmp", saved(colour, "BMP")
    yield "palette.bmp", saved(grey.quantize(9), "BMP")
    yield "lossy.webp", saved(colour, "WEBP")
    yield "lossless.webp", saved(colour.convert("RGBA"), "WEBP", lossless=True)
    yield "animated.gif", saved(grey, "GIF", save_all=True, append_images=[colour.quantize(5)])


def _interlaced() -> bytes:
    """Adam7, which Pillow reads but does not write."""
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    rows = [b"\0" + row.tobytes() for y, x, down, across in passes for row in GREY[y::down, x::across] if len(row)]
    header = struct.pack(">IIBBBBB", 16, 12, 8, 0, 0, 0, 1)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(rows))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )


def tiff_seeds() -> Iterator[tuple[str, bytes]]:
    def saved(array: np.ndarray, **options: object) -> bytes:
        stream = io.BytesIO()
        tifffile.imwrite(stream, array, metadata=None, **options)
        return stream.getvalue()

    table = np.stack([np.arange(256), np.arange(256)[::-1], np.arange(256) // 2]).astype(np.uint16) * 257
    yield "grey.tif", saved(GREY)
    yield "deep.tif", saved(DEEP, byteorder=">")
    yield "float.tif", saved(GREY.astype(np.float32) / 7)
    yield "rgba.tif", saved(np.concatenate([RGB, RGB[..., :1]], -1), photometric="rgb", extrasamples=["unassalpha"])
    yield "planar.tif", saved(np.moveaxis(RGB, -1, 0), photometric="rgb", planarconfig="separate")
    yield "pages.tif", saved(np.stack([GREY, 255 - GREY, MASK]), photometric="minisblack")
    yield "lzw.tif", saved(DEEP, compression="lzw", predictor=True)
    yield "deflate.tif", saved(RGB, compression="zlib", rowsperstrip=5)
    yield "jpeg.tif", saved(np.tile(RGB, (2, 2, 1)), compression="jpeg", tile=(16, 16))
    yield "jpeg2000.tif", saved(GREY, compression="jpeg2000")
    yield "palette.tif", saved(GREY, photometric="palette", colormap=table)
    yield "tiled.tif", saved(np.tile(DEEP, (3, 2)), tile=(16, 16), compression="packbits")
    yield "big.tif", saved(MASK, bigtiff=True, compression="zstd")
    yield "bilevel.tif", saved(MASK > 0)


def nifti_seeds() -> Iterator[tuple[str, bytes]]:
    volume = (np.arange(5 * 6 * 4).reshape(5, 6, 4) * 7 - 200).astype(np.int16)
    affine = np.diag([2.0, 1.5, 3.0, 1.0])
    affine[:2, :2] = [[0, -1.5], [2.0, 0]]
    scaled = nib.Nifti1Image(volume, affine)
    scaled.header.set_slope_inter(0.5, -3)
    scaled.header["cal_max"] = 99
    big = nib.Nifti1Image(volume, affine, nib.Nifti1Header(endianness=">"))
    coloured = np.zeros(volume.shape, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    yield "plain.nii", scaled.to_bytes()
    yield "packed.nii.gz", gzip.compress(scaled.to_bytes(), mtime=0)
    yield "second.nii", nib.Nifti2Image(volume.astype(np.float64), affine).to_bytes()
    yield "second.nii.gz", gzip.compress(nib.Nifti2Image((volume > 0).astype(np.uint8), affine).to_bytes(), mtime=0)
    yield "bigendian.nii", big.to_bytes()
    yield "colour.nii", nib.Nifti1Image(coloured, affine).to_bytes()
    yield "flat.nii", nib.Nifti1Image(volume[..., 0], affine).to_bytes()
    yield "fourth.nii", nib.Nifti1Image(volume[..., None], affine).to_bytes()


def nrrd_seeds() -> Iterator[tuple[str, bytes]]:
    def saved(array: np.ndarray, **header: object) -> bytes:
        stream = io.BytesIO()
        nrrd.write(stream, array, {name.replace("_", " "): value for name, value in header.items()})
        lines = stream.getvalue().split(b"\n")
        return b"\n".join([lines[0], *lines[5:]])  # without the comments, which have the time

    volume = (np.arange(5 * 6 * 4).reshape(5, 6, 4) * 7 - 200).astype(np.int16)
    space = {"space": "left-posterior-superior", "space_directions": np.array([[0, 2, 0], [1.5, 0, 0], [0, 0.1, 3]]),
             "space_origin": np.zeros(3)}  # fmt: skip
    yield "packed.nrrd", saved(volume, **space)
    yield "plain.nrrd", saved(volume.astype(">f8"), encoding="raw", kinds=["domain"] * 3, **space)
    yield "bzip2.nrrd", saved((volume > 0).astype(np.uint8), encoding="bzip2", spacings=[0.5, 0.5, 2])
    yield "text.nrrd", saved(volume, encoding="ascii", space_units=["mm"] * 3, **space)
    yield "colour.nrrd", saved(RGB.T, kinds=["RGB-color", "domain", "domain"])
    yield "flat.nrrd", saved(DEEP.T, space="RAS", space_directions=np.eye(3)[:2], space_origin=np.ones(3))


def _uid(*parts: object) -> UID:
    return UID("1.2.826.0.1." + ".".join(map(str, parts)))


def _dicom(pixels: np.ndarray, number: int = 0, **elements: object) -> Dataset:
    """An image whose numbers are always the same, as the cases must be."""
    fixed = {
        "SOPInstanceUID": _uid(1, number), "StudyInstanceUID": _uid(2), "SeriesInstanceUID": _uid(3),
        "FrameOfReferenceUID": _uid(4), "InstanceNumber": number, "ImagePositionPatient": [0, 0, 2 * number],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [1, 1], "SliceThickness": 2,
    }  # fmt: skip
    dataset = make_dicom(pixels, **(fixed | elements))
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def _written(dataset: Dataset, syntax: UID | None = None) -> bytes:
    stream = io.BytesIO()
    if syntax is not None:
        dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _encoded(dataset: Dataset, syntax: UID, *codes: bytes) -> bytes:
    dataset.PixelData = encapsulate(list(codes))
    dataset["PixelData"].VR = "OB"
    return _written(dataset, syntax)


def _table(bits: int, values: list[int]) -> Dataset:
    table = Dataset()
    table.add_new("LUTDescriptor", "US", [len(values), 0, bits])
    table.add_new("LUTData", "US", values)
    return table


def dicom_seeds() -> Iterator[tuple[str, bytes]]:
    ct = DEEP.astype(np.int16) - 1024
    scaled = {"RescaleSlope": 2, "RescaleIntercept": -1024, "WindowCenter": [40, 50], "WindowWidth": [400, 9]}
    yield "plain.dcm", _written(_dicom(ct, **scaled))
    yield "implicit.dcm", _written(_dicom(ct, **scaled), uid.ImplicitVRLittleEndian)
    yield "deflated.dcm", _written(_dicom(ct, **scaled), uid.DeflatedExplicitVRLittleEndian)
    yield "colour.dcm", _written(_dicom(RGB))
    yield "inverted.dcm", _written(_dicom(DEEP, PhotometricInterpretation="MONOCHROME1"))
    yield "voi.dcm", _written(_dicom(GREY, VOILUTSequence=[_table(12, [n * 16 for n in range(256)])]))
    palette = _dicom(GREY, PhotometricInterpretation="PALETTE COLOR")
    for name in ("Red", "Green", "Blue"):
        palette.add_new(f"{name}PaletteColorLookupTableDescriptor", "US", [256, 0, 16])
        palette.add_new(f"{name}PaletteColorLookupTableData", "OW", np.arange(256, dtype="<u2").tobytes())
    yield "palette.dcm", _written(palette)
    yield "frames.dcm", _written(_dicom(np.stack([GREY, 255 - GREY, MASK]), NumberOfFrames=3))
    rle = _dicom(np.stack([DEEP, DEEP // 3]), NumberOfFrames=2)
    rle.compress(uid.RLELossless, generate_instance_uid=False)
    yield "rle.dcm", _written(rle)
    stream = io.BytesIO()
    Image.fromarray(RGB).save(stream, "JPEG")
    lossy = _dicom(RGB, PhotometricInterpretation="YBR_FULL_422")
    yield "jpeg.dcm", _encoded(lossy, uid.JPEGBaseline8Bit, stream.getvalue())
    twelve = imagecodecs.jpeg8_encode(DEEP >> 4, bitspersample=12)
    yield "extended.dcm", _encoded(_dicom(DEEP, BitsStored=12, HighBit=11), uid.JPEGExtended12Bit, twelve)
    lossless = imagecodecs.ljpeg_encode(DEEP, bitspersample=16)
    yield "lossless.dcm", _encoded(_dicom(DEEP), uid.JPEGLosslessSV1, lossless)
    yield "jpegls.dcm", _encoded(_dicom(DEEP), uid.JPEGLSLossless, imagecodecs.jpegls_encode(DEEP))
    for name, array in (("deep", DEEP), ("grey", GREY), ("colour", RGB)):
        code = imagecodecs.jpeg2k_encode(array, codecformat="j2k", reversible=True)
        yield f"jpeg2000-{name}.dcm", _encoded(_dicom(array), uid.JPEG2000Lossless, code)
    frames = [imagecodecs.jpeg2k_encode(page, codecformat="j2k", level=30) for page in (GREY, MASK * 90)]
    two = _dicom(np.stack([GREY, GREY]), NumberOfFrames=2)
    yield "jpeg2000-frames.dcm", _encoded(two, uid.JPEG2000, *frames)
    htj2k = imagecodecs.htj2k_encode(DEEP, reversible=True)
    yield "htj2k.dcm", _encoded(_dicom(DEEP), uid.HTJ2KLossless, htj2k)


def _segmentation(images: list[Dataset]) -> bytes:
    present = np.stack([MASK, 1 - MASK], -1)[None].repeat(len(images), 0)
    code = Code("52988006", "SCT", "Lesion")
    descriptions = [
        highdicom.seg.SegmentDescription(number, f"lesion {number}", code, code, "MANUAL") for number in (1, 2)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = highdicom.seg.Segmentation(
            images, present, "BINARY", descriptions, _uid(7), 9, _uid(8), 1, "m", "m", "1", "1"
        )
    drawn: dict[str, str] = {}  # numbers and times that highdicom draws

    def fixed(_: Dataset, element: DataElement) -> None:
        if element.VR in {"DA", "TM", "DT"} and element.value:
            element.value = {"DA": "20200101", "TM": "120000", "DT": "20200101120000"}[element.VR]
        elif element.VR == "UI" and str(element.value).startswith("1.2.826.0.1.3680043"):
            element.value = drawn.setdefault(str(element.value), _uid(9, len(drawn)))

    made.walk(fixed)
    return _written(made)


_VOXELS = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)


def _metaimage_header(data: str, *more: str) -> bytes:
    place = "TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 1 2 3\nElementSpacing = 0.5 0.8 2"
    lines = ["ObjectType = Image", "NDims = 3", "BinaryDataByteOrderMSB = False", *more, place, "DimSize = 6 5 4"]
    return "\n".join([*lines, "ElementType = MET_SHORT", f"ElementDataFile = {data}", ""]).encode()


def metaimage_seeds() -> Iterator[tuple[str, bytes]]:
    yield "plain.mha", _metaimage_header("LOCAL") + _VOXELS.tobytes()
    yield "packed.mha", _metaimage_header("LOCAL", "CompressedData = True") + zlib.compress(_VOXELS.tobytes())
    text = " ".join(map(str, _VOXELS.ravel())).encode()
    yield "text.mha", _metaimage_header("LOCAL", "BinaryData = False") + text


def seeds() -> list[Seed]:
    """One valid file, or folder of files, of each kind."""
    singles = itertools.chain(picture_seeds(), tiff_seeds(), nifti_seeds(), nrrd_seeds(), dicom_seeds())
    found = [Seed({name: data}, name) for name, data in singles]
    images = [_dicom(DEEP.astype(np.int16) + n, n, WindowCenter=40, WindowWidth=400) for n in range(3)]
    series: Files = {f"series/{n}": _written(image) for n, image in enumerate(images)}
    found.append(Seed(series, "series"))
    found.append(Seed({"seg.dcm": _segmentation(images[:1]), "ct.dcm": series["series/0"]}, "seg.dcm", "ct.dcm"))
    found.append(Seed({"seg.dcm": _segmentation(images)} | series, "seg.dcm", "series"))
    header = dict(nrrd_seeds())["plain.nrrd"].partition(b"\n\n")
    detached: Files = {"a.nhdr": header[0] + b"\ndata file: in/a.raw\n", "in/a.raw": header[2]}
    found.append(Seed(detached, "a.nhdr"))
    volume = dict(nifti_seeds())
    pair = {"mask.nii.gz": volume["second.nii.gz"], "ct.nii": volume["plain.nii"]}
    found.append(Seed(pair, "mask.nii.gz", "ct.nii"))
    found += [Seed({name: data}, name) for name, data in metaimage_seeds()]
    detached = {"a.mhd": _metaimage_header("a.raw", "CompressedData = False"), "a.raw": _VOXELS.tobytes()}
    found.append(Seed(detached, "a.mhd"))
    return found
