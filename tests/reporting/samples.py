"""A report with all its parts, as a calibrated run would have it, and pictures for it."""

from datetime import UTC, datetime
from typing import Any

import numpy as np

from promise_seg.environment import Environment
from promise_seg.reporting.blocks import Gallery, Picture
from promise_seg.reporting.card import Hashes, RunCard, Training
from promise_seg.reporting.document import RunReport
from promise_seg.reporting.gallery import data_uri

MEASURES = ("dice", "iou", "mae", "s_measure", "hd95")
ENVIRONMENT = Environment(
    versions={"promise-seg": "0.1.0", "torch": "2.6"}, processor="An abacus", cores=2, memory_bytes=8 * 2**30,
    device="cpu", operating_system="Some Linux, x86_64",
)  # fmt: skip
CARD = RunCard(
    model="runs/first", variant="apm+ips", sam="nano", image_size=128, mask_choice="score", postprocessing="none",
    trained_parameters=1_042_417,
    hashes=Hashes(
        model="1" * 64, sam="2" * 64, code="3" * 64, data="4" * 64, training_data="5" * 64, git_commit="6" * 40
    ),
    seeds={"training": 3, "report": 0}, environment=ENVIRONMENT,
    training=Training(settings={"seed": 3}, epochs=3, hours=1.5, environment=ENVIRONMENT),
    licences={"promise-seg": "Apache-2.0", "weights of the SAM": "Apache-2.0, as promise-seg"},
    commands=("promise train my.csv -o runs/first --seed 3", "promise report runs/first my.csv -o out"),
)  # fmt: skip
TRUST = {
    "images": 20, "rank_correlation": 0.6, "rank_correlation_interval": [0.3, 0.8],
    "risk_coverage": [{"coverage": (n + 1) / 20, "dice": 0.9 - 0.01 * n} for n in range(20)],
    "area_under_risk": 0.2, "area_by_chance": 0.3, "area_ideal": 0.1,
    "calibration": [{"trust": 0.2 * n + 0.1, "dice": 0.15 * n + 0.2, "images": 4} for n in range(5)],
    "mean_absolute_error": 0.08,
    "nothing_here": {
        "rule": "nothing here where the mask is empty", "images_without_object": 2, "false_alarms": 1,
        "false_alarm_rate": 0.5, "images_with_object": 18, "misses": 0, "miss_rate": 0.0,
    },
}  # fmt: skip

VOLUMES = {
    "volumes": 4, "parts": 1, "groups": 3, "slices": 20, "slices_with_empty_truth": 7, "volumes_with_empty_truth": 1,
    "volumes_with_empty_prediction": 0, "volumes_without_distances": 2, "tolerance": "2mm",
    "rule_for_nothing": "volumes of nothing are perfect", "mean": {"dice": 0.7, "hd95": 4.25},
    "interval": {"dice": [0.6, 0.8], "hd95": None}, "median": {"dice": 0.75, "hd95": 4.0},
    "mean_of_groups": {"dice": 0.65, "hd95": 4.5},
}  # fmt: skip


def evaluation(name: str, prompts: str, dice: float, **changes: Any) -> dict[str, Any]:
    """A summary as promise evaluate would write it."""
    sizes = {"under 1 %": 0.1, "1 to 5 %": 0.2, "5 to 20 %": 0.3}
    strata = {
        "size": {
            size: {
                "images": 4 + n, "groups": 2, "dice": dice + apart, "dice_interval": [dice, dice + 0.35], "iou": dice
            }
            for n, (size, apart) in enumerate(sizes.items())
        },
        "device": {"<b>old</b>": {"images": 20, "groups": 1, "dice": dice, "dice_interval": None, "iou": dice}},
    }  # fmt: skip
    return {
        "name": name, "prompts": prompts, "prompts_read_the_ground_truth": prompts == "oracle", "protocol": "own",
        "postprocessing": "none", "tolerance": "2px", "split": "test", "images": 20, "groups": 6,
        "images_with_empty_truth": 2, "images_with_empty_prediction": 1, "rule_for_nothing": "nothing is perfect",
        "mean": dict.fromkeys(MEASURES, dice) | {"hd95": 12.5},
        "interval": {name: [dice - 0.1, dice + 0.1] for name in MEASURES} | {"mae": None}, "strata": strata,
        "seed": 0, "model": "runs/first", "variant": "apm+ips", "sam": "nano", "image_size": 128,
        "model_sha256": "1" * 64, "reading": {"window": "own"}, "data": "my.csv", "prompts_meaning": name,
        "oracle_points": 16 if prompts == "oracle" else None, "protocol_deviations": [],
    } | changes  # fmt: skip


def sample_report(worst_image: str = "images/1.png", **changes: Any) -> RunReport:
    """With own prompts (calibrated) and oracle points, curves, a budget and three worst cases."""
    looks = {"this_model": 1, "other_models": 2, "note": "these test rows were looked at before"}
    values = {
        "title": "Report on runs/first", "made_at": datetime(2026, 1, 2, 3, 4, tzinfo=UTC), "card": CARD,
        "evaluations": [
            evaluation("own prompts (automatic)", "apm", 0.5, trust=TRUST, test_looks=looks),
            evaluation("oracle points (from the ground truth)", "oracle", 0.6, test_looks=looks),
        ],
        "curves": [
            {"epoch": n, "mask": 1.5 / n, "point": 0.9 / n, "learning_rate": 1e-4, "val_dice": 0.2 * n, "seconds": 9}
            for n in (1, 2, 3)
        ],
        "budget": [
            {"prompts": "own prompts", "reads_the_ground_truth": False, "draws": 1, "dice": 0.5, "interval": [0.4, 0.6],
             "spread_of_draws": None},
            {"prompts": "oracle points, 16", "reads_the_ground_truth": True, "draws": 5, "dice": 0.6,
             "interval": [0.5, 0.7], "spread_of_draws": 0.01},
        ],
        "worst": [
            {"image": worst_image, "dice": 0.01, "iou": 0.005, "share": 0.02, "trust": 0.3},
            {"image": "images/2.png", "dice": 0.2, "iou": 0.1, "share": 0.1},
            {"image": "images/3.png", "dice": 0.3, "iou": 0.2, "share": 0.0},
        ],
    }  # fmt: skip
    return RunReport.model_validate(values | changes)


def sample_gallery(report: RunReport) -> Gallery:
    """A small picture for each worst case."""
    pixels = np.random.default_rng(0).integers(0, 255, (40, 120, 3)).astype(np.uint8)
    pictures = tuple(Picture(data_uri(pixels), f"{one.image}, Dice {one.dice}", one.image) for one in report.worst)
    return Gallery(pictures, "The lowest Dice first")
