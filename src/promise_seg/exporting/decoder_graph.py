"""The decoder with its token shift as a graph, from features and prompts to masks."""

import torch
from torch import Tensor

from promise_seg.exporting.encoder_graph import EncoderGraph
from promise_seg.exporting.graph import Graph, Port, noise
from promise_seg.ips import form_values
from promise_seg.model import PromiseModel
from promise_seg.prompting.given_prompts import FORMS, form_number
from promise_seg.sam.decoded import Decoded
from promise_seg.sam.features import Features
from promise_seg.sam.open_prompts import OpenPrompts
from promise_seg.sam.prompts import FOREGROUND
from promise_seg.vocabulary import MaskChoice

_CHOICES = list(MaskChoice)
_COUNTS = ((1, 1, 0), (1, 0, 1), (1, 2, 1), (3, 1, 0), (2, 16, 0), (2, 3, 1), (4, 0, 1), (1, 0, 0))
"""Number of prompt sets, and of points and boxes in each, with which the graph is checked; the sixth is traced."""
_TRACED = 5


class DecoderGraph(Graph):
    """Decode K sets of prompts of one image to one mask each.

    The graph decodes given prompts like the model, but without mixing in the auto-prompter's saliency map. The token
    shift, the choice among SAM's masks and the IoU estimate depend on the form of the prompts. The input
    ``own_prompts`` marks the model's own prompts.

    Args:
        model: model of any variant.
        encoder: encoder graph whose outputs are read.
        name: name of the model in messages.
    """

    _shifted: Tensor
    _choices: Tensor

    def __init__(self, model: PromiseModel, encoder: EncoderGraph, name: str) -> None:
        read = [port for port in encoder.outputs if not port.name.startswith("stage")]
        inputs = [*read, *_prompt_ports(model.sam.mask_side, has_own=model.apm is not None)]
        super().__init__("decoder", f"{name}: the decoder of {model.sam.name}", inputs, [])
        self.model, self._encoder = model, (encoder,)
        answers = [model.answer_to_form(form) for form in FORMS]
        self.register_buffer("_shifted", torch.tensor([float(one.shifted) for one in answers]), persistent=False)
        choices = torch.tensor([_CHOICES.index(one.mask_choice) for one in answers])
        self.register_buffer("_choices", choices, persistent=False)
        self._own_choice = _CHOICES.index(model.config.mask_choice)
        self.outputs = self._output_ports(model.sam.mask_side)

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        given = {port.name: value for port, value in zip(self.inputs, values, strict=True)}
        features = Features({port.name: given[port.name] for port in self._encoder[0].outputs if port.name in given})
        prompts = OpenPrompts(
            given["points"], given["labels"], given["boxes"], given["mask_input"], given["has_mask_input"]
        )
        own = given.get("own_prompts", torch.zeros(1, dtype=torch.bool))
        form = _form_of(prompts)
        number = form_number(*form)
        decoded = self.model.sam.decode_open(features, prompts, self._shift(features.embedding, form, number, own))
        choice = torch.where(own, torch.tensor(self._own_choice), self._choices[number])
        return self._chosen(decoded, choice)

    def _shift(
        self, embedding: Tensor, form: tuple[Tensor, Tensor, Tensor], number: Tensor, own: Tensor
    ) -> Tensor | None:
        """Return the shift (1, M, C) of the mask tokens, for the model's own prompts or for given prompts of a form."""
        if self.model.ips is None:
            return None
        of_own = self.model.ips(embedding)
        of_given = of_own
        if self.model.ips_given is not None:
            points, _, has_boxes = form
            of_given = self.model.ips_given.of_form(embedding, form_values(points[None], has_boxes[None]))
        return torch.where(own[:, None, None], of_own, of_given * self._shifted[number])

    def _chosen(self, decoded: Decoded, choice: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs; a version of :func:`~promise_seg.model.choose_mask` without branches."""
        iou = decoded.iou[:, 0]
        scored = iou
        if self.model.quality is not None and decoded.tokens is not None:
            learned = self.model.quality(decoded.tokens, decoded.iou)[:, 0]
            scored = torch.where(choice == _CHOICES.index(MaskChoice.LEARNED), learned, iou)
        by_score = choice >= _CHOICES.index(MaskChoice.SCORE)
        best = torch.where(by_score, scored.argmax(-1), choice)  # (K,)
        masks = decoded.mask_logits[:, 0]
        index = best[:, None, None, None].expand(-1, 1, *masks.shape[-2:])
        found = [masks.gather(1, index)[:, 0], scored.gather(1, best[:, None])[:, 0], masks, scored]
        return (*found, decoded.object_logits[:, 0]) if decoded.object_logits is not None else tuple(found)

    def _output_ports(self, side: int) -> tuple[Port, ...]:
        ports = [
            Port(
                "mask_logits", ("sets", side, side), torch.float32, "the mask of each set, over the whole model frame"
            ),
            Port("iou", ("sets",), torch.float32, "the estimate of its IoU"),
            Port("candidate_logits", ("sets", 3, side, side), torch.float32, "all masks that it was chosen from"),
            Port("candidate_iou", ("sets", 3), torch.float32, "the estimates of their IoU, by which it was chosen"),
        ]
        if len(self(*self._arguments(self.examples[0]))) > len(ports):
            ports.append(Port("object_logits", ("sets",), torch.float32, "whether there is an object there at all"))
        return tuple(ports)

    def _arguments(self, given: dict[str, Tensor]) -> list[Tensor]:
        values = [given.get(port.name, port.default) for port in self.inputs]
        return [value for value in values if value is not None]

    def _examples(self) -> list[dict[str, Tensor]]:
        encoder, side = self._encoder[0], self.model.sam.mask_side
        features = encoder.features[0]
        read = {port.name: features[port.name] for port in self.inputs if port.name in features}
        counts = [_COUNTS[_TRACED], *_COUNTS]
        examples = [read | _prompts(self.model.sam.image_size, *count, seed=n) for n, count in enumerate(counts)]
        for example, count in zip(examples, counts, strict=True):
            if count[0] == 2:
                mask = {"mask_input": 20 * noise(2, side, side, seed=5) - 10, "has_mask_input": torch.tensor([True])}
                example |= mask
        if self.model.apm is not None:
            examples += [example | {"own_prompts": torch.tensor([True])} for example in examples[1:3]]
        return examples


def _form_of(prompts: OpenPrompts) -> tuple[Tensor, Tensor, Tensor]:
    """Return the number of points, whether any is foreground, and whether there are boxes, as scalar tensors."""
    points = (prompts.point_labels >= 0).sum(-1).amax()
    has_foreground = (prompts.point_labels == FOREGROUND).sum() > 0
    has_boxes = torch.ones_like(prompts.boxes_xyxy_model).sum() > 0
    return points, has_foreground, has_boxes


def _prompt_ports(side: int, *, has_own: bool) -> list[Port]:
    ports = [
        Port("points", ("sets", "points", 2), torch.float32, "(x, y) pixel indices in the model frame; may be empty"),
        Port("labels", ("sets", "points"), torch.int64, "1 foreground, 0 background, for each point"),
        Port("boxes", ("sets", "boxes", 4), torch.float32, "left, top, right, bottom of one box for each set, or none"),
        Port("mask_input", ("masks", side, side), torch.float32, "low-resolution logits to start from, for each set",
             torch.zeros(1, side, side)),
        Port("has_mask_input", (1,), torch.bool, "whether mask_input counts", torch.tensor([False])),
    ]  # fmt: skip
    if has_own:
        about = "whether these are the prompter's prompts, which the model answers in a way of their own"
        ports.append(Port("own_prompts", (1,), torch.bool, about, torch.tensor([False])))
    return ports


def _prompts(image_side: int, sets: int, points: int, boxes: int, seed: int) -> dict[str, Tensor]:
    corners = noise(sets, boxes, 2, 2, seed=seed + 1, high=0.5 * image_side)
    corners = torch.stack([corners[..., 0, :], corners[..., 0, :] + 1 + corners[..., 1, :]], -2)
    return {
        "points": noise(sets, points, 2, seed=seed, high=image_side - 1),
        "labels": (torch.arange(points) % 2 == 0).long().expand(sets, -1).contiguous(),
        "boxes": corners.flatten(2),
    }
