"""A spec says all that is wrong with it before anything is done."""

from pathlib import Path

import pytest
import yaml

from promise_seg.benchmarking.baselines import BASELINES, UNETS
from promise_seg.benchmarking.cells import cells_of, lines_of
from promise_seg.benchmarking.spec import included_specs, read_spec
from promise_seg.errors import SettingsError
from promise_seg.vocabulary import ApmKind, PromptSource, Protocol
from tests.benchmarking.conftest import SPEC


def write(folder, **changes):
    path = folder / "spec.yaml"
    path.write_text(yaml.safe_dump(SPEC | changes, sort_keys=False))
    return path


def test_paths_count_from_the_spec(tmp_path):
    spec = read_spec(write(tmp_path))
    assert spec.data[0].manifest == tmp_path / "discs/manifest.csv"
    assert [data.name for data in spec.tests_of(spec.data[0])] == ["discs", "others"]


def test_cells_are_run_a_whole_seed_at_a_time_and_only_on_what_is_trained_on(tmp_path):
    cells = list(cells_of(read_spec(write(tmp_path))))
    assert [cell.seed for cell in cells] == [0, 0, 0, 1, 1, 1]
    assert {cell.data.name for cell in cells} == {"discs"}
    assert cells[1].name == "discs/tiny/both/seed-0"


def test_a_model_may_have_seeds_of_its_own(tmp_path):
    models = {"bare": {"variant": "sam", "seeds": [7]}, "ips": {"variant": "ips"}}
    cells = list(cells_of(read_spec(write(tmp_path, models=models))))
    assert {(cell.model.name, cell.seed) for cell in cells} == {("bare", 7), ("ips", 0), ("ips", 1)}


def test_prompts_are_those_that_make_sense(tmp_path):
    lines = {(line.model.name, line.prompts) for line in lines_of(read_spec(write(tmp_path)))}
    assert lines == {
        ("bare", PromptSource.ORACLE), ("both", PromptSource.APM), ("both", PromptSource.ORACLE),
        ("U-Net", PromptSource.NONE),
    }  # fmt: skip


def test_settings_of_a_model_go_before_those_of_its_data_and_these_before_general_ones(tmp_path):
    data = {"discs": {"manifest": "m.csv", "training": {"epochs": 5, "views": 3}}}
    models = {"ours": {"variant": "ips", "training": {"views": 4}}}
    spec = read_spec(write(tmp_path, data=data, models=models, training={"epochs": 2, "batch_size": 4}))
    settings = spec.settings(spec.data[0], spec.models[0], 3)
    assert (settings.epochs, settings.views, settings.batch_size, settings.seed) == (5, 4, 4, 3)


def test_baselines_are_models_after_the_others_and_timed_by_the_last_of_promise_seg(tmp_path):
    names = ["otsu", "mean-mask", "unet", "unet-early-stopping", "pretrained-unet", "pretrained-unet-early-stopping"]
    models = {"apm": {"variant": "apm"}, "both": {"variant": "apm+ips"}}
    spec = read_spec(write(tmp_path, models=models, baselines=names))
    assert [model.name for model in spec.models] == ["apm", "both", *names]
    found = {m.name: (m.variant, m.budget_of, m.epochs, m.patience, m.pretrained_side) for m in spec.models[2:]}
    assert found == {
        "otsu": ("otsu", None, None, None, None),
        "mean-mask": ("mean-mask", None, None, None, None),
        "unet": ("unet", "both", None, None, None),
        "unet-early-stopping": ("unet", None, 100, 20, None),
        "pretrained-unet": ("pretrained-unet", "both", None, None, 256),
        "pretrained-unet-early-stopping": ("pretrained-unet", None, 100, 20, 256),
    }
    baselines = {line.model.name: line for line in lines_of(spec) if line.model.is_baseline}
    assert list(baselines) == names
    assert {line.prompts for line in baselines.values()} == {PromptSource.NONE}
    assert [line.name for line in baselines.values()] == names


