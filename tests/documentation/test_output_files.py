"""Every key that a JSON file of results can hold is documented in ``docs/output-files.md``, in the part of its file."""

import ast
import inspect
import re
from collections.abc import Iterator

import pytest

from promise_seg.assessment import budget as budget_scores
from promise_seg.assessment import comparing
from promise_seg.assessment.summary import EvaluationSummary
from promise_seg.benchmarking import gaps, results
from promise_seg.benchmarking.costs import EncodingCost
from promise_seg.prediction import merging, objects_table, table
from promise_seg.reporting.document import schema
from promise_seg.workflows import budget
from tests.documentation.pages import ROOT

PAGE = ROOT / "docs/output-files.md"
SUMMARY, BUDGET, REPORT = "`summary_<prompts>.json`", "`budget.json`", "`report.json`"
COMPARISON, BENCHMARK = "The file of `promise compare -o`", "`benchmark.json`"


def documented(*titles):
    """The names in code type in the parts of the page with these headings."""
    parts = re.split(r"^##+ (.+)\n", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    texts = dict(zip(parts[::2], parts[1::2], strict=True))
    return {name for title in titles for name in re.findall(r"`([^`]+)`", texts[title])}


def keys_of_schema(part) -> Iterator[str]:
    """The names of all fields in a JSON schema."""
    if isinstance(part, dict):
        yield from part.get("properties", {})
        for value in part.values():
            yield from keys_of_schema(value)
    elif isinstance(part, list):
        for value in part:
            yield from keys_of_schema(value)


def keys_in_code(*objects) -> set[str]:
    """The keys of all dictionaries that are written in some functions, classes or modules."""
    found: set[str] = set()
    for some in objects:
        for node in ast.walk(ast.parse(inspect.cleandoc(inspect.getsource(some)))):
            keys = node.keys if isinstance(node, ast.Dict) else ()
            if isinstance(node, ast.Assign):
                keys = [target.slice for target in node.targets if isinstance(target, ast.Subscript)]
            found |= {key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}
    return found


IN_BUDGET = keys_in_code(budget, budget_scores.PromptScores)
IN_BENCHMARK = keys_in_code(results, gaps) | set(EncodingCost.__annotations__)


def test_the_keys_in_code_are_found():
    assert {"spread_of_draws", "reads_the_ground_truth", "slices", "data", "test_looks", "budget"} <= IN_BUDGET
    assert {"p_holm", "cpu_seconds", "of_seeds", "error", "timed_views"} <= IN_BENCHMARK
    assert {"rank_correlation", "damage_note", "budget_notes"} <= set(keys_of_schema(schema()))


def test_every_column_of_a_table_of_predictions_is_documented():
    columns = {*table.COLUMNS, *objects_table.COLUMNS, *merging.FAILURE_COLUMNS}
    assert sorted(columns - documented("A prediction folder")) == []


@pytest.mark.parametrize(
    ("titles", "keys"),
    [
        ((SUMMARY,), set(keys_of_schema(EvaluationSummary.model_json_schema()))),
        ((SUMMARY, BUDGET), IN_BUDGET),
        ((SUMMARY, BUDGET, REPORT), set(keys_of_schema(schema()))),
        ((COMPARISON,), keys_in_code(comparing.Comparison)),
        ((COMPARISON, BENCHMARK), IN_BENCHMARK),
    ],
    ids=["summary", "budget", "report", "comparison", "benchmark"],
)
def test_every_key_of_a_result_is_documented(titles, keys):
    assert sorted(keys - documented(*titles)) == []
