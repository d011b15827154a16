"""The networks of the U-Net baselines and their training recipes: BasicUNet from scratch, and a pretrained encoder."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from monai.networks.nets import BasicUNet
from torch import Tensor, nn
from torch.nn import functional as F

from promise_seg.arrays import Array
from promise_seg.augmentation import AnyView, draw_view, view_of
from promise_seg.benchmarking import pretrained_unet
from promise_seg.benchmarking.pretrained_unet import PretrainedUnet
from promise_seg.images.geometry import shrink_mask
from promise_seg.learning import losses
from promise_seg.learning.schedule import cosine_rate, warm_up
from promise_seg.prompting.backbones.loading import empty_backbone, load_backbone
from promise_seg.sam.normalisation import normalise
from promise_seg.vocabulary import Recipe

FEATURES = (32, 32, 64, 128, 256, 32)
BATCH = 16
LEARNING_RATE = 1e-3


class UnetKind(ABC):
    """A network with its training recipe and its prediction.

    Args:
        side: the side of its input in pixels.
        recipe: the recipe of the data set for augmented views.
        separates: whether it also learns the depth of each pixel inside of its object, to separate objects.
    """

    def __init__(self, side: int, recipe: Recipe, *, separates: bool = False) -> None:
        self.side, self.recipe, self.separates = side, recipe, separates

    @property
    def outputs(self) -> int:
        """The number of output maps: one for the mask, and one for the depths if objects are separated."""
        return 2 if self.separates else 1

    @property
    @abstractmethod
    def identity(self) -> list[Any]:
        """The properties of network and recipe that must not change when a run is resumed, as JSON."""

    @abstractmethod
    def start(self) -> nn.Module:
        """Build the network with the weights from which training starts."""

    def empty(self) -> nn.Module:
        """Build the network for loading trained weights."""
        return self.start()

    @abstractmethod
    def groups(self, unet: nn.Module) -> list[dict[str, Any]]:
        """Return the groups of parameters, each with its own learning rate."""

    @abstractmethod
    def rates(self, done: float, step: int) -> list[float]:
        """Return the learning rate of each group.

        Args:
            done: the share of the training that is done, 0 to 1.
            step: the number of finished steps.
        """

    @abstractmethod
    def batches(self, order: Array) -> Sequence[Array]:
        """Divide the indices of the images of an epoch into batches, in the given order."""

    @abstractmethod
    def view(self, image_sha256: str, seed: int, epoch: int) -> AnyView:
        """Return the view of an image in an epoch; epochs are counted from 1."""

    @abstractmethod
    def logits(self, unet: nn.Module, images: Tensor) -> Tensor:
        """Return the logits of images. Shape: (B, S, S, 3) RGB in [0, 255] to (B, outputs, h, h)."""

    @abstractmethod
    def mask_loss(self, mask_logits: Tensor, masks: Tensor) -> Tensor:
        """Return the scalar loss of the masks. Shape: logits (B, h, h), masks (B, S, S) in {0, 1}."""

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the scalar loss: that of the masks plus, if objects are separated, that of the depths.

        Shape: logits (B, outputs, h, h), targets (B, outputs, S, S) in [0, 1].
        """
        found = self.mask_loss(logits[:, 0], targets[:, 0])
        if self.separates:
            depths = F.adaptive_avg_pool2d(targets[:, 1:], logits.shape[-1])
            found = found + F.binary_cross_entropy_with_logits(logits[:, 1:], depths)
        return found

    def predict(self, unet: nn.Module, image: Tensor) -> Tensor:
        """Return the logits for the evaluation of an image. Shape: (S, S, 3) to (outputs, h, h)."""
        return self.logits(unet, image[None])[0]


def build_unet(outputs: int = 1) -> nn.Module:
    """Build MONAI's BasicUNet, 1.98 million parameters: (B, 3, S, S) normalised to logits (B, outputs, S, S)."""
    return BasicUNet(spatial_dims=2, in_channels=3, out_channels=outputs, features=FEATURES)


class ScratchKind(UnetKind):
    """BasicUNet from random weights, at the input size of the SAM, with the loss and views of promise-seg."""

    @property
    def identity(self) -> list[Any]:
        return [list(FEATURES), BATCH, LEARNING_RATE]

    def start(self) -> nn.Module:
        return build_unet(self.outputs)

    def groups(self, unet: nn.Module) -> list[dict[str, Any]]:
        return [{"params": list(unet.parameters())}]

    def rates(self, done: float, step: int) -> list[float]:
        return [cosine_rate(LEARNING_RATE, done, 1, floor=0.01)]

    def batches(self, order: Array) -> Sequence[Array]:
        return [order[start : start + BATCH] for start in range(0, len(order), BATCH)]

    def view(self, image_sha256: str, seed: int, epoch: int) -> AnyView:
        return view_of(image_sha256, epoch, self.recipe)

    def logits(self, unet: nn.Module, images: Tensor) -> Tensor:
        found: Tensor = unet(normalise(images))
        return found

    def mask_loss(self, mask_logits: Tensor, masks: Tensor) -> Tensor:
        return losses.mask_loss(mask_logits, masks).mean()


class PretrainedKind(UnetKind):
    """A U-Net on the ImageNet-pretrained EfficientNet-Lite0, with its own recipe, which was chosen by cross-validation
    on train rows."""

    @property
    def identity(self) -> list[Any]:
        return ["efficientnet-lite0", list(pretrained_unet.DECODER_WIDTHS), *pretrained_unet.RECIPE]

    def start(self) -> nn.Module:
        return PretrainedUnet(load_backbone(), self.outputs, fine=self.separates)

    def empty(self) -> nn.Module:
        return PretrainedUnet(empty_backbone("efficientnet-lite0", None), self.outputs, fine=self.separates)

    def groups(self, unet: nn.Module) -> list[dict[str, Any]]:
        return [{"params": list(unet.get_submodule(part).parameters())} for part in ("decoder", "encoder")]

    def rates(self, done: float, step: int) -> list[float]:
        rise = warm_up(step, pretrained_unet.WARM_UP_STEPS)
        rate = cosine_rate(pretrained_unet.LEARNING_RATE, done, 1, floor=0.0, rise=rise)
        return [rate, rate * pretrained_unet.ENCODER_SHARE]

    def batches(self, order: Array) -> Sequence[Array]:
        """Divide the indices into batches of nearly the same size, because batch norms need several images."""
        return np.array_split(order, -(-len(order) // pretrained_unet.BATCH))

    def view(self, image_sha256: str, seed: int, epoch: int) -> AnyView:
        return draw_view(np.random.default_rng([seed, epoch, int(image_sha256[:16], 16)]))

    def logits(self, unet: nn.Module, images: Tensor) -> Tensor:
        found: Tensor = unet(images)
        return found

    def mask_loss(self, mask_logits: Tensor, masks: Tensor) -> Tensor:
        target = shrink_mask(masks, mask_logits.shape[-1])
        return losses.map_loss(mask_logits, target, pretrained_unet.EDGE_WEIGHT)

    def predict(self, unet: nn.Module, image: Tensor) -> Tensor:
        """Return the mean logits of the image and of its vertical and horizontal flips."""
        plain, flip_x, flip_y = self.logits(unet, torch.stack([image, image.flip(1), image.flip(0)]))
        return (plain + flip_x.flip(2) + flip_y.flip(1)) / 3