@pytest.mark.parametrize("entries", [["otsu", "unet"], {"unet": {"epochs": 3}, "mean-mask": None}])
def test_the_earlier_name_of_baselines_means_the_same_and_is_noted(tmp_path, entries):
    models = {"apm": {"variant": "apm"}}
    spec = read_spec(write(tmp_path, models=models, baselines=entries))
    path = write(tmp_path, models=models, rivals=entries)
    old = read_spec(path)
    assert old.model_dump() == spec.model_dump()
    assert spec.notes == ()
    (note,) = old.notes
    assert note.startswith(f"{path}: rivals is now called baselines; the old name still works. Rename it in the spec")


@pytest.mark.parametrize("entries", [["otsu"], ["otsu", "nnunet"]])
def test_faults_are_told_at_the_key_that_was_given(tmp_path, entries):
    lines = lines_about(write(tmp_path, rivals=[*entries, "otsu", "none"]))
    assert {line.split(": ")[0] for line in lines} == {"rivals"}


def test_baselines_and_their_earlier_name_are_not_given_together(tmp_path):
    (line,) = lines_about(write(tmp_path, baselines=["otsu"], rivals=["mean-mask"]))
    assert line == "rivals: is the earlier name of baselines, which is also given. Move its entries to baselines"


def test_baselines_may_have_options(tmp_path):
    baselines = {"otsu": None, "unet": {"budget_of": "apm"}, "pretrained-unet": {"epochs": 5, "side": 128}}
    models = {"apm": {"variant": "apm"}, "both": {"variant": "apm+ips"}}
    _, _, otsu, unet, pretrained = read_spec(write(tmp_path, models=models, baselines=baselines)).models
    assert (otsu.variant, unet.budget_of) == ("otsu", "apm")
    assert (pretrained.epochs, pretrained.budget_of, pretrained.pretrained_side) == (5, None, 128)


def test_baselines_may_be_all_there_is(tmp_path):
    values = {name: value for name, value in SPEC.items() if name != "models"} | {"baselines": ["otsu"]}
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    assert [model.name for model in read_spec(tmp_path / "spec.yaml").models] == ["otsu"]


