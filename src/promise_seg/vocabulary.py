"""The values that users can choose from in options, specs and files. No third-party package is imported here.

Each enum is the single source of its values: the command line lists and completes them, pydantic validates them, and
JSON files contain them.
"""

from enum import StrEnum


class Variant(StrEnum):
    """The trainable parts of a model; ``sam`` has none and is the baseline."""

    SAM = "sam"
    APM = "apm"
    IPS = "ips"
    APM_IPS = "apm+ips"

    @property
    def has_apm(self) -> bool:
        """Whether the model prompts itself."""
        return self in (Variant.APM, Variant.APM_IPS)

    @property
    def has_ips(self) -> bool:
        """Whether the model shifts the decoder's mask tokens."""
        return self in (Variant.IPS, Variant.APM_IPS)


class TrainableVariant(StrEnum):
    """The variants with trainable parts."""

    APM = "apm"
    IPS = "ips"
    APM_IPS = "apm+ips"


class ApmKind(StrEnum):
    """The auto-prompting module: ``pretrained`` reads the image itself, and prompts for each object with a box and a
    point; ``heatmap`` (for one object) and ``peaks`` (for several) read SAM's features alone; these are ours.
    ``resnet`` and ``cross`` are those of the paper."""

    PRETRAINED = "pretrained"

    HEATMAP = "heatmap"
    PEAKS = "peaks"
    RESNET = "resnet"
    CROSS = "cross"


class PositionCode(StrEnum):
    """Frequencies of the sine position code in the APM ``cross``.

    ``geometric`` is the usual geometric series of wavelengths, for new training. ``reference`` divides by 1, 2, 3 ... n
    instead, as the published code does; checkpoints of that code need it.
    """

    GEOMETRIC = "geometric"
    REFERENCE = "reference"


class TrainAlso(StrEnum):
    """The parts of SAM that are trained in addition to APM and IPS; by default none.

    Source: the five freeze levels of the ProMISe reference.
    """

    NONE = "none"
    PROMPT_ENCODER = "prompt-encoder"
    DECODER = "decoder"
    PROMPT_ENCODER_AND_DECODER = "prompt-encoder+decoder"
    EVERYTHING = "everything"

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of these parts in a ``SamModel`` of transformers."""
        return {
            TrainAlso.NONE: (),
            TrainAlso.PROMPT_ENCODER: ("prompt_encoder",),
            TrainAlso.DECODER: ("mask_decoder",),
            TrainAlso.PROMPT_ENCODER_AND_DECODER: ("prompt_encoder", "mask_decoder"),
            TrainAlso.EVERYTHING: ("prompt_encoder", "mask_decoder", "vision_encoder"),
        }[self]


class Protocol(StrEnum):
    """The training and scoring procedure: ``own`` is the default, ``reference`` the published one, errors included."""

    OWN = "own"
    REFERENCE = "reference"


class PromptSource(StrEnum):
    """The source of the prompts in an evaluation; ``oracle`` and ``box`` are made from the ground truth."""

    APM = "apm"
    ORACLE = "oracle"
    BOX = "box"
    NONE = "none"

    @property
    def reads_truth(self) -> bool:
        """Whether these prompts are made from the ground truth."""
        return self in (PromptSource.ORACLE, PromptSource.BOX)

    @property
    def heading(self) -> str:
        """The heading of results everywhere, so oracle numbers are never mistaken for automatic ones."""
        return {
            PromptSource.APM: "own prompts (automatic)",
            PromptSource.ORACLE: "oracle points (from the ground truth)",
            PromptSource.BOX: "oracle box (from the ground truth)",
            PromptSource.NONE: "no prompts",
        }[self]


class MaskChoice(StrEnum):
    """The choice among SAM's three masks: a fixed mask by its number, the mask with the best score of SAM, or the mask
    that a trained module estimates to be best."""

    FIRST = "0"
    SECOND = "1"
    THIRD = "2"
    SCORE = "score"
    LEARNED = "learned"


class GivenPrompts(StrEnum):
    """The simulated user's prompts that a shift is trained with: a fixed number of points, or all forms of prompts."""

    POINTS = "points"
    ALL = "all"


class PromptForm(StrEnum):
    """The form of a set of prompts: one point, a few points or many (8 or more), a box, or a box with points."""

    POINT = "point"
    POINTS = "points"
    MANY_POINTS = "many-points"
    BOX = "box"
    BOX_AND_POINTS = "box+points"


class Fit(StrEnum):
    """The way in which a rectangular image becomes square.

    ``stretch`` resizes both axes to the side; ``pad`` keeps the aspect ratio and pads at the right or bottom, as SAM
    does; ``square`` keeps the ratio and pads on both sides, as the ProMISe reference does before it resizes.
    """

    STRETCH = "stretch"
    PAD = "pad"
    SQUARE = "square"


class Axis(StrEnum):
    """The axis across which a volume is sliced. ``auto``: axial if its position in space is known, as acquired for
    DICOM, by page for TIFF."""

    AUTO = "auto"
    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"


class Slices(StrEnum):
    """How the masks of a volume's slices are combined.

    ``auto`` follows the model's rule for volumes, which was chosen on validation rows; it is ``each`` for a model
    without such a rule.
    """

    AUTO = "auto"
    EACH = "each"
    BLEND = "blend"
    AGREE = "agree"


