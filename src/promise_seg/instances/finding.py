"""Find the objects of one image: ask for each, outline it, and paint all of them into one map."""

from promise_seg.images.geometry import Geometry
from promise_seg.instances.outlining import outline_objects
from promise_seg.instances.painting import InstanceMap, paint
from promise_seg.instances.proposing import propose_objects
from promise_seg.model import PromiseModel
from promise_seg.rules.instance_rule import InstanceRule
from promise_seg.sam.features import Features


def find_instances(
    model: PromiseModel, features: Features, geometry: Geometry, rule: InstanceRule | None = None
) -> InstanceMap:
    """Return the objects of one image, with the model's own prompts.

    Args:
        model: in evaluation mode, with an APM that makes a map of where objects are.
        features: of the image, with what the APM found in it, on the model's device.
        geometry: of the image.
        rule: how objects are told apart; by default the one of the model.

    Raises:
        SettingsError: if its APM makes no map, or there are more objects than an instance map holds.
    """
    rule = rule or model.config.instance_rule
    proposals = propose_objects(model, features, rule, geometry)
    objects = outline_objects(model, features, proposals, geometry, rule)
    return paint(objects, geometry.height, geometry.width, rule.least_score)
