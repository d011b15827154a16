"""How near exported models are to PyTorch's, and how long ONNX Runtime takes compared with PyTorch, in turns on
one thread.

    python -m benchmarks.exported
    python -m benchmarks.exported --sams vit-b sam2.1-tiny --rounds 3

Each SAM gets the default auto-prompter and a shift, with random weights in all that is learned; the nano SAM has its
own weights, the others have random ones. Ratios are those of one round; of wall time and of the processor time of this
process, which other processes disturb less.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from transformers import Sam2Config, Sam2Model

from benchmarks.encoder import vit_b
from promise_seg.cli.common import quiet_libraries
from promise_seg.exporting.comparing import arrays_of, open_session
from promise_seg.exporting.writing import graphs_of, write_model
from promise_seg.model import ModelConfig, PromiseModel
from promise_seg.prompting.building import make_apm_config
from promise_seg.sam.backbone import Backbone
from promise_seg.sam.kinds import freeze
from promise_seg.sam.loading import NANO, load_sam
from promise_seg.vocabulary import ApmKind, Variant

SAMS: dict[str, Callable[[], Backbone]] = {
    NANO: lambda: load_sam(NANO),
    "vit-b": lambda: freeze(vit_b(), "vit-b"),
    "sam2.1-tiny": lambda: freeze(sam2_tiny(), "sam2.1-tiny"),
}


def sam2_tiny() -> Sam2Model:
    """The sizes of SAM 2.1 tiny with random weights, large enough for masks that differ from nothing."""
    model = Sam2Model(Sam2Config()).eval()
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.5)
    return model


def model_around(sam: Backbone) -> PromiseModel:
    """A model of variant ``apm+ips`` with the default auto-prompter, as before training except for its shifts."""
    apm = make_apm_config(ApmKind.PRETRAINED, map_stride=2, map_norm="none", looks=2).completed(learns_presence=True)
    config = ModelConfig(
        variant=Variant.APM_IPS, apm=apm, has_given_shift=True, learns_quality=True, sam=sam.name,
        sam_sha256=sam.sha256, image_size=sam.image_size, promise_seg_version="0",
    )  # fmt: skip
    model = PromiseModel(config, sam)
    if model.apm is not None:
        model.apm.load_pretrained_weights()
    for part in (model.ips, model.ips_given, model.quality):
        for parameter in () if part is None else part.parameters():
            torch.nn.init.normal_(parameter, std=0.02)
    return model.eval()


def seconds_of(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def time_graphs(model: PromiseModel, folder: Path, rounds: int) -> None:
    """Print how long each graph takes in ONNX Runtime, over PyTorch."""
    for graph in graphs_of(model, "model"):
        session = open_session(folder / graph.file, threads=1)
        example = graph.examples[1]
        given = arrays_of(example, {port.name for port in session.get_inputs()})
        ways = (lambda graph=graph, example=example: graph.run(example), lambda s=session, g=given: s.run(None, g))
        for way in ways:
            way()
        rows = [[seconds_of(way) for way in ways] for _ in range(rounds)]
        ratios = [[exported[kind] / ours[kind] for ours, exported in rows] for kind in (0, 1)]
        words = ", ".join(
            f"{statistics.median(some):.2f} ({min(some):.2f} to {max(some):.2f}) of the {name} time"
            for name, some in zip(("wall", "processor"), ratios, strict=True)
        )
        once = statistics.median(ours[0] for ours, _ in rows)
        print(f"  {graph.name}: ONNX Runtime takes {words}; PyTorch {once * 1000:.0f} ms", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sams", nargs="+", choices=SAMS, default=list(SAMS))
    parser.add_argument("--opset", type=int, default=17)
    parser.add_argument("--rounds", type=int, default=0, help="of timing; none by default")
    given = parser.parse_args()
    quiet_libraries()
    torch.set_num_threads(1)
    for name in given.sams:
        torch.manual_seed(0)
        model = model_around(SAMS[name]())
        with tempfile.TemporaryDirectory() as folder:
            print(f"{name} at {model.sam.image_size} px", flush=True)
            for one in write_model(model, Path(folder), given.opset, name):
                size = sum(path.stat().st_size for path in Path(folder).glob(f"{one.file}*")) / 1e6
                print(f"  {one.file}: {size:.0f} MB, at most {one.difference:.1e} from PyTorch on {one.cases} inputs")
            if given.rounds:
                time_graphs(model, Path(folder), given.rounds)


if __name__ == "__main__":
    main()
