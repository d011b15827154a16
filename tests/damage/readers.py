"""The files of ours that are read again, and the commands that read them."""

from dataclasses import dataclass

from tests.damage.inputs import (
    BENCHMARK,
    COMPARE,
    EVALUATE,
    PREDICT,
    PREDICT_CLASSES,
    PRETRAIN,
    TRAIN,
    TRAIN_NEW,
    TRAIN_ON,
)


@dataclass(frozen=True)
class Reader:
    """Commands that read some files.

    Args:
        pattern: of the files.
        needs: the inputs that the commands have.
        commands: their words.
        most: so many of these files are damaged.
        may_never_have_been: where such a file is missing, nothing else tells that it was ever there.
    """

    pattern: str
    needs: tuple[str, ...]
    commands: tuple[str, ...]
    most: int | None = None
    may_never_have_been: bool = False


_MODEL = ("sam", "data", "run", "store")
_CALIBRATE = "calibrate {w}/run {w}/data/manifest.csv --store {w}/store"
_TUNE = "tune-postprocess {w}/run {w}/data/manifest.csv --store {w}/store"
_REPORT = "report {w}/run {w}/data/manifest.csv --store {w}/store --split val --no-budget -o {w}/page"
_BENCH = ("sam", "data", "spec.yaml", "store", "results")

READERS = (
    Reader("run/best/config.json", _MODEL, (PREDICT, EVALUATE, TRAIN)),
    Reader("run/best/model.safetensors", _MODEL, (PREDICT, TRAIN)),
    Reader("run/best/trust.safetensors", _MODEL, (PREDICT, EVALUATE, _CALIBRATE)),
    Reader("run/settings.json", _MODEL, (EVALUATE, TRAIN, _TUNE)),
    Reader("run/training_images.json", _MODEL, (EVALUATE, TRAIN)),
    Reader("run/log.jsonl", _MODEL, (TRAIN, _REPORT)),
    Reader("run/state.safetensors", _MODEL, (TRAIN,)),
    Reader("run/given_prompts.json", _MODEL, (TRAIN, _REPORT)),
    Reader("run/test_log.jsonl", _MODEL, (EVALUATE,), may_never_have_been=True),
    Reader("begun/*", ("sam", "data", "begun", "store"), (TRAIN_ON,)),
    Reader("begun/*/*", ("sam", "data", "begun", "store"), (TRAIN_ON,)),
    Reader("scores0/*", ("scores0", "scores1"), (COMPARE,)),
    Reader("predicted/*", ("sam", "data", "run", "predicted"), (PREDICT,)),
    Reader("store/*/*", ("sam", "data", "store"), (TRAIN_NEW,), most=3),
    Reader("classes/classes.json", ("sam", "labels", "classes"), (PREDICT_CLASSES,)),
    Reader("results/**/*.json*", _BENCH, (BENCHMARK,)),
    Reader("results/**/*.safetensors", _BENCH, (BENCHMARK,)),
    Reader("results/**/scores_*.csv", _BENCH, (BENCHMARK,)),
    Reader("pretrained/state.safetensors", ("pretrained",), (PRETRAIN,)),
    Reader("pretrained/log.jsonl", ("pretrained",), (PRETRAIN,)),
)
"""The files of SAM are those of another program; SAM is known by the hash of its weights."""
