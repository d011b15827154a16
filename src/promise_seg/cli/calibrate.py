"""``promise calibrate``"""

from pathlib import Path
from typing import Annotated

import typer

from promise_seg.cli.common import console, pick_device, print_notes, quiet_libraries, read_and_check, stages_bar
from promise_seg.cli.options import DeviceOption, SamPlaceOption, StoreOption, ThresholdOption, TrainedArgument
from promise_seg.cli.training_rows import (
    SplitSeedOption,
    ValShareOption,
    check_train_rows,
    check_val_rows,
    split_as_trained,
    threshold_as_trained,
)
from promise_seg.cli.trust import print_learned
from promise_seg.errors import SettingsError


def calibrate(
    run: TrainedArgument,
    data: Annotated[Path, typer.Argument(help="The CSV that it was trained with; its test rows are not read.")],
    sam: SamPlaceOption = None,
    val_share: ValShareOption = None,
    seed: SplitSeedOption = None,
    device: DeviceOption = "auto",
    store: StoreOption = None,
    mask_threshold: ThresholdOption = None,
) -> None:
    """Calibrate the trust score on the val rows; saved with the model, used by evaluate and predict."""
    from promise_seg.class_sets import class_folder, is_class_set, read_class_set
    from promise_seg.images.reading import make_reading
    from promise_seg.vocabulary import Split

    quiet_libraries()
    from promise_seg.checkpoint import find_checkpoint, is_reference_file, load_checkpoint, run_folder
    from promise_seg.features.store import FeatureStore
    from promise_seg.learning.run_note import read_note
    from promise_seg.trust.calibrating import calibrate as learn
    from promise_seg.trust.calibrating import check_calibratable
    from promise_seg.trust.trust_file import save_trust

    if is_reference_file(run):
        raise SettingsError(f"{run}: a checkpoint of the published code has no place for it; promise convert it first")
    for one in [class_folder(run, label) for label in read_class_set(run)] if is_class_set(run) else [run]:
        folder = find_checkpoint(one)
        note = read_note(run_folder(folder))
        rows = split_as_trained(data, note, val_share, seed)
        model = load_checkpoint(folder, sam, pick_device(device))
        print_notes(model.sam)
        check_calibratable(model)
        needed = [row for row in rows if row.split in (Split.TRAIN, Split.VAL)]
        threshold = threshold_as_trained(note, mask_threshold)
        checked = read_and_check(needed, make_reading(model.config.reading, mask_threshold=threshold))
        train, val = ([row for row in checked if row.row.split == split] for split in (Split.TRAIN, Split.VAL))
        check_val_rows(val, data, run_folder(folder))
        check_train_rows(train, data, run_folder(folder))
        with stages_bar() as progress:
            found = learn(model, train, val, FeatureStore(store), progress)
        path = save_trust(found, folder)
        print_learned(found)
        console.print(f"written: {path}")
