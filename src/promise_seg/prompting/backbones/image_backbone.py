"""The interface of pretrained networks with which an auto-prompting module reads images."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from promise_seg.errors import SettingsError


class ImageBackbone(nn.Module, ABC):
    """A network that was trained on natural images: an image in, feature maps out.

    Args:
        name: name given by the user.
        widths: channels of the feature maps, the finest map first.
        stride: number of pixels that the sides of images must be a multiple of.
        mean: mean of each colour channel in the training images, in [0, 255].
        std: standard deviation of each colour channel in the training images.
    """

    _mean: Tensor
    _std: Tensor

    def __init__(
        self,
        name: str,
        widths: tuple[int, ...],
        stride: int,
        mean: tuple[float, float, float],
        std: tuple[float, float, float],
    ) -> None:
        super().__init__()
        self.name, self.widths, self.stride = name, widths, stride
        self.register_buffer("_mean", torch.tensor(mean)[:, None, None], persistent=False)
        self.register_buffer("_std", torch.tensor(std)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the feature maps of images.

        Shape: ``images`` (B, S, S, 3) RGB in [0, 255], any type; returns a map (B, C, h, w) for each of
            :attr:`widths`.
        """
        pixels = (images.permute(0, 3, 1, 2).to(self._mean) - self._mean) / self._std
        return self.maps(pixels.contiguous(memory_format=torch.channels_last))

    @abstractmethod
    def maps(self, pixels: Tensor) -> list[Tensor]:
        """Return the feature maps of normalised images (B, 3, S, S)."""

    def fitting_side(self, wanted: int) -> int:
        """Return the side nearest to ``wanted`` that is a multiple of the stride, in pixels."""
        return max(1, round(wanted / self.stride)) * self.stride

    def check_side(self, side: int) -> None:
        """Check that the network can read images with a side of ``side`` pixels.

        Raises:
            SettingsError: if it cannot; the message names the nearest valid side.
        """
        if side < self.stride or side % self.stride:
            raise SettingsError(
                f"--apm-side {side}: {self.name} needs a multiple of {self.stride} pixels; the nearest is "
                f"{self.fitting_side(side)}"
            )
