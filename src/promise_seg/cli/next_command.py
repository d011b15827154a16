"""The command that usually follows a training."""

import shlex
from pathlib import Path

from promise_seg.vocabulary import PromptSource, Protocol, Split, Variant


def after_training(
    run: Path, data: Path, variant: Variant, protocol: Protocol, *, has_test: bool, separates: bool = False
) -> str:
    """Return the command that scores a trained model on test rows or, if there are none, the command that uses it.

    Args:
        run: the folder of the run.
        data: the manifest that it was trained on.
        variant: the variant of the model; ``ips`` does not propose prompts of its own.
        protocol: the protocol of the training.
        has_test: whether the manifest has test rows.
        separates: whether the model separates objects. ``promise predict`` has an option for it; ``promise evaluate``
            and ``promise annotate`` do it without being told.
    """
    if not has_test:
        command = "annotate" if variant == Variant.IPS else "predict"
        objects = " --instances" if separates and command == "predict" else ""
        return f"{shlex.join(['promise', command, str(run)])} NEW_IMAGES{objects} -o OUTPUT"
    words = ["promise", "evaluate", str(run), str(data)]
    if variant == Variant.IPS:
        words += ["--prompts", PromptSource.ORACLE]
    if protocol != Protocol.OWN:
        words += ["--protocol", protocol]
    return shlex.join([*map(str, words), "-o", str(run / Split.TEST)])
