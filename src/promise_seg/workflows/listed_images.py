"""The images that a user names for prediction: files and folders, local or at addresses, or those of a manifest."""

from collections.abc import Callable, Sequence
from pathlib import Path

from promise_seg.dataset.manifest import read_manifest
from promise_seg.dataset.manifest_file import SUFFIXES
from promise_seg.errors import ManifestError
from promise_seg.images.channels import Channels
from promise_seg.images.exports.inputs import Input, find_inputs


def find_images(
    places: Sequence[str | Path], note: Callable[[str], object], output: str | Path, channels: Channels | None
) -> Sequence[Input]:
    """Return the inputs in some places; see :func:`~promise_seg.images.exports.inputs.find_inputs`.

    For a manifest, these are the images of all its rows; its masks are not read.

    Raises:
        ManifestError: if a manifest cannot be used, or is not the only place.
        ImageError: if there are no images.
    """
    manifests = [place for place in places if str(place).lower().endswith(SUFFIXES)]
    if manifests and len(places) > 1:
        raise ManifestError(f"{manifests[0]}: give one manifest alone, or images and folders without a manifest")
    if manifests:
        places = list(dict.fromkeys(row.image for row in read_manifest(manifests[0])))
    return find_inputs(places, note, output, channels)
