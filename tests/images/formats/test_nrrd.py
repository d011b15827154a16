"""NRRD files as 3D Slicer, ITK, teem and pynrrd write them."""

import bz2
import gzip
import os

import numpy as np
import pytest

from promise_seg.errors import ImageError
from promise_seg.images.exports.inputs import find_inputs
from promise_seg.images.formats.notes import NO_PLACE
from promise_seg.images.formats.opening import open_source
from promise_seg.images.readers import content_sha256, read_image, read_labels
from promise_seg.images.reading import DEFAULT_READING
from promise_seg.prediction.outputs.formats import formats_for
from promise_seg.vocabulary import Axis, OutputFormat
from tests.files import write_nifti, write_nrrd

VOLUME = np.arange(6 * 5 * 4, dtype=np.int16).reshape(6, 5, 4)
OBLIQUE = """\
NRRD0004
# Complete NRRD file format specification at:
# http://teem.sourceforge.net/nrrd/format.html
type: short
dimension: 3
space: left-posterior-superior
sizes: 6 5 4
space directions: (0.61774867709089509,0.29840662774669685,0.13906853155654283) \
(-0.60892574276361799,1.0851006376445012,0.37651832091317022) \
(-0.13131664670681112,-1.0808306823130764,2.9025094271110179)
kinds: domain domain domain
endian: little
encoding: raw
space origin: (-12.5,40.25,-7.75)

"""
"""An oblique volume of 0.7 x 1.3 x 3.1 mm, as SimpleITK 2.5 writes it."""
ITK_POINTS = {
    (0, 0, 0): (-12.5, 40.25, -7.75),
    (5, 0, 0): (-9.411256614545525, 41.74203313873348, -7.054657342217286),
    (0, 4, 0): (-14.935702971054472, 44.590402550578006, -6.243926716347319),
    (0, 0, 3): (-12.893949940120434, 37.007507953060774, 0.9575282813330546),
    (5, 4, 3): (-12.240909525720431, 42.83994364237226, 3.158944222768449),
    (2, 3, 1): (-13.222596520815875, 43.02128448611382, -3.4397985470363857),
}
"""What SimpleITK's TransformIndexToPhysicalPoint says of its voxels: in mm, LPS+."""
SIMPLE = "NRRD0004\ntype: short\ndimension: 3\nsizes: 6 5 4\nendian: little\nencoding: raw\n"
VALUES = VOLUME.tobytes(order="F")


def save(path, header, values=VALUES):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header.encode() + values)
    return path


