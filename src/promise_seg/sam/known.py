"""SAM weights that promise-seg knows by name: where they come from, and the checksums of their files."""

from dataclasses import dataclass
from pathlib import Path

from promise_seg.cache_folders import cache_folder
from promise_seg.errors import CheckpointError


@dataclass(frozen=True, kw_only=True)
class KnownSam:
    """A published file: its ``size`` in bytes, its ``sha256``, and a page that describes it as ``source``."""

    about: str
    file_name: str
    url: str
    size: int
    sha256: str
    licence: str
    source: str


_META = "https://dl.fbaipublicfiles.com/segment_anything"
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
}
"""The known SAMs, by the name that ``promise sam`` and ``--sam`` take."""


def default_sam_folder() -> Path:
    """``$PROMISE_SEG_SAMS``, or a folder in the user's cache directory."""
    return cache_folder("sams", "PROMISE_SEG_SAMS")


def known_sam(name: str) -> KnownSam:
    """Return the SAM of this name.

    Raises:
        CheckpointError: if there is no such SAM.
    """
    if name not in KNOWN_SAMS:
        raise CheckpointError(f"{name}: unknown SAM; expected one of {', '.join(KNOWN_SAMS)}")
    return KNOWN_SAMS[name]


def sam_path(name: str) -> Path:
    """Return the path to which ``promise sam fetch`` downloads this SAM, whether or not it exists."""
    return default_sam_folder() / known_sam(name).file_name


def fetched(name: str) -> Path:
    """Return the downloaded file of a known SAM.

    Raises:
        CheckpointError: if it has not been downloaded yet.
    """
    path = sam_path(name)
    if not path.exists():
        raise CheckpointError(f"--sam {name}: not on this machine yet. Download it with: promise sam fetch {name}")
    return path
