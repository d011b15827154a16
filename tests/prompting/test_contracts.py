"""Each kind of APM keeps the contract."""

from typing import ClassVar

from promise_seg.prompting.building import CONFIGS
from promise_seg.vocabulary import ApmKind
from tests.prompting.contract import IMAGE_SIDE, ApmContract, PointContract


class TestHeatmap(PointContract):
    kind = ApmKind.HEATMAP


class TestPeaks(PointContract):
    kind = ApmKind.PEAKS


class TestResnet(PointContract):
    kind = ApmKind.RESNET
    steps = 5


class TestCross(PointContract):
    kind = ApmKind.CROSS


class TestPretrained(ApmContract):
    kind = ApmKind.PRETRAINED
    options: ClassVar = {"side": IMAGE_SIDE}
    unlearned = ("decoder.presence",)
    steps = 5

    def build(self, *sizes, **values):
        apm = super().build(*sizes, **values)
        apm.load_pretrained_weights()
        return apm


ALL = [cls for cls in (*ApmContract.__subclasses__(), *PointContract.__subclasses__()) if hasattr(cls, "kind")]


def test_every_kind_that_a_user_can_name_has_a_config_and_keeps_the_contract():
    assert set(CONFIGS) == set(ApmKind) == {cls.kind for cls in ALL}
