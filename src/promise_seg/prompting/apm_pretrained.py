"""The APM ``pretrained``: a network pretrained on natural images reads the image, and prompts SAM once for each object.

SAM's features show which pixels belong together, but not what they depict. A backbone that was pretrained to classify
images adds this. It is trained together with a small decoder, which predicts two maps: the *saliency*, a coarse mask,
and the *distance* of each pixel from the outline of its object. The connected components of the saliency are the
objects. SAM is prompted for each of them with its box and its deepest point, as a person would do. A user can drag
both.
"""

from functools import cached_property, partial
from typing import Any, Literal, NamedTuple, Self

import cv2
import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from promise_seg.arrays import BoolArray, Float32Array, IntArray
from promise_seg.bounds import LARGEST_INPUT_SIDE
from promise_seg.errors import CheckpointError, SettingsError
from promise_seg.prompting.apm import IMAGE, NOT_ASKED_FOR, ApmConfig, AutoPrompter, Proposal
from promise_seg.prompting.backbones.image_backbone import ImageBackbone
from promise_seg.prompting.backbones.loading import (
    EFFICIENTNET_LITE0,
    architecture_of,
    empty_backbone,
    load_backbone,
)
from promise_seg.prompting.map_decoders import FINE_MAPS, CoarseDecoder, FineDecoder, MapDecoder, TrunkFeatures, resized
from promise_seg.prompting.scene_weights import load_scene_weights
from promise_seg.prompting.separating import PROMINENCE, prompts_in_frame, separate
from promise_seg.sam.backbone import weights_sha256
from promise_seg.sam.features import EMBEDDING, Features, FeatureSizes
from promise_seg.sam.prompts import FOREGROUND
from promise_seg.training_defaults import IMAGES_SEEN, LEAST_EPOCHS, MOST_EPOCHS, PRETRAINED_OPTIONS
from promise_seg.vocabulary import ApmKind, Recipe

MAPS, PRESENCE = "apm_maps", "apm_presence"
"""Names of the APM's outputs for an image among the features."""
BACKBONE_MAP = "apm_backbone_{}"
"""Names of the maps of a frozen backbone among the features; the number of the map is filled in."""
USUAL_SIDE = 256
_COARSE, _FINE = 4, 2  # strides of the maps, in pixels of the image
_CERTAIN = 0.5  # positions with a higher saliency belong to an object
_NEARLY_THE_BEST = 0.9  # share of the highest saliency that counts as foreground, if no position is certain
_LEAST_CELLS = 2


class _Objects(NamedTuple):
    """The objects of one image: boxes (K, 4) and points (K, 2) in the model frame; regions (r, r), numbered from 1."""

    boxes: Float32Array
    points: Float32Array
    regions: IntArray


