"""The rule that makes separate objects from a model's maps and SAM's masks; chosen on validation rows."""

from pydantic import BaseModel, ConfigDict, Field


class InstanceRule(BaseModel):
    """How the objects of an image are separated and outlined.

    Args:
        prominence: least height of a peak of the distance map above the pass to a higher peak, for it to be an object.
        map_share: share of the saliency map in the mask of an object; with 1, SAM's decoder is not used.
        least_score: lowest score of an object that is kept.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    prominence: float = Field(0.1, ge=0, le=1)
    map_share: float = Field(1.0, ge=0, le=1)
    least_score: float = Field(0.0, ge=0, le=1)

    @property
    def words(self) -> str:
        """A short description of the rule."""
        least = f"; objects with a score below {self.least_score:g} are left out" if self.least_score else ""
        return (
            f"each peak of the distance map with a prominence of at least {self.prominence:g} is an object; its mask "
            f"is {self._mask_words}{least}"
        )

    @property
    def _mask_words(self) -> str:
        if self.map_share in (0, 1):
            return "the saliency map alone" if self.map_share else "SAM's mask alone"
        return f"{self.map_share:.0%} saliency map and {1 - self.map_share:.0%} SAM's mask"
