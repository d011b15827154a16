"""Train a nano SAM from scratch on drawn scenes: class-agnostic, promptable by points and boxes.

The recipe: Muon and AdamW with warm-up and cosine decay; binary cross-entropy plus Dice on the best of three masks;
a head that predicts the IoU of each mask; the token-affinity loss on the encoder; an average of the weights, which is
the result. Every step draws its batch from (seed, step), so a resumed run gets the same batches as an uninterrupted
run.
"""

import json
import math
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import SamModel

from promise_seg.errors import CheckpointError, SettingsError, first_line
from promise_seg.learning.losses import mask_iou, mask_loss, token_affinity_loss
from promise_seg.learning.run_log import LOG_FILE, WAY_OUT, read_log, rounded
from promise_seg.learning.scene_batches import SceneBatch, draw_batch
from promise_seg.learning.schedule import cosine_rate, set_rate, warm_up
from promise_seg.learning.seeds import torch_seed
from promise_seg.learning.state import load_training_state, save_training_state
from promise_seg.progress import Progress, silent
from promise_seg.sam.nano import untrained_nano
from promise_seg.sam.normalisation import normalise
from promise_seg.scenes.library import SceneLibrary
from promise_seg.storage.files import write_text
from promise_seg.storage.sealed import sealed_line
from promise_seg.storage.tensor_files import save_tensors

STATE_FILE = "state.safetensors"
WEIGHTS_FILE = "nano_sam.safetensors"
_AFFINITY_CHANNELS = 32


