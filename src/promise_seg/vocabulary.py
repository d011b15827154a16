"""The words that a user can choose from, in options, specs and files. Nothing here imports torch or any other package.

Each enum is the single source of its words: the command line lists and completes them, pydantic validates them, and
JSON files hold their values.
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
        """Whether the model shifts the decoder's patterns."""
        return self in (Variant.IPS, Variant.APM_IPS)


class TrainableVariant(StrEnum):
    """The variants that have something to train."""

    APM = "apm"
    IPS = "ips"
    APM_IPS = "apm+ips"


class ApmKind(StrEnum):
    """The auto-prompting module: ``pretrained`` looks at the image itself, and asks for each object by box and point;
    ``heatmap`` (for one object) and ``peaks`` (for several) read SAM's features alone; these are ours. ``resnet`` and
    ``cross`` are the paper's."""

    PRETRAINED = "pretrained"

    HEATMAP = "heatmap"
    PEAKS = "peaks"
    RESNET = "resnet"
    CROSS = "cross"


class PositionCode(StrEnum):
    """Frequencies of the sine code of positions in the APM ``cross``.

    ``geometric`` is the proper series of wavelengths, for new training. ``reference`` divides by 1, 2, 3 ... n instead,
    as the published code does; its checkpoints need it.
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
    """``own`` is the default everywhere; ``reference`` repeats the published procedure, mistakes included."""

    OWN = "own"
    REFERENCE = "reference"


class PromptSource(StrEnum):
    """The source of the prompts of an evaluation. Those of ``oracle`` and ``box`` are made from the ground truth."""

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
    """The choice among SAM's three masks: one by number, the one that SAM scores best, or the one that a trained model
    estimates to be best."""

    FIRST = "0"
    SECOND = "1"
    THIRD = "2"
    SCORE = "score"
    LEARNED = "learned"


class GivenPrompts(StrEnum):
    """The prompts of a simulated person that a shift learns from: a fixed number of points, or all that people give."""

    POINTS = "points"
    ALL = "all"


class PromptForm(StrEnum):
    """The parts of a set of prompts: one point, a few points or many (8 or more), a box, or a box with points."""

    POINT = "point"
    POINTS = "points"
    MANY_POINTS = "many-points"
    BOX = "box"
    BOX_AND_POINTS = "box+points"


class Fit(StrEnum):
    """The way in which a rectangle becomes a square.

    ``stretch`` resizes both axes to the side; ``pad`` keeps the aspect and pads at the right or bottom, as SAM does;
    ``square`` keeps it and pads on both sides, as the ProMISe reference does before it resizes.
    """

    STRETCH = "stretch"
    PAD = "pad"
    SQUARE = "square"


class Axis(StrEnum):
    """The axis across which a volume is sliced. ``auto``: axial where it lies in space, as acquired for DICOM, by page
    for TIFF."""

    AUTO = "auto"
    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"


class Slices(StrEnum):
    """How the masks of a volume's slices come together.

    ``auto`` is as the model's rule for volumes has it, which was chosen on validation rows, and ``each`` for a model
    without such a rule.
    """

    AUTO = "auto"
    EACH = "each"
    BLEND = "blend"
    AGREE = "agree"


class Channel(StrEnum):
    """The colour channel that is taken as grey, as green of fundus photographs or a stain's of fluorescence; ``all``
    keeps the colours. Images in grey have it in each channel."""

    ALL = "all"
    RED = "red"
    GREEN = "green"
    BLUE = "blue"


class Recipe(StrEnum):
    """The recipe by which augmented views are drawn.

    ``own`` changes much in each view, colours too; ``reference`` as often and as strongly as the published code;
    ``light`` a little; ``grey`` is for CT, MR and ultrasound; ``none`` leaves every view as the image is.
    """

    OWN = "own"
    REFERENCE = "reference"
    LIGHT = "light"
    GREY = "grey"
    NONE = "none"

    @property
    def mirrors(self) -> bool:
        """Whether some of its views are mirrored, so that a model learns to see in a mirror image what it sees in the
        image."""
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
    """The one file that several masks of an image become: a mask, a map of instances, or of classes.

    ``auto`` makes classes of masks that are called after classes, and one mask of those that are numbered.
    """

    AUTO = "auto"
    MASK = "mask"
    INSTANCES = "instances"
    CLASSES = "classes"


class AnnotationFormat(StrEnum):
    """The formats of annotations that are no masks, by the program or the standard that they come from; ``geojson`` is
    QuPath's."""

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
    """The masks that annotations become: a map of classes or of instances, or a mask for each class."""

    CLASSES = "classes"
    INSTANCES = "instances"
    PER_CLASS = "per-class"


class OnTop(StrEnum):
    """The shape that is seen where two of them overlap: the one that was drawn later, or the smaller one."""

    LATER = "later"
    SMALLER = "smaller"


class SplitChoice(StrEnum):
    """The rows of a data set that a command uses: those of one split, or all."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"
    ALL = "all"


class OutputFormat(StrEnum):
    """``auto`` follows the input: PNG for images, TIFF for pages, NIfTI for NIfTI and so on, DICOM-SEG for DICOM.

    ``coco`` writes a file of run-length codes for each image, as ``rle`` does, and all of them as one ``coco.json``.
    ``geojson`` are the outlines, for QuPath.
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


class Optimizer(StrEnum):
    """The optimizer of training."""

    ADAMW = "adamw"
    ADAM = "adam"


class Precision(StrEnum):
    """The mixed precision of training, in the words of accelerate; ``no`` computes in single precision."""

    NO = "no"
    BF16 = "bf16"
    FP16 = "fp16"


class EncoderPrecision(StrEnum):
    """How exactly SAM's image encoder computes: single or half precision, or linear layers of 8 bits on a CPU."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"
    INT8 = "int8"


class StorePrecision(StrEnum):
    """How exactly stored features are kept: in half precision, or with 8 bits in the range of each channel."""

    FP16 = "fp16"
    INT8 = "int8"


class CheckpointFormat(StrEnum):
    """The target of converting a checkpoint: a folder of ours, or a file of the published code."""

    NATIVE = "native"
    REFERENCE = "reference"


class FleetWork(StrEnum):
    """The work on very many images that is planned."""

    PREDICT = "predict"
    ENCODE = "encode"


class ItemOutcome(StrEnum):
    """The outcomes of an item of long work, in logs and metrics."""

    DONE = "done"
    ALREADY_THERE = "already-there"
    FAILED = "failed"


class WorkStep(StrEnum):
    """The steps of the work on an item, in metrics and spans."""

    READ = "read"
    ENCODE = "encode"
    DECODE = "decode"
    WRITE = "write"