class PretrainedPrompter(AutoPrompter):
    """APM ``pretrained``.

    Args:
        sizes: sizes of the SAM's features.
        backbone: the pretrained network.
        side: side of the images that the backbone reads, in pixels.
        tunes: whether the backbone is trained too.
        learns_presence: whether the presence of any object is predicted.
        max_objects: maximum number of objects that SAM is prompted for, the largest first.
        map_stride: stride of the maps, in pixels of the image: 2 or 4.
        normalises: whether norms within each image follow the convolutions that make fine maps.
        separates: whether the distance map was learned from instances, so that objects that touch can be separated.
        mirrored: whether, in prediction, the maps are the mean of those of the image and of the vertically flipped
            image.
        starts_from_scenes: whether training starts from weights that were trained on drawn scenes, instead of those of
            the backbone alone.

    Shape: reads from the features the embedding, if it is there, and the image (B, side, side, 3) RGB in [0, 255], the
        maps of a frozen backbone, or its :meth:`outputs` for that image. The maps have the side ``side / map_stride``.

    Raises:
        SettingsError: if the backbone cannot read images of that side, or has another number of feature maps than fine
            maps need.
    """

    stages_read = ()
    makes_map = True
    helps_answers = True
    heads = ("decoder.out", "decoder.presence")

    def __init__(
        self,
        sizes: FeatureSizes,
        backbone: ImageBackbone,
        side: int,
        *,
        tunes: bool = True,
        learns_presence: bool = False,
        max_objects: int = 16,
        map_stride: int = _COARSE,
        normalises: bool = True,
        separates: bool = False,
        mirrored: bool = False,
        starts_from_scenes: bool = False,
    ) -> None:
        super().__init__()
        backbone.check_side(side)
        _check_maps(backbone, map_stride)
        self.model_side, self.image_side, self.tunes = sizes.side, side, tunes
        self.frozen_part = None if tunes else "backbone"
        self.fast_part = "decoder"
        self.learns_presence, self.max_objects = learns_presence, max_objects
        self.separates, self.mirrored = separates, mirrored
        self.starts_from_scenes = starts_from_scenes
        self.backbone = backbone.requires_grad_(tunes).eval()
        self.map_side = side // map_stride
        decoder = partial(FineDecoder, normalises=normalises) if map_stride == _FINE else CoarseDecoder
        self.decoder: MapDecoder = decoder(backbone.widths, sizes.embedding_channels, 2)

    def train(self, mode: bool = True) -> Self:
        """Set the mode, but keep the backbone in evaluation mode: its norms have the statistics of a million images."""
        super().train(mode)
        self.backbone.eval()
        return self

    def load_pretrained_weights(self) -> None:
        self.backbone.load_state_dict(load_backbone(self.backbone.name).state_dict())
        if self.starts_from_scenes:
            load_scene_weights(self)

    def frozen_maps(self, images: Tensor) -> Features | None:
        if self.tunes:
            return None
        with torch.no_grad():
            return Features({BACKBONE_MAP.format(number): one for number, one in enumerate(self.backbone(images))})

    @cached_property
    def frozen_sha256(self) -> str:
        return weights_sha256(self.backbone)

    def trunk_features(self, features: Features) -> TrunkFeatures:
        is_twofold = self.mirrored and not self.training and IMAGE in features.tensors
        if is_twofold:
            features = _with_mirror_images(features)
        if IMAGE in features.tensors:
            maps = self.backbone(features.tensors[IMAGE])
        else:
            maps = [features.tensors[BACKBONE_MAP.format(number)] for number in range(len(self.backbone.widths))]
        embedding, image = features.tensors.get(EMBEDDING), features.tensors.get(IMAGE)
        return self.decoder.trunk(maps, embedding, self.map_side or 0, image)._replace(mirrored=is_twofold)

    def head_outputs(self, trunk: TrunkFeatures) -> dict[str, Tensor]:
        found, presence = self.decoder.heads(trunk)
        if trunk.mirrored:
            plain, mirror = found.chunk(2)
            found, presence = (plain + mirror.flip(-2)) / 2, presence.unflatten(0, (2, -1)).mean(0)
        return {MAPS: found} | ({PRESENCE: presence} if self.learns_presence else {})

    def shares_trunk(self, other: AutoPrompter) -> bool:
        if not isinstance(other, PretrainedPrompter):
            return False
        if (self.image_side, self.mirrored) != (other.image_side, other.mirrored):
            return False
        theirs, own = dict(other.named_parameters()), tuple(f"{part}." for part in self.heads)
        return all(name.startswith(own) or theirs.get(name) is one for name, one in self.named_parameters())

    def saliency_of(self, features: Features) -> Tensor | None:
        if MAPS in features.tensors:
            return features.tensors[MAPS][:, 0]
        sees_image = IMAGE in features.tensors or BACKBONE_MAP.format(0) in features.tensors
        return self.outputs(features)[MAPS][:, 0] if sees_image else None

    def forward(self, features: Features) -> Proposal:
        found = features.tensors if MAPS in features.tensors else self.outputs(features)
        saliency, distance = found[MAPS][:, 0], found[MAPS][:, 1]
        return self._proposal(saliency, distance, found.get(PRESENCE))

    def graph_outputs(self, features: Features) -> dict[str, Tensor]:
        """Return the outputs of :meth:`AutoPrompter.graph_outputs`, with ``saliency`` and ``distance`` maps (r, r)."""
        found = self.outputs(features)
        saliency, distance = found[MAPS][:, 0], found[MAPS][:, 1]
        maps = {"saliency": self._wide(saliency)[0], "distance": self._wide(distance)[0]}
        presence = {"presence_logits": found[PRESENCE]} if PRESENCE in found else {}
        return maps | {"saliency_logits": saliency[0]} | presence

    @property
    def object_rule(self) -> dict[str, float | None]:
        return {
            "certain": _CERTAIN, "nearly_the_best": _NEARLY_THE_BEST, "least_cells": _LEAST_CELLS,
            "most_objects": self.max_objects, "prominence": PROMINENCE if self.separates else None,
        }  # fmt: skip

    def _wide(self, maps: Tensor) -> Tensor:
        """Turn logits (B, g, g) into the probabilities (B, r, r) in which objects are found."""
        side = min(self.model_side, self.image_side or self.model_side)
        return resized(maps.detach().float()[:, None], side)[:, 0].sigmoid()

    def _proposal(self, saliency: Tensor, distance: Tensor, presence: Tensor | None) -> Proposal:
        # NaN, as after diverged training, has no maximum; the run reports the divergence at the end of the epoch.
        wide = [self._wide(one).nan_to_num().cpu().numpy() for one in (saliency, distance)]
        objects = [self._objects(*maps) for maps in zip(*wide, strict=True)]
        most = max(len(one.boxes) for one in objects)
        points, boxes, numbers = (
            torch.from_numpy(np.stack([_padded(one, most, self.separates) for one in of_images]))
            for of_images in zip(
                *((one.points, one.boxes, np.arange(1, len(one.boxes) + 1)) for one in objects), strict=True
            )
        )
        return Proposal(
            points_xy_model=points[:, :, None].to(saliency.device),
            point_labels=torch.full((len(objects), most, 1), FOREGROUND, device=saliency.device),
            boxes_xyxy_model=boxes.to(saliency.device),
            saliency_logits=saliency,
            distance_logits=distance,
            presence_logits=presence,
            regions=torch.from_numpy(np.stack([one.regions for one in objects])).to(saliency.device),
            numbers=numbers.to(saliency.device),
        )

    def _objects(self, saliency: Float32Array, distance: Float32Array) -> _Objects:
        """Return the objects of one image from its saliency and distance (r, r), the largest first; at least one."""
        certain = saliency > _CERTAIN
        if np.count_nonzero(certain) < _LEAST_CELLS:
            certain = saliency >= _NEARLY_THE_BEST * saliency.max()
        if self.separates:
            return self._separated(certain, saliency, distance)
        count, parts, stats, _ = cv2.connectedComponentsWithStats(certain.astype(np.uint8), connectivity=8)
        weights = np.bincount(parts.ravel(), saliency.ravel(), count)[1:]
        by_weight = 1 + np.argsort(-weights, kind="stable")[: self.max_objects]
        order = [part for part in by_weight if stats[part, cv2.CC_STAT_AREA] >= _LEAST_CELLS] or [by_weight[0]]
        new_numbers = np.zeros(count, np.int64)
        new_numbers[1 + np.argsort(-weights, kind="stable")[self.max_objects :]] = NOT_ASKED_FOR
        new_numbers[order] = np.arange(1, len(order) + 1)
        boxes, points = [], []
        for part in order:
            left, top, width, height = stats[part, :4]
            window = np.s_[top : top + height, left : left + width]
            inside = np.where(parts[window] == part, distance[window], -1)
            row, column = np.unravel_index(int(inside.argmax()), inside.shape)
            points.append([left + column, top + row])
            boxes.append([left, top, left + width, top + height])
        cell = self.model_side / len(saliency)
        return _Objects(*prompts_in_frame(np.array(boxes), np.array(points), cell), new_numbers[parts])

    def _separated(self, certain: BoolArray, saliency: Float32Array, distance: Float32Array) -> _Objects:
        """Return the objects of one image, separated where they touch; all of them in training, to learn small ones."""
        found = separate(certain, distance)
        weights = np.bincount(found.regions.ravel(), saliency.ravel(), len(found.rows) + 1)[1:]
        order = np.argsort(-weights, kind="stable")
        most = len(order) if self.training else self.max_objects
        new_numbers = np.zeros(len(order) + 1, np.int64)
        new_numbers[1 + order[:most]] = np.arange(1, 1 + min(most, len(order)))
        new_numbers[1 + order[most:]] = NOT_ASKED_FOR
        boxes = found.boxes[order[:most]]
        points = np.stack([found.columns, found.rows], 1)[order[:most]]
        cell = self.model_side / len(saliency)
        return _Objects(*prompts_in_frame(boxes, points, cell), new_numbers[found.regions])


