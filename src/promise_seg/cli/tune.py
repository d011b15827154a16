"""``promise tune-postprocess``"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from promise_seg.cli.common import console, pick_device, print_notes, quiet_libraries, read_and_check, stages_bar
from promise_seg.cli.options import (
    MODEL,
    DeviceOption,
    SamPlaceOption,
    StoreOption,
    ThresholdOption,
    TrainedArgument,
    option,
)
from promise_seg.cli.training_rows import (
    SplitSeedOption,
    ValShareOption,
    check_val_rows,
    split_as_trained,
    threshold_as_trained,
)
from promise_seg.cli.trust import print_learned
from promise_seg.errors import ManifestError, SettingsError

if TYPE_CHECKING:
    from promise_seg.dataset.checks import CheckedRow
    from promise_seg.features.store import FeatureStore
    from promise_seg.model import PromiseModel
    from promise_seg.trust.judging import TrustModel


def tune(
    run: TrainedArgument,
    data: Annotated[Path, typer.Argument(help="The CSV that it was trained with, or another; only val rows are read.")],
    reset: Annotated[
        bool, option("--reset", about="Go back to the threshold 0.5 and nothing else.", panel=MODEL)
    ] = False,
    sam: SamPlaceOption = None,
    val_share: ValShareOption = None,
    seed: SplitSeedOption = None,
    device: DeviceOption = "auto",
    store: StoreOption = None,
    mask_threshold: ThresholdOption = None,
) -> None:
    """Choose the post-processing on the val rows; saved in the model, used by every command."""
    from promise_seg.dataset.manifest import of_split
    from promise_seg.images.reading import make_reading
    from promise_seg.vocabulary import Split

    quiet_libraries()
    from promise_seg.assessment.evaluation import Assessment
    from promise_seg.assessment.tuning import candidates
    from promise_seg.assessment.tuning import tune as search
    from promise_seg.checkpoint import find_checkpoint, is_reference_file, load_checkpoint, run_folder, write_config
    from promise_seg.features.store import FeatureStore
    from promise_seg.learning.run_note import read_note
    from promise_seg.postprocessing import NO_POST
    from promise_seg.trust.trust_file import find_trust
    from promise_seg.vocabulary import PromptSource

    if is_reference_file(run):
        raise SettingsError(f"{run}: a checkpoint of the published code has no place for it; promise convert it first")
    folder = find_checkpoint(run)
    note = read_note(run_folder(folder))
    val = of_split(split_as_trained(data, note, val_share, seed), Split.VAL)
    if not val:
        raise ManifestError(f"{data}: no val rows to choose on")
    model = load_checkpoint(folder, sam, pick_device(device))
    print_notes(model.sam)
    trust = find_trust(folder, model).trust
    checked = []
    if trust is not None or not reset:
        threshold = threshold_as_trained(note, mask_threshold)
        checked = read_and_check(val, make_reading(model.config.reading, mask_threshold=threshold))
        check_val_rows(checked, data, run_folder(folder))
    if reset:
        chosen = NO_POST
        console.print("post-processing: none")
    else:
        source = PromptSource.APM if model.apm is not None else PromptSource.ORACLE
        assessment = Assessment(prompts=source, num_points=model.config.oracle.num_points)
        with stages_bar() as progress:
            found = search(model, checked, assessment, FeatureStore(store), progress)
        chosen = found.chosen
        console.print(
            f"post-processing: {chosen.words}; val Dice {found.dice:.4f}, without any {found.dice_without:.4f}, "
            f"the best of {len(candidates())} {found.best_dice:.4f} ({source.heading}, {len(checked)} images)"
        )
    model.config = model.config.model_copy(update={"postprocessing": chosen})
    write_config(model.config, folder)
    if trust is not None:
        _calibrate_again(model, trust, checked, folder, FeatureStore(store))
    console.print(f"written: {folder}")


def _calibrate_again(
    model: "PromiseModel", old: "TrustModel", val: "list[CheckedRow]", folder: Path, store: "FeatureStore"
) -> None:
    """Calibrate trust again on the same val rows, because it depends on the post-processing."""
    from promise_seg.trust.calibrating import recalibrate
    from promise_seg.trust.trust_file import save_trust

    with stages_bar() as progress:
        found = recalibrate(model, old, val, store, progress)
    save_trust(found, folder)
    print_learned(found)
