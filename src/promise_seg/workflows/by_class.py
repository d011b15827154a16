"""Results of a set with a model for each of several classes of label maps."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Generic, TypeVar

Found = TypeVar("Found")


class ByClass(Mapping[int, Found], Generic[Found]):
    """The results of several models, by class.

    Args:
        found: the result of each class.
    """

    def __init__(self, found: Mapping[int, Found]) -> None:
        self._found = dict(found)

    def __getitem__(self, label: int) -> Found:
        """Return the result of a class."""
        return self._found[label]

    def __iter__(self) -> Iterator[int]:
        """Iterate over the classes."""
        return iter(self._found)

    def __len__(self) -> int:
        """Return the number of classes."""
        return len(self._found)

    def __repr__(self) -> str:
        """Return each class with its result, a line each."""
        return "\n".join(f"class {label}: {one!r}" for label, one in self._found.items())

    def _repr_html_(self) -> str:
        """Return the view in a notebook: the tables of the classes, one below the other."""
        parts = []
        for label, one in self._found.items():
            show = getattr(one, "_repr_html_", None)
            parts.append(f"<h4>class {label}</h4>{show() if show else escape(repr(one))}")
        return "".join(parts)

    def to_pandas(self) -> Any:
        """Return one table of all classes, with a column ``class``.

        Raises:
            SettingsError: if pandas is not installed.
        """
        from promise_seg.workflows.tables import pandas

        parts: dict[int, Any] = dict(self._found)
        tables = [one.to_pandas().assign(**{"class": label}) for label, one in parts.items()]
        return pandas().concat(tables, ignore_index=True)
