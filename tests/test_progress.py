from promise_seg.progress import Stage, counted, renamed, silent


def test_a_counted_loop_tells_of_each_item_after_its_turn():
    told = []
    letters = counted("abc", lambda *facts: told.append(facts), "reading", "letters")
    seen = [(letter, len(told)) for letter in letters]
    assert seen == [("a", 0), ("b", 1), ("c", 2)]
    assert told == [("reading", 1, 3, "letters"), ("reading", 2, 3, "letters"), ("reading", 3, 3, "letters")]


def test_an_item_that_failed_is_not_counted():
    told = []
    try:
        for _ in counted([1, 2], lambda *facts: told.append(facts), "reading"):
            raise ValueError
    except ValueError:
        pass
    assert told == []


def test_a_stage_takes_a_note_for_one_step():
    told = []
    stage = Stage(lambda *facts: told.append(facts), "training", 2, "usual")
    stage("first")
    stage()
    assert [facts[3] for facts in told] == ["first", "usual"]


def test_a_part_of_larger_work_goes_by_one_name():
    told = []
    report = renamed(lambda *facts: told.append(facts), "scoring on kvasir")
    report("evaluating", 1, 2)
    report("judging", 2, 2, "trust")
    assert told == [("scoring on kvasir", 1, 2, ""), ("scoring on kvasir", 2, 2, "trust")]
    assert silent("anything", 1, 2) is None
