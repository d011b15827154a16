"""Small stand-ins shared by the tests."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from pydantic import TypeAdapter
from transformers import SamConfig, SamMaskDecoderConfig, SamModel, SamPromptEncoderConfig, SamVisionConfig

from promise_seg.images.formats.source import Source
from promise_seg.images.masks import MaskRule, mask_of
from promise_seg.images.readers import highest_label, read_labels
from promise_seg.ips import PatternShift
from promise_seg.learning.settings import RecordedSettings, TrainSettings
from promise_seg.model import ModelConfig, PromiseModel
from promise_seg.prompting.apm_cross import CrossConfig
from promise_seg.prompting.apm_resnet import ResnetConfig
from promise_seg.prompting.building import AnyApmConfig, make_apm_config
from promise_seg.sam.frozen import FrozenSam
from promise_seg.sam.nano import initialise
from promise_seg.sam.official import official_state
from promise_seg.sam.prompts import Prompts
from promise_seg.vocabulary import ApmKind, PositionCode, Variant

TINY_SIDE = 32


def first_settings(**values: Any) -> TrainSettings:
    """The settings of a run of the first version: with a small APM, and without what came later."""
    found: TrainSettings = TypeAdapter(RecordedSettings).validate_python({"seed": 0} | values)
    return found


def tiny_config() -> SamConfig:
    """32 px, patches of 4 px, four blocks of width 16: a SAM that runs in milliseconds."""
    return SamConfig(
        vision_config=SamVisionConfig(
            hidden_size=16, output_channels=16, num_hidden_layers=4, num_attention_heads=2, image_size=TINY_SIDE,
            patch_size=4, window_size=4, global_attn_indexes=[1, 3], mlp_dim=32, num_pos_feats=8,
        ),
        prompt_encoder_config=SamPromptEncoderConfig(hidden_size=16, image_size=TINY_SIDE, patch_size=4),
        mask_decoder_config=SamMaskDecoderConfig(
            hidden_size=16, mlp_dim=32, num_attention_heads=8, iou_head_hidden_dim=16  # 8 as in official files
        ),
    )  # fmt: skip


def make_tiny_sam(seed: int = 0) -> FrozenSam:
    torch.manual_seed(seed)
    model = SamModel(tiny_config())
    initialise(model)
    return FrozenSam(model, f"tiny-{seed}")


def make_fixed_sam() -> FrozenSam:
    """The same bytes on every processor and with every torch: the SAM of ``tests/data_v1``."""
    model = SamModel(tiny_config())
    rng = np.random.RandomState(0)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            values = torch.from_numpy((rng.random_sample(tuple(parameter.shape)) - 0.5).astype(np.float32))
            values *= 6 / parameter[0].numel() ** 0.5 if parameter.ndim > 1 else 0.2
            if "upscale_conv" in name and parameter.ndim == 4:
                values = values[..., :1, :1].expand_as(values)  # no pattern of tiles
            if "embed" in name and parameter.ndim == 2 and len(parameter) == 1:
                values = values * 0.05
            if "norm" in name and name.endswith("weight") and parameter.ndim == 1:
                values = values + 1
            parameter.copy_(values)
    return FrozenSam(model, "fixed")


def small_apm_config(kind: ApmKind) -> AnyApmConfig:
    """The config of an APM that runs in milliseconds."""
    return make_apm_config(kind, **({"side": TINY_SIDE} if kind == ApmKind.PRETRAINED else {}))


def make_model(sam: FrozenSam, variant: Variant = Variant.APM_IPS, apm: ApmKind = ApmKind.HEATMAP) -> PromiseModel:
    torch.manual_seed(1)
    config = ModelConfig(
        variant=variant, apm=small_apm_config(apm) if "apm" in variant else None, sam=sam.name, sam_sha256=sam.sha256,
        image_size=sam.image_size, promise_seg_version="0",
    )  # fmt: skip
    return PromiseModel(config, sam)


def read_mask(path: Path, rule: MaskRule | None = None, image: Source | None = None, index: int = 0) -> np.ndarray:
    """Read one slice of a mask file (H, W) as bool, with the complaints of the check of a data set."""
    return mask_of(read_labels(path, image, index), rule or MaskRule(), path, lambda: highest_label(path))


def assert_same_dice(found: Sequence[float], expected: Sequence[float]) -> None:
    """Check Dice of the same masks, one for each image, which may have been decoded together with other prompts.

    The last digits of logits differ with what is decoded together, so that a pixel whose probability is a half may fall
    on either side: this is allowed in one image.
    """
    differences = np.abs(np.asarray(found) - np.asarray(expected))
    assert (differences > 1e-6).sum() <= 1, differences
    assert differences.max() < 0.02, differences


def no_numbers(model: PromiseModel) -> PromiseModel:
    """The model as training leaves it that diverged."""
    for parameter in model.trainable_parameters().values():
        parameter.data.fill_(float("nan"))
    return model


def strict_json(path: Path) -> Any:
    """What a JSON file holds; it must be JSON as the standard has it, without NaN and infinity."""

    def refuse(word: str) -> None:
        raise ValueError(f"{path}: holds {word}")

    return json.loads(path.read_text(), parse_constant=refuse)


REFERENCE_VARIANTS = [
    (Variant.APM, ApmKind.RESNET),
    (Variant.APM, ApmKind.CROSS),
    (Variant.IPS, ApmKind.RESNET),
    (Variant.APM_IPS, ApmKind.RESNET),
    (Variant.APM_IPS, ApmKind.CROSS),
]
"""All kinds of models that the published code has."""


def reference_state_of(
    sam: FrozenSam, variant: Variant, apm: ApmKind, num_points: int = 6, seed: int = 5
) -> dict[str, torch.Tensor]:
    """What the published code would save: all of SAM, the trained parts, and parameters it never uses."""
    torch.manual_seed(seed)
    state = official_state(sam.model)

    def add(prefix: str, module: torch.nn.Module) -> None:
        state.update({prefix + name: v.clone() for name, v in module.state_dict().items()})

    if variant != Variant.IPS and apm == ApmKind.RESNET:
        resnet = ResnetConfig(num_points=num_points, num_foreground=num_points // 2).build(sam.sizes)
        add("apm_feature_map.", resnet.feature_map)
        add("apm_resnet.", resnet.resnet)
        add("apm_resnet.fc2.", torch.nn.Linear(512, 1024))
    elif variant != Variant.IPS:
        points = {"num_points": num_points, "num_foreground": num_points // 2}
        cross = CrossConfig(**points, position_code=PositionCode.REFERENCE).build(sam.sizes)
        add("apm_cross.", cross.cross)
        add("apm_cross_prompt.", cross.prompt)
        for i in range(3):
            add(f"apm_cross.layers.{i}.norm2.", torch.nn.LayerNorm(sam.sizes.stage_channels[-1]))
    if variant != Variant.APM:
        shift = PatternShift(sam.embedding_channels, sam.num_mask_tokens)
        torch.nn.init.normal_(shift.lin2.weight)
        for name in ("lin1", "lin2"):
            add(f"ips_ffn.{name}.", getattr(shift, name))
    return state


def some_points(batch: int = 2, sets: int = 1, count: int = 4) -> Prompts:
    generator = torch.Generator().manual_seed(3)
    points = torch.rand(batch, sets, count, 2, generator=generator) * (TINY_SIDE - 1)
    labels = (torch.arange(count) < count / 2).long().expand(batch, sets, count)
    return Prompts(points_xy_model=points, point_labels=labels)


def disc_image(seed: int, height: int = 30, width: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """A bright disc on noise, and its mask."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    radius = rng.uniform(5, 9)
    mask = np.hypot(x - rng.uniform(10, width - 10), y - rng.uniform(10, height - 10)) < radius
    image = rng.integers(0, 90, (height, width, 3)).astype(np.uint8)
    image[mask] += 140
    return image, mask


def write_dataset(
    folder: Path, splits: tuple[str, ...] = ("train",) * 6 + ("val",) * 2 + ("test",) * 2, first: int = 0
) -> Path:
    """Images from the seed ``first`` on, masks and a manifest with a ``group`` column; returns the manifest's path."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image_name", "train_type", "mask_name", "group"])
        for i, split in enumerate(splits):
            image, mask = disc_image(first + i)
            Image.fromarray(image).save(folder / f"images/{i}.png")
            Image.fromarray(mask.astype(np.uint8) * 255).save(folder / f"masks/{i}.png")
            writer.writerow([f"images/{i}.png", split, f"masks/{i}.png", f"g{i // 2}"])
    return folder / "manifest.csv"
