"""SAM weights that promise-seg knows by name, with the sources and checksums of their files."""

from dataclasses import dataclass
from pathlib import Path

from promise_seg.errors import CheckpointError
from promise_seg.storage.cache_folders import cache_folder


@dataclass(frozen=True, kw_only=True)
class KnownSam:
    """A published file of weights, with a page that describes it as ``source``.

    ``size`` (in bytes) and ``sha256`` are ``None`` if they are not published; the hash of the first download is then
    noted next to the file. ``image_size`` is the only input size that the weights support, in pixels, if this cannot
    be read from the file.
    """

    about: str
    file_name: str
    url: str
    size: int | None
    sha256: str | None
    licence: str
    source: str
    image_size: int | None = None


_META = "https://dl.fbaipublicfiles.com/segment_anything"
_META_2 = "https://dl.fbaipublicfiles.com/segment_anything_2/092824"
_META_2_SOURCE = "https://github.com/facebookresearch/sam2"
_HQ = "https://huggingface.co/lkeab/hq-sam/resolve/main"
_HQ_SOURCE = "https://github.com/SysCV/sam-hq"
_META_SOURCE = "https://github.com/facebookresearch/segment-anything"

KNOWN_SAMS: dict[str, KnownSam] = {
    "sam_vit_b": KnownSam(
        about="SAM ViT-B, 1024 px, 94 million parameters",
        file_name="sam_vit_b_01ec64.pth",
        url=f"{_META}/sam_vit_b_01ec64.pth",
        size=375_042_383,
        sha256="ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        licence="Apache-2.0",
        source=_META_SOURCE,
    ),
    "sam_vit_l": KnownSam(
        about="SAM ViT-L, 1024 px, 312 million parameters",
        file_name="sam_vit_l_0b3195.pth",
        url=f"{_META}/sam_vit_l_0b3195.pth",
        size=1_249_524_607,
        sha256="3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
        licence="Apache-2.0",
        source=_META_SOURCE,
    ),
    "sam_vit_h": KnownSam(
        about="SAM ViT-H, 1024 px, 641 million parameters",
        file_name="sam_vit_h_4b8939.pth",
        url=f"{_META}/sam_vit_h_4b8939.pth",
        size=2_564_550_879,
        sha256="a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
        licence="Apache-2.0",
        source=_META_SOURCE,
    ),
    "medsam_vit_b": KnownSam(
        about="MedSAM: SAM ViT-B fine-tuned on medical images with boxes, 1024 px",
        file_name="medsam_vit_b.pth",
        url="https://zenodo.org/records/10689643/files/medsam_vit_b.pth",
        size=375_049_145,
        sha256="34b34b78c1d18cb8c6bf84cf9c00e135d6d6c965699f3c0e31ef1bc9dcb5be74",
        licence="CC-BY-4.0 (its code: Apache-2.0)",
        source="https://zenodo.org/records/10689643",
    ),
    "sam2.1_tiny": KnownSam(
        about="SAM 2.1 Hiera tiny, 1024 px, 39 million parameters",
        file_name="sam2.1_hiera_tiny.pt",
        url=f"{_META_2}/sam2.1_hiera_tiny.pt",
        size=156_008_466,
        sha256="7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69",
        licence="Apache-2.0",
        source=_META_2_SOURCE,
    ),
    "sam2.1_small": KnownSam(
        about="SAM 2.1 Hiera small, 1024 px, 46 million parameters",
        file_name="sam2.1_hiera_small.pt",
        url=f"{_META_2}/sam2.1_hiera_small.pt",
        size=184_416_285,
        sha256="6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38",
        licence="Apache-2.0",
        source=_META_2_SOURCE,
    ),
    "sam2.1_base_plus": KnownSam(
        about="SAM 2.1 Hiera base-plus, 1024 px, 81 million parameters",
        file_name="sam2.1_hiera_base_plus.pt",
        url=f"{_META_2}/sam2.1_hiera_base_plus.pt",
        size=323_606_802,
        sha256="a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5",
        licence="Apache-2.0",
        source=_META_2_SOURCE,
    ),
    "sam2.1_large": KnownSam(
        about="SAM 2.1 Hiera large, 1024 px, 224 million parameters",
        file_name="sam2.1_hiera_large.pt",
        url=f"{_META_2}/sam2.1_hiera_large.pt",
        size=898_083_611,
        sha256="2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318",
        licence="Apache-2.0",
        source=_META_2_SOURCE,
    ),
    "medsam2": KnownSam(
        about="MedSAM2: SAM 2.1 tiny fine-tuned on medical images and videos, 512 px",
        file_name="MedSAM2_latest.pt",
        url="https://huggingface.co/wanglab/MedSAM2/resolve/main/MedSAM2_latest.pt",
        size=None,
        sha256=None,
        licence="see its source",
        source="https://huggingface.co/wanglab/MedSAM2",
        image_size=512,
    ),
    "sam_hq_vit_b": KnownSam(
        about="SAM-HQ ViT-B, 1024 px: SAM with a token for finer masks",
        file_name="sam_hq_vit_b.pth",
        url=f"{_HQ}/sam_hq_vit_b.pth",
        size=None,
        sha256=None,
        licence="Apache-2.0",
        source=_HQ_SOURCE,
    ),
    "sam_hq_vit_l": KnownSam(
        about="SAM-HQ ViT-L, 1024 px",
        file_name="sam_hq_vit_l.pth",
        url=f"{_HQ}/sam_hq_vit_l.pth",
        size=None,
        sha256=None,
        licence="Apache-2.0",
        source=_HQ_SOURCE,
    ),
    "sam_hq_vit_h": KnownSam(
        about="SAM-HQ ViT-H, 1024 px",
        file_name="sam_hq_vit_h.pth",
        url=f"{_HQ}/sam_hq_vit_h.pth",
        size=None,
        sha256=None,
        licence="Apache-2.0",
        source=_HQ_SOURCE,
    ),
}
"""The known SAMs, by the name for ``promise sam`` and ``--sam``."""


