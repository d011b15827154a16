"""Each kind of APM keeps the contract."""

from promise_seg.prompting.building import CONFIGS
from promise_seg.vocabulary import ApmKind
from tests.prompting.contract import ApmContract


class TestHeatmap(ApmContract):
    kind = ApmKind.HEATMAP


class TestPeaks(ApmContract):
    kind = ApmKind.PEAKS


class TestResnet(ApmContract):
    kind = ApmKind.RESNET
    steps = 5


class TestCross(ApmContract):
    kind = ApmKind.CROSS
    needs_one_width = True


def test_every_kind_that_a_user_can_name_has_a_config_and_keeps_the_contract():
    assert set(CONFIGS) == set(ApmKind) == {cls.kind for cls in ApmContract.__subclasses__()}
