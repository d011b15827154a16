"""Output formats of predictions and their writers."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from promise_seg.errors import SettingsError
from promise_seg.images.formats.source import Source
from promise_seg.prediction.labelled import Labelled
from promise_seg.prediction.outputs.dicom_seg import write_dicom_seg
from promise_seg.prediction.outputs.geojson import write_geojson
from promise_seg.prediction.outputs.metaimage import write_metaimage
from promise_seg.prediction.outputs.nifti import write_nifti
from promise_seg.prediction.outputs.nrrd import write_nrrd
from promise_seg.prediction.outputs.numpy_array import write_npy
from promise_seg.prediction.outputs.pictures import write_png, write_tiff
from promise_seg.prediction.outputs.rle import write_rle
from promise_seg.prediction.outputs.suffixes import SUFFIX_OF
from promise_seg.vocabulary import OutputFormat


@dataclass(frozen=True)
class Writer:
    """The writer of one format.

    Args:
        suffix: suffix of the files.
        write: function that writes labels to a path; it returns a note for the user, or ``None``.
    """

    suffix: str
    write: Callable[[Labelled, Path], str | None]


_WRITE: dict[OutputFormat, Callable[[Labelled, Path], str | None]] = {
    OutputFormat.PNG: write_png,
    OutputFormat.TIFF: write_tiff,
    OutputFormat.NIFTI: write_nifti,
    OutputFormat.NRRD: write_nrrd,
    OutputFormat.METAIMAGE: write_metaimage,
    OutputFormat.NPY: write_npy,
    OutputFormat.DICOM_SEG: write_dicom_seg,
    OutputFormat.RLE: write_rle,
    OutputFormat.COCO: write_rle,
    OutputFormat.GEOJSON: write_geojson,
}
WRITERS = {output: Writer(SUFFIX_OF[output], write) for output, write in _WRITE.items()}


def writer_of(output: OutputFormat, keep_empty_frames: bool = False) -> Writer:
    """Return the writer of a format; ``keep_empty_frames`` applies to DICOM segmentations only."""
    if output == OutputFormat.DICOM_SEG and keep_empty_frames:
        return Writer(WRITERS[output].suffix, partial(write_dicom_seg, keep_empty_frames=True))
    return WRITERS[output]


def formats_for(source: Source, wanted: OutputFormat, instances: bool = False) -> list[OutputFormat]:
    """Return the format for an input, followed by fallback formats if the input has any.

    Args:
        source: the input.
        wanted: the requested format.
        instances: whether the labels are an instance map, for which ``auto`` leaves out formats of named segments.
    """
    if wanted != OutputFormat.AUTO:
        return [wanted]
    found = source.output_formats()
    if not instances:
        return found
    others = [OutputFormat.TIFF if source.is_volume else OutputFormat.PNG]
    others = others if source.frame is None else [OutputFormat.NIFTI, *others]
    return [one for one in found if one not in WITHOUT_INSTANCES] or others


WITHOUT_INSTANCES = (OutputFormat.DICOM_SEG, OutputFormat.NRRD)
"""Formats of named segments, which cannot hold instance maps."""


def check_holds_instances(wanted: OutputFormat) -> None:
    """Check that a format can hold an instance map.

    Raises:
        SettingsError: if it cannot, with the formats that can.
    """
    if wanted in WITHOUT_INSTANCES:
        possible = ", ".join(one for one in OutputFormat if one not in WITHOUT_INSTANCES)
        raise SettingsError(
            f"--format {wanted}: holds named segments and no instance maps, as --instances asks for. Choose {possible}"
        )
