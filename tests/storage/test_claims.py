"""An item is claimed by one process at a time, and the claims of dead processes are taken over."""

import json
import os
from dataclasses import asdict, replace

import pytest

from promise_seg.storage import locks
from promise_seg.storage.claims import Claims
from promise_seg.storage.holders import Holder


def claimed_by(path, **changes):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(replace(Holder.this_process(), **changes))))


def test_an_item_is_claimed_once_until_it_is_given_back(tmp_path):
    one, other = Claims(tmp_path), Claims(tmp_path)
    assert one.take("a") is None
    assert other.take("a").pid == os.getpid()
    assert other.take("b") is None
    assert (one.is_held("a"), other.is_held("a"), one.is_held("b")) == (True, False, False)
    one.give_back("a")
    assert other.take("a") is None


def test_whatever_ends_the_work_ends_its_claims(tmp_path):
    claims = Claims(tmp_path)
    assert claims.take("a") is None
    with pytest.raises(KeyboardInterrupt), claims.ending():
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_claims_of_dead_processes_that_nobody_takes_over_are_removed_when_work_begins(tmp_path):
    claims = Claims(tmp_path)
    claimed_by(claims.path("a"), pid=2**22 + 1)
    claimed_by(claims.path("b"))
    with claims.ending():
        assert list(tmp_path.iterdir()) == [claims.path("b")]


def test_the_claim_of_a_dead_process_of_this_computer_is_taken_over_at_once(tmp_path):
    claims = Claims(tmp_path)
    claimed_by(claims.path("a"), pid=2**22 + 1)
    assert claims.take("a") is None


def test_an_item_of_another_process_is_looked_at_often_without_any_writing(tmp_path, monkeypatch):
    claims, links, link = Claims(tmp_path), [], os.link
    path = claims.path("a")
    claimed_by(path, system="elsewhere", host="node7")

    def counted(*places):
        links.append(places)
        return link(*places)

    monkeypatch.setattr(os, "link", counted)
    for _ in range(100):
        assert claims.take("a").host == "node7"
    assert len(links) == 20
    then = path.stat().st_mtime - 2 * locks.STALE_SECONDS
    os.utime(path, (then, then))
    assert None in [claims.take("a") for _ in range(5)]  # soon after it went stale
    claims.give_back("a")
    assert claims.take("a") is None


@pytest.mark.parametrize(("age", "is_taken_over"), [(0.0, False), (0.9, False), (1.1, True)])
def test_the_claim_of_another_computer_is_taken_over_when_it_was_not_renewed(tmp_path, age, is_taken_over):
    claims = Claims(tmp_path)
    path = claims.path("a")
    claimed_by(path, system="elsewhere", host="node7")
    then = path.stat().st_mtime - age * locks.STALE_SECONDS
    os.utime(path, (then, then))
    holder = claims.take("a")
    assert holder is None if is_taken_over else holder.host == "node7"


def test_a_claim_whose_answer_was_lost_on_the_way_is_held(tmp_path, monkeypatch):
    """A server of files may be asked twice, and say of a link that it made itself that it is there already."""
    link = os.link

    def lost(*places):
        link(*places)
        raise FileExistsError

    monkeypatch.setattr(os, "link", lost)
    claims = Claims(tmp_path)
    assert claims.take("a") is None
    assert claims.is_held("a")


def test_any_name_can_be_claimed(tmp_path):
    claims = Claims(tmp_path)
    for name in ("a/b", "ä" * 200, "", "\udcff", ".."):
        assert claims.take(name) is None
