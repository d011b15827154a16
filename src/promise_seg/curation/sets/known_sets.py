"""The data sets of the paper by name: descriptions, sources and the content of their archives.

A size or a checksum of ``None`` is unknown: none was published, or fewer than two independent sources agree.
docs/standard-sets.md lists the source of each fact.
"""

from dataclasses import dataclass

from promise_seg.curation.sets import clinicdb
from promise_seg.errors import SettingsError
from promise_seg.vocabulary import Split


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A published file: ``url`` is its address, or ``None`` if only a web page links to it; ``size`` is in bytes."""

    file_name: str
    url: str | None = None
    size: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True)
class ArchivePart:
    """A folder of images and the folder of their masks in the unpacked archives.

    Args:
        count: expected number of pairs.
        split: published split.
        images: path endings of the folder of images, in order of preference.
        masks: path endings of the folder of masks, likewise.
        mask_stem: templates that turn the stem of an image into the stem of its mask: ``{}``, ``p{}`` ...
        dataset: data set that the images belong to.
        numbered: data set of the images whose names are numbers, if the folder contains two data sets.
        numbered_count: expected number of images whose names are numbers.
        folder: folder that the images and masks are written to, below ``images`` and ``masks``.
    """

    count: int
    split: Split
    images: tuple[str, ...] = ("images", "image")
    masks: tuple[str, ...] = ("masks", "mask")
    mask_stem: tuple[str, ...] = ("{}",)
    dataset: str = ""
    numbered: str = ""
    numbered_count: int = 0
    folder: str = ""


@dataclass(frozen=True, kw_only=True)
class KnownSet:
    """A published data set.

    ``licence`` is a short description, ``must_accept`` is set if it restricts use. ``by_hand`` has instructions if the
    archives cannot be downloaded directly, and is empty if they can. ``splits`` describes the origin of the splits.
    """

    about: str
    licence: str
    licence_url: str
    source: str
    archives: tuple[Archive, ...]
    parts: tuple[ArchivePart, ...]
    splits: str
    must_accept: bool = True
    by_hand: str = ""

    @property
    def images(self) -> int:
        """The number of images in all parts."""
        return sum(part.count for part in self.parts)

    @property
    def size(self) -> int | None:
        """The size of all archives in bytes, if it is known."""
        sizes = [archive.size for archive in self.archives]
        return None if None in sizes else sum(size or 0 for size in sizes)

    def has_published(self, split: Split) -> bool:
        """Whether the authors published this split."""
        return any(part.split == split for part in self.parts)


_RESEARCH = "research and education only, no commercial use"
_BENCHMARK = "https://github.com/DengPingFan/PraNet"
_TRAIN = Archive(file_name="TrainDataset.zip")
_TEST = Archive(file_name="TestDataset.zip")
_DRIVE = {
    _TRAIN.file_name: "https://drive.google.com/file/d/1YiGHLw4iTvKdvbT6MgwO9zcCv8zJ_Bnb/view (399.5 MB)",
    _TEST.file_name: "https://drive.google.com/file/d/1Y2z7FD5p5y31vkZwQQomXFRB0HutHyao/view (327.2 MB)",
}
_TEST_BY_HAND = (
    f"It comes with the test images of the polyp benchmark: open {_DRIVE['TestDataset.zip']} and download it."
)


def _test_part(dataset: str, count: int, folder: str = "", **more: tuple[str, ...]) -> ArchivePart:
    """Return the part for a data set among the test images of the benchmark, or for its folder alone."""
    images, masks = more.get("images", ()), more.get("masks", ())
    return ArchivePart(
        count=count, split=Split.TEST, dataset=dataset, folder=folder,
        images=(f"{dataset}/images", *images), masks=(f"{dataset}/masks", *masks),
        mask_stem=more.get("mask_stem", ("{}",)),
    )  # fmt: skip


_ISIC = "https://isic-archive.s3.amazonaws.com/challenges/2018"


def _isic(file_name: str, size: int, sha256: str) -> Archive:
    return Archive(file_name=file_name, url=f"{_ISIC}/{file_name}", size=size, sha256=sha256)


def _isic_part(word: str, count: int, split: Split) -> ArchivePart:
    return ArchivePart(
        count=count, split=split, mask_stem=("{}_segmentation",),
        images=(f"ISIC2018_Task1-2_{word}_Input",), masks=(f"ISIC2018_Task1_{word}_GroundTruth",),
    )  # fmt: skip


KNOWN_SETS: dict[str, KnownSet] = {
    "kvasir-seg": KnownSet(
        about="Kvasir-SEG: colonoscopy images with polyps, of many sizes",
        licence=f"{_RESEARCH} without written permission",
        licence_url="https://datasets.simula.no/kvasir-seg/",
        source="https://datasets.simula.no/kvasir-seg/",
        archives=(
            Archive(
                file_name="kvasir-seg.zip",
                url="https://datasets.simula.no/downloads/kvasir-seg.zip",
                size=46_227_172,
                sha256="03b30e21d584e04facf49397a2576738fd626815771afbbf788f74a7153478f7",
            ),
        ),
        parts=(ArchivePart(count=1000, split=Split.TRAIN),),
        splits="the archive has none: pass --test-list, or use polyp-benchmark, where 100 of these are test images",
    ),
    "cvc-clinicdb": KnownSet(
        about="CVC-ClinicDB: frames of 29 colonoscopy sequences, 384 x 288",
        licence=_RESEARCH,
        licence_url="https://polyp.grand-challenge.org/CVCClinicDB/",
        source="https://polyp.grand-challenge.org/CVCClinicDB/",
        archives=(Archive(file_name="CVC-ClinicDB.rar"),),
        parts=(
            ArchivePart(
                count=612, split=Split.TRAIN, dataset=clinicdb.DATASET,
                images=("Original", "images", "image"),
                masks=("Ground Truth", "Ground_Truth", "GroundTruth", "masks", "mask"),
            ),
        ),
        splits="the archive has none: pass --test-list, or use polyp-benchmark, where 62 of these are test images",
        by_hand="Its page shows the link to the archive in a browser only: open "
        "https://polyp.grand-challenge.org/CVCClinicDB/, agree to its terms, download CVC-ClinicDB.rar and unpack it "
        "with 7-Zip, unrar or The Unarchiver (this command reads zip and tar) to a folder with Original and Ground "
        "Truth.",
    ),
    "cvc-colondb": KnownSet(
        about="CVC-ColonDB: frames of 15 colonoscopy sequences, 574 x 500",
        licence="not found; its authors distribute it after registration",
        licence_url="http://mv.cvc.uab.es/projects/colon-qa/cvccolondb",
        source=_BENCHMARK,
        archives=(_TEST,),
        parts=(_test_part("CVC-ColonDB", 380, images=("images",), masks=("masks",)),),
        splits="all are test images, as in the polyp benchmark",
        by_hand=_TEST_BY_HAND,
    ),
    "cvc-300": KnownSet(
        about="CVC-300: the test frames of CVC-EndoSceneStill, 574 x 500",
        licence="not found; its authors distribute it after registration",
        licence_url="https://pages.cvc.uab.es/CVC-Colon/index.php/databases/cvc-endoscenestill/",
        source=_BENCHMARK,
        archives=(_TEST,),
        parts=(_test_part("CVC-300", 60, images=("images",), masks=("masks",)),),
        splits="all are test images, as in the polyp benchmark",
        by_hand=_TEST_BY_HAND,
    ),
    "etis": KnownSet(
        about="ETIS-LaribPolypDB: colonoscopy images, 1225 x 966",
        licence="not found; the property of Lariboisière Hospital and the ETIS laboratory",
        licence_url="https://polyp.grand-challenge.org/ETISLarib/",
        source=_BENCHMARK,
        archives=(_TEST,),
        parts=(
            _test_part(
                "ETIS-LaribPolypDB", 196, mask_stem=("{}", "p{}"),
                images=("ETIS-LaribPolypDB/ETIS-LaribPolypDB", "images"),
                masks=("ETIS-LaribPolypDB/Ground Truth", "masks"),
            ),
        ),
        splits="all are test images, as in the polyp benchmark",
        by_hand=f"{_TEST_BY_HAND} The archive of https://polyp.grand-challenge.org/ETISLarib/ works as well; unpack "
        "it first, as it is a rar.",
    ),
    "isic-2018": KnownSet(
        about="ISIC 2018, task 1: skin lesions in dermoscopy, of many sizes",
        licence="CC0 or CC BY-NC 4.0: sources do not agree, see the page",
        licence_url="https://challenge.isic-archive.com/data/#2018",
        source="https://challenge.isic-archive.com/data/#2018",
        archives=(
            _isic(
                "ISIC2018_Task1-2_Training_Input.zip", 11_165_358_566,
                "80f98572347a2d7a376227fa9eb2e4f7459d317cb619865b8b9910c81446675f",
            ),
            _isic(
                "ISIC2018_Task1_Training_GroundTruth.zip", 27_402_895,
                "99f8b2bb3c4d6af483362010715f7e7d5d122d9f6c02cac0e0d15bef77c7604c",
            ),
            _isic(
                "ISIC2018_Task1-2_Validation_Input.zip", 239_231_159,
                "0ea920fcfe512d12a6e620b50b50233c059f67b10146e1479c82be58ff15a797",
            ),
            _isic(
                "ISIC2018_Task1_Validation_GroundTruth.zip", 759_706,
                "f6911e9c0a64e6d687dd3ca466ca927dd5e82145cb2163b7a1e5b37d7a716285",
            ),
            _isic(
                "ISIC2018_Task1-2_Test_Input.zip", 2_370_457_338,
                "e59ae1f69f4ed16f09db2cb1d76c2a828487b63d28f6ab85997f5616869b127d",
            ),
            _isic(
                "ISIC2018_Task1_Test_GroundTruth.zip", 9_680_101,
                "2e8f6edce454a5bdee52485e39f92bd6eddf357e81f39018d05512175238ef82",
            ),
        ),
        parts=(
            _isic_part("Training", 2594, Split.TRAIN),
            _isic_part("Validation", 100, Split.VAL),
            _isic_part("Test", 1000, Split.TEST),
        ),
        splits="train, val and test as published",
    ),
    "polyp-benchmark": KnownSet(
        about="the polyp benchmark of PraNet: 1,450 training images and five test sets",
        licence=f"those of its sets; of Kvasir-SEG and CVC-ClinicDB: {_RESEARCH}",
        licence_url=_BENCHMARK,
        source=_BENCHMARK,
        archives=(_TRAIN, _TEST),
        parts=(
            ArchivePart(
                count=1450, split=Split.TRAIN, folder="train",
                images=("TrainDataset/image", "TrainDataset/images"),
                masks=("TrainDataset/masks", "TrainDataset/mask"),
                dataset="Kvasir", numbered=clinicdb.DATASET, numbered_count=550,
            ),
            _test_part("Kvasir", 100, "Kvasir"),
            _test_part(clinicdb.DATASET, 62, clinicdb.DATASET),
            _test_part("CVC-300", 60, "CVC-300"),
            _test_part("CVC-ColonDB", 380, "CVC-ColonDB"),
            _test_part("ETIS-LaribPolypDB", 196, "ETIS-LaribPolypDB"),
        ),
        splits="train and test as published; the five tests by the column dataset",
        by_hand="Google Drive hands out files this large only to a browser: open "
        f"{_DRIVE['TrainDataset.zip']} and {_DRIVE['TestDataset.zip']} and download both.",
    ),
}  # fmt: skip
"""The known data sets, by the name that ``promise data fetch`` takes."""


def known_set(name: str) -> KnownSet:
    """Return the data set of this name.

    Raises:
        SettingsError: if there is no such data set.
    """
    if name not in KNOWN_SETS:
        raise SettingsError(f"{name}: unknown data set; expected one of {', '.join(KNOWN_SETS)}")
    return KNOWN_SETS[name]
