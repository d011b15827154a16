"""How far stored features may be from those that were computed."""

import pytest
import torch

from promise_seg.features.precision import packed, rounded, unpacked
from promise_seg.features.store import FeatureStore
from promise_seg.sam.features import ALL_STAGES, Features
from promise_seg.vocabulary import StorePrecision
from tests.features.test_store import KEY

FLOAT_ERROR = 1e-5  # of the range: the last digits of the computation itself


def drawn_features() -> Features:
    """An embedding (1, 4, 16, 16) and four stages (1, 4, 16, 16, 5); their channels have very different ranges."""
    generator = torch.Generator().manual_seed(0)
    scales = torch.tensor([0.01, 1.0, 5.0, 300.0, 40.0])
    embedding = torch.randn(1, 4, 16, 16, generator=generator) * scales[:4, None, None] + scales[:4, None, None]
    return Features.of(embedding, torch.randn(1, 4, 16, 16, 5, generator=generator) * scales - scales)


def assert_within_a_510th(found: torch.Tensor, given: torch.Tensor, channel: int) -> None:
    """Compare each channel; channels are along this axis."""
    found, given = (values.movedim(channel, 0).flatten(1) for values in (found, given))
    assert len(found) > 3
    ranges = given.amax(1) - given.amin(1)
    share = (found - given).abs().amax(1) / ranges
    assert (share <= 1 / 510 + FLOAT_ERROR).all(), share
    assert (share > 1 / 1000).all(), "there are fewer values than levels"


def test_with_8_bits_no_value_is_off_by_more_than_a_510th_of_the_range_of_its_channel():
    given = rounded(drawn_features())
    found = unpacked(packed(given, StorePrecision.INT8))
    assert_within_a_510th(found.embedding[0], given.embedding[0], channel=0)
    for number in ALL_STAGES:
        assert_within_a_510th(found.stage(number)[0], given.stage(number)[0], channel=-1)


def test_with_8_bits_a_value_takes_a_byte():
    given = rounded(drawn_features())
    tensors = packed(given, StorePrecision.INT8)
    for name in ("embedding", *(f"stage_{number}" for number in ALL_STAGES)):
        assert tensors[name].dtype == torch.uint8


def test_a_channel_of_one_value_and_values_that_are_no_numbers_stay_what_they_are():
    embedding = torch.ones(1, 4, 2, 2)
    assert torch.equal(rounded(Features({"embedding": embedding}), StorePrecision.INT8).embedding, embedding)
    embedding[0, 0, 0, 0] = float("inf")
    assert torch.equal(rounded(Features({"embedding": embedding}), StorePrecision.INT8).embedding, embedding)


@pytest.mark.parametrize("precision", list(StorePrecision))
def test_what_a_store_says_it_rounds_to_is_what_it_gives_back(precision, tmp_path):
    store, features = FeatureStore(tmp_path / "features", precision), drawn_features()
    store.put(KEY, features)
    found, said = store.get(KEY), store.rounded(features)
    assert torch.equal(found.embedding, said.embedding)
    for number in ALL_STAGES:
        assert torch.equal(found.stage(number), said.stage(number))


def test_features_without_an_embedding_are_rounded_as_they_are_stored(tmp_path):
    """Those of a frozen backbone of an auto-prompter, for which SAM's stages are not kept."""
    store = FeatureStore(tmp_path / "eight", "int8")
    maps = Features({"map_0": torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))})
    store.put(KEY, maps)
    kept = store.get(KEY, ())
    assert kept is not None
    assert torch.equal(kept.tensors["map_0"], store.rounded(maps).tensors["map_0"])
