"""Short training runs on the small data set, and what they leave."""

from pathlib import Path

from promise_seg.learning.run_log import read_log
from promise_seg.learning.training import LOG_FILE, TrainingRun
from tests.helpers import first_settings

EPOCHS = 3


def start(folder, checked, sam, store, accelerator, **values) -> TrainingRun:
    settings = first_settings(**{"epochs": EPOCHS, "batch_size": 2, "views": 2, "learning_rate": 1e-3} | values)
    return TrainingRun(folder, checked, sam, store, settings, accelerator)


def results(folder: Path) -> dict[str, bytes]:
    paths = [p for p in folder.rglob("*") if p.name in {"config.json", "model.safetensors"}]
    return {str(p.relative_to(folder)): p.read_bytes() for p in paths}


def log(folder: Path) -> list[dict]:
    return [{k: v for k, v in line.items() if not k.endswith("seconds")} for line in read_log(folder / LOG_FILE)]


class Killed(Exception):
    pass
