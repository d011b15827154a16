"""Values that a JSON schema allows, and some that it does not, for hypothesis."""

from typing import Any

from hypothesis import strategies as st

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**40), 2**40), st.floats(allow_nan=False, allow_infinity=False),
    TEXTS, st.just([]), st.just({}), st.lists(st.integers(-3, 300), max_size=5),
)  # fmt: skip
"""Whatever else JSON can hold."""


class Schemas:
    """Strategies for the schemas of an OpenAPI document.

    Args:
        document: as the server describes itself.
        known: values that the server gave, by the name of the property that takes them: they are tried often. There is
            one at least of each, and what is drawn never depends on them: what the server gave depends on its threads,
            and hypothesis refuses draws that differ from one example to the next.
    """

    def __init__(self, document: dict[str, Any], known: dict[str, Any]) -> None:
        self._parts, self.known = document["components"]["schemas"], known

    def value(self, draw: Any, schema: dict[str, Any], name: str = "") -> Any:
        """Return a value of a schema; now and then another."""
        if draw(st.integers(0, 24)) == 24:
            return draw(ODD)
        if name in self.known and draw(st.integers(0, 5)):
            return self.known[name][draw(st.integers(0, 3)) % len(self.known[name])]
        if "$ref" in schema:
            return self.value(draw, self._parts[schema["$ref"].rpartition("/")[2]])
        for several in ("anyOf", "oneOf"):
            if several in schema:
                return self.value(draw, draw(st.sampled_from(schema[several])), name)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return draw(st.sampled_from(schema["enum"]))
        return self._plain(draw, schema)

    def _plain(self, draw: Any, schema: dict[str, Any]) -> Any:
        kind = schema.get("type")
        if kind == "object":
            needed = schema.get("required", [])
            given = schema.get("properties", {}).items()
            return {name: self.value(draw, one, name) for name, one in given if name in needed or draw(st.booleans())}
        if kind == "array":
            if "prefixItems" in schema:
                return [self.value(draw, one) for one in schema["prefixItems"]]
            return [self.value(draw, schema.get("items", {})) for _ in range(draw(st.integers(0, 3)))]
        if kind == "integer":
            return draw(st.one_of(st.integers(0, 5), st.integers(schema.get("minimum", -9), schema.get("maximum", 9))))
        if kind == "number":
            return draw(st.one_of(st.integers(-1, 45), st.floats(-1, 2**20, allow_nan=False)))
        if kind == "string":
            return draw(
                st.uuids().map(str)
                if "pattern" in schema
                else st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
            )
        return {"boolean": draw(st.booleans()), "null": None}.get(str(kind), draw(ODD))
