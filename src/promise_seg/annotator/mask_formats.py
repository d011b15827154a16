"""The formats of masks that a manifest can list, so that accepted images can be trained on."""

from collections.abc import Iterator
from sqlite3 import Row

from promise_seg.annotator.catalogue import Catalogue
from promise_seg.annotator.refusals import Refusal
from promise_seg.errors import SettingsError
from promise_seg.images.formats.dicom_source import DicomSource
from promise_seg.images.formats.source import Source
from promise_seg.prediction.outputs.formats import WITHOUT_INSTANCES
from promise_seg.vocabulary import OutputFormat, TrainableFormat


def check_can_be_trained_on(output: OutputFormat, instances: bool | None = None) -> None:
    """Check that a manifest can name masks in this format, so that accepted images can be trained on.

    Args:
        output: the format.
        instances: whether masks are instance maps; ``None`` if that is not known yet.

    Raises:
        SettingsError: if it cannot; the message names the formats that can be used.
    """
    usable = _formats(instances=bool(instances))
    if output in usable:
        return
    if output in _formats(instances=False):
        raise SettingsError(
            f"--format {output}: holds named segments and no instance maps, which this project writes; expected one of "
            f"{', '.join(usable)}. Or give --no-instances for masks that do not number the objects"
        )
    raise SettingsError(
        f"--format {output}: masks in this format cannot be trained on; expected one of {', '.join(usable)}. The page "
        "exports COCO as well"
    )


def _formats(*, instances: bool) -> list[OutputFormat]:
    """Return the formats of masks that can be trained on, and can hold instance maps if these are wanted."""
    return [OutputFormat(one) for one in TrainableFormat if not (instances and OutputFormat(one) in WITHOUT_INSTANCES)]


def can_be_trained_on(source: Source, output: OutputFormat) -> bool:
    """Whether masks of an image in this format can be written, and matched with its slices in training.

    Slices that have positions are matched by position only, which PNG, TIFF and NumPy files do not store. A folder of
    PNG files cannot be listed in a manifest.
    """
    is_single = len(source) == 1 and not source.is_oriented
    has_positions = not is_single and (source.is_cut or source.slices_have_places)
    match output:
        case OutputFormat.AUTO:
            return True
        case OutputFormat.PNG:
            return not source.is_volume
        case OutputFormat.TIFF | OutputFormat.NPY:
            return not has_positions
        case OutputFormat.NRRD | OutputFormat.METAIMAGE:
            return not has_positions or source.frame is not None
        case OutputFormat.NIFTI:
            return source.frame is not None
        case OutputFormat.DICOM_SEG:
            return isinstance(source, DicomSource) and not source.is_cut
    return False


def check_fits_images(catalogue: Catalogue, output: OutputFormat, *, instances: bool) -> None:
    """Check that masks of the project's images in this format can be trained on, with one image of each kind.

    Args:
        catalogue: the images.
        output: the format, in which :func:`check_can_be_trained_on` found no fault.
        instances: whether masks are instance maps.

    Raises:
        SettingsError: if they cannot; the message names an image and the formats that can be used for it.
    """
    if output == OutputFormat.AUTO:
        return
    for row in _one_of_each_kind(catalogue):
        try:
            source = catalogue.source(int(row["id"]))
        except Refusal:  # its files are missing or were changed, which the page shows
            continue
        if not can_be_trained_on(source, output):
            usable = ", ".join(one for one in _formats(instances=instances) if can_be_trained_on(source, one))
            raise SettingsError(
                f"--format {output}: masks of {row['name']} in this format cannot be trained on; expected one of "
                f"{usable}. Give images that need different formats to different projects, or leave out --format"
            )


def _one_of_each_kind(catalogue: Catalogue) -> Iterator[Row]:
    """Yield an image for each kind of file, separately for volumes and single images."""
    known = set[tuple[str, bool, bool]]()
    for row in catalogue.rows():
        given = catalogue.image(row["id"]).input
        kind = given.path.suffix.lower(), bool(given.files), row["slices"] == 1
        if kind not in known:
            known.add(kind)
            yield row
