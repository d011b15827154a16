"""The image encoder as a graph, from an image to the features for prompter and decoder."""

from functools import cached_property

import torch
from torch import Tensor

from promise_seg.exporting.graph import Graph, Port, noise, ports_of
from promise_seg.model import PromiseModel

IMAGE_INPUT = "image"
_ABOUT = {
    "embedding": "the encoder's final output",
    "stage": "outputs of the encoder's blocks, for the prompter",
    "": "finer features, for the decoder",
}
"""Descriptions of features, by the prefixes of their names."""


class EncoderGraph(Graph):
    """Encode an image in the model frame.

    The outputs are the embedding, the stages that the prompter reads, and further features for the decoder.

    Args:
        model: model of any variant.
        name: name of the model in messages.
    """

    def __init__(self, model: PromiseModel, name: str) -> None:
        side = model.sam.image_size
        pixels = "RGB pixels in the model frame, 0 to 255; they are normalised in the graph"
        inputs = [Port(IMAGE_INPUT, (1, side, side, 3), torch.uint8, pixels)]
        blank = torch.zeros((1, side, side, 3), dtype=torch.uint8)
        found = model.sam.encode(blank).with_stages(model.stages_read).tensors
        outputs = ports_of(dict(sorted(found.items())), _ABOUT)
        super().__init__("encoder", f"{name}: the encoder of {model.sam.name}", inputs, outputs)
        self.sam, self.stages_read = model.sam, model.stages_read

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        found = self.sam.encode(image).with_stages(self.stages_read).tensors
        return tuple(found[port.name] for port in self.outputs)

    def _examples(self) -> list[dict[str, Tensor]]:
        side = self.sam.image_size
        ramp = torch.linspace(0, 255, side).expand(1, 3, side, side).permute(0, 2, 3, 1)
        return [
            {IMAGE_INPUT: (0.5 * ramp + noise(1, side, side, 3, seed=seed, high=127)).to(torch.uint8)}
            for seed in range(2)
        ]

    @cached_property
    def features(self) -> list[dict[str, Tensor]]:
        """The outputs for each example."""
        return [self.run(example) for example in self.examples]
