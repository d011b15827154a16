import json

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from promise_seg.reporting.document import RunReport, schema
from tests.reporting.samples import sample_report


def test_a_report_is_what_its_schema_says():
    document = json.loads(sample_report().model_dump_json())
    Draft202012Validator.check_schema(schema())
    Draft202012Validator(schema()).validate(document)
    del document["card"]["hashes"]["code"]
    assert not Draft202012Validator(schema()).is_valid(document)


def test_the_schema_is_stable():
    assert set(schema()["properties"]) == {
        "format_version", "title", "made_at", "card", "evaluations", "curves", "budget", "budget_notes", "worst"
    }  # fmt: skip
    assert set(schema()["$defs"]["RunCard"]["properties"]) == {
        "model", "variant", "sam", "image_size", "mask_choice", "postprocessing", "trained_parameters", "hashes",
        "seeds", "environment", "training", "licences", "commands",
    }  # fmt: skip
    assert set(schema()["$defs"]["Hashes"]["properties"]) == {
        "model", "sam", "code", "data", "training_data", "git_commit"
    }  # fmt: skip


def test_a_report_survives_being_written():
    report = sample_report()
    assert RunReport.model_validate_json(report.model_dump_json()) == report


def test_what_is_unknown_is_refused_but_for_what_other_commands_come_to_say():
    with pytest.raises(ValidationError, match="surprise"):
        sample_report(surprise=1)
    assert json.loads(sample_report().model_dump_json())["evaluations"][0]["seed"] == 0


def test_images_are_said_with_their_split():
    one = sample_report().evaluations[0]
    assert one.images_words == "20 test images"
    assert one.model_copy(update={"split": "all", "images": 1200}).images_words == "1,200 images"
    assert one.model_copy(update={"images": 1}).images_words == "1 test image"
