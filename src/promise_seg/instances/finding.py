"""Find the objects of one image: propose prompts, outline each object, and paint all into one instance map."""

from promise_seg.images.geometry import Geometry
from promise_seg.instances.outlining import outline_objects
from promise_seg.instances.painting import InstanceMap, paint
from promise_seg.instances.proposing import propose_objects
from promise_seg.model import PromiseModel
from promise_seg.prompting.apm import Proposal
from promise_seg.rules.instance_rule import InstanceRule
from promise_seg.sam.features import Features


def find_instances(
    model: PromiseModel,
    features: Features,
    geometry: Geometry,
    rule: InstanceRule | None = None,
    own: Proposal | None = None,
    name: str = "the image",
) -> InstanceMap:
    """Find the objects of one image with the model's own prompts.

    Args:
        model: model in evaluation mode, with an APM that makes a saliency map.
        features: features of the image with the APM's outputs, on the model's device.
        geometry: geometry of the image.
        rule: how objects are separated; by default the model's rule.
        own: what the model proposes for these features, if it is known already.
        name: name of the image in messages.

    Raises:
        ImageError: if there are more objects than an instance map can number.
        SettingsError: if the model's APM makes no map.
    """
    rule = rule or model.config.instance_rule
    proposals = propose_objects(model, features, rule, geometry, own, name)
    objects = outline_objects(model, features, proposals, geometry, rule)
    return paint(objects, geometry.height, geometry.width, rule.least_score)
