"""The commands that write, with what each of them needs."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tests.crash.inputs import TRAINING


@dataclass(frozen=True)
class Command:
    """A command.

    Args:
        name: for tables.
        words: its words; ``{w}`` is the folder that holds the inputs, and in which it writes, and ``{mirror}`` the
            address of a server.
        needs: the inputs that it has there.
        sample: how many faults the tests of every day bring about.
    """

    name: str
    words: str
    needs: tuple[str, ...]
    sample: int

    def arguments(self, work: Path, mirror: str) -> list[str]:
        """Return the words for a folder and a server."""
        return [word.replace("{w}", str(work)).replace("{mirror}", mirror) for word in self.words.split()]


_MODEL = ("sam", "data", "run", "store")
_CAN_EXPORT = find_spec("onnx") is not None and find_spec("onnxruntime") is not None
_ON = "{w}/run {w}/data/manifest.csv --store {w}/store"

COMMANDS = (
    Command(
        "data make", "data make {w}/pairs --images images/{case}.png --masks masks/{case}_*.png --several instances "
        "-o {w}/made.csv", ("pairs",), 10,
    ),
    Command("data draw", "data draw --train 3 --val 1 --test 0 --side 32 -o {w}/scenes", (), 4),
    Command("data split", "data split {w}/data/manifest.csv --folds 2 --test 0.2 -o {w}/parts.csv", ("data",), 6),
    Command("data import", "data import {w}/drawn/coco.json -o {w}/imported.csv", ("drawn",), 6),
    Command(
        "data fetch", "data fetch kvasir-seg --url {mirror}/kvasir-seg.zip --accept-licence -o {w}/fetched", (), 8
    ),
    Command("data fetch archive", "data fetch dicomweb+{mirror}/dicom-web -o {w}/copied", (), 4),
    Command("data show", "data show {w}/data/manifest.csv -o {w}/sheet.png", ("data",), 4),
    Command("sam fetch", "sam fetch sam_vit_b --url {mirror}/sam.pth -o {w}/sam.pth", (), 6),
    Command("train", f"train {{w}}/data/manifest.csv --sam {{w}}/sam --store {{w}}/store {' '.join(TRAINING)} "
            "-o {w}/new", ("sam", "data"), 10),
    Command("train one model", "train {w}/data/manifest.csv --sam {w}/sam --store {w}/store --class all --one-model "
            "--apm pretrained --apm-side 32 --epochs 1 --views 1 --batch-size 3 --device cpu -o {w}/new",
            ("sam", "data"), 4),
    Command("predict", "predict {w}/run {w}/data/images -o {w}/predicted", ("sam", "data", "run"), 10),
    Command("predict instances", "predict {w}/run {w}/data/images --instances -o {w}/objects",
            ("sam", "data", "run"), 6),
    Command("predict archive", "predict {w}/run dicomweb+{mirror}/dicom-web --format nifti -o {w}/retrieved",
            ("sam", "data", "run"), 6),
    Command("predict merge", "predict --merge -o {w}/parted", ("sam", "data", "parted"), 4),
    Command("features encode", "features encode {w}/data/manifest.csv --sam {w}/sam --store {w}/store --views 1 "
            "--apm heatmap --device cpu --part 1/1", ("sam", "data"), 4),
    Command("evaluate", f"evaluate {_ON} -o {{w}}/scores", _MODEL, 8),
    Command("report", f"report {_ON} --split val --no-budget -o {{w}}/page", _MODEL, 4),
    Command("compare", "compare {w}/scores0 {w}/scores1 -o {w}/compared.json", ("scores0", "scores1"), 4),
    Command("tune-postprocess", f"tune-postprocess {_ON}", _MODEL, 6),
    Command("calibrate", f"calibrate {_ON}", _MODEL, 6),
    Command("convert to reference", "convert {w}/shifted --to reference -o {w}/new.pt", ("sam", "shifted"), 4),
    Command("convert", "convert {w}/reference.pt --sam {w}/sam -o {w}/native", ("sam", "reference"), 6),
    Command("benchmark", "benchmark {w}/spec.yaml --store {w}/store --device cpu -o {w}/results",
            ("sam", "data", "spec"), 2),
    Command("pretrain", "pretrain --steps 2 --batch-size 2 --scenes 2 --evaluate-scenes 2 --workers 1 --device cpu "
            "-o {w}/pretrained", (), 1),
    Command("demo", "demo --sam {w}/sam --epochs 1 --views 1 --device cpu -o {w}/demo", ("sam",), 1),
    Command("budget", f"budget {_ON} -o {{w}}/budget", _MODEL, 4),
    Command("features prune", "features prune --to 0B --store {w}/store", ("store",), 6),
    *((Command("export", "export {w}/run -o {w}/exported", ("sam", "run"), 4),) if _CAN_EXPORT else ()),
)  # fmt: skip