def test_a_spec_without_baselines_is_what_it_was(tmp_path):
    spec = read_spec(write(tmp_path))
    assert spec.model_dump(mode="json", exclude_defaults=True)["models"][-1] == {
        "name": "U-Net", "variant": "unet", "epochs": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"baselines": ["otsu", "nnunet"]},
            "baselines: unknown baseline 'nnunet'; expected some of otsu, mean-mask, unet, unet-early-stopping, "
            "pretrained-unet, pretrained-unet-early-stopping",
        ),
        ({"baselines": "otsu"}, "baselines: found 'otsu'; expected a list of some of otsu, mean-mask"),
        ({"baselines": [{"otsu": {}}]}, "expected a list of some of otsu"),
        ({"baselines": None}, "baselines: found None; expected a list"),
        ({"baselines": ["otsu", "otsu"]}, "baselines: duplicate entry"),
        ({"baselines": {"unet": 5}}, "baselines.unet: found 5; expected options, such as {epochs: 50}, or nothing"),
        ({"baselines": {"otsu": {"variant": "unet"}}}, "baselines.otsu: variant is not an option there"),
        ({"baselines": {"otsu": {"epochs": 5}}}, "only for a unet or pretrained-unet"),
        ({"baselines": {"unet": {"side": 64}}}, "side is only for a pretrained-unet"),
        ({"baselines": {"pretrained-unet": {"side": 100}}}, "multiple of 32"),
        ({"baselines": {"pretrained-unet": {"patience": 3}}}, "patience needs epochs"),
        ({"baselines": {"unet-early-stopping": {"budget_of": "both"}}}, "needs either budget_of"),
        ({"baselines": {"unet": {"budget_of": "bare"}}}, "models.unet.budget_of: expected a trained model"),
        ({"baselines": ["unet"], "models": {"b": {"variant": "sam"}}}, "Take unet-early-stopping, or give it epochs"),
        ({"baselines": ["unet"], "models": {"unet": {"variant": "apm"}}}, "duplicate name 'unet'"),
        ({"baselines": ["otsu"], "models": 5}, "models: "),
        (
            {"models": {"x": {"variant": "otsu", "prompts": ["box"]}}},
            "of variant otsu has neither prompts nor training",
        ),
        ({"models": {"x": {"variant": "ips", "patience": 2}}}, "under training"),
        ({"seeds": []}, "seeds"),
        ({"sedes": [1]}, "sedes: unknown key; did you mean seeds?"),
        ({"data": {"d": {"manifst": "m.csv"}}}, "data.d.manifst: unknown key; did you mean manifest?"),
        (
            {"sams": {"nano": {"source": "nano", "colour": 1}}},
            "sams.nano.colour: unknown key; expected one of image_size, name, source",
        ),
        ({"baseline": ["otsu"]}, "baseline: unknown key; did you mean baselines?"),
        ({"oracle_points": 10**9}, "oracle_points: expected at most 1024"),
        (
            {"sams": [{"name": "s", "source": "nano", "image_size": 10**9}]},
            "sams.s.image_size: expected at most 4096",
        ),
        ({"seeds": ["first"]}, "seeds.0: expected a whole number"),
        ({"models": {"a/b": {"variant": "ips"}}}, "models.a/b.name"),
        ({"models": {"x": {"variant": "unet"}}}, "needs either budget_of"),
        ({"models": {"x": {"variant": "unet", "budget_of": "y"}}}, "is listed before it"),
        ({"models": {"x": {"variant": "ips", "prompts": ["apm"]}}}, "no points of its own"),
        ({"models": {"x": {"variant": "sam", "training": {"epochs": 2}}}}, "not trained"),
        ({"models": {"x": {"variant": "ips", "epochs": 2}}}, "under training"),
        (
            {"models": {"x": {"variant": "ips", "training": {"epocs": 2}}}},
            "training: epocs: unknown setting; did you mean",
        ),
        ({"data": {"d": {"manifest": "m.csv", "tests": ["e"]}}}, "unknown data set 'e'"),
        ({"data": {"d": {"manifest": "m.csv", "train": False}}}, "nothing to train on"),
        ({"data": {"d": {"manifest": "m.csv", "window": "bones"}}}, "data.d: --window bones"),
        ({"sams": ["nano", "nano"]}, "duplicate name 'nano'"),
        ({"measures": ["dyce"]}, "unknown measure 'dyce'; expected some of dice, iou"),
        ({"seeds": [0, -1]}, "seeds.1"),
        ({"seeds": [1, 1]}, "duplicate seed"),
        ({"seeds": 3}, "seeds: "),
        ({"training": {"seed": 3}}, "list seeds under seeds"),
        ({"training": {"protocol": "theirs"}}, "expected own or reference"),
        (
            {"data": {"d": {"manifest": "m.csv", "training": {"protocol": "reference"}}}},
            "for a model, or under training",
        ),
        ({"data": {"d": 5}}, "data.d: "),
        ({"data": None}, "data: found None; expected a mapping of names to data sets"),
        ({"data": "my.csv"}, "data: found 'my.csv'; expected a mapping of names to data sets"),
        ({"models": {"m": None}}, "models.m.variant"),
        (
            {
                "training": {"precision": "no"},
                "models": {"a": {"variant": "ips", "training": {"precision": "bf16"}}, "b": {"variant": "ips"}},
            },
            "precision must be the same",
        ),
        ({"models": {"apm": {"variant": "apm"}, "APM": {"variant": "apm"}}}, "differ only in capitals"),
        ({"models": {"con": {"variant": "apm"}}}, "folder name on every system"),
        ({"models": {"x": {"variant": "ips", "prompts": ["box", "box"]}}}, "prompts: duplicate entry"),
        (
            {"models": {"x": {"variant": "sam"}}, "training": {"epocs": 1}},
            "training: epocs: unknown setting; did you mean",
        ),
        (
            {"models": {"a": {"variant": "apm", "seeds": [0]}, "u": {"variant": "unet", "budget_of": "a"}}},
            "a is not trained with seed 1",
        ),
        ({"models": ["apm"]}, "models.0: "),
        ({"models": {"m.": {"variant": "ips"}}}, "models.m..name"),
        ({"models": {1: {"variant": "ips"}}}, "models.1.name"),
    ],
)
def test_what_cannot_be_meant(tmp_path, changes, words):
    path = write(tmp_path, **changes)
    with pytest.raises(SettingsError, match=r"spec\.yaml") as error:
        read_spec(path)
    assert words in str(error.value)


