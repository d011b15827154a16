"""How long our pass through SAM's image encoder takes beside the library's, with random weights, in turns.

    python -m benchmarks.encoder
    python -m benchmarks.encoder --only sam2.1-tiny --rounds 3
    python -m benchmarks.encoder --device cuda --batch 32 --only ours ours-bf16
    python -m benchmarks.encoder --memory ours

Each round runs the library's ViT-B at 1024 px and then each of the others, so that whatever else the machine does falls
on all of them. Ratios are those of one round, for each image; of both wall time and the processor time of this process,
which other processes disturb less. The library encodes one image at a time, in single precision; the others so many as
``--batch`` says. ``--memory`` says instead how much one image needs beyond the weights.
"""

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from functools import partial

import psutil
import torch
from torch import Tensor, nn
from transformers import Sam2Config, Sam2Model, SamConfig, SamModel

from promise_seg.cli.common import quiet_libraries
from promise_seg.sam.encoder_precision import lighter
from promise_seg.sam.features import stage_blocks
from promise_seg.sam.nano import initialise
from promise_seg.sam.trunks import Hiera
from promise_seg.sam.vit_encoder import encode_vit
from promise_seg.vocabulary import EncoderPrecision

TINY = "sam2.1-tiny"
KINDS = ["ours", "ours-bf16", "ours-fp16", "ours-int8", TINY, f"ours-{TINY}"]
Encode = Callable[[], Tensor]
"""Encodes a batch: (B, C, h, w)."""


def vit_b() -> SamModel:
    """The sizes of SAM ViT-B with random weights, also where the library would leave zeros."""
    model = SamModel(SamConfig()).eval()
    initialise(model)
    for name, parameter in model.vision_encoder.named_parameters():
        if "rel_pos" in name or name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.2)
    return model


def ways(only: list[str], device: torch.device, batch: int) -> dict[str, Encode]:
    """The library's pass on one image, and those that are compared with it on a batch."""
    encoder = vit_b().vision_encoder.to(device)
    pixels = torch.randn(batch, 3, 1024, 1024, device=device)
    blocks = stage_blocks(len(encoder.layers))
    found: dict[str, Encode] = {"library": lambda: encoder(pixels[:1]).last_hidden_state}
    for name in only:
        if name.endswith(TINY):
            torch.manual_seed(1)  # the same weights for both
            tiny = Sam2Model(Sam2Config()).eval().vision_encoder.to(device)
            found[name] = partial(_ours_tiny if name.startswith("ours") else _tiny, tiny, pixels)
        else:
            precision = EncoderPrecision(name.removeprefix("ours-") if name != "ours" else "fp32")
            light = encoder if precision == EncoderPrecision.FP32 else lighter(encoder, precision)
            found[name] = partial(_ours, light, pixels, blocks)
    return found


def _ours(encoder: nn.Module, pixels: Tensor, blocks: tuple[int, ...]) -> Tensor:
    return encode_vit(encoder, pixels, blocks).embedding


def _tiny(encoder: nn.Module, pixels: Tensor) -> Tensor:
    return encoder(pixels).last_hidden_state.permute(0, 3, 1, 2)


def _ours_tiny(encoder: nn.Module, pixels: Tensor) -> Tensor:
    return Hiera(encoder)(pixels).stages[-1].permute(0, 3, 1, 2)


def timed(encode: Encode) -> tuple[float, float, Tensor]:
    """Wall and processor seconds of one pass, and its result."""
    wall, processor = time.perf_counter(), time.process_time()
    found = encode()
    if found.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - wall, time.process_time() - processor, found.float()


def compare(only: list[str], rounds: int, device: torch.device, batch: int) -> None:
    found = ways(only, device, batch)
    if device.type == "cuda":
        print(torch.cuda.get_device_name(device), flush=True)
        for encode in found.values():  # kernels are chosen and loaded with the first call
            encode()
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in found}
    for _ in range(rounds):
        results = {}
        for name, encode in found.items():
            wall, processor, results[name] = timed(encode)
            images = 1 if name == "library" else batch
            seconds[name].append((wall / images, processor / images))
            print(f"  {name}: {wall / images:.4f} s an image, {processor / images:.4f} s of the processor", flush=True)
    for name in found:
        if name != "library":
            print_ratios(name, seconds[name], seconds["library"])
            other = TINY if name.endswith(TINY) else "library"
            if name != other and other in results:
                print_difference(name, results[name][:1], results[other][:1])


def print_ratios(name: str, ours: list[tuple[float, float]], theirs: list[tuple[float, float]]) -> None:
    for kind, what in enumerate(("wall time", "processor time")):
        ratios = sorted(one[kind] / other[kind] for one, other in zip(ours, theirs, strict=True))
        middle = statistics.median(ratios)
        print(f"{name} / library, {what}: {middle:.3f}, between {ratios[0]:.3f} and {ratios[-1]:.3f}", flush=True)


def print_difference(name: str, ours: Tensor, theirs: Tensor) -> None:
    """Compare (B, C, h, w) with the same of another pass; a token is the C values of a place."""
    largest = ((ours - theirs).abs().max() / theirs.abs().max()).item()
    cosine = torch.nn.functional.cosine_similarity(ours, theirs, dim=1).min().item()
    print(f"{name}: differs by {largest:.1e} of the largest value; least cosine of a token {cosine:.6f}")


def measure_memory(name: str) -> None:
    """Peak memory of one pass in this process beyond what it held before."""
    encode = ways([name], torch.device("cpu"), 1)[name]
    before = psutil.Process().memory_info().rss
    encode()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"{name}: {(peak - before) / 1e9:.2f} GB beyond {before / 1e9:.2f} GB with weights and libraries")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=["ours"], choices=KINDS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--batch", type=int, default=1, help="images at once, by all but the library")
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
            compare(args.only, args.rounds, args.device, args.batch)


if __name__ == "__main__":
    main()
