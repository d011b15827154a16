"""Repair the elements of a DICOM header about pixel storage, so that they agree with each other and with the pixels."""

from collections.abc import Iterator

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from promise_seg.images.formats.dicom_faults import PARSE_ERRORS

_GREY = ("MONOCHROME1", "MONOCHROME2")
_PALETTE = "PALETTE COLOR"
_COLOURS = (
    "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT", "HSV", "ARGB",
    "CMYK",
)  # fmt: skip
_SUBSAMPLED = "YBR_FULL_422"
_WIDTHS = (1, 8, 16, 32, 64)
_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


def mend_transfer_syntax(dataset: Dataset) -> Iterator[str]:
    """Add the transfer syntax that a file without one was parsed with, as in old archives; yield a note on it.

    Compressed files stay without a transfer syntax, because their codec is not known.
    """
    meta = getattr(dataset, "file_meta", None)
    if meta is None or meta.get("TransferSyntaxUID") or _is_compressed(dataset):
        return
    implicit, little = dataset.original_encoding
    syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    meta.TransferSyntaxUID = syntax
    yield f"it does not state its transfer syntax, and is read as {syntax.name}"


def mend_pixel_header(dataset: Dataset) -> Iterator[str]:
    """Complete and correct in place the elements that describe the pixels; yield a note on each changed element.

    The number of bytes of the pixels takes precedence over the elements. Source of the rules: ``gdcm`` (in ITK and
    3D Slicer) and ``dcm2niix``.
    """
    if not (dataset.get("Rows") and dataset.get("Columns")):
        return
    if "PixelData" in dataset or "BitsAllocated" in dataset:
        yield from _mend_samples(dataset)
        yield from _mend_bits(dataset)
    yield from _mend_photometric(dataset)
    if (more := _excess(dataset)) > 1:  # one byte makes the length even
        size = f"{dataset.Columns} x {dataset.Rows} pixels (Columns x Rows)"
        yield f"its PixelData has {more:,} bytes more than its {size} need, and they are left out"
    function = dataset.get("VOILUTFunction")
    if function and str(function).strip().upper() not in _FUNCTIONS:
        del dataset.VOILUTFunction
        yield f"its VOILUTFunction ({str(function)[:20]!r}) is unknown, and is read as LINEAR"


def _is_compressed(dataset: Dataset) -> bool:
    return "PixelData" in dataset and bool(dataset["PixelData"].is_undefined_length)


def _bytes_per_pixel(dataset: Dataset) -> float | None:
    """Return the number of bytes per pixel, over all samples; ``None`` if pixels are missing or compressed."""
    if "PixelData" not in dataset or _is_compressed(dataset):
        return None
    pixels = int(dataset.get("NumberOfFrames") or 1) * int(dataset.Rows) * int(dataset.Columns)
    found = len(dataset.PixelData or b"")
    whole = found // pixels
    return float(whole) if found - whole * pixels <= 1 else found / pixels  # one byte may have been added


def _excess(dataset: Dataset) -> int:
    """Return the number of excess bytes after the pixels, negative if bytes are missing; 0 if it is unknown."""
    if _bytes_per_pixel(dataset) is None or _word(dataset).endswith(("_422", "_420")):
        return 0
    bits, samples = dataset.get("BitsAllocated"), dataset.get("SamplesPerPixel")
    if bits not in _WIDTHS or samples not in (1, 3):
        return 0
    frames = int(dataset.get("NumberOfFrames") or 1)
    return len(dataset.PixelData or b"") - (frames * int(dataset.Rows) * int(dataset.Columns) * samples * bits + 7) // 8


def lacking_bytes(dataset: Dataset) -> str | None:
    """Return a message with the elements that declare more pixels than there are; ``None`` if none are missing."""
    if (more := _excess(dataset)) >= 0:
        return None
    names = ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "NumberOfFrames")
    stated = ", ".join(f"{name} {dataset[name].value}" for name in names if dataset.get(name))
    found = len(dataset.PixelData or b"")
    return f"its PixelData has {found:,} bytes, but {found - more:,} are needed by its header ({stated})"


def _word(dataset: Dataset) -> str:
    """Return the photometric interpretation in its usual spelling; empty if it is missing or unreadable."""
    try:
        found = dataset.get("PhotometricInterpretation")
    except PARSE_ERRORS:
        return ""
    found = found[0] if isinstance(found, MultiValue) and len(found) else found
    if not isinstance(found, str):
        return ""
    word = " ".join(found.strip(" \0").upper().split())
    return word.replace(" ", "") if word.startswith("MONOCHROME") else word