def _check_maps(backbone: ImageBackbone, map_stride: int) -> None:
    """Check that a backbone has enough feature maps for the decoder.

    Raises:
        SettingsError: if fine maps are wanted, and there are not exactly :data:`FINE_MAPS` feature maps.
    """
    count = len(backbone.widths)
    if map_stride == _FINE and count != FINE_MAPS:
        raise SettingsError(
            f"--apm-backbone {backbone.name}: has {count} feature map(s); expected {FINE_MAPS} for --apm-map-stride "
            f"{_FINE}. Give --apm-map-stride {_COARSE}, which takes any number, or another backbone"
        )


def _with_mirror_images(features: Features) -> Features:
    """Append the vertically flipped images to a batch of images, which doubles its size.

    The embedding of a flipped image is approximated by the flipped embedding, so that SAM need not encode it.
    """
    seen = {name: features.tensors[name] for name in (IMAGE, EMBEDDING) if name in features.tensors}
    rows = {IMAGE: 1, EMBEDDING: 2}
    return Features({name: torch.cat([one, one.flip(rows[name])]) for name, one in seen.items()})


def _padded(values: Float32Array | IntArray, count: int, evenly: bool) -> Float32Array | IntArray:
    """Pad values to ``count`` entries by repeating the first entry or, with ``evenly``, all entries in turn."""
    if evenly:
        return values[np.arange(count) % len(values)]
    return np.concatenate([values, np.repeat(values[:1], count - len(values), 0)])


