import re
from collections import namedtuple

import pytest
import torch

from promise_seg import processes
from promise_seg.errors import PromiseError
from promise_seg.features.contents import entries_of
from promise_seg.features.store import FeatureStore
from promise_seg.inference import planning
from promise_seg.inference.encoding import Sample, encode_missing
from promise_seg.inference.planning import plan_encoding
from promise_seg.vocabulary import Fit, Recipe

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def samples(checked, tiny_sam):
    return [Sample.of(row, tiny_sam, Fit.STRETCH) for row in checked[:6]]


def test_a_plan_counts_measures_and_loses_nothing(samples, tiny_sam, store):
    encode_missing(samples[:1], tiny_sam, store, stages=())
    plan = plan_encoding(samples, tiny_sam, store, ())
    assert (plan.views, plan.encoded, plan.missing) == (6, 3, 2)
    assert len(list(entries_of(store.folder))) == 4
    assert plan.bytes_each == 16 * 8 * 8 * 2
    assert encode_missing(samples, tiny_sam, store, stages=()) == 2
    done = plan_encoding(samples, tiny_sam, store, ())
    assert (done.encoded, done.missing) == (0, 0)
    assert done.words == f"features: all 6 views are in {store.folder}"


def test_views_that_are_stored_once_are_counted_once(checked, tiny_sam, store):
    views = [Sample.of(row, tiny_sam, Fit.STRETCH, view, Recipe.NONE) for view in range(8) for row in checked[:4]]
    plan = plan_encoding(views, tiny_sam, store, ())
    assert (plan.views, plan.encoded, plan.missing) == (4, 3, 1)


def test_a_plan_says_time_disk_and_memory(samples, tiny_sam, store):
    assert re.fullmatch(
        r"features: 6 of 6 views are to be encoded into \S+: about [\d.]+ s on cpu \([\d.]+ s each, measured on 3\), "
        r"6\.1 KB of disk \(2\.0 KB each; [\d.]+ .B are free\)(, [\d.]+ .B of memory)?",
        plan_encoding(samples, tiny_sam, store, ()).words,
    )


def test_eight_bits_need_half_the_space(samples, tiny_sam, tmp_path):
    sizes = {
        precision: plan_encoding(samples, tiny_sam, FeatureStore(tmp_path / precision, precision)).bytes_each
        for precision in ("fp16", "int8")
    }
    ranges = 8 * (16 + 4 * 16)  # two numbers for each channel
    assert sizes["int8"] == sizes["fp16"] / 2 + ranges


def test_a_disk_that_is_too_small_is_said_before_the_work(samples, tiny_sam, store, monkeypatch):
    monkeypatch.setattr(planning.shutil, "disk_usage", lambda _: Usage(10**9, 10**9 - 100, 100))
    plan = plan_encoding(samples, tiny_sam, store, ())
    with pytest.raises(PromiseError, match=r"need 6\.1 KB, and 100 B are free\. .*features prune.*--store-precision"):
        plan.check_space()


@pytest.mark.parametrize(
    ("status", "expected"), [("Name:\tx\nVmHWM:\t   123 kB\nVmRSS:\t 9 kB\n", 123 * 1024), ("", None)]
)
def test_the_memory_is_that_of_this_process_and_not_of_the_one_that_started_it(status, expected, tmp_path, monkeypatch):
    path = tmp_path / "status"
    path.write_text(status)
    monkeypatch.setattr(processes, "_OF_THIS_PROCESS", path)
    found = planning.memory_bytes(torch.device("cpu"))
    assert found == expected if expected else found > 10**6
