"""Find the SAM on this machine that a reference checkpoint is based on."""

from promise_seg.compat.reference import ReferenceCheckpoint
from promise_seg.compat.sam_differences import parts_that_differ, undo_rounding
from promise_seg.errors import CheckpointError, SettingsError
from promise_seg.model import SAM_BESIDE
from promise_seg.sam.backbone import Backbone
from promise_seg.sam.frozen import FrozenSam
from promise_seg.sam.known import KNOWN_SAMS, sam_path
from promise_seg.sam.loading import load_sam
from promise_seg.vocabulary import TrainAlso


def find_sam(read: ReferenceCheckpoint, given: str | None) -> tuple[FrozenSam, str, tuple[str, ...]] | None:
    """Return a SAM on this machine for a reference checkpoint, its name, and notes; ``None`` if there is none.

    A given SAM is used even if parts of it differ: these were trained too. Otherwise, the SAMs downloaded by name are
    tried and must be identical. For a file that we wrote, SAMs are compared by hash, beginning with that of its config.

    Raises:
        CheckpointError: if the given SAM cannot be loaded or has another size.
    """
    size = read.sam.config.vision_config.image_size
    if given is not None:
        try:
            sam = _sam_1(load_sam(given, image_size=size))
        except SettingsError as error:
            raise CheckpointError(
                f"--sam {given}: not the SAM of {read.path}, which is for {size} px: {error}"
            ) from error
        undo_rounding(sam.model, read.sam, read.narrow)
        level = parts_that_differ(sam.model, read.sam)
        same = level == TrainAlso.NONE
        return sam, given, (f"its SAM is {given}" if same else f"its SAM is {given}, with trained parts: {level}",)
    ours = read.written_by_us
    names = [name for name in KNOWN_SAMS if sam_path(name).exists()]
    if ours is not None and ours.sam != SAM_BESIDE:
        names.insert(0, ours.sam)
    for name in names:
        try:
            sam = _sam_1(load_sam(name, image_size=size))
            if ours is None:
                undo_rounding(sam.model, read.sam, read.narrow)
                fits = parts_that_differ(sam.model, read.sam) == TrainAlso.NONE
            else:
                fits = sam.sha256 == ours.sam_sha256
        except (CheckpointError, SettingsError):
            continue
        if fits:
            return sam, name, (f"its SAM is {name} (sha256 {sam.sha256[:12]})",)
    return None


def _sam_1(sam: Backbone) -> FrozenSam:
    """Check that a SAM is of the only kind that the published code supports, and return it.

    Raises:
        CheckpointError: if it is of another kind.
    """
    if not isinstance(sam, FrozenSam):
        raise CheckpointError(
            f"--sam {sam.name}: is not a SAM ViT-B, L or H, on which all models of the published code are based. Give "
            "the SAM that the model was trained on"
        )
    return sam
