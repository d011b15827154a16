"""SAM's image encoder on engines that compile a whole graph, beside ours, with random weights, in turns.

    python -m benchmarks.encoder_engines --threads 1
    python -m benchmarks.encoder_engines --only onnxruntime openvino --rounds 5

Each round runs the library's ViT-B at 1024 px, ours, and then each engine: ``torch.compile`` of the library's encoder,
and ``onnxruntime`` and ``openvino`` with the graph that ``promise export`` writes. An engine whose package is not
installed is left out, which is said. Ratios are those of one round, of wall time and of the processor time of this
process, which other processes disturb less.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.encoder import Encode, print_difference, print_ratios, timed, vit_b
from promise_seg.cli.common import quiet_libraries
from promise_seg.exporting.encoder_graph import EncoderGraph
from promise_seg.exporting.tracing import write_graph
from promise_seg.model import bare_model
from promise_seg.sam.loading import load_sam
from promise_seg.sam.normalisation import normalise

ENGINES = {"compiled": None, "onnxruntime": "onnxruntime", "openvino": "openvino"}
"""The engines, and the packages that they need beside PyTorch."""
_OPSET = 18


def ways(only: list[str], folder: Path, threads: int) -> dict[str, Encode]:
    """The library's pass on one image, ours, and those of the engines; all give the embedding of the same image."""
    vit_b().save_pretrained(folder / "sam")
    sam = load_sam(str(folder / "sam"))
    library = vit_b_like(folder / "sam")
    image = torch.randint(0, 256, (1, 1024, 1024, 3), dtype=torch.uint8)
    pixels = normalise(image)
    found: dict[str, Encode] = {
        "library": lambda: library(pixels).last_hidden_state,
        "ours": lambda: sam.encode(image).tensors["embedding"].float(),
    }
    if "compiled" in only:
        compiled = torch.compile(library)
        found["compiled"] = lambda: compiled(pixels).last_hidden_state
    if {"onnxruntime", "openvino"} & set(only):
        graph = EncoderGraph(bare_model(sam), "ViT-B")
        write_graph(graph, folder, _OPSET)
        at = [port.name for port in graph.outputs].index("embedding")
        for name, run in (("onnxruntime", with_onnxruntime), ("openvino", with_openvino)):
            if name in only:
                found[name] = run(folder / graph.file, image, at, threads)
    return found


def vit_b_like(folder: Path) -> torch.nn.Module:
    """The library's encoder with the weights of a folder, as the library runs it."""
    from transformers import SamModel

    return SamModel.from_pretrained(folder).eval().vision_encoder


def with_onnxruntime(path: Path, image: Tensor, output: int, threads: int) -> Encode:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name, given = session.get_inputs()[0].name, image.numpy()
    return lambda: torch.from_numpy(session.run(None, {name: given})[output])


def with_openvino(path: Path, image: Tensor, output: int, threads: int) -> Encode:
    import openvino

    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(path, "CPU", settings)
    given = image.numpy()
    return lambda: torch.from_numpy(compiled([given])[output].copy())


def compare(only: list[str], rounds: int, threads: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        found = ways(only, Path(name), threads)
        prepare(found)
        seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in found}
        for _ in range(rounds):
            results = {}
            for name, encode in found.items():
                wall, processor, results[name] = timed(encode)
                seconds[name].append((wall, processor))
                print(f"  {name}: {wall:.2f} s, {processor:.2f} s of the processor", flush=True)
    for name in list(found)[1:]:
        print_ratios(name, seconds[name], seconds["library"])
        print_difference(name, results[name], results["library"])


def prepare(found: dict[str, Callable[[], Tensor]]) -> None:
    """Run each once, in which engines compile what they do, and say how long that takes."""
    for name, encode in found.items():
        began = time.perf_counter()
        encode()
        print(f"  {name}: the first pass took {time.perf_counter() - began:.1f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=list(ENGINES), choices=list(ENGINES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    quiet_libraries()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    there = [name for name in args.only if (package := ENGINES[name]) is None or find_spec(package)]
    for name in sorted(set(args.only) - set(there)):
        print(f"{name}: left out, as its package is not installed: pip install {ENGINES[name]}", flush=True)
    with torch.no_grad():
        compare(there, args.rounds, args.threads)


if __name__ == "__main__":
    main()
