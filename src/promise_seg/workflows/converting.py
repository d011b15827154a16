"""Convert checkpoints of the published code into ours, and back."""

from pathlib import Path

from promise_seg.checkpoint import CONFIG_FILE, SAM_FOLDER, load_checkpoint, save_checkpoint
from promise_seg.compat.matching_sam import find_sam
from promise_seg.compat.reference import read_reference
from promise_seg.compat.reference_writing import to_reference
from promise_seg.errors import SettingsError
from promise_seg.model import SAM_BESIDE
from promise_seg.prompting.apm import PointCounts
from promise_seg.sam.pickles import PICKLE_SUFFIXES
from promise_seg.storage.files import passing, same_content
from promise_seg.vocabulary import CheckpointFormat
from promise_seg.workflows.model_ref import ModelRef


def convert(
    source: Path, output: Path, *, sam: str | None = None, to: CheckpointFormat = CheckpointFormat.NATIVE
) -> list[str]:
    """Convert a checkpoint of the published ProMISe code into one of ours, or the other way round.

    Args:
        source: a ``.pt`` file of the published code; for ``to=reference``, one of our models.
        output: the folder of the model; for ``to=reference`` a ``.pt`` file. If it exists, it must have this content.
        sam: the SAM that the model was trained on; only the differences from it are then stored.
        to: the format to write.

    Returns:
        What was converted and what the user should know about it, a line each.

    Raises:
        SettingsError: if the source is not one trained model, or the output exists with other content.
        CheckpointError: if the model cannot be read.
    """
    _check_source(source, to)
    convert_to = _to_reference if to == CheckpointFormat.REFERENCE else _to_native
    if not output.exists():
        return convert_to(source, output, sam, output)
    with passing(output) as temporary:  # an earlier call may have been interrupted after writing the output
        if source.resolve() == output.resolve() or not _may_be(output, to):
            raise SettingsError(f"-o {output}: already exists; choose another path")
        lines = convert_to(source, temporary, sam, output)
        if not same_content(temporary, output):
            raise SettingsError(f"-o {output}: already exists, with another content; choose another path")
    return lines


def _may_be(output: Path, to: CheckpointFormat) -> bool:
    """Whether an existing path may be a conversion to this format."""
    return output.is_file() if to == CheckpointFormat.REFERENCE else (output / CONFIG_FILE).is_file()


def _check_source(source: Path, to: CheckpointFormat) -> None:
    """Check that a path is a single trained model that is not in the target format yet.

    Raises:
        SettingsError: for a SAM alone, for a set of models of several classes, and for a folder with ``to=native``.
    """
    ref = ModelRef.resolve(source)
    if ref.is_class_set:
        names = ", ".join(part.name for part in ref.parts)
        raise SettingsError(
            f"{source}: holds a model for each of several classes, and a file holds one; convert {names}"
        )
    if ref.parts[0].is_bare:
        raise SettingsError(f"{source}: a SAM alone has nothing to convert; give it to --sam as it is")
    if to == CheckpointFormat.NATIVE and source.is_dir():
        raise SettingsError(
            f"{source}: is a folder; expected a .pt file of the published code. To write such a file instead, "
            "add --to reference"
        )


def _to_native(source: Path, place: Path, given: str | None, output: Path) -> list[str]:
    """Convert a file of the published code, write it to ``place``, and report ``output`` as its path."""
    read = read_reference(source)
    found = find_sam(read, given)
    if found is None:
        sam, name = read.around_its_own_sam(), SAM_BESIDE
        notes: tuple[str, ...] = (
            f"its SAM (sha256 {sam.sha256[:12]}) is not on this machine: it was written next to the model, in "
            f"{output / SAM_FOLDER}. If you have it, give it with --sam",
        )
    else:
        sam, name, notes = found
    model = read.model(sam, name)
    save_checkpoint(model, place)
    config = model.config
    points = f", {config.apm.num_points} points" if isinstance(config.apm, PointCounts) else ""
    apm = f" ({config.apm.kind})" if config.apm else ""
    what = f"{source}: variant {config.variant}{apm}{points}, SAM at {config.image_size} px"
    return [what, *(f"  - {note}" for note in read.notes + notes), f"written: {output}"]


def _to_reference(source: Path, place: Path, sam: str | None, output: Path) -> list[str]:
    """Convert one of our models, write it to ``place``, and report ``output`` as its path."""
    if output.suffix not in PICKLE_SUFFIXES:
        raise SettingsError(f"-o {output}: expected a name that ends in {', '.join(sorted(PICKLE_SUFFIXES))}")
    return [*(f"  - {note}" for note in to_reference(load_checkpoint(source, sam), place)), f"written: {output}"]
