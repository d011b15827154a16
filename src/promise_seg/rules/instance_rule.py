"""The rule by which a model's maps and SAM's masks become separate objects, chosen on validation rows."""

from pydantic import BaseModel, ConfigDict, Field


class InstanceRule(BaseModel):
    """How the objects of an image are told apart and outlined.

    Args:
        prominence: how far a peak of the distance map rises above the pass to a higher one, so that it is an object.
        map_share: the share of the saliency in the mask of an object; with 1 SAM's decoder is not asked.
        least_score: objects with a lower score are left out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    prominence: float = Field(0.1, ge=0, le=1)
    map_share: float = Field(1.0, ge=0, le=1)
    least_score: float = Field(0.0, ge=0, le=1)

    @property
    def words(self) -> str:
        """A short description."""
        least = f", objects with a score below {self.least_score:g} left out" if self.least_score else ""
        return (
            f"peaks of the distance map that rise by {self.prominence:g}, outlined with a share of {self.map_share:g} "
            f"of the saliency{least}"
        )
