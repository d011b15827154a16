"""Tables of the naming schemes that programs and published data sets use for images and their masks.

To add a naming scheme, add a row to ``SCHEMES`` and a test to ``tests/curation/pairing/test_schemes.py``. Patterns
are those of ``patterns.py``: paths below the folder without suffix, in which ``{name}`` must be equal in image and
mask.
"""

from dataclasses import dataclass

from promise_seg.vocabulary import Split

SPLIT_FOLDERS = {
    "train": Split.TRAIN, "training": Split.TRAIN, "val": Split.VAL, "valid": Split.VAL, "validation": Split.VAL,
    "test": Split.TEST, "testing": Split.TEST,
}  # fmt: skip

MASK_WORDS = (
    "masks?", "cp_masks", "segmentations?", "seg", "labels?", "labell?ed", "gt", "ground[_-]?truth", "annotations?",
    "anno", "annot", "roi", "lesion", "all_objects", "all_classes",
)  # fmt: skip
"""Regular expressions of words at the beginning or end of a mask's name; the rest is the name of its image."""

IMAGE_WORDS = ("images?", "imgs?", "imaging", "volume", "vol", "scan", "input", "raw", "original", "orig", "photo")
"""Regular expressions of words at the beginning or end of an image's name that the name of its mask may lack."""


@dataclass(frozen=True)
class Scheme:
    """The naming scheme of a program or data set.

    A field ``{split}`` in the patterns is the split, if its value is a common name of one. ``group`` is the field whose
    value becomes the group. Fields that only ``masks`` has separate several masks of one image. ``unused`` are patterns
    of known files that are not paired. ``in_order`` pairs images and masks with the same fields in the order of their
    names, because they are numbered differently; there must be as many images as masks.
    """

    producer: str
    images: str
    masks: str
    group: str = ""
    unused: tuple[str, ...] = ()
    in_order: bool = False


_MODALITIES = ("**/{case}_t1", "**/{case}_t1ce", "**/{case}_t1gd", "**/{case}_t2")
_MODALITIES_2023 = ("**/{case}-t1c", "**/{case}-t1n", "**/{case}-t2w")

SCHEMES = (
    # producer, images, masks
    Scheme("BraTS (FLAIR)", "**/{case}_flair", "**/{case}_seg", "case", unused=_MODALITIES),
    Scheme("BraTS of 2023 and later (T2-FLAIR)", "**/{case}-t2f", "**/{case}-seg", "case", unused=_MODALITIES_2023),
    Scheme("KiTS", "**/{case}/imaging", "**/{case}/segmentation", "case"),
    Scheme("LiTS", ".../volume-{case:d}", ".../segmentation-{case:d}", "case"),
    Scheme("TotalSegmentator (CT)", "**/{case}/ct", "**/{case}/segmentations/{class}", "case"),
    Scheme("TotalSegmentator (MR)", "**/{case}/mri", "**/{case}/segmentations/{class}", "case"),
    Scheme("CHAOS (MR)", "**/{case}/{sequence}/DICOM_anon/.../{name}", "**/{case}/{sequence}/Ground/{name}", "case"),
    Scheme("CHAOS (CT)", "**/{case}/DICOM_anon/{image}", "**/{case}/Ground/liver_GT_{n:d}", "case", in_order=True),
    Scheme("CVAT and Pascal VOC", "**/JPEGImages/**/{name}", "**/SegmentationClass/**/{name}",
           unused=("**/SegmentationObject/**/{name}",)),
    Scheme("Pascal VOC, objects alone", "**/JPEGImages/**/{name}", "**/SegmentationObject/**/{name}"),
    Scheme("CVAT (CamVid)", "**/{split}/{name}", "**/{split}annot/{name}"),
    Scheme("RectLabel", "**/{name}", "**/{name}_all_objects"),
    Scheme("RectLabel, one mask per class", "**/{name}", "**/{name}_class_{class}"),
    Scheme("RectLabel, one mask per object", "**/{name}", "**/{name}_object{n:d}"),
    Scheme("QuPath", "**/{slide} [{tile}]", "**/{slide} [{tile}]-labelled", "slide"),
    Scheme("QuPath, labels", "**/{slide} [{tile}]", "**/{slide} [{tile}]-labels", "slide"),
    Scheme("QuPath, masks", "**/{slide} [{tile}]", "**/{slide} [{tile}]-mask", "slide"),
    Scheme("cellpose", "**/{name}_img", "**/{name}_masks", unused=("**/{name}_flows", "**/{name}_outlines")),
    Scheme("cellpose", "**/{name}", "**/{name}_cp_masks", unused=("**/{name}_cp_output", "**/{name}_flows")),
    Scheme("GlaS", "**/{name}", "**/{name}_anno"),
    Scheme("Carvana", "**/{split}/{name}", "**/{split}_masks/{name}_mask"),
    Scheme("images in FOLDER/, masks in FOLDER_masks/", "**/{split}/{name}", "**/{split}_masks/{name}"),
    Scheme("images in FOLDER/, masks in FOLDER_mask/", "**/{split}/{name}", "**/{split}_mask/{name}"),
    Scheme("images in FOLDER/, masks in FOLDER_labels/", "**/{split}/{name}", "**/{split}_labels/{name}"),
    Scheme("images in FOLDER/, masks in FOLDER_gt/", "**/{split}/{name}", "**/{split}_gt/{name}"),
)  # fmt: skip
"""The first row that yields pairs is used, so rows with more specific names come first."""
