import inspect
import subprocess
import sys
from enum import StrEnum

from promise_seg import vocabulary
from promise_seg.vocabulary import PromptSource, Split, SplitChoice, TrainAlso, Variant

ENUMS = [one for _, one in inspect.getmembers(vocabulary, inspect.isclass) if issubclass(one, StrEnum)]


def test_the_vocabulary_needs_no_torch():
    code = "import promise_seg.vocabulary, sys; print([n for n in ('torch', 'numpy', 'pydantic') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_every_word_can_be_typed_without_quotes():
    words = [word for one in ENUMS if one is not StrEnum for word in one]
    assert len(words) > 40
    assert all(set(word) <= set("abcdefghijklmnopqrstuvwxyz0123456789+-") for word in words)


def test_a_choice_of_rows_is_a_split_or_all():
    assert list(SplitChoice) == [*Split, "all"]


def test_what_a_variant_has():
    assert [v for v in Variant if v.has_apm] == ["apm", "apm+ips"]
    assert [v for v in Variant if v.has_ips] == ["ips", "apm+ips"]


def test_parts_of_sam_are_named_by_their_words():
    assert TrainAlso.NONE.parts == ()
    assert TrainAlso.PROMPT_ENCODER_AND_DECODER.parts == ("prompt_encoder", "mask_decoder")


def test_only_headings_of_prompts_from_the_truth_speak_of_it():
    assert [one for one in PromptSource if "ground truth" in one.heading] == [
        one for one in PromptSource if one.reads_truth
    ]
