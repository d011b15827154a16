"""Options of a training that are refused before anything is trained."""

import re

import pytest

import promise_seg
from promise_seg.cli.main import main
from promise_seg.errors import ManifestError, PromiseError, SettingsError
from tests.helpers import write_dataset


@pytest.fixture
def data(tmp_path):
    return promise_seg.Dataset.from_csv(write_dataset(tmp_path / "data"))


@pytest.mark.parametrize("splits", [("val",) * 2 + ("test",) * 2, ("val",) * 3, ("test",) * 3])
def test_data_without_train_rows_are_refused(tmp_path, splits):
    manifest = write_dataset(tmp_path / "data", splits)
    with pytest.raises(ManifestError, match=r"manifest\.csv: no train rows\. Give some rows the split train"):
        promise_seg.train(manifest, tmp_path / "run", device="cpu")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lr": 1}, "lr 1: unknown option; did you mean learning_rate?"),
        ({"imagesize": 64}, "imagesize 64: unknown option; did you mean image_size?"),
        ({"epoch": 1}, "epoch 1: unknown option; did you mean epochs?"),
    ],
)
def test_an_unknown_option_is_refused_in_the_spelling_of_python(data, tmp_path, options, words):
    with pytest.raises(SettingsError) as error:
        promise_seg.train(data, tmp_path / "run", **options)
    assert str(error.value) == words


def test_the_options_that_exist_are_those_of_users(data, tmp_path):
    with pytest.raises(SettingsError, match="unknown option; expected one of accumulate, apm, apm_backbone") as error:
        promise_seg.train(data, tmp_path / "run", qqqqqq=1)
    for internal in ("--", "edge_weight", "decoder_interval", "apm_options", "mixes_views", "num_points"):
        assert internal not in str(error.value)


def test_an_unknown_variant_is_refused_by_those_that_can_be_trained(data, tmp_path):
    with pytest.raises(SettingsError, match=r"variant x: expected apm, ips or apm\+ips$"):
        promise_seg.train(data, tmp_path / "run", variant="x")


@pytest.mark.parametrize("of_command", [True, False])
def test_a_missing_manifest_is_found_before_sam_is_loaded(tmp_path, monkeypatch, capsys, of_command):
    def load(*_args, **_values):
        raise AssertionError("SAM was loaded before the manifest was read")

    monkeypatch.setattr("promise_seg.workflows.sizing.load_sam", load)
    missing, run = tmp_path / "typo.csv", tmp_path / "run"
    if of_command:
        assert main(["train", str(missing), "-o", str(run)]) == 2
        assert "typo.csv" in capsys.readouterr().err
    else:
        with pytest.raises(promise_seg.ManifestError, match=r"typo\.csv"):
            promise_seg.train(missing, run)


@pytest.fixture
def unread(monkeypatch):
    """Fail a test in which a data set is read."""

    def read(*_args, **_values):
        raise AssertionError("images were read before the options were checked")

    monkeypatch.setattr(promise_seg.Dataset, "from_csv", read)


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("device", "gpu", "--device gpu: not available here"),
        ("sam", "nothere", "nothere"),
        ("image-size", "100", "--image-size 100"),
        ("encoder-precision", "fp16", "--encoder-precision fp16: a CPU gains nothing by it"),
        ("output", "my.csv", "my.csv: is a file; expected a folder"),
    ],
)
@pytest.mark.usefixtures("unread")
def test_training_refuses_cheap_options_before_images_are_read(tmp_path, monkeypatch, capsys, option, value, words):
    monkeypatch.chdir(tmp_path)
    manifest = write_dataset(tmp_path / "data")
    (tmp_path / "my.csv").write_text("a")
    options = {"device": "cpu", "output": "run", "sam": "nano"} | {option: value}
    assert main(["train", str(manifest), *(f"--{name}={given}" for name, given in options.items())]) == 2
    assert words in " ".join(capsys.readouterr().err.split())
    given = {name.replace("-", "_"): int(one) if one.isdecimal() else one for name, one in options.items()}
    with pytest.raises(PromiseError, match=re.escape(words)):
        promise_seg.train(manifest, **given)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"by": "nothere"}, "--by nothere: the manifest has no such column; expected one of"),
        ({"tolerance": "2m"}, "--tolerance 2m"),
        ({"prompts": "box", "points": "5"}, "--points 5: is the number of oracle points, and --prompts box has none"),
        ({"output": "my.csv"}, "-o my.csv: is a file; expected a folder"),
        ({"device": "gpu"}, "--device gpu: not available here"),
    ],
)
@pytest.mark.usefixtures("unread")
def test_evaluation_refuses_cheap_options_before_images_are_read(tmp_path, monkeypatch, capsys, options, words):
    monkeypatch.chdir(tmp_path)
    manifest = write_dataset(tmp_path / "data")
    (tmp_path / "my.csv").write_text("a")
    options = {"device": "cpu", "output": "scores", "prompts": "oracle"} | options
    command = ["evaluate", "bare", str(manifest), *(f"--{name}={given}" for name, given in options.items())]
    assert main(command) == 2
    assert words in " ".join(capsys.readouterr().err.split())
    if "points" in options:
        options["points"] = int(options["points"])
    with pytest.raises(SettingsError, match=re.escape(words)):
        promise_seg.evaluate("bare", manifest, **options)


