import json

import numpy as np
import pytest

from promise_seg.assessment.comparing import compare, read_scored
from promise_seg.cli.main import main
from promise_seg.errors import SettingsError
from tests.assessment.samples import stored


@pytest.fixture
def write(tmp_path):
    """An evaluation as promise evaluate writes it, with these values of Dice."""

    def make(name, dice, prompts="apm", images=None, truth="t", groups="g", each=2, values=None, **summary):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True, parents=True)
        images = images or [f"sha{i}" for i in range(len(dice))]
        more = ",truth_values_sha256" if values else ""  # which earlier versions did not write
        lines = [f"image,split,group,image_sha256,truth_sha256{more},prompts,dice,iou,hd95,predicted_iou"]
        for sha, d in zip(images, dice, strict=True):
            group = f"{groups}{int(sha[3:]) // each}"
            hashes = ",".join([sha, truth + sha, *([values + sha] if values else [])])
            lines.append(f"{sha}.png,test,{group},{hashes},{prompts},{d},{d / (2 - d)},3,0.5")
        (folder / f"scores_{prompts}.csv").write_text("\n".join(lines))
        facts = stored("own_points") | {"model": name, "prompts": prompts}
        facts["prompts_read_the_ground_truth"] = prompts == "oracle"
        (folder / f"summary_{prompts}.json").write_text(json.dumps(facts | summary))
        return folder

    return make


BASE = np.random.default_rng(0).uniform(0.3, 0.8, 40)


def test_a_better_run_is_better_whatever_the_order_of_its_lines(write):
    worse = write("worse", BASE)
    order = np.random.default_rng(1).permutation(40)
    better = write("better", (BASE + 0.1)[order], images=[f"sha{i}" for i in order])
    (found,) = compare([read_scored(worse), read_scored(better)], ["dice"])
    assert (found.first, found.second) == ("worse (apm)", "better (apm)")
    assert found.difference.interval.mean == pytest.approx(0.1)
    assert found.difference.interval.low == pytest.approx(0.1, abs=1e-6)
    assert found.p_holm < 0.001


def test_the_data_type_of_masks_does_not_matter(write):
    """16-bit masks are compared with 8-bit masks of the same values, and with evaluations of earlier versions."""
    of_8_bits, of_16_bits = (write(truth, BASE, truth=truth, values="8-bit") for truth in ("8-bit", "16-bit"))
    earlier = write("earlier", BASE, truth="16-bit")
    for one, other in ((of_8_bits, of_16_bits), (of_16_bits, earlier), (earlier, of_16_bits)):
        assert len(compare([read_scored(one), read_scored(other)], ["dice"])) == 1
    with pytest.raises(SettingsError, match="a different ground truth for 40 of 40 images"):
        compare([read_scored(of_16_bits), read_scored(write("other", BASE, truth="u", values="u"))], ["dice"])


@pytest.mark.parametrize(("more", "cells"), [(",1", 11), ("", 9)])
def test_a_row_of_another_length_is_named(write, more, cells):
    path = write("changed", BASE) / "scores_apm.csv"
    lines = path.read_text().splitlines()
    lines[3] = lines[3] + more if more else lines[3].rsplit(",", 1)[0]
    path.write_text("\n".join(lines))
    with pytest.raises(SettingsError, match=rf"scores_apm\.csv: .*: line 4: found {cells} cells; expected the 10 of"):
        read_scored(path)


def test_every_two_of_several_are_compared_and_corrected_together(write):
    rng = np.random.default_rng(2)
    runs = [read_scored(write(n, np.clip(BASE + rng.normal(0, 0.05, 40), 0, 1))) for n in ("a", "b", "c")]
    found = compare(runs, ["dice", "iou"])
    assert len(found) == 6
    assert all(one.p_holm >= one.difference.p_value for one in found)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(lambda w: [w("a", BASE), w("b", BASE[:30])], "have different images: 0 are only in the first, 10"),
     (lambda w: [w("a", BASE), w("b", BASE, protocol="reference")], "scored by different protocols"),
     (lambda w: [w("a", BASE), w("b", BASE, truth="u")], "a different ground truth for 40 of 40 images"),
     (lambda w: [w("a", BASE), w("b", BASE, each=4)], "different groups for 40 of 40 images"),
     (lambda w: [w("a", BASE), w("a", BASE)], "named twice"),
     (lambda w: [w("a", BASE)], "at least two evaluations")],
)  # fmt: skip
def test_what_cannot_be_compared(write, spoil, words):
    with pytest.raises(SettingsError, match=words):
        compare([read_scored(path) for path in spoil(write)], ["dice"])


