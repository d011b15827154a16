"""How long our pass through SAM's image encoder takes beside the library's, with random weights, in turns.

    python -m benchmarks.encoder
    python -m benchmarks.encoder --only sam2.1-tiny --rounds 3
    python -m benchmarks.encoder --memory ours

Each round runs the library's ViT-B at 1024 px and then each of the others, so that whatever else the machine does falls
on all of them. Ratios are those of one round; of both wall time and the processor time of this process, which other
processes disturb less. ``--memory`` says instead how much one image needs beyond the weights.
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable

import psutil
import torch
from torch import Tensor
from transformers import Sam2Config, Sam2Model, SamConfig, SamModel

from promise_seg.cli.common import quiet_libraries
from promise_seg.sam.features import stage_blocks
from promise_seg.sam.nano import initialise
from promise_seg.sam.vit_encoder import encode_vit

Encode = Callable[[], Tensor]


def vit_b() -> SamModel:
    """The sizes of SAM ViT-B with random weights, also where the library would leave zeros."""
    model = SamModel(SamConfig()).eval()
    initialise(model)
    for name, parameter in model.vision_encoder.named_parameters():
        if "rel_pos" in name or name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.2)
    return model


def ways(only: list[str]) -> dict[str, Encode]:
    """The library's pass, and those that are compared with it."""
    encoder = vit_b().vision_encoder
    pixels = torch.randn(1, 3, 1024, 1024)
    blocks = stage_blocks(len(encoder.layers))
    found: dict[str, Encode] = {
        "library": lambda: encoder(pixels).last_hidden_state,
        "ours": lambda: encode_vit(encoder, pixels, blocks).embedding,
    }
    if "ours-bf16" in only:
        found["ours-bf16"] = lambda: _autocast(found["ours"])
    if "sam2.1-tiny" in only:
        tiny = Sam2Model(Sam2Config()).eval().vision_encoder
        found["sam2.1-tiny"] = lambda: tiny(pixels).last_hidden_state
    return {name: encode for name, encode in found.items() if name in ("library", *only)}


def _autocast(encode: Encode) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return encode()


def timed(encode: Encode) -> tuple[float, float, Tensor]:
    """Wall and processor seconds of one pass, and its result."""
    wall, processor = time.perf_counter(), time.process_time()
    found = encode()
    return time.perf_counter() - wall, time.process_time() - processor, found.float()


def compare(only: list[str], rounds: int) -> None:
    found = ways(only)
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in found}
    for _ in range(rounds):
        results = {}
        for name, encode in found.items():
            *spent, results[name] = timed(encode)
            seconds[name].append((spent[0], spent[1]))
            print(f"  {name}: {spent[0]:.2f} s, {spent[1]:.2f} s of the processor", flush=True)
    for name in found:
        if name != "library":
            print_ratios(name, seconds[name], seconds["library"])
            if results[name].shape == results["library"].shape:
                print_difference(name, results[name], results["library"])


def print_ratios(name: str, ours: list[tuple[float, float]], theirs: list[tuple[float, float]]) -> None:
    for kind, what in enumerate(("wall time", "processor time")):
        ratios = sorted(one[kind] / other[kind] for one, other in zip(ours, theirs, strict=True))
        middle = statistics.median(ratios)
        print(f"{name} / library, {what}: {middle:.3f}, between {ratios[0]:.3f} and {ratios[-1]:.3f}", flush=True)


def print_difference(name: str, ours: Tensor, theirs: Tensor) -> None:
    largest = ((ours - theirs).abs().max() / theirs.abs().max()).item()
    cosine = torch.nn.functional.cosine_similarity(ours, theirs, dim=1).min().item()
    print(f"{name}: differs by {largest:.1e} of the largest value; least cosine of a token {cosine:.6f}")


def measure_memory(name: str) -> None:
    """Peak memory of one pass in this process beyond what it held before."""
    encode = ways([name])[name]
    before = psutil.Process().memory_info().rss
    encode()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"{name}: {(peak - before) / 1e9:.2f} GB beyond {before / 1e9:.2f} GB with weights and libraries")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=["ours"], choices=["ours", "ours-bf16", "sam2.1-tiny"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--memory", choices=["library", "ours"])
    args = parser.parse_args()
    quiet_libraries()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    with torch.no_grad():
        if args.memory:
            measure_memory(args.memory)
        else:
            compare(args.only, args.rounds)


if __name__ == "__main__":
    main()