@pytest.fixture
def unopened(unread, monkeypatch):
    """Fail a test in which a model or a SAM is loaded."""

    def load(*_args, **_values):
        raise AssertionError("a model was loaded before the options were checked")

    for name in ("model_ref.load_sam", "model_ref.load_checkpoint", "sizing.load_sam"):
        monkeypatch.setattr(f"promise_seg.workflows.{name}", load)


WRONG_PLACES = [
    ({"output": "my.csv"}, "-o my.csv: is a file; expected a folder"),
    ({"output": "my.csv/in"}, "-o my.csv/in: cannot write: "),
    ({"output": "run/best"}, "-o run/best: is a checkpoint of the run"),
    ({"store": "my.csv"}, "my.csv: cannot hold features: "),
    ({"store": "my.csv/in"}, "my.csv/in: cannot hold features: "),
    ({"store": "s3://"}, "--store s3://: expected an address"),
    ({"device": "gpu"}, "--device gpu: not available here"),
]
NO_COMMON_PLACES = [one for one in WRONG_PLACES if "output" not in one[0]]


@pytest.fixture
def wrong(tmp_path, monkeypatch):
    """A working folder with a manifest, a file and the skeleton of a run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.csv").write_text("a")
    (tmp_path / "run/best").mkdir(parents=True)
    (tmp_path / "run/settings.json").write_text("{}")
    return write_dataset(tmp_path / "data")


def refused(capsys, folder, command, options):
    """Return the single line with which a command refuses options; nothing is written."""
    before = sorted(folder.rglob("*"))
    assert main([*command, *(f"--{name}={given}" for name, given in options.items())]) == 2
    assert sorted(folder.rglob("*")) == before
    lines = capsys.readouterr().err.strip().splitlines()
    assert len([line for line in lines if "error" in line]) == 1
    return lines[-1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        *WRONG_PLACES,
        ({"by": "nothere"}, "--by nothere: the manifest has no such column"),
        ({"tolerance": "2m"}, "--tolerance 2m"),
        ({"prompts": "apm"}, "--prompts apm: the variant sam has no auto-prompting module"),
        ({"tile": "64", "overlap": "64"}, "--overlap 64"),
    ],
)
@pytest.mark.parametrize("command", ["evaluate", "report", "budget"])
@pytest.mark.usefixtures("unopened")
def test_scoring_refuses_cheap_options_before_a_model_is_loaded(wrong, tmp_path, capsys, command, options, words):
    if command == "budget" and set(options) & {"by", "tolerance", "prompts"}:
        return
    usual = {"device": "cpu", "output": "out"} | ({} if command == "budget" else {"prompts": "oracle"})
    assert words in refused(capsys, tmp_path, [command, "bare", str(wrong)], usual | options)


@pytest.mark.parametrize(("options", "words"), WRONG_PLACES)
@pytest.mark.usefixtures("unopened")
def test_scoring_in_python_refuses_cheap_arguments_before_a_model_is_loaded(wrong, options, words):
    given = {"device": "cpu", "output": "out"} | options
    for call in (promise_seg.evaluate, promise_seg.report, promise_seg.budget):
        more = {} if call is promise_seg.budget else {"prompts": "oracle" if call is promise_seg.evaluate else ["box"]}
        with pytest.raises(PromiseError, match=re.escape(words)):
            call("bare", wrong, **given, **more)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        *NO_COMMON_PLACES,
        ({"encoder-precision": "fp16"}, "--encoder-precision fp16: a CPU gains nothing by it"),
        ({"tile": "64", "overlap": "64"}, "--overlap 64"),
    ],
)
@pytest.mark.parametrize("command", [["features", "plan"], ["features", "encode"], ["train"]])
@pytest.mark.usefixtures("unopened")
def test_encoding_refuses_cheap_options_before_sam_is_loaded(wrong, tmp_path, capsys, command, options, words):
    usual = {"device": "cpu"} | ({"output": "out"} if command == ["train"] else {})
    assert words in refused(capsys, tmp_path, [*command, str(wrong)], usual | options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"part": "3/2"}, "--part 3/2"),
        ({"ray": "local", "part": "1/2"}, "--part 1/2: with --ray"),
        ({"sam": "nothere"}, "--sam nothere: no SAM of that name"),
        ({"image-size": "100"}, "--image-size 100: expected a multiple"),
    ],
)
@pytest.mark.usefixtures("unread")
def test_encoding_refuses_options_of_sam_and_parts_before_images_are_read(wrong, tmp_path, capsys, options, words):
    assert words in refused(capsys, tmp_path, ["features", "encode", str(wrong), "--device=cpu"], options)
