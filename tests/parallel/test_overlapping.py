import threading

import pytest

from promise_seg.cli import stopping
from promise_seg.parallel.overlapping import Helper


def test_items_come_in_order_with_what_was_read_and_at_most_so_much_is_read_ahead():
    begun, gate = [], threading.Semaphore(0)

    def read(number):
        begun.append(number)
        gate.acquire()
        return number * number

    found = []
    with Helper(depth=2) as helper:
        for number, result in helper.ahead(range(6), read):
            assert len(begun) <= number + 3
            gate.release()
            found.append((number, result()))
    assert found == [(number, number * number) for number in range(6)]


def test_reading_is_done_by_another_thread_and_its_errors_come_with_the_item():
    threads = []

    def read(number):
        threads.append(threading.current_thread())
        if number == 1:
            raise ValueError("no image")
        return number

    found = []
    with Helper() as helper:
        for number, result in helper.ahead(range(3), read):
            try:
                found.append(result())
            except ValueError as error:
                found.append(f"{number}: {error}")
    assert found == [0, "1: no image", 2]
    assert threading.current_thread() not in threads


def test_writing_is_done_in_order_and_before_the_end():
    written = []
    with Helper(depth=1) as helper:
        for number in range(5):
            helper.write(lambda number=number: written.append(number))
    assert written == [0, 1, 2, 3, 4]


def test_what_failed_is_raised_and_nothing_after_it_is_written():
    written = []

    def fail():
        raise OSError("the disk is full")

    def work():
        with Helper(depth=3) as helper:
            helper.write(fail)
            helper.write(lambda: written.append(1))

    with pytest.raises(OSError, match="the disk is full"):
        work()
    assert written == []


def test_an_interruption_ends_both_and_what_was_given_to_be_written_is_written():
    begun, written, gate = [], [], threading.Event()

    def read(number):
        begun.append(number)

    def write():
        gate.wait(10)
        written.append(1)

    def interrupted():
        with Helper(depth=2) as helper:
            for number, _ in helper.ahead(range(100), read):
                helper.write(write)
                if number == 1:
                    gate.set()
                    raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert written == [1, 1]
    assert len(begun) < 10
    assert not any("promise-seg helper" in thread.name for thread in threading.enumerate())


def test_reading_ahead_of_a_loop_that_is_never_closed_is_cancelled_when_the_command_was_interrupted(monkeypatch):
    monkeypatch.setattr(stopping, "_said", False)
    helper, begun, gate, done = Helper(depth=2), threading.Event(), threading.Event(), []

    def read(number):
        if number == 1:
            begun.set()
            assert gate.wait(60)
        done.append(number)

    loop = helper.ahead(range(9), read)
    next(loop)  # three are submitted: one is done, one is being read, and one waits
    assert begun.wait(60)
    stopping.say_stopped()
    gate.set()
    helper._executor.shutdown()
    assert done == [0, 1]
