"""Check the packages that exporting requires, and the versions of ONNX operators."""

from importlib.util import find_spec

from promise_seg.errors import SettingsError

OLDEST_OPSET, NEWEST_OPSET = 17, 20
"""First opset with an operator for layer norms, and last opset that PyTorch's tracing exporter supports."""
USUAL_OPSET = 17
"""Default opset, which most programs can run: ONNX Runtime supports it since version 1.12."""


def check_packages() -> None:
    """Check that all required packages are installed.

    Raises:
        SettingsError: if a package is missing, with the command that installs it.
    """
    missing = [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]
    if missing:
        raise SettingsError(
            f"promise export needs the Python {'package' if len(missing) == 1 else 'packages'} "
            f"{' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed. Install what it "
            "needs: pip install 'promise-seg[onnx]'"
        )


def check_opset(opset: int) -> None:
    """Check that a version of the ONNX operators can be written.

    Raises:
        SettingsError: if it cannot, with the versions that can.
    """
    if OLDEST_OPSET <= opset <= NEWEST_OPSET:
        return
    why = (
        f"opsets before {OLDEST_OPSET} have no operator for layer norms"
        if opset < OLDEST_OPSET
        else f"PyTorch's exporter of traced graphs writes no opset after {NEWEST_OPSET}"
    )
    raise SettingsError(
        f"--opset {opset}: expected {OLDEST_OPSET} to {NEWEST_OPSET}, as {why}. Leave out the option to use "
        f"{USUAL_OPSET}"
    )
