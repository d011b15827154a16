"""Labels of a file in other units than millimetres have its size in every format."""

import nibabel as nib
import numpy as np
import pytest

from promise_seg.images.formats.opening import open_source
from promise_seg.images.readers import read_labels
from promise_seg.prediction.outputs.metaimage import write_metaimage
from promise_seg.prediction.outputs.nifti import write_nifti
from promise_seg.prediction.outputs.nrrd import write_nrrd

AFFINE = np.array([[8.0, -6.0, 0.0, 500.0], [6.0, 8.0, 0.0, -700.0], [0.0, 0.0, 25.0, 90.0], [0.0, 0.0, 0.0, 1.0]])
WRITERS = {"m.nrrd": write_nrrd, "m.mha": write_metaimage, "m.nii": write_nifti}


def write_image(path, unit, affine=AFFINE):
    image = nib.Nifti1Image(np.arange(6 * 7 * 5, dtype=np.int16).reshape(6, 7, 5), affine)
    image.header.set_xyzt_units(unit)
    nib.save(image, path)
    return path


@pytest.mark.parametrize(("unit", "factor"), [("micron", 1e-3), ("mm", 1.0), ("meter", 1e3)])
@pytest.mark.parametrize("name", WRITERS)
def test_labels_lie_where_the_image_lies_in_millimetres(label, tmp_path, unit, factor, name):
    affine = np.diag([1e-4, 1e-4, 1e-4, 1.0]) @ AFFINE if unit == "meter" else AFFINE  # larger voxels are implausible
    labelled = label(write_image(tmp_path / "v.nii", unit, affine))
    WRITERS[name](labelled, tmp_path / name)
    written = open_source(tmp_path / name)
    found = np.diag([*[written.mm_per_unit] * 3, 1.0]) @ written.frame.affine
    np.testing.assert_allclose(found, np.diag([factor, factor, factor, 1.0]) @ affine, rtol=1e-5)
    assert written.spacing == pytest.approx(labelled.source.spacing)
    for index in range(len(labelled.source)):
        assert np.array_equal(read_labels(tmp_path / name, labelled.source, index), labelled.stack[index])


def test_a_mask_that_has_the_affine_of_its_image_but_not_its_units_fits(label, tmp_path):
    labelled = label(write_image(tmp_path / "v.nii", "micron"))
    mask = nib.Nifti1Image(labelled.source.frame.from_slices(labelled.stack), AFFINE)
    nib.save(mask, tmp_path / "m.nii")
    assert np.array_equal(read_labels(tmp_path / "m.nii", labelled.source, 2), labelled.stack[2])
