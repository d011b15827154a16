"""The packages that exporting needs, and the versions of ONNX that it can write."""

from importlib.util import find_spec

from promise_seg.errors import SettingsError

OLDEST_OPSET, NEWEST_OPSET = 17, 20
"""The first opset with a layer norm of its own, to the last that PyTorch's exporter knows."""
USUAL_OPSET = 17
"""The opset that the most programs can run: those since ONNX Runtime 1.12."""


def check_packages() -> None:
    """Raise an error if a package is missing.

    Raises:
        SettingsError: that names it, and the command that installs it.
    """
    missing = [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise SettingsError(
            f"promise export needs the Python {'package' if len(missing) == 1 else 'packages'} "
            f"{' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed. Install what it "
            "needs: pip install 'promise-seg[onnx]'"
        )


def check_opset(opset: int) -> None:
    """Raise an error if a version of ONNX's operators cannot be written.

    Raises:
        SettingsError: that names those that can.
    """
    if OLDEST_OPSET <= opset <= NEWEST_OPSET:
        return
    why = (
        "it has no operator for layer norms"
        if opset < OLDEST_OPSET
        else "PyTorch's exporter of traced graphs ends there"
    )
    raise SettingsError(
        f"--opset {opset}: expected {OLDEST_OPSET} to {NEWEST_OPSET}, as {why}. Leave the option away for {USUAL_OPSET}"
    )
