"""Damaged, mutated and mislabelled files of every format: each ends in our own error or in a valid array."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.images.formats.fuzzing.cases import make_case
from tests.images.formats.fuzzing.seeds import seeds
from tests.images.formats.fuzzing.workers import PEAK_GROWTH, WORKERS, all_of


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded, and measured, as Linux does it")
def test_damaged_files_end_in_our_error_or_in_a_valid_array(tmp_path):
    with ThreadPoolExecutor(WORKERS) as pool:
        results = list(pool.map(lambda worker: all_of(tmp_path, worker), range(WORKERS)))
    said = [line for lines, _ in results for line in lines]
    faults = [f"case {line['case']} ({line['what']}): {line['fault']}" for line in said if "fault" in line]
    bad = [crash for _, crashes in results for crash in crashes] + faults
    assert not bad, f"{len(bad)} bad cases, among them:\n\n" + "\n\n".join(bad[:5])
    ended = [line for line in said if "went" in line]
    assert len(ended) == len({line["case"] for line in ended}) >= 2000
    assert 0.1 < np.mean([line["went"] for line in ended]) < 0.9  # neither all too mild, nor all too harsh
    assert max(line["grew"] for line in ended) < PEAK_GROWTH


def test_the_cases_are_always_the_same():
    one, two = seeds(), seeds()
    assert one == two
    assert all(make_case(n, one, 36) == make_case(n, two, 36) for n in range(0, 2100, 7))