def refused(path):
    """What is said of a file, in one line that names it."""
    with pytest.raises(ImageError) as caught:
        open_source(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert len(message.splitlines()) == 1
    assert len(message) < len(str(path)) + 400
    return message


@pytest.mark.parametrize("axis", list(Axis))
def test_an_oblique_volume_lies_where_itk_says(tmp_path, axis):
    source = open_source(save(tmp_path / "a.nrrd", OBLIQUE), axis)
    for index, (left, back, up) in ITK_POINTS.items():
        assert source.array[index] == VOLUME[index]
        assert (source.frame.affine @ [*index, 1])[:3] == pytest.approx((-left, -back, up))
    sizes = {"axial": (1.3, 0.7), "coronal": (3.1, 0.7), "sagittal": (3.1, 1.3), "auto": (1.3, 0.7)}
    assert source.spacing == pytest.approx(sizes[axis])


def test_the_same_volume_as_nifti_is_cut_into_the_same_slices_and_can_be_its_mask(tmp_path):
    source = open_source(save(tmp_path / "a.nrrd", OBLIQUE))
    nifti = write_nifti(tmp_path / "a.nii.gz", VOLUME, source.frame.affine)
    for axis in Axis:
        one, two = open_source(tmp_path / "a.nrrd", axis), open_source(nifti, axis)
        assert len(one) == len(two)
        for index in range(len(one)):
            assert np.array_equal(one.values(index), two.values(index))
            assert np.array_equal(read_labels(nifti, one, index), one.values(index))
            assert np.array_equal(read_labels(tmp_path / "a.nrrd", two, index), one.values(index))


@pytest.mark.parametrize(
    ("space", "signs"),
    [("right-anterior-superior", (1, 1, 1)), ("RAS", (1, 1, 1)), ("left-anterior-superior", (-1, 1, 1)),
     ("LAS", (-1, 1, 1)), ("left-posterior-superior", (-1, -1, 1)), ("LPS", (-1, -1, 1)),
     ("Left-Posterior-Superior", (-1, -1, 1))],
)  # fmt: skip
def test_every_space_of_patients_becomes_one(tmp_path, space, signs):
    header = {"space": space, "space directions": np.diag([0.5, 0.8, 2.0]), "space origin": np.array([1.0, 2.0, 3.0])}
    source = open_source(write_nrrd(tmp_path / "a.nrrd", VOLUME, header))
    expected = np.diag([*signs, 1.0]) @ [[0.5, 0, 0, 1], [0, 0.8, 0, 2], [0, 0, 2, 3], [0, 0, 0, 1]]
    np.testing.assert_allclose(source.frame.affine, expected)


def test_units_are_millimetres_unless_they_are_named(tmp_path):
    header = {"space": "RAS", "space directions": np.eye(3), "space origin": np.array([1.0, 2.0, 3.0])}
    for unit, factor in (("mm", 1), ("cm", 10), ("um", 1e-3)):
        source = open_source(write_nrrd(tmp_path / f"{unit}.nrrd", VOLUME, header | {"space units": [unit] * 3}))
        np.testing.assert_allclose(source.frame.affine[:3], factor * np.c_[np.eye(3), [1, 2, 3]])
        assert source.spacing == pytest.approx((factor, factor))
    source = open_source(write_nrrd(tmp_path / "odd.nrrd", VOLUME, header | {"space units": ["parsec"] * 3}))
    assert (source.frame, source.spacing) == (None, None)


@pytest.mark.parametrize("header", [{}, {"space": "scanner-xyz", "space directions": np.diag([0.5, 0.8, 2.0])}])
def test_where_the_patient_is_not_told_slices_are_as_stored(tmp_path, header):
    path = write_nrrd(tmp_path / "a.nrrd", VOLUME, header)
    source = open_source(path)
    assert (len(source), source.is_volume, source.frame) == (4, True, None)
    assert np.array_equal(source.values(1), VOLUME[..., 1].T)
    assert source.spacing == ((0.8, 0.5) if header else None)
    assert formats_for(source, OutputFormat.AUTO) == [OutputFormat.NRRD]
    with pytest.raises(ImageError, match=r"a\.nrrd: has no patient orientation, so it cannot"):
        open_source(path, Axis.CORONAL)


def test_a_volume_with_a_place_and_a_mask_without_one_are_not_matched(tmp_path):
    placed = open_source(save(tmp_path / "a.nrrd", OBLIQUE))
    mask = save(tmp_path / "mask.nrrd", SIMPLE + "\n")
    with pytest.raises(ImageError, match=r"mask\.nrrd: its slices have no position"):
        read_labels(mask, placed, 0)


def test_spacings_without_a_space_are_kept(tmp_path):
    for lines, spacing in (
        ("spacings: 0.5 0.8 2\n", (0.8, 0.5)), ('spacings: 0.5 0.8 2\nunits: "cm" "cm" "cm"\n', (8, 5)),
        ("spacings: nan nan 2\n", None), ('spacings: 0.5 0.8 2\nunits: "px" "px" "px"\n', None),
    ):  # fmt: skip
        source = open_source(save(tmp_path / "a.nrrd", SIMPLE + lines + "\n"))
        assert source.spacing == (None if spacing is None else pytest.approx(spacing))


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("raw", bytes), ("gzip", gzip.compress), ("gz", gzip.compress), ("bzip2", bz2.compress), ("bz2", bz2.compress),
     ("ascii", lambda values: " ".join(map(str, np.frombuffer(values, np.int16))).encode())],
)  # fmt: skip
@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr"])
def test_encodings_attached_and_detached(tmp_path, encoding, pack, suffix):
    header, values = SIMPLE.replace("raw", encoding), pack(VALUES)
    if suffix == ".nhdr":
        (tmp_path / "values").write_bytes(values)
        header, values = header + "data file: values\n", b""
    source = open_source(save(tmp_path / f"a{suffix}", header + "\n", values))
    assert np.array_equal(np.stack([source.values(i) for i in range(4)]), VOLUME.T)


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_types_and_orders_of_bytes(tmp_path, kind, order):
    array = VOLUME.astype(order + kind)
    source = open_source(write_nrrd(tmp_path / "a.nrrd", array))
    assert np.array_equal(source.values(2), VOLUME[..., 2].T)
    assert source.values(2).dtype == np.dtype("f4" if kind == "f8" else kind)


