"""The commands that repeat a run and its report."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from promise_seg.learning.settings import OPTIONS, TrainSettings, make_settings
from promise_seg.model import ModelConfig
from promise_seg.protocol import Protocol
from promise_seg.reporting.plan import Plan


def train_command(
    data: str, output: Path, settings: dict[str, Any], config: ModelConfig, extra: Sequence[str] = ()
) -> str:
    """``promise train`` with the options that differ from what the protocol has by itself.

    Settings that no option gives, as a program may have set them, stand in a comment behind it.

    Args:
        data: the manifest.
        output: folder of the run.
        settings: of the run, as ``settings.json`` keeps them.
        config: of its model, which keeps how files were read.
        extra: options that neither knows.
    """
    given = TrainSettings.model_validate(settings).model_dump(mode="json")
    plain = make_settings(protocol=Protocol(given["protocol"])).model_dump(mode="json")
    changed = {name: value for name, value in given.items() if value != plain[name]}
    words = ["promise", "train", data, "-o", str(output)]
    if given["protocol"] != Protocol.OWN:
        words += ["--protocol", given["protocol"]]
    if config.sam != "nano":
        words += ["--sam", config.sam]
    for name, option in OPTIONS.items():
        if name in changed:
            words += [f"--{option.replace('_', '-')}", str(changed.pop(name))]
    words += _reading_options(config, Protocol(given["protocol"]))
    command = shlex.join([*words, *extra])
    left = ", ".join(f"{name} {value}" for name, value in changed.items())
    return f"{command}  # and, which no option gives: {left}" if left else command


def _reading_options(config: ModelConfig, protocol: Protocol) -> list[str]:
    words = []
    if config.window != "own":
        words += ["--window", config.window]
    if config.axis != "auto":
        words += ["--axis", str(config.axis)]
    if config.crop_border != (protocol == Protocol.REFERENCE):
        words.append("--crop-border" if config.crop_border else "--no-crop-border")
    if config.masks == "instances":
        words.append("--instances")
    if config.label is not None:
        words += ["--class", str(config.label)]
    return words


def report_commands(plan: Plan) -> list[str]:
    """``promise evaluate`` for each kind of prompts of a report, and ``promise report`` itself."""
    shared = ["--split", plan.split, "--seed", str(plan.seed), "--tolerance", str(plan.tolerance)]
    for column in plan.by:
        shared += ["--by", column]
    if plan.sam is not None:
        shared += ["--sam", plan.sam]
    if plan.mask_threshold is not None:
        shared += ["--mask-threshold", str(plan.mask_threshold)]
    start = [plan.run, plan.data, "-o", plan.output]
    lines = [["evaluate", *start, "--prompts", str(source), *shared] for source in plan.prompts]
    last = ["report", *start, *(word for source in plan.prompts for word in ("--prompts", str(source))), *shared]
    last += ["--worst", str(plan.worst)]
    last += [] if plan.budget else ["--no-budget"]
    last += [] if plan.images else ["--no-images"]
    return [shlex.join(["promise", *line]) for line in [*lines, last]]
