"""The commands that reproduce a run and its report."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from promise_seg.images.reading import Reading, ReadingOptions
from promise_seg.learning.run_identity import RunIdentity
from promise_seg.learning.run_note import RunNote
from promise_seg.learning.settings import APM_PREFIX, OPTIONS, TrainSettings, make_settings
from promise_seg.model import ModelConfig
from promise_seg.reporting.options import ReportOptions
from promise_seg.vocabulary import EncoderPrecision, Protocol, StorePrecision, Variant

UNKNOWN_DATA = "DATA.csv"
"""The placeholder for the manifest of a run that did not record it."""


def train_command(
    note: RunNote, settings: TrainSettings, output: Path, config: ModelConfig, *, image_size: int | None = None
) -> str:
    """Return the ``promise train`` command of a run, with the options that differ from the defaults of its protocol.

    A comment after the command holds the hash of the train and val rows, and any settings without an option, which only
    the Python API can set.

    Args:
        note: the record of the run.
        settings: the settings of the run.
        output: the folder of the run.
        config: the config of the model, which holds the reading options.
        image_size: the input size of the SAM, if it differs from the one it was trained at.
    """
    words, changed = _train_words(note, settings, output, config)
    precisions = _precisions(note.store_precision, note.encoder_precision)
    words += _arguments({"image-size": image_size, "val-share": note.val_share, **precisions})
    remarks = [] if note.data_sha256 is None else [f"train and val rows: sha256 {note.data_sha256}"]
    if changed:
        remarks.append("not settable by options: " + ", ".join(f"{name} {value}" for name, value in changed.items()))
    return shlex.join(words) + (f"  # {'; '.join(remarks)}" if remarks else "")


def resume_command(
    note: RunNote,
    identity: RunIdentity,
    output: Path,
    config: ModelConfig,
    classes: Sequence[int] = (),
    *,
    one_model: bool = False,
) -> str:
    """Return the ``promise train`` command that resumes a run; the input size is left out, as the run recorded it.

    Args:
        note: the record of the run.
        identity: the settings that must not change for the run to resume.
        output: the folder of the run, or of the runs of all classes.
        config: the config of the model, or of one of the models.
        classes: the classes of label maps to train for, if there are several.
        one_model: whether one network is trained for all classes.
    """
    if classes:
        label = ",".join(map(str, classes))
        config = config.model_copy(update={"reading": config.reading.model_copy(update={"label": label})})
    words, _ = _train_words(note, identity.settings, output, config)
    precisions = _precisions(identity.store_precision, identity.encoder_precision)
    words += _arguments({"val-share": note.val_share, **precisions})
    return shlex.join([*words, "--one-model"] if one_model else words)


def _precisions(store: StorePrecision, encoder: EncoderPrecision) -> dict[str, str | None]:
    """Return the precision options by name; ``None`` for default precisions."""
    return {
        "store-precision": None if store == StorePrecision.FP16 else str(store),
        "encoder-precision": None if encoder == EncoderPrecision.FP32 else str(encoder),
    }


def _arguments(values: Mapping[str, Any]) -> list[str]:
    return [word for name, value in values.items() if value is not None for word in (f"--{name}", str(value))]


def _train_words(
    note: RunNote, settings: TrainSettings, output: Path, config: ModelConfig
) -> tuple[list[str], dict[str, Any]]:
    """Return the words of ``promise train``, and the settings that differ from the protocol and have no option."""
    given = settings.model_dump(mode="json")
    usual_apm = make_settings(protocol=Protocol(given["protocol"])).apm
    apm = settings.apm if settings.has_apm else usual_apm
    plain = make_settings(protocol=Protocol(given["protocol"]), variant=settings.variant, apm=apm)
    as_usual = plain.model_dump(mode="json") | {"apm": usual_apm, "variant": Variant.APM_IPS}
    changed = {name: value for name, value in given.items() if value != as_usual[name]}
    words = ["promise", "train", note.data or UNKNOWN_DATA, "-o", str(output)]
    if note.init is not None:  # options left out would be taken from the initial model, so all are given
        words += ["--init", note.init.ref]
        changed |= {name: given[name] for name in ("variant", "fit")}
        changed |= {name: given[name] for name in ("apm", "num_points", "num_foreground") if settings.has_apm}
    if "num_points" in changed:  # by default, half of the points would be foreground
        changed["num_foreground"] = given["num_foreground"]
    if given["protocol"] != Protocol.OWN:
        words += ["--protocol", given["protocol"]]
    if config.sam != "nano":
        words += ["--sam", config.sam]
    for name, option in OPTIONS.items():
        if name in changed:
            words += [f"--{option.replace('_', '-')}", str(changed.pop(name))]
    for name, value in changed.pop("apm_options", {}).items():
        words += [f"--{APM_PREFIX}{name}".replace("_", "-"), str(value)]
    usual = Reading(crop_border=given["protocol"] == Protocol.REFERENCE)
    reading = config.reading.model_copy(update={"mask_threshold": note.mask_threshold})
    words += ReadingOptions.that_give(reading, usual if note.init is None else None).arguments
    return words, changed


def report_commands(options: ReportOptions) -> list[str]:
    """Return a ``promise evaluate`` command for each kind of prompts, and the ``promise report`` command itself."""
    shared = ["--split", options.split, "--seed", str(options.seed), "--tolerance", str(options.tolerance)]
    for column in options.by:
        shared += ["--by", column]
    values = {"sam": options.sam, "image-size": options.image_size}
    shared += [word for name, value in values.items() if value is not None for word in (f"--{name}", str(value))]
    shared += options.reading.arguments
    start = [options.run, options.data, "-o", options.output]
    lines = [["evaluate", *start, "--prompts", str(source), *shared] for source in options.prompts]
    last = ["report", *start, *(word for source in options.prompts for word in ("--prompts", str(source))), *shared]
    last += ["--worst", str(options.worst)]
    last += [] if options.budget else ["--no-budget"]
    last += [] if options.images else ["--no-images"]
    return [shlex.join(["promise", *line]) for line in [*lines, last]]
