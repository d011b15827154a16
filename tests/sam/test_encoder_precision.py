"""SAM's encoder in half precision and with 8 bits: nearly the same features, and nothing else is changed."""

import copy

import pytest
import torch
from torch import nn

from promise_seg.errors import SettingsError
from promise_seg.sam.encoder_precision import EightBitLinear, check_encoder_precision
from promise_seg.sam.loading import load_sam
from promise_seg.scenes import draw_scene
from promise_seg.vocabulary import EncoderPrecision, TrainAlso

LIGHT = [EncoderPrecision.BF16, EncoderPrecision.INT8]


def cosine(one, other):
    return torch.nn.functional.cosine_similarity(one.flatten(1), other.flatten(1)).min()


@pytest.fixture(scope="module")
def image():
    return torch.from_numpy(draw_scene([3, 1], 128, kind="mucosa").image)[None]


@pytest.mark.parametrize("precision", LIGHT)
def test_features_are_nearly_those_of_single_precision(image, precision):
    sam = load_sam("nano")
    light = sam.in_precision(precision)
    expected, found = sam.encode(image), light.encode(image)
    assert cosine(found.embedding, expected.embedding) >= 0.99
    assert not torch.equal(found.embedding, expected.embedding)
    for name, value in found.tensors.items():
        assert value.dtype == expected.tensors[name].dtype, name


@pytest.mark.parametrize("precision", LIGHT)
def test_the_weights_and_their_hash_are_left_alone(image, precision, tmp_path):
    sam = load_sam("nano")
    before, whole = copy.deepcopy(sam.state_dict()), sam.encode(image).embedding
    light = sam.in_precision(precision)
    assert light.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in light.state_dict().items())
    light.save(tmp_path)
    assert load_sam(str(tmp_path)).sha256 == light.sha256 == sam.sha256
    assert torch.equal(sam.encode(image).embedding, whole), "the SAM that it was made from encodes as before"
    assert torch.equal(light.in_precision(EncoderPrecision.FP32).encode(image).embedding, whole)


def test_each_precision_has_features_of_its_own():
    sam, found = load_sam("nano"), set()
    assert sam.features_sha256 == sam.sha256
    for precision in (EncoderPrecision.FP32, *LIGHT):
        found.add(sam.in_precision(precision).features_sha256)
    assert len(found) == 3


@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_of_8_bits_is_off_by_its_roundings_alone(bias):
    torch.manual_seed(0)
    layer, inputs = nn.Linear(24, 10, bias=bias), torch.randn(3, 7, 24)
    found = EightBitLinear(layer)(inputs)
    assert found.shape == (3, 7, 10)
    largest = inputs.abs().max() * layer.weight.abs().max()
    assert 0 < (found - layer(inputs)).abs().max() <= 24 * largest * (1 / 127 + 1 / 127**2)
    torch.testing.assert_close(EightBitLinear(layer)(inputs[1:, 3:]), found[1:, 3:])


def test_rows_of_zeros_stay_zeros():
    layer = nn.Linear(4, 3, bias=False)
    layer.weight.data[1] = 0
    found = EightBitLinear(layer)(torch.stack([torch.zeros(4), torch.ones(4)]))
    assert torch.equal(found[0], torch.zeros(3))
    assert found[1, 1] == 0


@pytest.mark.parametrize(
    ("precision", "device", "words"),
    [
        ("int8", "cuda", "--encoder-precision int8: works only on a CPU, not on cuda. Choose bf16 or fp16"),
        ("fp16", "cpu", "--encoder-precision fp16: a CPU gains nothing by it. Choose int8 or bf16"),
    ],
)
def test_a_device_that_cannot_is_told_what_it_can(precision, device, words):
    with pytest.raises(SettingsError, match=words):
        check_encoder_precision(EncoderPrecision(precision), torch.device(device))


def test_an_encoder_that_is_trained_is_in_single_precision():
    from promise_seg.sam.tuned import tuned

    sam = load_sam("nano").in_precision(EncoderPrecision.INT8)
    assert tuned(sam, TrainAlso.DECODER).encoder_precision == EncoderPrecision.INT8
    with pytest.raises(SettingsError, match="Leave one of the two out"):
        tuned(sam, TrainAlso.EVERYTHING)
