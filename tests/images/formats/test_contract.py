"""Every source, and every kind of mask, keeps what all of them promise."""

import nibabel as nib
import numpy as np
import tifffile
from PIL import Image

from promise_seg.images.formats.dicom import DicomImage
from promise_seg.images.formats.kinds import FILE_SOURCES, FOLDER_SOURCE
from promise_seg.images.formats.metaimage import MetaImageVolume
from promise_seg.images.formats.nifti import NiftiVolume
from promise_seg.images.formats.nrrd import NrrdVolume
from promise_seg.images.formats.opening import open_source
from promise_seg.images.formats.pictures import Picture
from promise_seg.images.formats.series import DicomSeries
from promise_seg.images.formats.tiff import TiffStack
from promise_seg.vocabulary import Axis
from tests.files import write_dicom, write_metaimage, write_nrrd, write_series
from tests.images.formats.contract import (
    ORIGIN_LPS,
    SPACING,
    STEP_MM,
    MaskContract,
    SourceAndMaskContract,
    SourceContract,
)
from tests.images.formats.test_segmentation import write_segmentation

NRRD_SPACE = {
    "space": "left-posterior-superior",
    "space directions": np.diag([SPACING[1], SPACING[0], STEP_MM]),
    "space origin": np.array(ORIGIN_LPS),
}


class TestPicture(SourceAndMaskContract):
    source, count, is_placed, is_compared_later = Picture, 1, False, True

    def write(self, folder, stack):
        Image.fromarray(stack[0]).save(folder / "a.png")
        return folder / "a.png"


class TestTiffPage(SourceAndMaskContract):
    source, count, is_placed, is_compared_later = TiffStack, 1, False, True

    def write(self, folder, stack):
        tifffile.imwrite(folder / "a.tif", stack[0])
        return folder / "a.tif"


class TestTiffStack(SourceAndMaskContract):
    source, is_placed, is_read_by_slice, is_compared_later = TiffStack, False, True, True

    def write(self, folder, stack):
        tifffile.imwrite(folder / "a.tif", stack, photometric="minisblack", compression="zlib")
        return folder / "a.tif"


class TestNifti(SourceAndMaskContract):
    source, name = NiftiVolume, "a.nii"

    def write(self, folder, stack):
        affine = np.diag([-SPACING[1], -SPACING[0], STEP_MM, 1])
        affine[:3, 3] = np.multiply(ORIGIN_LPS, (-1, -1, 1))
        nib.save(nib.Nifti1Image(stack.T, affine), folder / self.name)
        return folder / self.name


class TestPackedNifti(TestNifti):
    name = "a.nii.gz"


class TestNrrd(SourceAndMaskContract):
    source, name = NrrdVolume, "a.nrrd"

    def write(self, folder, stack):
        return write_nrrd(folder / self.name, stack.T, NRRD_SPACE)


class TestMetaImage(SourceAndMaskContract):
    source = MetaImageVolume

    def write(self, folder, stack):
        return write_metaimage(folder / "a.mha", stack, spacing=(*SPACING[::-1], STEP_MM), origin=ORIGIN_LPS)


class TestDetachedMetaImage(TestMetaImage):
    def write(self, folder, stack):
        place = {"spacing": (*SPACING[::-1], STEP_MM), "origin": ORIGIN_LPS}
        return write_metaimage(folder / "a.mhd", stack, **place, data="a.raw")

    def main_file(self, path):
        return path.with_name("a.raw")

    def damages(self, whole):
        return [b"", whole[: len(whole) // 2]]


class TestDetachedNrrd(TestNrrd):
    name = "a.nhdr"

    def main_file(self, path):
        return path.with_name("a.raw.gz")

    def damages(self, whole):
        return [b"", whole[: len(whole) // 2], whole[:10] + b"\xff" * (len(whole) - 10)]


class TestUnplacedNrrd(SourceAndMaskContract):
    source, is_placed, is_compared_later, axes = NrrdVolume, False, True, (Axis.AUTO,)

    def write(self, folder, stack):
        return write_nrrd(folder / "a.nrrd", stack.T)


class TestFlatNrrd(SourceAndMaskContract):
    source, count, is_placed, is_compared_later = NrrdVolume, 1, False, True

    def write(self, folder, stack):
        return write_nrrd(folder / "a.nrrd", stack[0].T)


class TestDicom(SourceAndMaskContract):
    source, count, is_compared_later = DicomImage, 1, True

    def write(self, folder, stack):
        return write_dicom(
            folder / "a.dcm", stack[0], PixelSpacing=list(SPACING), ImagePositionPatient=list(ORIGIN_LPS)
        )


class TestDicomFrames(SourceAndMaskContract):
    source, is_placed, is_compared_later, axes = DicomImage, False, True, (Axis.AUTO,)

    def write(self, folder, stack):
        return write_dicom(folder / "a.dcm", stack, placed=False, NumberOfFrames=len(stack))


class TestDicomSeries(SourceAndMaskContract):
    source = DicomSeries

    def write(self, folder, stack):
        return write_series(folder / "ct", stack, spacing=SPACING, step=STEP_MM, origin=ORIGIN_LPS)

    def main_file(self, path):
        return sorted(path.iterdir())[0]

    def damages(self, whole):
        return [whole[: len(whole) // 2], whole[:400]]  # with less it is no image, and none of the series


class TestSegmentation(MaskContract):
    axes = (Axis.AUTO,)

    def write_image(self, folder, stack):
        return write_series(folder / "ct", stack)

    def write_mask(self, folder, labels, image):
        return write_segmentation(folder / "seg.dcm", open_source(image).datasets(), labels)


def test_every_source_is_held_by_the_contract():
    held = {kind.source for kind in _all_subclasses(SourceContract) if hasattr(kind, "source")}
    assert held == {*FILE_SOURCES, FOLDER_SOURCE}


def _all_subclasses(kind):
    return {kind, *(inner for one in kind.__subclasses__() for inner in _all_subclasses(one))}