def lines_about(path):
    with pytest.raises(SettingsError) as error:
        read_spec(path)
    return str(error.value).removeprefix(f"{path}: ").split(f"\n{path}: ")


def test_all_faults_of_entries_are_told_at_once_each_with_its_place(tmp_path):
    path = write(
        tmp_path,
        title=5,
        data={"d": {"manifst": "m.csv"}},
        models={"x": {"variant": "otsu", "epochs": 3, "prompts": ["box", "box"]}, "y": {"variant": "ips", "seeds": []}},
        baselines={"nnunet": None, "otsu": {"variant": "unet"}, "unet": 5, "mean-mask": {"side": 64}},
        measures=["dyce", "iou", "e_max"],
        seeds=[1, 1],
        training={"seed": 3, "protocol": "theirs"},
    )
    places = [line.split(": ")[0] for line in lines_about(path)]
    assert sorted(places) == sorted(
        ["title", "data.d.manifest", "data.d.manifst", "models.y.seeds",
         "baselines", "baselines.otsu", "baselines.unet", *["models.x"] * 3, "models.mean-mask",
         *["measures"] * 2, "seeds", *["training"] * 2]
    )  # fmt: skip


def test_all_faults_between_entries_are_told_at_once_each_with_its_place(tmp_path):
    path = write(
        tmp_path,
        data={"d": {"manifest": "m.csv", "tests": ["e", "f"], "window": "bones"}, "con": {"manifest": "m.csv"}},
        sams=["nano", "nano"],
        models={
            "a": {"variant": "apm", "seeds": [0], "training": {"epochs": 0}},
            "u": {"variant": "unet", "budget_of": "a"},
            "v": {"variant": "unet", "budget_of": "b"},
        },
        baselines=["otsu", "none"],
    )
    assert [line.split(": ")[0] for line in lines_about(path)] == [
        "baselines", "data", "sams", "data.d.tests", "data.d.tests", "data.d", "models.u.seeds", "models.v.budget_of",
        "models.a on d", "models.a on con",
    ]  # fmt: skip


def test_settings_may_be_named_as_options_are(tmp_path):
    spec = read_spec(write(tmp_path, training={"points": 8, "foreground": 3}))
    settings = spec.settings(spec.data[0], spec.models[1], 0)
    assert (settings.num_points, settings.num_foreground) == (8, 3)


def test_two_equal_keys_are_a_mistake(tmp_path):
    path = tmp_path / "spec.yaml"
    path.write_text("title: a\nseeds: [0]\nseeds: [1]\n")
    with pytest.raises(SettingsError, match="duplicate key 'seeds'"):
        read_spec(path)


