"""Tell processes of this system from all others."""

import signal
import subprocess
import sys

import pytest

from promise_seg import processes


@pytest.fixture
def system_name():
    """The name, worked out anew."""
    yield processes.system_name.__wrapped__
    processes.system_name.cache_clear()


def test_all_processes_of_a_system_have_the_same_name():
    words = [sys.executable, "-c", "from promise_seg.processes import system_name; print(system_name())"]
    found = [subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip() for _ in range(2)]
    assert found == [processes.system_name()] * 2


def test_without_a_network_card_the_name_is_the_same_in_all_processes(system_name, monkeypatch):
    """Python draws an address then, another one in each process."""
    cards = iter([0x01_23_45_67_89_AB, 0x03_BA_98_76_54_32])
    monkeypatch.setattr(processes.uuid, "getnode", lambda: next(cards))
    assert system_name() == system_name()


def test_computers_of_the_same_name_are_told_apart_by_their_cards(system_name, monkeypatch):
    cards = iter([0x00_23_45_67_89_AB, 0x02_BA_98_76_54_32])
    monkeypatch.setattr(processes.uuid, "getnode", lambda: next(cards))
    assert system_name() != system_name()


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
def test_ctrl_c_does_not_reach_workers_and_still_reaches_this_process():
    with processes.worker_pool(1) as pool:
        assert signal.SIGINT in pool.apply(signal.pthread_sigmask, (signal.SIG_BLOCK, ()))
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
