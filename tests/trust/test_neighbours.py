import numpy as np
import pytest
import torch

from promise_seg.inference.encoding import Sample, encode_images, sam_features
from promise_seg.trust.neighbours import NEAREST, Neighbours, pooled


def test_the_fifth_nearest_counts_or_the_farthest_of_fewer():
    angles = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5, 1.0])
    circle = torch.stack([angles.cos(), angles.sin()], 1)
    here = torch.tensor([1.0, 0.0])
    assert Neighbours.of(circle).distance(here) == pytest.approx(2 * np.sin(0.25), abs=1e-3)
    assert Neighbours.of(circle[:2]).distance(here) == pytest.approx(2 * np.sin(0.1), abs=1e-3)
    assert NEAREST == 5


def test_pooled_embeddings_have_length_one_and_are_means_over_positions():
    embedding = torch.arange(24.0).reshape(1, 2, 3, 4)
    found = pooled(embedding)
    assert float(found.norm()) == pytest.approx(1)
    assert float(found[0, 0] / found[0, 1]) == pytest.approx(5.5 / 17.5)


def test_noise_is_farther_from_the_training_images_than_these_are(tiny_sam, model, rows):
    embeddings = [
        pooled(sam_features([Sample.of(row, tiny_sam, model.config.fit)], tiny_sam, None).embedding)
        for row in rows["train"]
    ]
    known = Neighbours.of(torch.cat(embeddings))
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    far = known.distance(pooled(encode_images(tiny_sam, [noise]).embedding)[0])
    assert max(known.distance(vector[0]) for vector in embeddings) < far