class PretrainedConfig(ApmConfig):
    """Config of the APM ``pretrained``.

    Args:
        backbone: ``efficientnet-lite0``, or a name or folder that ``transformers.AutoBackbone`` loads.
        side: side of the images that the backbone reads, in pixels; ``None`` for a side near 256 that suits it.
        frozen: whether the backbone is not trained; then it is not in the checkpoint, but loaded by its name.
        max_objects: maximum number of objects that SAM is prompted for.
        map_stride: stride of the maps, in pixels of the image: 2, or 4 as in models trained with earlier versions, and
            with a frozen backbone.
        map_norm: norm after each convolution that makes fine maps: ``none``, or ``group`` for a group norm within each
            image, as in models trained with earlier versions, and with coarse maps.
        start: weights that training starts from: ``scenes`` for those trained on drawn scenes, which are part of the
            package; ``imagenet`` for a backbone with ImageNet weights and a decoder with random weights, as in models
            trained with earlier versions, and whenever the weights for ``scenes`` do not fit: with another backbone, a
            frozen backbone, coarse maps, or norms.
        learns_presence: whether the presence of any object is predicted.
        separates: whether the APM is trained on instance maps, and separates objects that touch.
        looks: number of passes per image in prediction: 2 if the maps are the mean of those of the image and of the
            vertically flipped image; 1 in models trained with earlier versions, and with a frozen backbone.
        architecture: architecture of a backbone of ``transformers``, to rebuild it.
        backbone_sha256: hash of the weights of a frozen backbone.
    """

    kind: Literal[ApmKind.PRETRAINED] = ApmKind.PRETRAINED
    backbone: str = EFFICIENTNET_LITE0
    side: int | None = Field(None, ge=1, le=LARGEST_INPUT_SIDE)
    frozen: bool = False
    max_objects: int = Field(16, ge=1)
    map_stride: Literal[2, 4] = 4
    map_norm: Literal["none", "group"] = "group"
    start: Literal["scenes", "imagenet"] = "imagenet"
    learns_presence: bool = False
    separates: bool = False
    looks: Literal[1, 2] = 1
    architecture: dict[str, Any] | None = None
    backbone_sha256: str | None = None

    @classmethod
    def usual_epochs(cls, rows: int) -> int:
        return min(max(round(IMAGES_SEEN / rows), LEAST_EPOCHS), MOST_EPOCHS)

    @classmethod
    def options_of_new_runs(cls, recipe: Recipe) -> dict[str, Any]:
        return {name: value for name, value in PRETRAINED_OPTIONS.items() if name != "looks" or recipe.mirrors}

    @classmethod
    def options(cls) -> list[str]:
        return ["backbone", "frozen", "looks", "map_norm", "map_stride", "max_objects", "side", "start"]

    def meaning(self) -> dict[str, Any]:
        return {"kind": self.kind, "backbone": self.backbone}

    def completed(self, *, learns_presence: bool = False, separates: bool = False) -> Self:
        backbone = load_backbone(self.backbone)
        side = backbone.fitting_side(USUAL_SIDE) if self.side is None else self.side
        backbone.check_side(side)
        map_stride = _COARSE if self.frozen else self.map_stride
        _check_maps(backbone, map_stride)
        map_norm = self.map_norm if map_stride == _FINE else "group"
        scenes_fit = self.backbone == EFFICIENTNET_LITE0 and map_norm == "none"
        return self.model_copy(
            update={
                "side": side,
                "map_stride": map_stride,
                "map_norm": map_norm,
                "start": self.start if scenes_fit else "imagenet",
                "looks": 1 if self.frozen else self.looks,
                "learns_presence": learns_presence,
                "separates": separates,
                "architecture": architecture_of(backbone),
                "backbone_sha256": weights_sha256(backbone) if self.frozen else None,
            }
        )

    def build(self, sizes: FeatureSizes) -> PretrainedPrompter:
        if not self.frozen:
            backbone = empty_backbone(self.backbone, self.architecture)
        else:
            backbone = load_backbone(self.backbone)
            found = weights_sha256(backbone)
            if self.backbone_sha256 not in (None, found):
                raise CheckpointError(
                    f"--apm-backbone {self.backbone}: its weights on this machine have the hash {found[:12]}, but this "
                    f"model was trained with {str(self.backbone_sha256)[:12]}. Put that version of them in their place"
                )
        side = backbone.fitting_side(USUAL_SIDE) if self.side is None else self.side
        return PretrainedPrompter(
            sizes, backbone, side, tunes=not self.frozen, learns_presence=self.learns_presence,
            max_objects=self.max_objects, map_stride=self.map_stride,
            normalises=self.map_norm == "group", separates=self.separates, mirrored=self.looks == 2,
            starts_from_scenes=self.start == "scenes",
        )  # fmt: skip
