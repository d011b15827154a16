"""The defaults of a training are stated once; commands, Python, records and pages agree with them."""

import inspect
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

import promise_seg
from promise_seg.cli import features, train
from promise_seg.config_versions import FIRST_SETTINGS
from promise_seg.learning.settings import OPTIONS, RecordedSettings, TrainSettings, make_settings
from promise_seg.protocol import training_deviations
from promise_seg.training_defaults import (
    DEFAULTS,
    DEFAULTS_OF_APM,
    IMAGES_SEEN,
    LEAST_EPOCHS,
    MOST_EPOCHS,
    REFERENCE_DEFAULTS,
    usual_defaults,
)
from promise_seg.vocabulary import ApmKind, Protocol
from promise_seg.workflows.training_settings import settings_for
from tests.helpers import first_settings

PAGES = Path(__file__).parents[1] / "docs"
PRETRAINED = DEFAULTS_OF_APM[ApmKind.PRETRAINED]
COUNTS = (
    f"batches of {PRETRAINED['batch_size']} and {LEAST_EPOCHS} to {MOST_EPOCHS} epochs with",
    f"batches of {DEFAULTS['batch_size']} and {DEFAULTS['epochs']} epochs otherwise",
)
REFERENCE_COUNTS = f"1e-5, batches of {REFERENCE_DEFAULTS['batch_size']}, {REFERENCE_DEFAULTS['epochs']} epochs"


def shown(command):
    """The defaults that a command shows, by the names of its options."""
    return {name: option.default for name, option in inspect.signature(command).parameters.items()}


def test_each_setting_has_one_default_in_the_table_and_none_in_the_class():
    assert set(DEFAULTS) == set(TrainSettings.model_fields)
    assert all(field.is_required() for field in TrainSettings.model_fields.values())
    for others in (*DEFAULTS_OF_APM.values(), REFERENCE_DEFAULTS):
        assert set(others) < set(DEFAULTS)


def test_python_and_the_command_train_alike():
    by_default = make_settings(apm="pretrained")
    assert {name: getattr(by_default, name) for name in DEFAULTS if name != "apm_options"} == {
        name: value for name, value in usual_defaults().items() if name != "apm_options"
    }
    options = {name for name in shown(train.train) if name in OPTIONS.values() or name.startswith("apm_")}
    of_apm = {"apm_distance"}  # of another kind
    given = {name: value for name, value in shown(train.train).items() if name in options - of_apm}
    given = {name: value for name, value in given.items() if name not in ("points", "foreground")}  # of other kinds
    with_every_option = settings_for(Protocol.OWN, None, given)
    assert with_every_option.model_dump(exclude={"apm_options"}) == by_default.model_dump(exclude={"apm_options"})
    assert with_every_option.apm_config == by_default.apm_config
    python = inspect.signature(promise_seg.train).parameters
    assert {name for name in OPTIONS.values() if python[name].default is not None} == set()


def test_features_are_encoded_for_the_default_training():
    ours, theirs = shown(features.encode), shown(train.train)
    for name in ("variant", "apm", "fit", "views", "augmentation", "seed"):
        assert ours[name] == theirs[name], name


def test_records_of_earlier_versions_keep_the_values_of_before():
    assert set(FIRST_SETTINGS) == set(TrainSettings.model_fields) - {"seed"}
    old = first_settings(seed=3, epochs=7)
    assert (old.apm, old.epochs, old.seed, old.shifts, old.given_prompts) == ("heatmap", 7, 3, 1, "points")
    assert (old.learns_quality, old.separate_objects, old.scores_volumes, old.mixes_views) == (False,) * 4
    assert (old.decoder_interval, old.own_sets, old.edge_weight, old.batch_size) == (1, 4, 0.0, 16)
    assert make_settings(old, seed=3, epochs=7) == old
    with pytest.raises(ValidationError, match="seed"):
        TypeAdapter(RecordedSettings).validate_python({})


def test_a_run_of_another_protocol_that_was_interrupted_at_its_start_has_no_part_in_the_settings():
    """Nothing of it was trained, so that the folder may be used for another run."""
    begun = make_settings(apm="pretrained")
    assert make_settings(begun, protocol="reference") == make_settings(protocol="reference")


def test_pages_and_help_texts_state_the_defaults():
    protocol = " ".join(training_deviations(Protocol.REFERENCE)).replace("the APM ", "")
    compatibility = (PAGES / "compatibility.md").read_text(encoding="utf-8").replace("`", "")
    for text in (protocol, compatibility):
        assert all(words in text for words in (*COUNTS, REFERENCE_COUNTS.removeprefix("1e-5"), "5e-4 with warm-up"))
    assert (DEFAULTS["learning_rate"], REFERENCE_DEFAULTS["learning_rate"]) == (5e-4, 1e-5)  # as the pages write them
    method = (PAGES / "method.md").read_text(encoding="utf-8")
    assert (
        f"| learning rate 1e-5, batch {REFERENCE_DEFAULTS['batch_size']}, {REFERENCE_DEFAULTS['epochs']} epochs "
        f"| 5e-4, {DEFAULTS['batch_size']}, {DEFAULTS['epochs']} (with `pretrained` {PRETRAINED['batch_size']}, and "
        f"{LEAST_EPOCHS} to {MOST_EPOCHS})"
    ) in method
    training = " ".join((PAGES / "training.md").read_text(encoding="utf-8").split())
    assert f"{MOST_EPOCHS} epochs with up to {int(IMAGES_SEEN / (MOST_EPOCHS - 0.5))} train rows" in training
    assert f"as many as make {IMAGES_SEEN:,} images in total" in training
    text = " ".join((inspect.getdoc(promise_seg.train) or "").split())
    for words in (
        f"about {IMAGES_SEEN:,} images, from {LEAST_EPOCHS} to {MOST_EPOCHS}; {DEFAULTS['epochs']} with another APM",
        f"by default {PRETRAINED['batch_size']} with ``pretrained``, and {DEFAULTS['batch_size']} otherwise",
        f"that it proposes; by default {DEFAULTS['num_points']}",
        f"learning rate; by default {DEFAULTS['learning_rate']:g}".replace("0.0005", "5e-4"),
        f"the optimizer; by default {DEFAULTS['weight_decay']:g}",
    ):
        assert words in text
