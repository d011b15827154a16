"""promise-seg: adapt a frozen Segment Anything Model to medical images."""

from typing import TYPE_CHECKING, Any

from promise_seg._version import __version__

if TYPE_CHECKING:
    from promise_seg.prediction.prediction import Prediction
    from promise_seg.prediction.predictor import Predictor, load

__all__ = ["Prediction", "Predictor", "__version__", "load"]


def __getattr__(name: str) -> Any:
    """Import torch only when something is asked of it, so that ``promise --help`` answers at once."""
    if name in {"Prediction", "Predictor", "load"}:
        from promise_seg.prediction import predictor

        return getattr(predictor, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
