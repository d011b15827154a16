"""Small models with all that an export has to reproduce."""

from pathlib import Path

import torch

from promise_seg.checkpoint import save_checkpoint
from promise_seg.model import SAM_BESIDE, ModelConfig, PromiseModel
from promise_seg.prompting.given_prompts import Answer
from promise_seg.rules.postprocessing import PostProcessing
from promise_seg.sam.backbone import Backbone
from promise_seg.vocabulary import ApmKind, Fit, MaskChoice, PromptForm, Variant
from tests.helpers import small_apm_config

GIVEN = {
    PromptForm.POINT: Answer(mask_choice=MaskChoice.SECOND, shifted=False),
    PromptForm.POINTS: Answer(mask_choice=MaskChoice.LEARNED),
    PromptForm.MANY_POINTS: Answer(mask_choice=MaskChoice.FIRST, shifted=False),
    PromptForm.BOX: Answer(mask_choice=MaskChoice.SCORE),
    PromptForm.BOX_AND_POINTS: Answer(mask_choice=MaskChoice.THIRD, shifted=False),
}
"""A different answer to each form of prompts."""


def shifted_model(
    sam: Backbone, apm: ApmKind = ApmKind.PRETRAINED, seed: int = 0, separates: bool = False, **more: object
) -> PromiseModel:
    """A model of variant ``apm+ips`` in which every trained part has a say."""
    torch.manual_seed(seed)
    config = small_apm_config(apm)
    if apm == ApmKind.PRETRAINED:
        config = config.model_copy(update={"looks": 2})
    values = {
        "variant": Variant.APM_IPS, "apm": config.completed(separates=True) if separates else config,
        "mask_choice": MaskChoice.LEARNED,
        "has_given_shift": True, "learns_quality": True, "given": GIVEN, "sam": SAM_BESIDE, "sam_sha256": sam.sha256,
        "image_size": sam.image_size, "promise_seg_version": "0",
    }  # fmt: skip
    model = PromiseModel(ModelConfig(**(values | more)), sam)
    for part in (model.ips, model.ips_given, model.quality):
        for parameter in part.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    if apm == ApmKind.PRETRAINED:
        model.apm.load_pretrained_weights()
        torch.nn.init.normal_(model.apm.decoder.from_sam.weight, std=0.3)
    return model.eval()


def involved_model(sam: Backbone, fit: Fit = Fit.STRETCH) -> PromiseModel:
    """One whose masks take every step: a second pass, shares of the map, presence, and post-processing."""
    given = {form: answer.model_copy(update={"map_share": 0.4}) for form, answer in GIVEN.items()}
    post = PostProcessing(threshold=0.4, opening=20, closing=30, fill_holes=True, keep="largest")
    return shifted_model(
        sam, fit=fit, second_pass=True, map_share=0.3, presence_threshold=0.01, postprocessing=post, given=given
    )  # fmt: skip


def saved(model: PromiseModel, folder: Path) -> Path:
    """Write a model, with its SAM beside it, as training would; returns the folder."""
    save_checkpoint(model, folder)
    return folder