@dataclass(frozen=True, kw_only=True)
class PretrainSettings:
    """Settings of the pre-training of the nano SAM.

    Raises:
        SettingsError: if a number is out of range.
    """

    steps: int = 3800
    batch_size: int = 24
    objects: int = 4
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warmup_steps: int = 200
    average_decay: float = 0.999
    affinity_weight: float = 1.0
    scenes: int = 40_000
    seed: int = 0
    bf16: bool = False

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "scenes"):
            if getattr(self, name) < 1:
                raise SettingsError(f"--{name.replace('_', '-')} {getattr(self, name)}: expected at least 1")
        if self.seed < 0:
            raise SettingsError(f"--seed {self.seed}: expected at least 0")
        if not 0 < self.learning_rate < math.inf:
            raise SettingsError(f"--learning-rate {self.learning_rate}: expected a finite number, more than 0")

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step: linear warm-up, then cosine decay to 2 %."""
        return cosine_rate(self.learning_rate, step, self.steps, floor=0.02, rise=warm_up(step, self.warmup_steps))


class _Learner(nn.Module):
    """The nano SAM and the linear layer of the affinity loss, which is discarded after training."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.sam: SamModel = untrained_nano(torch_seed(seed))
        self.affinity = nn.Linear(self.sam.config.vision_config.output_channels, _AFFINITY_CHANNELS)

    def forward(self, batch: SceneBatch, single_mask: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Return mask logits (B, K, M, h, w), predicted IoU (B, K, M) and affinity tokens (B, T, 32)."""
        embeddings = self.sam.vision_encoder(normalise(batch.images)).last_hidden_state
        positions = self.sam.get_image_wide_positional_embeddings().expand(len(embeddings), -1, -1, -1)
        sparse, dense = self.sam.prompt_encoder(
            input_points=batch.points_xy_model,
            input_labels=batch.point_labels,
            input_boxes=batch.boxes,
            input_masks=None,
        )
        mask_logits, iou = self.sam.mask_decoder(
            image_embeddings=embeddings,
            image_positional_embeddings=positions,
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=not single_mask,
        )[:2]
        tokens = self.affinity(embeddings.flatten(2).transpose(1, 2))
        return mask_logits.float(), iou.float(), tokens.float()


def _optimizers(model: nn.Module, settings: PretrainSettings) -> list[torch.optim.Optimizer]:
    """Build Muon for the matrices of the transformer layers and AdamW for everything else.

    For the same training time, Muon was clearly better than AdamW alone (docs/nano-sam.md).

    Raises:
        SettingsError: if this torch has no Muon.
    """
    if not hasattr(torch.optim, "Muon"):
        raise SettingsError(f"pre-training needs torch 2.9 or newer, for its Muon optimizer; found {torch.__version__}")
    matrices = {n: p for n, p in model.named_parameters() if p.dim() == 2 and ".layers." in n}
    others = [p for n, p in model.named_parameters() if n not in matrices]
    rate, decay = settings.learning_rate, settings.weight_decay
    return [
        torch.optim.Muon(list(matrices.values()), lr=rate, weight_decay=decay, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=rate, weight_decay=decay, betas=(0.9, 0.98)),
    ]


def _loss(learner: _Learner, batch: SceneBatch, settings: PretrainSettings, single_mask: bool) -> tuple[Tensor, Tensor]:
    """Return the total loss, and the IoU of each object's best mask (B, K)."""
    device_type = batch.images.device.type
    with torch.autocast(device_type, torch.bfloat16, enabled=settings.bf16):
        mask_logits, predicted_iou, tokens = learner(batch, single_mask)
    target = batch.masks_at(mask_logits.shape[-1])[:, :, None]
    of_each_mask = mask_loss(mask_logits, target, bce_weight=2.0)
    iou = mask_iou(mask_logits, target)
    loss = of_each_mask.amin(2).mean() + 0.1 * of_each_mask.mean() + (predicted_iou - iou).square().mean()
    affinity = token_affinity_loss(tokens, batch.token_labels(math.isqrt(tokens.shape[1])))
    return loss + settings.affinity_weight * affinity, iou.amax(2)


class Pretrainer:
    """The state of one pre-training run in ``folder``: weights, their average, the optimizers, the step.

    Raises:
        CheckpointError: if ``folder`` contains a run with other settings, or a damaged one.
    """

    def __init__(self, folder: Path, settings: PretrainSettings, library: SceneLibrary, device: torch.device) -> None:
        self.folder, self.settings, self.library, self.device = folder, settings, library, device
        self.learner = _Learner(settings.seed).to(device).train()
        self.optimizers = _optimizers(self.learner, settings)
        self.average = {name: p.detach().clone() for name, p in self._parameters().items()}
        self.step = 0
        self.cpu_seconds = 0.0
        if (folder / STATE_FILE).exists():
            self._logged()  # the log must be readable for the run to resume
            self._resume()

    def _parameters(self) -> dict[str, nn.Parameter]:
        return dict(self.learner.named_parameters(remove_duplicate=False))  # the position code has two names

    def _resume(self) -> None:
        path = self.folder / STATE_FILE
        try:
            tensors, facts = load_training_state(path, self.optimizers, partial(self._check_settings, path))
            self._take_over(tensors, facts)
        except (OSError, SafetensorError, KeyError, ValueError, TypeError, RuntimeError, AttributeError) as error:
            raise CheckpointError(
                f"{path}: the run cannot be resumed: {first_line(error)}. Restore it, or choose another -o folder"
            ) from error

    def _check_settings(self, path: Path, facts: dict[str, Any]) -> None:
        if facts["settings"] != asdict(self.settings):
            changed = [k for k, v in asdict(self.settings).items() if facts["settings"].get(k) != v]
            raise CheckpointError(
                f"{path}: contains a run with other settings ({', '.join(changed)} differ). "
                "Use the same settings to resume it, or another folder to start a new run"
            )

    def _take_over(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        self.learner.load_state_dict({k.removeprefix("now/"): v for k, v in tensors.items() if k.startswith("now/")})
        self.average = {
            k.removeprefix("average/"): v.to(self.device) for k, v in tensors.items() if k.startswith("average/")
        }
        self.step, self.cpu_seconds = facts["step"], facts["cpu_seconds"]

    def save(self) -> None:
        """Write the averaged weights as they would be published, then the state from which a later run resumes.

        The order matters: a run interrupted between the two repeats its last steps and writes both again.
        """
        published = {
            k.removeprefix("sam."): v.half().cpu().contiguous().clone()
            for k, v in self.average.items()
            if k.startswith("sam.")
        }
        recipe = {"recipe": json.dumps({"step": self.step} | asdict(self.settings))}
        save_tensors(self.folder / WEIGHTS_FILE, published, recipe)
        tensors = {f"now/{k}": v for k, v in self.learner.state_dict().items()}
        tensors |= {f"average/{k}": v for k, v in self.average.items()}
        facts = {"settings": asdict(self.settings), "step": self.step, "cpu_seconds": self.cpu_seconds}
        save_training_state(self.folder / STATE_FILE, self.optimizers, tensors, facts)

    def one_step(self) -> dict[str, float]:
        """Draw a batch, train on it, and return the values to log."""
        started, settings = time.process_time(), self.settings
        rng = np.random.default_rng([settings.seed, self.step])
        batch = draw_batch(self.library, rng, batch_size=settings.batch_size, objects=settings.objects)
        is_unambiguous = batch.points_xy_model is None or batch.points_xy_model.shape[2] > 2
        single_mask = bool(rng.random() < 0.15) and is_unambiguous
        rate = settings.rate_at(self.step)
        set_rate(self.optimizers, rate)
        loss, iou = _loss(self.learner, batch.to(self.device), settings, single_mask)
        self.learner.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.learner.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        keep = min(settings.average_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            parameters = self._parameters()
            torch._foreach_lerp_(list(self.average.values()), [parameters[k] for k in self.average], 1 - keep)
        self.step += 1
        self.cpu_seconds += time.process_time() - started
        return {"loss": loss.item(), "iou": iou.mean().item(), "learning_rate": rate}

    def log(self, facts: dict[str, float]) -> None:
        """Add a line to the log, and drop the lines of steps that were lost when an earlier process died."""
        lines = [line for line in self._logged() if line["step"] < self.step]
        fresh = {"step": self.step, "cpu_minutes": round(self.cpu_seconds / 60, 2)}
        lines.append(fresh | {name: rounded(value, 5) for name, value in facts.items()})
        write_text(self.folder / LOG_FILE, "".join(map(sealed_line, lines)))

    def _logged(self) -> list[dict[str, Any]]:
        """Return the lines of the log.

        Raises:
            CheckpointError: if it is damaged.
        """
        path = self.folder / LOG_FILE
        lines = read_log(path)
        for number, line in enumerate(lines, 1):
            if not isinstance(line.get("step"), int):
                raise CheckpointError(f"{path}: cannot be read: line {number}: it has no step. {WAY_OUT}")
        return lines


def pretrain(trainer: Pretrainer, *, save_every: int = 200, progress: Progress = silent) -> None:
    """Run a :class:`Pretrainer` to the end of its schedule, saving its state regularly."""
    recent: list[dict[str, float]] = []
    while trainer.step < trainer.settings.steps:
        recent.append(trainer.one_step())
        last = recent[-1]
        progress("training", trainer.step, trainer.settings.steps, f"loss {last['loss']:.3f}, IoU {last['iou']:.3f}")
        if trainer.step % save_every == 0 or trainer.step == trainer.settings.steps:
            trainer.log({name: float(np.mean([r[name] for r in recent])) for name in recent[0]})
            trainer.save()
            recent.clear()