def _mend_samples(dataset: Dataset) -> Iterator[str]:
    samples, word = dataset.get("SamplesPerPixel"), _word(dataset)
    size, bits = _bytes_per_pixel(dataset), dataset.get("BitsAllocated") or 8
    stored = None if size is None else size * 8 / bits
    is_colour = word in _COLOURS
    if samples not in (None, 1, 3):
        if stored not in (1, 3):
            return
        dataset.SamplesPerPixel = int(stored)
        yield f"its SamplesPerPixel ({samples}) is neither 1 nor 3, and is read as {stored:g}"
    elif samples is None:
        dataset.SamplesPerPixel = 3 if is_colour else 1
        yield f"it does not state its SamplesPerPixel, read as {dataset.SamplesPerPixel}"
    elif (stored, samples) == (3, 1) and is_colour:
        dataset.SamplesPerPixel = 3
        yield "its SamplesPerPixel is 1, but its pixels are in colour, and are read so"
    elif (stored, samples) == (1, 3):
        dataset.SamplesPerPixel = 1
        yield "its SamplesPerPixel is 3, but its pixels have one value each, and are read so"
    if dataset.SamplesPerPixel == 3 and dataset.get("PlanarConfiguration") not in (0, 1):
        dataset.PlanarConfiguration = 0
        yield "it does not state its PlanarConfiguration, and is read pixel by pixel"


def _mend_bits(dataset: Dataset) -> Iterator[str]:
    yield from _mend_allocated(dataset)
    allocated = dataset.get("BitsAllocated")
    if not allocated:
        return
    if not 1 <= (dataset.get("BitsStored") or 0) <= allocated:
        found = dataset.get("BitsStored")
        dataset.BitsStored = allocated
        yield f"its BitsStored is {'missing' if found is None else found}, and is read as {allocated}"
        if (dataset.get("HighBit") or 0) < allocated:
            dataset.HighBit = allocated - 1
    high = dataset.get("HighBit")
    if high is None or not dataset.BitsStored - 1 <= high < allocated:
        dataset.HighBit = dataset.BitsStored - 1
        if high is not None:
            yield f"its HighBit ({high}) contradicts its BitsStored ({dataset.BitsStored}), and is left out"
    if dataset.get("PixelRepresentation") not in (0, 1):
        dataset.PixelRepresentation = 0
        yield "it does not state its PixelRepresentation, and is read as unsigned"


def _mend_allocated(dataset: Dataset) -> Iterator[str]:
    """Correct the number of bits from the number of bytes if they contradict each other."""
    size, allocated = _bytes_per_pixel(dataset), dataset.get("BitsAllocated")
    told = None if size is None else 8 * size / (dataset.get("SamplesPerPixel") or 1)
    if told not in _WIDTHS or told == allocated:
        return
    stored = dataset.get("BitsStored") or 0
    if not allocated or allocated not in _WIDTHS or allocated < stored <= told or stored <= told < allocated:
        dataset.BitsAllocated = int(told)
        found = f"its BitsAllocated ({allocated}) contradicts its pixels, and is"
        yield f"{found if allocated else 'it does not state its BitsAllocated,'} read as {told:g}"


def _mend_photometric(dataset: Dataset) -> Iterator[str]:
    samples, word = dataset.get("SamplesPerPixel") or 1, _word(dataset)
    meant = word
    if (samples == 1 and word not in (*_GREY, _PALETTE)) or (
        samples == 1 and word == _PALETTE and not _has_palette(dataset)
    ):
        meant = "MONOCHROME2"
    elif samples == 3 and word not in _COLOURS:
        meant = "RGB"
    elif samples == 3 and dataset.get("BitsAllocated") == 8:
        meant = {(_SUBSAMPLED, 3.0): "YBR_FULL", ("YBR_FULL", 2.0): _SUBSAMPLED}.get(
            (word, _bytes_per_pixel(dataset) or 0.0), word
        )
    if not word:
        yield f"it does not state its PhotometricInterpretation, and is read as {meant}"
    elif meant != word:
        yield f"its PhotometricInterpretation ({word[:20]}) contradicts its pixels, and is read as {meant}"
    if "PhotometricInterpretation" in dataset:
        del dataset["PhotometricInterpretation"]
    dataset.PhotometricInterpretation = meant


def _has_palette(dataset: Dataset) -> bool:
    names = [f"{colour}PaletteColorLookupTableD" for colour in ("Red", "Green", "Blue")]
    return "PaletteColorLookupTableUID" in dataset or any(
        dataset.get(f"{name}escriptor") or dataset.get(f"{name}ata") for name in names
    )