def test_skipped_lines_and_bytes(tmp_path):
    before = b"two\nlines\nabc"
    header = SIMPLE + "line skip: 2\nbyte skip: 3\ndata file: values\n\n"
    (tmp_path / "values").write_bytes(before + VALUES)
    assert np.array_equal(open_source(save(tmp_path / "a.nhdr", header, b"")).array, VOLUME.T)
    header = SIMPLE + "byte skip: -1\ndata file: values\n\n"
    assert np.array_equal(open_source(save(tmp_path / "b.nhdr", header, b"")).array, VOLUME.T)
    header = SIMPLE.replace("raw", "gzip") + "byteskip: 5\n\n"
    packed = gzip.compress(b"12345" + VALUES)
    assert np.array_equal(open_source(save(tmp_path / "c.nrrd", header, packed)).array, VOLUME.T)


@pytest.mark.parametrize("kind", ["RGB-color", "RGBA-color", "vector"])
@pytest.mark.parametrize("last", [False, True])
def test_colours_may_be_the_first_axis_or_the_last(tmp_path, kind, last):
    rgb = np.random.default_rng(0).integers(0, 255, (8, 6, 4 if "A" in kind else 3)).astype(np.uint8)
    array = rgb.transpose(1, 0, 2) if last else rgb.T
    kinds = ["domain", "domain", kind] if last else [kind, "domain", "domain"]
    source = open_source(write_nrrd(tmp_path / "a.nrrd", array, {"kinds": kinds}))
    assert (len(source), source.is_volume) == (1, False)
    assert np.array_equal(source.values(0), rgb[..., :3])
    assert np.array_equal(read_image(tmp_path / "a.nrrd"), rgb[..., :3])
    assert formats_for(source, OutputFormat.AUTO) == [OutputFormat.NRRD]


@pytest.mark.parametrize(("normal", "axis"), [(0, "sagittal"), (1, "coronal"), (2, "axial")])
def test_a_single_slice_in_space_is_seen_from_its_front(tmp_path, normal, axis):
    """Whatever axis volumes are cut across; its neighbours are not there."""
    directions = np.delete(np.diag([0.5, 0.8, 2.0]), normal, axis=0)
    header = {"space": "LPS", "space directions": directions, "space origin": np.zeros(3)}
    path = write_nrrd(tmp_path / "a.nrrd", VOLUME[..., 0], header)
    for wanted in Axis:
        source = open_source(path, wanted)
        assert (len(source), str(source.frame.axis)) == (1, axis)
        assert sorted(source.values(0).ravel()) == sorted(VOLUME[..., 0].ravel())
        assert min(source.values(0).shape) == 5
        assert source.spacing == pytest.approx(np.linalg.norm(directions, axis=1)[::-1])


def test_axes_of_length_one_are_dropped_and_longer_ones_are_channels(tmp_path):
    four = {"space directions": np.array([*np.eye(3), [np.nan] * 3]), "space": "LPS", "kinds": ["space"] * 3 + ["list"]}
    source = open_source(write_nrrd(tmp_path / "one.nrrd", VOLUME[..., None], four))
    assert np.array_equal(source.array, VOLUME)
    layers = open_source(write_nrrd(tmp_path / "layers.nrrd", np.stack([VOLUME, VOLUME + 7], -1), four))
    for read, words in (
        (layers.values, "say in training"),
        (layers.as_stored, "overlapping segments as one label"),
    ):
        with pytest.raises(ImageError, match=rf"layers\.nrrd: has 2 channels \(0, 1\); .*{words}"):
            read(0)
    assert np.array_equal(layers.channel_values(2, 1), source.values(2) + 7)
    of_none = [np.nan] * 3
    first = {"kinds": ["vector", *["domain"] * 3], "space": "LPS", "space directions": np.array([of_none, *np.eye(3)])}
    stack = np.stack([VOLUME, VOLUME + 7, VOLUME + 9, VOLUME])
    vectors = open_source(write_nrrd(tmp_path / "vectors.nrrd", stack, first))
    assert np.array_equal(vectors.channel_values(2, 2), source.values(2) + 9)
    both = first | {"kinds": ["vector", "list", *["domain"] * 3],
                    "space directions": np.array([[np.nan] * 3, [np.nan] * 3, *np.eye(3)])}  # fmt: skip
    write_nrrd(tmp_path / "both.nrrd", np.stack([np.stack([VOLUME] * 2)] * 3), both)
    assert "has 3 x 2 values for each voxel; expected one axis of channels" in refused(tmp_path / "both.nrrd")
    write_nrrd(tmp_path / "four.nrrd", np.stack([VOLUME] * 2, -1))
    assert "has 4 dimensions (6 x 5 x 4 x 2); expected 2 or 3" in refused(tmp_path / "four.nrrd")
    write_nrrd(tmp_path / "line.nrrd", VOLUME[:, 0, 0])
    assert "has 1 dimension (6)" in refused(tmp_path / "line.nrrd")


