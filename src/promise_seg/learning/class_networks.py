"""One network for several classes: a model for each class, which all share everything except the last layers.

Each class has a model as if it were trained separately, with prompts, masks and thresholds of its own. The models hold
the same tensor objects, except for what distinguishes a class: the heads of the APM (``heads`` of its class), and the
biases of the layers in each shift and in the estimate of the masks' quality. So the trunk of the APM is run once for
all classes, and what one class learns benefits the others. A checkpoint of such a model is like any other.
"""

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from promise_seg.errors import CheckpointError
from promise_seg.model import ModelOutput, PromiseModel
from promise_seg.prompting.apm import outputs_of_all
from promise_seg.sam.backbone import Backbone
from promise_seg.sam.features import Features
from promise_seg.sam.pickles import differences
from promise_seg.sam.prompts import Prompts

_OF_SHIFTS = ("ips.lin1.bias", "ips.lin2.bias", "ips_given.lin1.bias", "ips_given.lin2.bias")
_OF_QUALITY = ("quality.lin1.bias", "quality.lin2.bias")


def own_names(model: PromiseModel) -> tuple[str, ...]:
    """Return the prefixes of the names of the tensors that each class has for itself."""
    parts = () if model.apm is None else model.apm.heads
    return (*(f"apm.{part}." for part in parts), *_OF_SHIFTS, *_OF_QUALITY)


def tie(models: Sequence[PromiseModel]) -> None:
    """Replace the shared tensors of all models by those of the first; tensors specific to a class are kept.

    Args:
        models: models around one SAM, with the same parts.
    """
    first, *others = models
    own = own_names(first)
    shared = {name: one for name, one in _tensors(first).items() if not name.startswith(own)}
    for model in others:
        for name, tensor in shared.items():
            owner, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(owner), leaf, tensor)


def tie_equal(models: Sequence[PromiseModel]) -> bool:
    """Tie models that belong to one network, recognised by equal weights; return whether they do.

    Models that were trained separately are not changed.
    """
    first, *others = models
    if not others or first.apm is None or not first.apm.heads or first.sam.encoder_learns:
        return False
    own, theirs = own_names(first), _tensors(first)
    for model in others:
        if type(model.apm) is not type(first.apm) or model.config.sam_sha256 != first.config.sam_sha256:
            return False
        found = _tensors(model)
        if set(found) != set(theirs):
            return False
        if any(not _equal(theirs[name], one) for name, one in found.items() if not name.startswith(own)):
            return False
    tie(models)
    return True


def _tensors(model: PromiseModel) -> dict[str, Tensor]:
    """Return the parameters and buffers outside the SAM, trained or not."""
    found = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {name: one for name, one in found.items() if not name.startswith("sam.")}


def _equal(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one, other)


class ClassNetworks(nn.Module):
    """The models of several classes as one network to be trained.

    Args:
        models: the models, in the order of their classes; they are tied.
    """

    def __init__(self, models: Sequence[PromiseModel]) -> None:
        super().__init__()
        tie(models)
        self.models = nn.ModuleList(models)

    @property
    def of_classes(self) -> tuple[PromiseModel, ...]:
        """The models, in the order of their classes."""
        return tuple(model for model in self.models if isinstance(model, PromiseModel))

    @property
    def sam(self) -> Backbone:
        """The SAM that all models are built around."""
        return self.of_classes[0].sam

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the trained parameters for an optimizer, each once; see :meth:`PromiseModel.parameter_groups`."""
        known, groups = set[int](), list[dict[str, Any]]()
        for model in self.of_classes:
            for number, group in enumerate(model.parameter_groups()):
                new = [one for one in group["params"] if id(one) not in known]
                known.update(map(id, new))
                if number == len(groups):
                    groups.append({**group, "params": new})
                else:
                    groups[number]["params"] += new
        return groups

    def trainable_state(self) -> dict[str, Tensor]:
        """Return the trainable state of the first model, and only the class-specific tensors of the others."""
        found: dict[str, Tensor] = {}
        for number, model in enumerate(self.of_classes):
            own = own_names(model)
            found |= {
                f"{number}.{name}": one
                for name, one in model.trainable_state().items()
                if number == 0 or name.startswith(own)
            }
        return found

    def load_trainable_state(self, state: dict[str, Tensor], where: str) -> None:
        """Load weights into the models.

        Args:
            state: the tensors, named as by :meth:`trainable_state`.
            where: the place of the weights, for messages.

        Raises:
            CheckpointError: naming every missing, unexpected or misshapen key.
        """
        if wrong := differences(state, self.trainable_state()):
            raise CheckpointError(f"{where}: does not fit these classes: {wrong}")
        for number, model in enumerate(self.of_classes):
            start = f"{number}."
            of_model = {name.removeprefix(start): one for name, one in state.items() if name.startswith(start)}
            model.load_state_dict(of_model, strict=False)

    def forward(
        self,
        features: Features,
        given: Sequence[Sequence[Prompts]],
        most_sets: int | None = None,
        decoded: Collection[int] = (),
    ) -> list[ModelOutput]:
        """Return the output of each class for the same images; the trunk of the APM is run once for all classes.

        Args:
            features: the features of the images.
            given: for each class, the prompts that a person gives.
            most_sets: see :meth:`PromiseModel.forward`.
            decoded: the indices of the classes whose masks are decoded.
        """
        prompters = [model.apm for model in self.of_classes if model.apm is not None]
        outputs = outputs_of_all(prompters, features) if prompters else [{}] * len(self.models)
        return [
            model(Features({**features.tensors, **found}), *prompts, most_sets=most_sets, decodes=number in decoded)
            for number, (model, found, prompts) in enumerate(zip(self.of_classes, outputs, given, strict=True))
        ]
