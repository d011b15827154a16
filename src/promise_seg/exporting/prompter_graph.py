"""The auto-prompter as a graph, from features, and the image if the APM reads it, to points or maps."""

import torch
from torch import Tensor

from promise_seg.exporting.encoder_graph import EncoderGraph
from promise_seg.exporting.graph import Graph, Port, noise, ports_of
from promise_seg.model import PromiseModel
from promise_seg.prompting.apm import IMAGE
from promise_seg.sam.features import Features

_ABOUT = {
    "points": "(x, y) pixel indices in the model frame",
    "labels": "1 foreground, 0 background",
    "saliency_logits": "a coarse guess of the mask, over the whole model frame",
    "saliency": "the same as probabilities, in which objects are found",
    "distance": "how far inside of its object each place is, 0 to 1",
    "presence_logits": "whether there is anything to segment, a logit",
}


class PrompterGraph(Graph):
    """Run the part of an APM that can be expressed as a graph: points, or maps in which objects are found.

    Args:
        model: model with an APM.
        encoder: encoder graph whose outputs are read.
        name: name of the model in messages.
    """

    def __init__(self, model: PromiseModel, encoder: EncoderGraph, name: str) -> None:
        apm, config = model.apm, model.config.apm
        if apm is None or config is None:
            raise ValueError(f"variant {model.config.variant} has no auto-prompting module")
        read = [port for port in encoder.outputs if port.name == "embedding" or port.name.startswith("stage")]
        if apm.image_side is not None:
            shape = (1, apm.image_side, apm.image_side, 3)
            read.append(Port(IMAGE, shape, torch.uint8, "the image by itself, RGB pixels in a frame of this side"))
        super().__init__("prompter", f"{name}: the auto-prompter {config.kind}", read, [])
        self.apm, self._encoder = apm, (encoder,)  # in a tuple, so that it is not a submodule
        found = self.apm.graph_outputs(Features(self.examples[0]))
        self.outputs = tuple(ports_of(found, _ABOUT))

    def forward(self, *features: Tensor) -> tuple[Tensor, ...]:
        named = {port.name: value for port, value in zip(self.inputs, features, strict=True)}
        return tuple(self.apm.graph_outputs(Features(named)).values())

    def _examples(self) -> list[dict[str, Tensor]]:
        encoder = self._encoder[0]
        examples = []
        for seed, found in enumerate(encoder.features):
            side = self.apm.image_side
            if side is not None:
                found = found | {IMAGE: noise(1, side, side, 3, seed=seed, high=255).to(torch.uint8)}
            examples.append({port.name: found[port.name] for port in self.inputs})
        return examples
