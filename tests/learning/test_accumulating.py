"""A batch that is computed in parts makes the step of the whole batch.

With the APM heatmap, which has one set of prompts of its own and no batch norms: where several sets are drawn at
random, or batches are normalised, the steps are alike but not the same.
"""

import pytest
import torch

from promise_seg.errors import SettingsError
from promise_seg.features.store import FeatureStore
from tests.learning.runs import start


def gradients(run, batch) -> dict[str, torch.Tensor]:
    run.steps.network.train()
    run.losses = run.steps.differentiate(batch, 0)
    return {name: one.grad.clone() for name, one in run.model.named_parameters() if one.grad is not None}


@pytest.mark.parametrize("variant", ["apm", "ips", "apm+ips"])
def test_parts_of_a_batch_give_the_gradients_of_the_whole(variant, checked, tiny_sam, tmp_path, accelerator):
    store, found = FeatureStore(tmp_path / "store"), []
    for parts in (1, 2, 3):
        values = {"variant": variant, "apm": "heatmap", "batch_size": 5, "accumulate": parts}
        run = start(tmp_path / str(parts), checked, tiny_sam, store, accelerator, **values)
        run.encode()
        batch = next(iter(run.steps.loader))
        assert [len(part.target) for part in batch.parts(parts)] == {1: [5], 2: [2, 3], 3: [1, 2, 2]}[parts]
        found.append((gradients(run, batch), run.losses))
    whole, losses = found[0]
    assert any(value.abs().max() > 1e-3 for value in whole.values())
    for others, their_losses in found[1:]:
        assert others.keys() == whole.keys()
        for name, value in whole.items():
            torch.testing.assert_close(others[name], value, rtol=1e-3, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")
        assert {name: float(value) for name, value in their_losses.items()} == pytest.approx(
            {name: float(value) for name, value in losses.items()}, rel=1e-4
        )


def test_a_batch_has_no_more_parts_than_images(checked, tiny_sam, tmp_path, accelerator):
    store = FeatureStore(tmp_path / "store")
    with pytest.raises(
        SettingsError, match=r"--accumulate 3: a batch of 2 has fewer images than that. Choose at most 2"
    ):
        start(tmp_path / "run", checked, tiny_sam, store, accelerator, accumulate=3)
