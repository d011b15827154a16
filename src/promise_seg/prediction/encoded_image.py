"""An encoded image: the features of one image and its geometry."""

from dataclasses import dataclass

from promise_seg.errors import SettingsError
from promise_seg.images.geometry import Geometry
from promise_seg.model import PromiseModel
from promise_seg.sam.features import Features


@dataclass(frozen=True)
class EncodedImage:
    """The encoder's output for an image, which any number of predictions can be made from."""

    features: Features
    geometry: Geometry

    def check_fits(self, model: PromiseModel) -> None:
        """Check that the image was encoded at the input size of a model.

        Raises:
            SettingsError: if the sizes differ, with both sizes.
        """
        if self.geometry.side != model.sam.image_size:
            raise SettingsError(
                f"the image was encoded at {self.geometry.side} px by another model; expected {model.sam.image_size} "
                "px. Encode it with this model"
            )