def test_the_values_of_a_detached_header_are_part_of_it(tmp_path):
    path = save(tmp_path / "in/a.nhdr", SIMPLE + "data file: below/a.raw\n\n", b"")
    data = save(tmp_path / "in/below/a.raw", "")
    (found,) = find_inputs([tmp_path / "in"])
    assert (found.path, found.stem) == (path, "a")
    before = found.sha256(), content_sha256(open_source(path), 0, DEFAULT_READING)
    assert np.array_equal(open_source(path).values(0), VOLUME[..., 0].T)
    save(data, "", VALUES[::-1])
    os.utime(data, ns=(1, 1))
    assert not {*before} & {found.sha256(), content_sha256(open_source(path), 0, DEFAULT_READING)}
    assert not np.array_equal(open_source(path).values(0), VOLUME[..., 0].T)


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../secret.raw", "below/../../secret.raw", "..\\secret.raw", "C:\\secret.raw", "C:secret.raw",
     "\\\\server\\secret.raw", "/in/values.raw", ".."],
)  # fmt: skip
def test_a_header_leads_nowhere_but_into_its_own_folder(tmp_path, name):
    save(tmp_path / "secret.raw", "")
    save(tmp_path / "in/values.raw", "")
    path = save(tmp_path / "in/a.nhdr", SIMPLE + f"data file: {name}\n\n", b"")
    assert "expected a file in its own folder, as a header may not lead elsewhere" in refused(path)
    path = save(tmp_path / "in/b.nhdr", SIMPLE + f"data file: {tmp_path}/in/values.raw\n\n", b"")
    assert "expected a file in its own folder" in refused(path)


def test_values_that_are_not_there_or_in_several_files(tmp_path):
    for name, words in (
        ("gone.raw", "its values are in 'gone.raw', which is not there"),
        ("folder", "its values are in 'folder', which is not there"),
        ("a\0b", "which is not there"),
        ("x" * 5000, "which is not there"),
        ("LIST\na.raw\nb.raw", "its values are in several files"),
        ("slice.%03d.raw 1 4 1", "its values are in several files"),
        ("slice.%d.raw 1 4 1 2", "its values are in several files"),
    ):
        (tmp_path / "folder").mkdir(exist_ok=True)
        path = save(tmp_path / "a.nhdr", SIMPLE + f"data file: {name}\n\n", b"")
        message = refused(path)
        assert words in message or "LIST" in name


def test_a_header_without_an_empty_line_has_no_values_of_its_own(tmp_path):
    save(tmp_path / "values.raw", "")
    path = save(tmp_path / "a.nhdr", SIMPLE + "data file: values.raw", b"")
    assert np.array_equal(open_source(path).array, VOLUME.T)
    assert "damaged or truncated: 0 values; its header says 120" in refused(save(tmp_path / "b.nrrd", SIMPLE, b""))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [("type: short", "type: block\nblock size: 2", "values of the type 'block'; expected whole or floating-point"),
     ("encoding: raw", "encoding: hex", "encoding 'hex'; expected raw, ascii, gzip or bzip2"),
     ("endian: little\n", "", "endian is 'none' in its header; expected little or big"),
     ("sizes: 6 5 4\n", "", "damaged: its header has no field 'sizes'"),
     ("sizes: 6 5 4", "sizes: 6 5", "damaged: 2 sizes for 3 dimensions in its header"),
     ("sizes: 6 5 4", "sizes: 6 0 4", "damaged: its header says 6 x 0 x 4 as its size"),
     ("sizes: 6 5 4", "sizes: 6 -5 4", "damaged: its header says 6 x -5 x 4 as its size"),
     ("sizes: 6 5 4", "sizes: 6 5 40000000", "too large: 6 x 5 x 40000000 values"),
     ("sizes: 6 5 4", "sizes: six", "damaged, or not an NRRD file that can be read"),
     ("sizes: 6 5 4", "sizes: 6 5 8", "damaged or truncated: 120 values; its header says 240"),
     ("sizes: 6 5 4", "sizes: 6 5 4\nsizes: 6 5 4", "damaged, or not an NRRD file that can be read: Duplicate"),
     ("sizes: 6 5 4", "sizes: 6 5 4\nkinds: domain", "does not have a kind and a direction for each dimension"),
     ("sizes: 6 5 4", "sizes: 6 5 4\nspace: LPS\nspace directions: (1,0,0) (0,1,0)", "a kind and a direction"),
     ("sizes: 6 5 4", "sizes: 6 5 4\nbyte skip: -2", "byteskip is -2 in its header"),
     ("sizes: 6 5 4", "sizes: 6 5 4\nline skip: -1", "lineskip is -1 in its header"),
     ("sizes: 6 5 4", "sizes: 6 5 4\nline skip: 99999999999", "lineskip is 99999999999 in its header"),
     ("NRRD0004", "NRRD0009", "an NRRD file of an unknown version"),
     ("dimension: 3", "no colon", "damaged, or not an NRRD file that can be read")],
)  # fmt: skip
def test_what_a_header_should_not_say(tmp_path, old, new, words):
    assert old in SIMPLE
    assert words in refused(save(tmp_path / "a.nrrd", SIMPLE.replace(old, new) + "\n"))


