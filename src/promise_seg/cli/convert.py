"""``promise convert``"""

from pathlib import Path
from typing import Annotated

import typer

from promise_seg.cli.common import console, quiet_libraries
from promise_seg.cli.options import MODEL, OUTPUT, choice, option, output_option
from promise_seg.errors import SettingsError
from promise_seg.vocabulary import CheckpointFormat


def convert(
    source: Annotated[
        Path, typer.Argument(help="A .pt file of the published ProMISe code; with --to reference, a model of ours.")
    ],
    output: Annotated[Path, output_option("Folder of the model; with --to reference, a .pt file.")],
    sam: Annotated[
        str | None,
        option("--sam", metavar="SAM", about="The SAM it was trained on: then only what differs is kept.", panel=MODEL),
    ] = None,
    to: Annotated[
        CheckpointFormat, choice(CheckpointFormat, "--to", about="A folder of ours, or a .pt file", panel=OUTPUT)
    ] = CheckpointFormat.NATIVE,
) -> None:
    """Convert a checkpoint of the published ProMISe code into one of ours, or the other way round."""
    quiet_libraries()
    _check_source(source)
    convert_to = _to_reference if to == CheckpointFormat.REFERENCE else _to_native
    if not output.exists():
        convert_to(source, output, sam, output)
        return
    from promise_seg.files import passing, same_content

    with passing(output) as temporary:  # an earlier call may have been interrupted after it had written
        if source.resolve() == output.resolve() or not _may_be(output, to):
            raise SettingsError(f"-o {output}: already exists; choose another path")
        convert_to(source, temporary, sam, output)
        if not same_content(temporary, output):
            raise SettingsError(f"-o {output}: already exists, with another content; choose another path")


def _may_be(output: Path, to: CheckpointFormat) -> bool:
    """Whether what exists may be a conversion to this format."""
    from promise_seg.checkpoint import CONFIG_FILE

    return output.is_file() if to == CheckpointFormat.REFERENCE else (output / CONFIG_FILE).is_file()


def _check_source(source: Path) -> None:
    """Raise an error if a path is not a single trained model.

    Raises:
        SettingsError: for a SAM alone, and for a set of models of several classes.
    """
    from promise_seg.workflows.model_ref import ModelRef

    ref = ModelRef.resolve(source)
    if ref.is_class_set:
        names = ", ".join(part.name for part in ref.parts)
        raise SettingsError(
            f"{source}: holds a model for each of several classes, and a file holds one; convert {names}"
        )
    if ref.parts[0].is_bare:
        raise SettingsError(f"{source}: a SAM alone has nothing to convert; give it to --sam as it is")


def _to_native(source: Path, place: Path, given: str | None, output: Path) -> None:
    """Write a model of ours to a place, and print that it is ``output``."""
    from promise_seg.checkpoint import SAM_FOLDER, save_checkpoint
    from promise_seg.compat.matching_sam import find_sam
    from promise_seg.compat.reference import read_reference
    from promise_seg.model import SAM_BESIDE
    from promise_seg.prompting.apm import PointCounts

    read = read_reference(source)
    found = find_sam(read, given)
    if found is None:
        sam, name = read.around_its_own_sam(), SAM_BESIDE
        notes: tuple[str, ...] = (
            f"its SAM (sha256 {sam.sha256[:12]}) is none of those on this machine: written beside it, in "
            f"{output / SAM_FOLDER}. If you have it, give it with --sam",
        )
    else:
        sam, name, notes = found
    model = read.model(sam, name)
    save_checkpoint(model, place)
    config = model.config
    points = f", {config.apm.num_points} points" if isinstance(config.apm, PointCounts) else ""
    apm = f" ({config.apm.kind})" if config.apm else ""
    console.print(f"{source}: variant {config.variant}{apm}{points}, SAM at {config.image_size} px")
    for note in read.notes + notes:
        console.print(f"  - {note}")
    console.print(f"written: {output}")


def _to_reference(source: Path, place: Path, sam: str | None, output: Path) -> None:
    """Write a file of the published code to a place, and print that it is ``output``."""
    from promise_seg.checkpoint import load_checkpoint
    from promise_seg.compat.reference_writing import to_reference
    from promise_seg.sam.pickles import PICKLE_SUFFIXES

    if output.suffix not in PICKLE_SUFFIXES:
        raise SettingsError(f"-o {output}: expected a name that ends in {', '.join(sorted(PICKLE_SUFFIXES))}")
    for note in to_reference(load_checkpoint(source, sam), place):
        console.print(f"  - {note}")
    console.print(f"written: {output}")