def test_distances_in_other_units_are_not_compared_but_overlaps_are(write):
    runs = [read_scored(write(name, BASE, tolerance=name)) for name in ("2px", "1.5mm")]
    with pytest.raises(SettingsError, match=r"tolerances 1\.5mm and 2px, so hd95 cannot be compared"):
        compare(runs, ["dice", "hd95"])
    assert len(compare(runs, ["dice", "iou"])) == 2


def test_groups_may_have_other_names(write):
    assert len(compare([read_scored(write(name, BASE, groups=name)) for name in ("a", "b")], ["dice"])) == 1


def test_a_run_s_folder_stands_for_the_one_evaluation_in_it(write, tmp_path):
    write("one/test", BASE)
    assert read_scored(tmp_path / "one").path == tmp_path / "one/test/scores_apm.csv"
    write("one/val", BASE)
    with pytest.raises(SettingsError, match=r"2 evaluations \(test/scores_apm.csv, val/scores_apm.csv\) there"):
        read_scored(tmp_path / "one")
    (tmp_path / "empty").mkdir()
    with pytest.raises(SettingsError, match=r"Make one: promise evaluate .*empty DATA\.csv -o .*empty/test"):
        read_scored(tmp_path / "empty")


def test_what_cannot_be_read(write, tmp_path):
    folder = write("a", BASE)
    with pytest.raises(
        SettingsError, match="does not have mae for every image; expected one of dice, hd95, iou, predicted_iou"
    ):
        compare([read_scored(folder), read_scored(write("b", BASE))], ["mae"])
    write("a", BASE, prompts="oracle")
    with pytest.raises(SettingsError, match=r"2 evaluations \(scores_apm.csv, scores_oracle.csv\) there"):
        read_scored(folder)
    assert read_scored(folder, "oracle").name == "a (oracle)"
    (folder / "summary_apm.json").unlink()
    with pytest.raises(SettingsError, match=r"summary_apm\.json: no such file"):
        read_scored(folder / "scores_apm.csv")
    (tmp_path / "other.csv").write_text("a,b")
    with pytest.raises(SettingsError, match=r"other\.csv: expected a file scores_<prompts>\.csv"):
        read_scored(tmp_path / "other.csv")
    with pytest.raises(SettingsError, match=r"nothere: no such file or folder; expected the folder of an evaluation"):
        read_scored(tmp_path / "nothere")
    (tmp_path / "none").mkdir()
    with pytest.raises(SettingsError, match="no evaluation there"):
        read_scored(tmp_path / "none")


def test_a_test_that_contradicts_the_difference_is_noted(write, tmp_path, capsys):
    """Images of a group follow one another, so here 100 of them have names of one group."""
    names = [f"sha{i}" for i in range(100)] + [f"sha{100 * n}" for n in range(1, 12)]
    apart = np.array([0.1] * 100 + [-0.05 - 0.001 * n for n in range(11)])
    one, other = write("a", [0.5] * 111, images=names, each=100), write("b", 0.5 + apart, images=names, each=100)
    assert main(["compare", str(one), str(other), "--measure", "dice", "-o", str(tmp_path / "c.json")]) == 0
    printed = capsys.readouterr()
    (row,) = json.loads((tmp_path / "c.json").read_text())
    assert row["difference"] > 0.08
    assert row["difference_of_groups"] == pytest.approx((0.1 + apart[100:].sum()) / 12, abs=1e-6)
    words = " ".join(printed.err.split())
    assert "dice of images, b (apm) minus a (apm): the mean difference is +0.085" in words
    assert "is significant in the other direction (mean of groups -0.042)" in words


def column_heads(printed):
    """The words in the head of a printed table, column by column."""
    lines = [line for line in printed.splitlines() if line.startswith("┃")]
    cells = [[cell.strip() for cell in line.strip("┃").split("┃")] for line in lines]
    return [" ".join(words).strip() for words in zip(*cells, strict=True)]


def test_the_command(write, tmp_path, capsys):
    one, other = write("a", BASE), write("b", BASE + 0.05, prompts="oracle")
    assert main(["compare", str(one), str(other), "-o", str(tmp_path / "c.json")]) == 0
    printed = capsys.readouterr()
    assert "+0.0500" in printed.out
    assert "mean of groups" in " ".join(column_heads(printed.out))
    assert [head for head in column_heads(printed.out) if head.startswith("mean of")][:2] == [
        "mean of first", "mean of second"
    ]  # fmt: skip
    assert "made from the ground truth, others not" in printed.err
    assert "significant in the other direction" not in printed.err
    assert [c["measure"] for c in json.loads((tmp_path / "c.json").read_text())] == ["dice", "iou"]
    assert main(["compare", str(one), str(tmp_path / "none")]) == 2
    assert f"{tmp_path / 'none'}: no such file or folder" in capsys.readouterr().err