def test_damaged_and_packed_files(tmp_path):
    packed = gzip.compress(VALUES)
    header = SIMPLE.replace("raw", "gzip") + "\n"
    assert "damaged or truncated" in refused(save(tmp_path / "a.nrrd", header, packed[: len(packed) // 2]))
    assert "damaged" in refused(save(tmp_path / "b.nrrd", header, packed[:20] + b"\xff" * 200))
    assert "does not end within" in refused(save(tmp_path / "c.nrrd", SIMPLE + "#" + "x" * 2**21))
    save(tmp_path / "d.nrrd", "", gzip.compress((SIMPLE + "\n").encode() + VALUES))
    assert "packed with gzip as a whole; unpack it first" in refused(tmp_path / "d.nrrd")
    assert "not an NRRD file that can be read" in refused(
        save(tmp_path / "e.nrrd", SIMPLE.replace("raw", "ascii") + "\n")
    )


@pytest.mark.parametrize("skip", ["", "byte skip: 0\n", "byte skip: -1\n"])
@pytest.mark.parametrize("lost", [2, 3, len(VALUES)])
def test_a_file_that_ends_too_early_is_truncated_wherever_it_ends(tmp_path, skip, lost):
    """In the middle of a value too; and a header is never taken for the values before it."""
    rest = VALUES[: len(VALUES) - lost]
    words = f"damaged or truncated: {len(rest) // 2} values; its header says 120"
    assert words in refused(save(tmp_path / "a.nrrd", SIMPLE + skip + "\n", rest))
    save(tmp_path / "values", "", rest)
    assert words in refused(save(tmp_path / "b.nhdr", SIMPLE + skip + "data file: values\n\n", b""))


def test_segmentations_of_slicer_are_label_maps(tmp_path):
    header = {
        "space": "LPS", "space directions": np.diag([0.5, 0.8, 2.0]), "space origin": np.zeros(3),
        "kinds": ["domain"] * 3, "Segment0_ID": "Segment_1", "Segment0_LabelValue": "1", "Segment0_Name": "tumour",
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|Closed surface|",
    }  # fmt: skip
    labels = (VOLUME % 3).astype(np.uint8)
    image = open_source(write_nrrd(tmp_path / "ct.nrrd", VOLUME, header))
    mask = write_nrrd(tmp_path / "ct.seg.nrrd", labels, header)
    assert np.array_equal(read_labels(mask, image, 1), labels[..., 1].T)


@pytest.mark.parametrize(
    ("directions", "origin", "spacing"),
    [
        ("(0.5,0,0) (0,0.8,0) (0,0,inf)", "(0,0,0)", (0.8, 0.5)),
        ("(0.5,0,0) (0,0.8,0) (0,0,0)", "(0,0,0)", (0.8, 0.5)),
        ("(0.5,0,0) (0,0.8,0) (0,0,2)", "(0,nan,0)", (0.8, 0.5)),
        ("(nan,0,0) (0,0.8,0) (0,0,2)", "(0,0,0)", None),
        ("(1e30,0,0) (0,0.8,0) (0,0,2)", "(0,0,0)", None),
        ("(0.5,0,0) (0.5,0,0) (0,0,2)", "(0,0,0)", (0.5, 0.5)),
    ],
)
def test_geometry_that_is_not_finite_is_no_geometry(tmp_path, directions, origin, spacing):
    path = tmp_path / "a.nrrd"
    fields = f"sizes: 6 5 4\nspace: LPS\nspace directions: {directions}\nspace origin: {origin}"
    source = open_source(save(path, SIMPLE.replace("sizes: 6 5 4", fields) + "\n"))
    plain = open_source(save(tmp_path / "plain.nrrd", SIMPLE + "\n"))
    assert np.array_equal(source.array, plain.array)
    assert source.frame is None
    assert source.spacing == (None if spacing is None else pytest.approx(spacing))
    assert source.notes == (f"{path}: its space directions or origin are {NO_PLACE}",)
    assert not any(name.startswith("space") for name in source.header)