def default_sam_folder() -> Path:
    """Return the folder for downloaded SAMs: ``$PROMISE_SEG_SAMS``, or a folder in the user's cache directory."""
    return cache_folder("sams", "PROMISE_SEG_SAMS")


def known_sam(name: str) -> KnownSam:
    """Return the SAM with this name.

    Raises:
        CheckpointError: if there is no such SAM.
    """
    if name not in KNOWN_SAMS:
        raise CheckpointError(f"{name}: unknown SAM; expected one of {', '.join(KNOWN_SAMS)}")
    return KNOWN_SAMS[name]


def sam_path(name: str) -> Path:
    """Return the path to which ``promise sam fetch`` downloads this SAM, whether or not it exists."""
    return default_sam_folder() / known_sam(name).file_name


def hash_note(path: Path) -> Path:
    """Return the path of the note next to a downloaded file that holds its SHA-256 if no hash is published."""
    return path.with_name(f"{path.name}.sha256")


def expected_sha256(sam: KnownSam, path: Path) -> str | None:
    """Return the expected SHA-256 of a file: as published, or as noted on the first download; ``None`` if unknown."""
    note = hash_note(path)
    if sam.sha256 is None and note.exists():
        return note.read_text(encoding="utf-8").split()[0]
    return sam.sha256


def only_size(source: str) -> int | None:
    """Return the only input size, in pixels, that a SAM supports, by its name or file name; ``None`` for most SAMs.

    MedSAM2 has the architecture of SAM 2.1 tiny, which accepts any size, but it was trained at 512 px.
    """
    if source in KNOWN_SAMS:
        return KNOWN_SAMS[source].image_size
    return KNOWN_SAMS["medsam2"].image_size if "medsam2" in Path(source).name.lower() else None


def fetched(name: str) -> Path:
    """Return the downloaded file of a known SAM.

    Raises:
        CheckpointError: if it has not been downloaded yet.
    """
    path = sam_path(name)
    if not path.exists():
        raise CheckpointError(f"--sam {name}: not on this machine yet. Download it with: promise sam fetch {name}")
    return path
