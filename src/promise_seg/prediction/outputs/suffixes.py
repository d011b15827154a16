"""File name suffixes of the output formats."""

from promise_seg.vocabulary import OutputFormat

SUFFIX_OF = {
    OutputFormat.PNG: ".png",
    OutputFormat.TIFF: ".tif",
    OutputFormat.NIFTI: ".nii.gz",
    OutputFormat.NRRD: ".seg.nrrd",
    OutputFormat.METAIMAGE: ".mha",
    OutputFormat.NPY: ".npy",
    OutputFormat.DICOM_SEG: ".dcm",
    OutputFormat.RLE: ".json",
    OutputFormat.COCO: ".json",
    OutputFormat.GEOJSON: ".geojson",
}
"""File name suffix of each output format."""