class Channel(StrEnum):
    """The colour channel that is used as grey levels, such as green for fundus photographs or that of a fluorescent
    stain; ``all`` keeps the colours. Grey-level images have the same values in all channels."""

    ALL = "all"
    RED = "red"
    GREEN = "green"
    BLUE = "blue"


class Recipe(StrEnum):
    """The recipe for augmented views.

    ``own`` changes much in each view, including colours; ``reference`` changes views as often and as strongly as the
    published code; ``light`` changes little; ``grey`` is for CT, MR and ultrasound; ``none`` changes nothing.
    """

    OWN = "own"
    REFERENCE = "reference"
    LIGHT = "light"
    GREY = "grey"
    NONE = "none"

    @property
    def mirrors(self) -> bool:
        """Whether some of its views are flipped, so that a model learns to give equal results for flipped images."""
        return self in (Recipe.OWN, Recipe.REFERENCE, Recipe.LIGHT)


class MaskKind(StrEnum):
    """The meaning of the values in a mask file.

    ``binary``: 0 and one other value. ``classes``: each value is a class. ``instances``: each value is one object.
    """

    BINARY = "binary"
    CLASSES = "classes"
    INSTANCES = "instances"


class Split(StrEnum):
    """The part of a data set that a row belongs to."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


class Several(StrEnum):
    """The kind of file that several masks of an image are joined to: a mask, an instance map, or a class map.

    ``auto`` makes a class map from masks that are named after classes, and one mask from numbered masks.
    """

    AUTO = "auto"
    MASK = "mask"
    INSTANCES = "instances"
    CLASSES = "classes"


class AnnotationFormat(StrEnum):
    """The annotation formats that can be converted to masks, named after the program or standard that they come from;
    ``geojson`` is QuPath's."""

    COCO = "coco"
    LABELME = "labelme"
    CVAT = "cvat"
    LABEL_STUDIO = "label-studio"
    VIA = "via"
    GEOJSON = "geojson"
    YOLO = "yolo"
    RTSTRUCT = "rtstruct"
    COLOUR_MASKS = "colour-masks"


class DrawnAs(StrEnum):
    """The kind of mask that annotations are converted to: a class map, an instance map, or a mask for each class."""

    CLASSES = "classes"
    INSTANCES = "instances"
    PER_CLASS = "per-class"


class OnTop(StrEnum):
    """The shape that is visible where two shapes overlap: the shape that was drawn later, or the smaller shape."""

    LATER = "later"
    SMALLER = "smaller"


class SplitChoice(StrEnum):
    """The rows of a data set that a command uses: those of one split, or all."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"
    ALL = "all"


class OutputFormat(StrEnum):
    """The format of predicted masks.

    ``auto`` follows the input: PNG for images, TIFF for pages, NIfTI for NIfTI and so on, DICOM-SEG for DICOM.
    ``coco`` writes a file of run-length codes for each image, as ``rle`` does, and all of them in one ``coco.json``.
    ``geojson`` writes outlines, for QuPath.
    """

    AUTO = "auto"
    PNG = "png"
    TIFF = "tiff"
    NIFTI = "nifti"
    NRRD = "nrrd"
    METAIMAGE = "metaimage"
    NPY = "npy"
    DICOM_SEG = "dicom-seg"
    RLE = "rle"
    COCO = "coco"
    GEOJSON = "geojson"


class TrainableFormat(StrEnum):
    """The output formats that a manifest can list as masks."""

    AUTO = "auto"
    PNG = "png"
    TIFF = "tiff"
    NIFTI = "nifti"
    NRRD = "nrrd"
    METAIMAGE = "metaimage"
    NPY = "npy"
    DICOM_SEG = "dicom-seg"


class Optimizer(StrEnum):
    """The optimizer of training."""

    ADAMW = "adamw"
    ADAM = "adam"


class Precision(StrEnum):
    """The mixed precision of training, in the terms of accelerate; ``no`` computes in single precision."""

    NO = "no"
    BF16 = "bf16"
    FP16 = "fp16"


class EncoderPrecision(StrEnum):
    """The precision of SAM's image encoder: single or half precision, or 8-bit linear layers on a CPU."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"
    INT8 = "int8"


class StorePrecision(StrEnum):
    """The precision of stored features: half precision, or 8 bits over the value range of each channel."""

    FP16 = "fp16"
    INT8 = "int8"


class CheckpointFormat(StrEnum):
    """The target format when a checkpoint is converted: a checkpoint folder, or a file of the published code."""

    NATIVE = "native"
    REFERENCE = "reference"


class FleetWork(StrEnum):
    """The kinds of work on very many images that can be planned."""

    PREDICT = "predict"
    ENCODE = "encode"


class ItemOutcome(StrEnum):
    """The outcomes of an item of long-running work, in logs and metrics."""

    DONE = "done"
    ALREADY_THERE = "already-there"
    FAILED = "failed"


class WorkStep(StrEnum):
    """The steps of the work on an item, in metrics and spans."""

    READ = "read"
    ENCODE = "encode"
    DECODE = "decode"
    WRITE = "write"
