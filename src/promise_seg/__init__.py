"""promise-seg: adapt a frozen Segment Anything Model to medical images.

    data = promise_seg.Dataset.from_csv("polyps.csv")
    model = promise_seg.train(data, "runs/polyp")
    result = promise_seg.evaluate(model, data, split="test")

These names are the public Python API. Each is imported when it is first used, so that ``import promise_seg`` is quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from promise_seg._version import __version__
from promise_seg.errors import (
    CheckpointError,
    ImageError,
    ManifestError,
    MaskError,
    PromiseError,
    SettingsError,
    SizeError,
)
from promise_seg.user_name import give_user_a_name as _give_user_a_name

if TYPE_CHECKING:
    from promise_seg.benchmarking.benchmark import benchmark
    from promise_seg.curation.annotations.importing import import_annotations
    from promise_seg.curation.pairing.making import make_manifest
    from promise_seg.curation.sets.from_archive import fetch_archive
    from promise_seg.dataset.dataset import Dataset
    from promise_seg.monitoring.monitored import monitored
    from promise_seg.prediction.part_status import PartStatus
    from promise_seg.prediction.prediction import Prediction
    from promise_seg.prediction.predictor import Predictor
    from promise_seg.prediction.reading import Slice
    from promise_seg.prediction.session import Session
    from promise_seg.prediction.user_prompts import UserPrompts
    from promise_seg.progress import Progress
    from promise_seg.reporting.report import report
    from promise_seg.scenes.data_set import draw_data_set
    from promise_seg.workflows.budget import PromptBudget, budget
    from promise_seg.workflows.calibrating import calibrate, tune_postprocess
    from promise_seg.workflows.comparing import compare
    from promise_seg.workflows.evaluation import evaluate
    from promise_seg.workflows.evaluation_result import Evaluation
    from promise_seg.workflows.exporting import Exported, export
    from promise_seg.workflows.models import ClassModels, Model, load
    from promise_seg.workflows.predicting import merge_predictions, predict_folder, prediction_status
    from promise_seg.workflows.timing import SpeedReport, bench
    from promise_seg.workflows.training import train

_give_user_a_name()  # before libraries that ask for the name are imported

_PLACES = {
    "benchmark": "benchmarking.benchmark",
    "import_annotations": "curation.annotations.importing",
    "make_manifest": "curation.pairing.making",
    "fetch_archive": "curation.sets.from_archive",
    "Dataset": "dataset.dataset",
    "monitored": "monitoring.monitored",
    "PartStatus": "prediction.part_status",
    "Prediction": "prediction.prediction",
    "Predictor": "prediction.predictor",
    "Slice": "prediction.reading",
    "Session": "prediction.session",
    "UserPrompts": "prediction.user_prompts",
    "Progress": "progress",
    "report": "reporting.report",
    "draw_data_set": "scenes.data_set",
    "PromptBudget": "workflows.budget",
    "budget": "workflows.budget",
    "calibrate": "workflows.calibrating",
    "tune_postprocess": "workflows.calibrating",
    "compare": "workflows.comparing",
    "Evaluation": "workflows.evaluation_result",
    "evaluate": "workflows.evaluation",
    "Exported": "workflows.exporting",
    "export": "workflows.exporting",
    "ClassModels": "workflows.models",
    "Model": "workflows.models",
    "load": "workflows.models",
    "merge_predictions": "workflows.predicting",
    "predict_folder": "workflows.predicting",
    "prediction_status": "workflows.predicting",
    "SpeedReport": "workflows.timing",
    "bench": "workflows.timing",
    "train": "workflows.training",
}
"""The module that defines each name, below this package."""

__all__ = [
    "CheckpointError",
    "ClassModels",
    "Dataset",
    "Evaluation",
    "Exported",
    "ImageError",
    "ManifestError",
    "MaskError",
    "Model",
    "PartStatus",
    "Prediction",
    "Predictor",
    "Progress",
    "PromiseError",
    "PromptBudget",
    "Session",
    "SettingsError",
    "SizeError",
    "Slice",
    "SpeedReport",
    "UserPrompts",
    "__version__",
    "bench",
    "benchmark",
    "budget",
    "calibrate",
    "compare",
    "draw_data_set",
    "evaluate",
    "export",
    "fetch_archive",
    "import_annotations",
    "load",
    "make_manifest",
    "merge_predictions",
    "monitored",
    "predict_folder",
    "prediction_status",
    "report",
    "train",
    "tune_postprocess",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used; torch is imported then, not together with this package."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Return all public names, imported or not."""
    return sorted(__all__)
