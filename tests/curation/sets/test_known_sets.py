import re

import pytest

from promise_seg.curation.sets.clinicdb import sequence_of
from promise_seg.curation.sets.known_sets import KNOWN_SETS, known_set
from promise_seg.errors import SettingsError
from promise_seg.vocabulary import Split

SIX = ("kvasir-seg", "cvc-clinicdb", "cvc-colondb", "cvc-300", "etis", "isic-2018")


def test_the_six_sets_of_the_paper_and_the_benchmark():
    assert tuple(KNOWN_SETS) == (*SIX, "polyp-benchmark")
    assert [KNOWN_SETS[name].images for name in SIX] == [1000, 612, 380, 60, 196, 3694]
    parts = KNOWN_SETS["polyp-benchmark"].parts
    assert [(p.dataset, p.count, p.split) for p in parts] == [
        ("Kvasir", 1450, Split.TRAIN),
        ("Kvasir", 100, Split.TEST),
        ("CVC-ClinicDB", 62, Split.TEST),
        ("CVC-300", 60, Split.TEST),
        ("CVC-ColonDB", 380, Split.TEST),
        ("ETIS-LaribPolypDB", 196, Split.TEST),
    ]
    assert (parts[0].numbered, parts[0].numbered_count) == ("CVC-ClinicDB", 550)
    assert len({part.folder for part in parts}) == len(parts)


@pytest.mark.parametrize("known", KNOWN_SETS.values(), ids=KNOWN_SETS)
def test_each_can_be_fetched_or_says_what_to_do(known):
    assert known.licence_url.startswith("http")
    assert known.source.startswith("https://")
    assert known.must_accept
    for archive in known.archives:
        assert (archive.url is None) == bool(known.by_hand)
        assert archive.url is None or archive.url.endswith("/" + archive.file_name)
        assert archive.sha256 is None or re.fullmatch("[0-9a-f]{64}", archive.sha256)
    assert not known.by_hand or re.search("https://.*download", known.by_hand)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(SettingsError, match=r"kvasir: unknown data set; .* kvasir-seg, .*polyp-benchmark"):
        known_set("kvasir")


def test_the_sequences_of_clinicdb():
    assert [sequence_of(name)[-2:] for name in ("1", "25", "26", "205", "206", "612")] == [
        "01", "01", "02", "10", "11", "29"
    ]  # fmt: skip
    assert [sequence_of(name) for name in ("0", "613", "cju12", "", "²", "1.5")] == [""] * 6
    assert len({sequence_of(str(n)) for n in range(1, 613)}) == 29


def test_the_sequences_agree_with_frames_named_by_theirs(polyp_manifest):
    names = re.findall(r"^images/seq(\d+)_(\d+)\.jpg", polyp_manifest.read_text(), re.MULTILINE)
    assert len(names) == 507
    for sequence, frame in names:
        assert sequence_of(str(int(frame))) == f"CVC-ClinicDB sequence {sequence}"
