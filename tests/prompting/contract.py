"""What every APM promises: subclass this for a new kind, and say which it is."""

import copy
from typing import ClassVar

import pytest
import torch
from safetensors.torch import load_file, save_file

from promise_seg.errors import SettingsError
from promise_seg.learning.losses import mask_loss, point_loss, signed_distances
from promise_seg.model import ModelConfig
from promise_seg.prompting.apm import IMAGE, AutoPrompter, Proposal
from promise_seg.prompting.building import CONFIGS, make_apm_config
from promise_seg.sam.features import ALL_STAGES, Features, FeatureSizes
from promise_seg.vocabulary import ApmKind

SIZES = FeatureSizes(side=32, grid=8, embedding_channels=16, stage_channels=(16,) * 4, num_heads=2)
OTHER_SIZES = (
    FeatureSizes(side=64, grid=4, embedding_channels=8, stage_channels=(24,) * 4, num_heads=3),
    FeatureSizes(side=96, grid=6, embedding_channels=32, stage_channels=(40,) * 4, num_heads=5),
)
PYRAMID = FeatureSizes(side=32, grid=8, embedding_channels=16, stage_channels=(8, 16, 24, 32), num_heads=2)
BATCH = 3
IMAGE_SIDE = 64


def features_for(sizes: FeatureSizes, batch: int = BATCH, seed: int = 0) -> Features:
    """Random features of an encoder of these sizes."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(batch, *shape, generator=generator)

    tensors = {"embedding": drawn(sizes.embedding_channels, sizes.grid, sizes.grid)}
    tensors[IMAGE] = (drawn(IMAGE_SIDE, IMAGE_SIDE, 3) * 60 + 128).clamp(0, 255)
    for number, width in enumerate(sizes.stage_channels):
        tensors[f"stage_{number}"] = drawn(sizes.grid, sizes.grid, width)
    return Features(tensors)


class ApmContract:
    """The promises of any kind."""

    kind: ApmKind
    options: ClassVar[dict[str, object]] = {}
    """With which it is small."""
    unlearned: tuple[str, ...] = ()
    """Parts that need another loss to learn."""
    steps = 15
    """In which it learns something."""

    def build(self, sizes: FeatureSizes = SIZES, seed: int = 0, **values: object) -> AutoPrompter:
        torch.manual_seed(seed)
        return make_apm_config(self.kind, **self.options, **values).build(sizes)

    def loss(self, proposal: Proposal, side: int) -> torch.Tensor:
        """Points and saliency against a square in the lower left, as in training."""
        mask = torch.zeros(16, 16, dtype=torch.bool)
        mask[9:14, 2:7] = True
        distance = torch.from_numpy(signed_distances(mask.numpy())).expand(proposal.batch, -1, -1)
        loss = torch.zeros(())
        if proposal.regions is None:
            loss = 10 * point_loss(proposal.points_xy_model[:, 0], proposal.point_labels[:, 0], distance, side)
        for logits in (proposal.saliency_logits, proposal.distance_logits):
            if logits is not None:
                small = torch.nn.functional.adaptive_avg_pool2d(mask.float()[None], logits.shape[-1])
                loss = loss + mask_loss(logits, small.expand(len(distance), -1, -1)).mean()
        return loss

    def test_it_is_deterministic_and_leaves_the_features_alone(self):
        apm, features = self.build().eval(), features_for(SIZES)
        before = copy.deepcopy(features)
        with torch.no_grad():
            assert torch.equal(apm(features).points_xy_model, apm(features).points_xy_model)
        assert all(torch.equal(features.tensors[name], tensor) for name, tensor in before.tensors.items())

    def test_it_reads_no_other_stages_than_it_says(self):
        apm, features = self.build().eval(), features_for(SIZES)
        assert set(apm.stages_read) <= set(ALL_STAGES)
        with torch.no_grad():
            alone = apm(features.with_stages(apm.stages_read))
            assert torch.equal(alone.points_xy_model, apm(features).points_xy_model)

    def test_an_image_s_points_do_not_depend_on_the_rest_of_its_batch(self):
        apm, features = self.build().eval(), features_for(SIZES)
        with torch.no_grad():
            whole = apm(features).points_xy_model
            for number in range(BATCH):
                alone = apm(features[number : number + 1]).points_xy_model[0]
                torch.testing.assert_close(alone, whole[number, : len(alone)], atol=1e-3, rtol=0)

    def test_its_points_depend_on_the_image(self):
        apm = self.build().eval()
        with torch.no_grad():
            points = apm(features_for(SIZES)).points_xy_model[:, 0]
        assert (points[0] - points[1]).abs().max() > 1e-3

    def test_gradients_reach_all_its_parameters(self):
        apm = self.build().train()
        assert list(apm.parameters())
        self.loss(apm(features_for(SIZES)), SIZES.side).backward()
        learned = [(n, p) for n, p in apm.named_parameters() if not n.startswith(self.unlearned or ("no name",))]
        for name, parameter in learned:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
        for name in {name.split(".")[0] for name, _ in learned}:
            part = [p.grad for n, p in apm.named_parameters() if n.split(".")[0] == name]
            assert any(grad.abs().max() > 0 for grad in part), name

    def test_it_learns(self):
        """On one batch, whose images all hold the same square."""
        apm, features = self.build().train(), features_for(SIZES)
        optimizer = torch.optim.Adam(apm.parameters(), lr=1e-3)
        losses = []
        for _ in range(self.steps):
            loss = self.loss(apm(features), SIZES.side)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < 0.9 * losses[0]

    def test_it_can_be_saved_and_loaded(self, tmp_path):
        config = make_apm_config(self.kind, **self.options)
        assert type(config) is CONFIGS[self.kind]
        apm, features = config.build(SIZES).train(), features_for(SIZES)
        apm(features)  # moves statistics, where there are some
        save_file({name: value.contiguous() for name, value in apm.state_dict().items()}, tmp_path / "apm.safetensors")
        whole = ModelConfig(
            variant="apm", apm=config, sam="s", sam_sha256="", image_size=32, promise_seg_version="0"
        ).model_dump_json()
        again = ModelConfig.model_validate_json(whole).apm
        assert again == config
        loaded = again.build(SIZES)
        loaded.load_state_dict(load_file(tmp_path / "apm.safetensors"))
        with torch.no_grad():
            assert torch.equal(loaded.eval()(features).points_xy_model, apm.eval()(features).points_xy_model)


class PointContract(ApmContract):
    """The promises of a kind that proposes a fixed number of points."""

    @pytest.mark.parametrize("sizes", [SIZES, *OTHER_SIZES, PYRAMID], ids=lambda sizes: f"side{sizes.side}")
    def test_points_lie_in_the_model_frame_whatever_the_sam(self, sizes):
        for apm in (self.build(sizes).train(), self.build(sizes).eval()):
            proposal = apm(features_for(sizes))
            points_xy_model, labels = proposal.points_xy_model, proposal.point_labels
            saliency = proposal.saliency_logits
            assert points_xy_model.shape == (BATCH, 1, 16, 2)
            assert points_xy_model.dtype == torch.float32
            assert ((points_xy_model >= -0.5) & (points_xy_model <= sizes.side)).all()
            assert labels.dtype == torch.int64
            if saliency is not None:
                assert saliency.shape == (BATCH, saliency.shape[-1], saliency.shape[-1])
                assert saliency.isfinite().all()

    @pytest.mark.parametrize(("points", "foreground"), [(1, 1), (1, 0), (4, 0), (5, 5), (7, 3), (16, 8)])
    def test_labels_are_fixed_and_foreground_comes_first(self, points, foreground):
        apm = self.build(num_points=points, num_foreground=foreground).eval()
        for seed in (0, 1):
            proposal = apm(features_for(SIZES, seed=seed))
            assert proposal.points_xy_model.shape == (BATCH, 1, points, 2)
            assert proposal.points_xy_model.isfinite().all()
            assert proposal.point_labels.tolist() == [[[1] * foreground + [0] * (points - foreground)]] * BATCH

    @pytest.mark.parametrize(("points", "foreground"), [(0, 0), (4, 5), (4, -1)])
    def test_impossible_numbers_of_points_are_refused(self, points, foreground):
        with pytest.raises(SettingsError, match=f"--apm {self.kind}: .*(--points|--foreground|num_foreground) "):
            self.build(num_points=points, num_foreground=foreground)
