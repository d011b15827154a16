"""An image after the encoder of a model."""

from dataclasses import dataclass

from promise_seg.errors import SettingsError
from promise_seg.images.geometry import Geometry
from promise_seg.model import PromiseModel
from promise_seg.sam.features import Features


@dataclass(frozen=True)
class EncodedImage:
    """An image after the encoder: all the heavy work. Any number of predictions can follow."""

    features: Features
    geometry: Geometry

    def check_fits(self, model: PromiseModel) -> None:
        """Refuse an image that a model with another input size encoded.

        Raises:
            SettingsError: with both sizes.
        """
        if self.geometry.side != model.sam.image_size:
            raise SettingsError(
                f"the image was encoded by another model, at {self.geometry.side} px; this one sees "
                f"{model.sam.image_size} px. Encode it with this model"
            )
