"""Cases: what is in a folder, and which file of it is read."""

import gzip
import io
import struct
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import tifffile

from tests.images.formats.fuzzing.mutations import LENGTHS, Rng, mutated, packed
from tests.images.formats.fuzzing.seeds import GREY, PIPE, Seed

SUFFIXES = (
    ".png", ".jpg", ".bmp", ".webp", ".gif", ".tif", ".nii", ".nii.gz", ".nrrd", ".nhdr", ".dcm", "", ".eps", ".xyz"
)  # fmt: skip


def _swapped(case: Seed, rng: Rng) -> Seed:
    if case.files.get(case.main) is None:
        return case
    new = "renamed" + str(rng.choice(SUFFIXES))
    files = {new if name == case.main else name: data for name, data in case.files.items()}
    return replace(case, files=files, main=new, what=f"{case.what}, called {new}")


def make_case(number: int, known: list[Seed], per_seed: int) -> Seed:
    """Case ``number`` of all; always the same."""
    if number >= len(known) * per_seed:
        return ODDITIES[number - len(known) * per_seed]
    seed, count = known[number // per_seed], number % per_seed
    rng = np.random.default_rng([number // per_seed, count])
    name = str(rng.choice(list(seed.files)))
    data = seed.files[name]
    assert isinstance(data, bytes)
    if count < 6:
        length = (0, 1, 4, 132, 352, len(data) - 1)[count]
        what, data = f"{name}: first {length} bytes", data[:length]
    elif count == 6:
        what, data = f"{name}: gzip of gzip", packed(packed(data, rng), rng)
    elif count in (7, 8):
        other = known[rng.integers(len(known))]
        body = next(iter(other.files.values()))
        assert isinstance(body, bytes)
        at = int(rng.choice(LENGTHS[4:]))
        what, data = f"{name}: to byte {at}, then {other.main}", data[:at] + body[at:]
    elif count in (9, 10):
        what = name
    else:
        what, data = mutated(data, rng, name)
    case = replace(seed, files=seed.files | {name: data}, what=what)
    return _swapped(case, rng) if count in (9, 10) or rng.random() < 0.1 else case


def _oddities() -> Iterator[Seed]:
    lab = b"8BPS" + struct.pack(">H6xHIIHH14x", 1, 3, 12, 16, 8, 9) + bytes(3 * 12 * 16)
    yield Seed({"lab.psd": lab}, "lab.psd", what="colours that do not become grey")
    stream = io.BytesIO()
    tifffile.imwrite(stream, GREY.astype(np.complex64))
    yield Seed({"complex.tif": stream.getvalue()}, "complex.tif", what="complex numbers")
    for suffix in SUFFIXES:
        name = "x" + suffix
        yield Seed({name: b""}, name, what=f"empty file {name}")
        yield Seed({name: None}, name, what=f"empty folder {name}")
        yield Seed({name: PIPE}, name, what=f"pipe {name}")
        yield Seed({f"{name}/inside{suffix}": b"\0" * 500}, name, what=f"folder {name} of a file of zeros")
        yield Seed({f"{name}/{name}/{name}": b"hello"}, name, what=f"folder {name} of folders")
        yield Seed({name: gzip.compress(b"")}, name, what=f"gzip of nothing {name}")
        yield Seed({}, name, what=f"missing file {name}")
        yield Seed({"file": b"hello"}, f"file/{name}", what=f"a file for a folder of {name}")


ODDITIES = list(_oddities())
