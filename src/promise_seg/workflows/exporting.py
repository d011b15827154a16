"""Export models as ONNX files, for programs without PyTorch."""

import copy
from dataclasses import dataclass
from pathlib import Path

from promise_seg.arguments import checks_arguments
from promise_seg.errors import SettingsError
from promise_seg.exporting.comparing import Agreement
from promise_seg.exporting.description import DESCRIPTION_FILE
from promise_seg.exporting.packages import USUAL_OPSET, check_opset, check_packages
from promise_seg.exporting.writing import is_export, write_model
from promise_seg.model import PromiseModel
from promise_seg.progress import Progress, silent
from promise_seg.sam.backbone import Backbone
from promise_seg.storage.files import replacing_folder
from promise_seg.vocabulary import EncoderPrecision
from promise_seg.workflows.models import ModelLike, OpenModels, open_models
from promise_seg.workflows.outputs import check_output_place, refuse_checkpoints


@dataclass(frozen=True)
class Exported:
    """One model as ONNX files.

    Args:
        name: what the user calls the model.
        folder: the folder with the files, their description ``model.json`` and the program ``predict.py``.
        agreement: the deviation of each file's outputs from PyTorch's.
    """

    name: str
    folder: Path
    agreement: tuple[Agreement, ...]


@checks_arguments("output", "image_size", "opset", "progress")
def export(
    model: ModelLike | OpenModels,
    output: str | Path,
    *,
    sam: Backbone | str | None = None,
    image_size: int | None = None,
    opset: int = USUAL_OPSET,
    progress: Progress = silent,
) -> list[Exported]:
    """Export a model as ONNX files: its encoder, its auto-prompter, and its decoder with the learned shift.

    Each file is run with ONNX Runtime and its outputs are compared with those of PyTorch before anything is written.

    Args:
        model: a model, or the name of one; ``bare`` has no auto-prompter.
        output: the folder to write; a model of several classes gets a folder for each class in it. An earlier export
            there is replaced.
        sam: the model's SAM, if it is no longer where training found it; for ``bare``, the SAM to use.
        image_size: side of the input of a bare SAM, in pixels.
        opset: version of ONNX's operators, 17 to 20.
        progress: called for each file.

    Returns:
        An entry for the model, or one for the model of each class.

    Raises:
        SettingsError: if packages are missing, the opset cannot be written, the folder holds anything else, or a part
            of the model cannot be exported.
        CheckpointError: if the model cannot be loaded.
        PromiseError: if the folder cannot be written.
    """
    check_packages()
    check_opset(opset)
    output = Path(output)
    _check_folder(output)
    opened = open_models(model, sam=sam, device="cpu", image_size=image_size)
    found = []
    with replacing_folder(output) as temporary:
        for part, one in opened:
            inside = Path(part.name).name if opened.ref.is_class_set else ""
            (temporary / inside).mkdir(exist_ok=True)
            on_cpu = _in_single_precision(one)
            agreement = write_model(on_cpu, temporary / inside, opset, part.name, progress)
            found.append(Exported(part.name, output / inside, tuple(agreement)))
    return found


def _in_single_precision(model: PromiseModel) -> PromiseModel:
    """Return the model on the CPU, with a SAM that encodes in single precision as the graphs do."""
    if model.device.type == "cpu" and model.sam.encoder_precision == EncoderPrecision.FP32:
        return model
    found = copy.deepcopy(model).to("cpu")
    found.sam = found.sam.in_precision(EncoderPrecision.FP32)
    return found


def _check_folder(output: Path) -> None:
    """Check that a folder for an export is new, or holds an earlier export.

    Raises:
        SettingsError: if it holds anything else.
        PromiseError: if the system cannot write there.
    """
    refuse_checkpoints(output)
    if output.exists() and not is_export(output):
        raise SettingsError(
            f"-o {output}: already exists, and is not an earlier export (a folder with {DESCRIPTION_FILE} and nothing "
            "that promise export did not write); choose another folder"
        )
    check_output_place(output)
