import shlex
from pathlib import Path

import pytest

from promise_seg.images.reading import ReadingOptions
from promise_seg.learning.run_note import RunNote
from promise_seg.learning.settings import make_settings
from promise_seg.model import ModelConfig
from promise_seg.reporting.commands import report_commands, train_command
from promise_seg.reporting.options import ReportOptions
from promise_seg.vocabulary import PromptSource, Protocol


def command(settings, note=None, image_size=None, **values):
    config = ModelConfig(**{"variant": "ips", "sam": "nano", "sam_sha256": "", "image_size": 128} | values
                         | {"promise_seg_version": "0"})  # fmt: skip
    note = RunNote(data="my data.csv") if note is None else note
    return train_command(note, settings, Path("runs/first"), config, image_size=image_size)


def test_defaults_are_left_out_and_names_with_spaces_quoted():
    assert command(make_settings()) == "promise train 'my data.csv' -o runs/first"


def test_what_differs_is_said():
    settings = make_settings(num_points=4, num_foreground=2, train_also="decoder", learning_rate=1e-3, seed=7)
    words = shlex.split(command(settings, image_size=256, sam="sam_vit_b"))
    for option, value in (("--points", "4"), ("--foreground", "2"), ("--train-also", "decoder"), ("--seed", "7"),
                          ("--learning-rate", "0.001"), ("--image-size", "256"), ("--sam", "sam_vit_b")):  # fmt: skip
        assert words[words.index(option) + 1] == value
    assert "--epochs" not in words


def test_foreground_points_are_said_wherever_points_are():
    """Half of the points are foreground today; in older runs there were eight of any number."""
    words = shlex.split(command(make_settings(apm="heatmap", num_points=12, num_foreground=8)))
    assert [words[words.index(option) + 1] for option in ("--points", "--foreground")] == ["12", "8"]


def test_precisions_of_features_are_said():
    note = RunNote(data="a.csv", store_precision="int8", encoder_precision="bf16")
    words = shlex.split(command(make_settings(), note))
    assert words[words.index("--store-precision") + 1] == "int8"
    assert words[words.index("--encoder-precision") + 1] == "bf16"


def test_what_differs_is_counted_from_the_protocol_s_own_defaults():
    settings = make_settings(protocol=Protocol.REFERENCE, epochs=3)
    assert command(settings, reading={"crop_border": True}) == (
        "promise train 'my data.csv' -o runs/first --protocol reference --epochs 3"
    )
    assert "--no-crop-border" in command(settings)


@pytest.mark.parametrize(
    ("values", "option"),
    [({"window": "lung"}, "--window lung"), ({"axis": "axial"}, "--axis axial"),
     ({"channel": "green"}, "--channel green"),
     ({"crop_border": True}, "--crop-border"), ({"masks": "instances"}, "--instances"),
     ({"masks": "classes", "label": 3}, "--class 3")],
)  # fmt: skip
def test_how_files_were_read_is_said(values, option):
    assert command(make_settings(), reading=values).endswith(option)


def test_settings_without_an_option_stand_in_a_comment():
    text = command(make_settings(mask_weight=2.0))
    assert text.endswith("  # not settable by options: mask_weight 2.0")
    assert shlex.split(text, comments=True) == ["promise", "train", "my data.csv", "-o", "runs/first"]


def test_what_the_run_noted_of_its_data_is_said():
    note = RunNote(data="a.csv", data_sha256="d" * 64, val_share=0.15, mask_threshold=127)
    assert command(make_settings(), note) == (
        "promise train a.csv -o runs/first --mask-threshold 127 --val-share 0.15"
        f"  # train and val rows: sha256 {'d' * 64}"
    )
    assert command(make_settings(), RunNote()) == "promise train DATA.csv -o runs/first"


def test_evaluations_and_the_report_with_all_that_was_asked_for():
    options = ReportOptions(
        run="r", data="d.csv", output="o", prompts=(PromptSource.APM, PromptSource.ORACLE), by=("device",), seed=2,
        budget=False, images=False, worst=3, sam="s", reading=ReadingOptions(mask_threshold=9),
    )  # fmt: skip
    first, second, last = report_commands(options)
    shared = "--split test --seed 2 --tolerance 2px --by device --sam s --mask-threshold 9"
    assert first == f"promise evaluate r d.csv -o o --prompts apm {shared}"
    assert second == f"promise evaluate r d.csv -o o --prompts oracle {shared}"
    assert last == (
        f"promise report r d.csv -o o --prompts apm --prompts oracle {shared} --worst 3 --no-budget --no-images"
    )


def test_how_a_bare_sam_reads_files_is_said():
    options = ReportOptions(
        run="bare", data="d.csv", output="o", prompts=(PromptSource.BOX,), is_bare=True, image_size=256,
        reading=ReadingOptions(window="lung", axis="axial", crop_border=False, label="3"),
    )  # fmt: skip
    for line in report_commands(options):
        assert "--image-size 256 --window lung --axis axial --class 3 --no-crop-border" in line
    reading = ReadingOptions(crop_border=True, instances=True)
    whole = ReportOptions(run="bare", data="d.csv", output="o", prompts=(PromptSource.BOX,), reading=reading)
    assert all("--crop-border --instances" in line for line in report_commands(whole))
