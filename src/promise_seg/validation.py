"""Readable messages about invalid settings, specs and files, in place of pydantic's own."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from promise_seg.errors import SettingsError

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

Options = TypeVar("Options", bound="BaseModel")

UNKNOWN = "extra_forbidden"
"""pydantic's name for a key that a mapping must not have."""
TOO_SHORT = "too_short"
"""pydantic's name for a list with too few entries; it does not count entries that are invalid themselves."""
_EXPECTED = {
    "greater_than": "expected more than {gt}",
    "greater_than_equal": "expected at least {ge}",
    "less_than": "expected less than {lt}",
    "less_than_equal": "expected at most {le}",
    "multiple_of": "expected a multiple of {multiple_of}",
    "finite_number": "expected a finite number",
    "int_parsing": "expected a whole number",
    "int_parsing_size": "expected a whole number of fewer digits",
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_parsing": "expected a number",
    "float_type": "expected a number",
    "bool_parsing": "expected true or false",
    "bool_type": "expected true or false",
    "string_type": "expected text",
    "string_pattern_mismatch": "expected text of the pattern {pattern}",
    "string_too_short": "expected at least {min_length} character(s)",
    "string_too_long": "expected at most {max_length} character(s)",
    "path_type": "expected a path",
    "datetime_type": "expected a date and time",
    "datetime_parsing": "expected a date and time",
    "datetime_from_date_parsing": "expected a date and time",
    "literal_error": "expected {expected}",
    "enum": "expected {expected}",
    "union_tag_invalid": "{discriminator} is {tag}; expected {expected_tags}",
    "union_tag_not_found": "{discriminator} is needed, but missing",
    "missing": "is needed, but missing",
    TOO_SHORT: "expected a list of at least {min_length}",
    "too_long": "expected a list of at most {max_length}",
    "tuple_type": "expected a list",
    "list_type": "expected a list",
    "set_type": "expected a list",
    "frozen_set_type": "expected a list",
    "model_type": "expected a mapping of names to values",
    "model_attributes_type": "expected a mapping of names to values",
    "dict_type": "expected a mapping of names to values",
    "json_invalid": "is not JSON",
}
"""Messages for the kinds of error that files and options can have, by pydantic's name of the kind."""


class Faults(ValueError):
    """Several faults of one object, for validators that find all of them.

    Args:
        lines: a message for each fault.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = list(lines)
        super().__init__("; ".join(self.lines))


def refuse_faults(lines: Iterable[str]) -> None:
    """Raise the faults, if there are any.

    Raises:
        Faults: if there is at least one line.
    """
    if found := list(lines):
        raise Faults(found)


def words_of(fault: Mapping[str, Any], known: Collection[str] = ()) -> str:
    """Return a message on what was expected, for one error that pydantic found.

    Args:
        fault: an entry of ``ValidationError.errors()``; messages of our own validators are kept.
        known: the valid keys, for the message on an unknown key.
    """
    if fault["type"] == UNKNOWN:
        return f"unknown key{hint(str(fault['loc'][-1]), known)}"
    if words := _EXPECTED.get(fault["type"]):
        return words.format(**fault.get("ctx", {})).replace("'", "")
    message = str(fault["msg"]).removeprefix("Value error, ")
    start = "Input should be "
    return f"expected {message.removeprefix(start)}" if message.startswith(start) else message


def hint(word: str, known: Collection[str]) -> str:
    """Return the end of a message on an unknown word: the most similar known word or, if there is none, all of them."""
    if nearest := get_close_matches(word.lower(), known, n=1):
        return f"; did you mean {nearest[0]}?"
    return f"; expected one of {', '.join(sorted(known))}" if known else ""


def faults_of(error: "ValidationError", model: "type[BaseModel]", whole: str = "all", most: int | None = None) -> str:
    """Describe in one line what is wrong, and where: ``data.0.manifst: unknown key; did you mean manifest?``.

    Args:
        error: error that the validation by ``model`` raised.
        model: class of the top-level object.
        whole: name that stands for the top-level object in messages about the object as a whole.
        most: maximum number of errors that are described; by default all.
    """
    return "; ".join(list_faults(error, model, whole)[:most])


def list_faults(
    error: "ValidationError",
    model: "type[BaseModel]",
    whole: str = "all",
    shown_place: Callable[[tuple[int | str, ...]], Iterable[int | str]] = lambda loc: loc,
) -> list[str]:
    """Describe each fault as :func:`faults_of` does; the arguments are the same.

    Args:
        error, model, whole: see :func:`faults_of`.
        shown_place: converts the place of a fault, keys and positions from the outside, to what messages show.
    """
    found = error.errors()
    with_faults = {fault["loc"][:length] for fault in found for length in range(len(fault["loc"]))}
    told = [fault for fault in found if fault["type"] != TOO_SHORT or fault["loc"] not in with_faults]
    lines = []
    for fault in told:
        place, several = ".".join(map(str, shown_place(fault["loc"]))), fault.get("ctx", {}).get("error")
        if isinstance(several, Faults):
            lines += [f"{place}: {line}" if place else line for line in several.lines]
        else:
            lines.append(f"{place or whole}: {words_of(fault, keys_at(model, fault['loc']))}")
    return lines


def make_options(model: type[Options], **values: Any) -> Options:
    """Return options from a user's values.

    Args:
        model: class of the options, whose fields have the names of the options.
        values: values of the fields, by name.

    Raises:
        SettingsError: if a value is invalid; the message names the first such option.
    """
    from pydantic import ValidationError

    try:
        return model(**values)
    except ValidationError as error:
        fault = error.errors()[0]
        name = str(fault["loc"][0])
        option = "class" if name == "label" else name.replace("_", "-")
        raise SettingsError(f"--{option} {values.get(name)}: {words_of(fault)}") from error


def keys_at(model: "type[BaseModel]", place: tuple[int | str, ...]) -> list[str]:
    """Return the valid keys at the level of the last key of a location in the input of a model, sorted.

    Args:
        model: class of the top-level object.
        place: names, indices and tags that lead to the location, as in ``loc`` of pydantic's errors.

    Returns:
        The names or aliases of fields, and the additional keys that a class accepts, its ``SHORT_FORMS``.
    """
    here = [model]
    for step in place[:-1]:
        if fields := [each.model_fields[str(step)] for each in here if step in each.model_fields]:
            here = [found for field in fields for found in _models_in(field.annotation)]
        else:  # an index, or the tag of one class of several
            here = [each for each in here if step in _tags(each)] or here
    fields_here = {field.alias or name for each in here for name, field in each.model_fields.items()}
    return sorted(fields_here.union(*(getattr(each, "SHORT_FORMS", ()) for each in here)))


def _tags(model: "type[BaseModel]") -> list[Any]:
    return [tag for field in model.model_fields.values() for tag in get_args(field.annotation)]


def _models_in(annotation: Any) -> Iterator["type[BaseModel]"]:
    if hasattr(annotation, "model_fields"):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)
