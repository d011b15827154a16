import json

from promise_seg.assessment.sealing import LOG_FILE, log_test


def test_a_first_look_and_the_same_again_are_no_second_thoughts(tmp_path):
    assert log_test(tmp_path, "m1", "d1", {"prompts": "apm"}).words() is None
    looks = log_test(tmp_path, "m1", "d1", {"prompts": "oracle"})
    assert (looks.this_model, looks.other_models) == (2, 0)
    assert looks.words() is None


def test_a_look_after_a_change_says_so(tmp_path):
    for _ in range(2):
        log_test(tmp_path, "m1", "d1", {})
    looks = log_test(tmp_path, "m2", "d1", {})
    assert (looks.this_model, looks.other_models) == (1, 2)
    assert "looked at 2 time(s) before with another model" in looks.words()


def test_other_rows_are_another_matter(tmp_path):
    log_test(tmp_path, "m1", "d1", {})
    assert log_test(tmp_path, "m2", "d2", {}).words() is None


def test_nothing_is_ever_taken_out_of_the_log(tmp_path):
    log_test(tmp_path, "m1", "d1", {"dice": 0.5})
    path = tmp_path / LOG_FILE
    path.write_text(path.read_text() + "damaged\n")
    log_test(tmp_path, "m2", "d1", {"dice": 0.6})
    lines = path.read_text().splitlines()
    assert lines[1] == "damaged"
    assert [json.loads(lines[i])["dice"] for i in (0, 2)] == [0.5, 0.6]
