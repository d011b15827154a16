import pytest

from promise_seg.prediction.labelling import Labeller
from promise_seg.prediction.predictor import Predictor
from tests.helpers import make_model


@pytest.fixture(scope="module")
def labeller(tiny_sam):
    return Labeller({1: Predictor(make_model(tiny_sam))})