@pytest.mark.parametrize(
    "value", ["2024-02-30", "!!int x", "9" * 5000, "[" * 3000], ids=["date", "tag", "long", "deep"]
)
def test_values_that_yaml_cannot_build_are_one_line(tmp_path, value):
    path = tmp_path / "spec.yaml"
    path.write_text(f"title: {value}\n")
    with pytest.raises(SettingsError, match=r"spec\.yaml: "):
        read_spec(path)


def test_entries_may_be_taken_from_another_mapping(tmp_path):
    path = write(tmp_path, training={"epochs": 3})
    expected, text = read_spec(path), path.read_text()
    path.write_text(text.replace("training:\n  epochs: 3\n", "training: {<<: {epochs: 3}}\n"))
    assert path.read_text() != text
    assert read_spec(path) == expected
    nested = "training: {<<: &some {<<: &base {epochs: 5, views: 2}, epochs: 3}}\n"
    path.write_text(text.replace("training:\n  epochs: 3\n", nested))
    assert read_spec(path).training == {"epochs": 3, "views": 2}


def test_a_sam_beside_the_spec_is_found_from_there(tmp_path):
    (tmp_path / "my_sam").mkdir()
    spec = read_spec(write(tmp_path, sams=["my_sam", "nano"]))
    assert [(sam.name, sam.source) for sam in spec.sams] == [("my_sam", str(tmp_path / "my_sam")), ("nano", "nano")]


def test_no_file_and_no_yaml(tmp_path):
    with pytest.raises(
        SettingsError, match=r"none\.yaml: cannot be read: No such file or directory\. .*included one: paper"
    ):
        read_spec(tmp_path / "none.yaml")
    (tmp_path / "note.txt").write_text("a note")
    with pytest.raises(SettingsError, match=r"note\.txt: spec: expected a mapping of names to values"):
        read_spec(tmp_path / "note.txt")
    path = tmp_path / "bad.yaml"
    path.write_text("title: [")
    with pytest.raises(SettingsError, match="not YAML"):
        read_spec(path)
    path.write_text("")
    with pytest.raises(SettingsError, match=r"bad\.yaml"):
        read_spec(path)


@pytest.mark.parametrize("name", ["polyp", "nuclei"])
def test_the_specs_of_the_shared_data_have_every_kind_of_baseline(name):
    spec = read_spec(Path(__file__).parents[2] / f"benchmarks/{name}.yaml")
    assert {model.variant for model in spec.models if model.is_baseline} == set(BASELINES)
    unets = [model for model in spec.models if model.is_unet]
    assert {(model.variant, model.budget_of, model.patience is not None) for model in unets} == {
        (variant, *how) for variant in UNETS for how in (("apm+ips", False), (None, True))
    }


def test_the_spec_of_the_paper_trains_on_two_sets_by_the_published_procedure():
    assert "paper" in included_specs()
    spec = read_spec("paper")
    assert [data.name for data in spec.data] == ["polyp-benchmark", "isic-2018"]
    assert spec.data[0].by == "dataset"
    published = [model for model in spec.models if spec.protocol_of(model) == Protocol.REFERENCE]
    assert {model.variant for model in published} == {"apm", "ips", "apm+ips"}
    settings = spec.settings(spec.data[0], published[0], 0)
    assert (settings.apm, settings.epochs, settings.batch_size) == (ApmKind.RESNET, 200, 8)


def test_a_spec_without_a_title_is_named_after_its_file(tmp_path):
    path = tmp_path / "polyps.yaml"
    path.write_text(yaml.safe_dump({name: value for name, value in SPEC.items() if name != "title"}))
    assert read_spec(path).title == "polyps"


def test_a_setting_with_a_wrong_name_is_told_with_the_other_faults(tmp_path):
    models = {"a": {"variant": "foo", "training": {"epoch": 3, "apm_width": 8, "num_points": 8, "points": 8}}}
    assert [line[:40] for line in lines_about(write(tmp_path, models=models))] == [
        "models.a.variant: expected sam, apm, ips", "models.a.training: epoch: unknown settin"
    ]  # fmt: skip
