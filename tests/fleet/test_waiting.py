"""Items wait in order, and are not asked for before they are given."""

from promise_seg.fleet.waiting import Waiting


def numbers(bundle):
    return [task.number for task in bundle]


def test_items_are_asked_for_when_they_are_given():
    asked = []
    waiting = Waiting((asked.append(item) or item for item in "abcdef"), 6)
    assert [task.item for task in waiting.take(2, now=0.0)] == ["a", "b"]
    assert (asked, len(waiting)) == (["a", "b"], 4)
    assert numbers(waiting.take(9, now=0.0)) == [2, 3, 4, 5]
    assert (waiting.take(1, now=0.0), len(waiting)) == ([], 0)


def test_what_was_given_back_comes_first_or_last():
    waiting = Waiting("abcd", 4)
    first, second, third = waiting.take(3, now=0.0)
    waiting.put_last(first)
    waiting.put_first(second)
    waiting.put_first(third)
    assert len(waiting) == 4
    assert numbers(waiting.take(9, now=0.0)) == [2, 1, 3, 0]


def test_an_item_that_a_worker_died_of_is_given_alone():
    waiting = Waiting("abc", 3)
    first, second, _ = waiting.take(3, now=0.0)
    first.blame = 1
    for task in (first, second):
        waiting.put_first(task)
    assert numbers(waiting.take(9, now=0.0)) == [1]  # the other does not fit
    assert numbers(waiting.take(9, now=0.0)) == [0]
    waiting.put_last(second)
    waiting.put_last(first)
    assert numbers(waiting.take(9, now=0.0)) == [1]
    assert numbers(waiting.take(9, now=0.0)) == [0]


def test_an_item_waits_until_its_time():
    waiting = Waiting("ab", 2)
    (first,) = waiting.take(1, now=0.0)
    first.not_before = 5.0
    waiting.put_last(first)
    assert numbers(waiting.take(9, now=4.0)) == [1]
    assert waiting.take(9, now=4.0) == []
    assert numbers(waiting.take(9, now=5.0)) == [0]
