"""Whether data fits a schema: keywords of all drafts, and schemas that are not schemas."""

from __future__ import annotations

import re
from typing import Any

import pytest

from InferenceLibrary.protocol.json_schema import schema_problem

LAST = {"type": "array", "prefixItems": [{"type": "integer"}], "items": False, "unevaluatedItems": False}


@pytest.mark.parametrize(
    ("schema", "right", "wrong", "told"),
    [
        ({"type": "object", "required": ["a"]}, {"a": 1}, {}, r"\$ 'a' is a required property"),
        ({"properties": {"a": {"type": "string"}}}, {"a": "x"}, {"a": 5}, r"\$\.a 5 is not of type 'string'"),
        (LAST, [1], ["x"], r"\$\[0\]"),
        ({"dependentRequired": {"a": ["b"]}}, {"a": 1, "b": 2}, {"a": 1}, "'b' is a dependency of 'a'"),
        ({"$defs": {"x": {"const": 1}}, "$ref": "#/$defs/x"}, 1, 2, "1 was expected"),
        ({"$schema": "http://json-schema.org/draft-04/schema#", "maximum": 3, "exclusiveMaximum": True}, 2, 3, "3"),
    ],
)
def test_data_fits_or_does_not(schema: Any, right: Any, wrong: Any, told: str) -> None:
    assert schema_problem(right, schema) is None
    problem = schema_problem(wrong, schema)
    assert problem is not None
    assert re.search(told, problem)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"properties": []},
        {"$schema": 5, "type": 7},
        {"pattern": "("},
        {"$ref": "http://example.org/other"},
        {"$ref": "#/nowhere"},
        {"$ref": "#"},
        {"multipleOf": float("nan")},
    ],
)
def test_a_schema_that_is_none_is_refused(schema: Any) -> None:
    with pytest.raises(ValueError, match=r"Expected a JSON schema.*\.$"):
        schema_problem("x" if "pattern" in schema else 1.5, schema)


def test_a_long_value_is_not_repeated() -> None:
    problem = schema_problem({"a": "x" * 10_000_000}, {"required": ["b"], "properties": {"a": {"maxLength": 1}}})
    assert problem is not None
    assert len(problem) < 1000


def test_a_schema_of_an_older_draft_is_read_as_that() -> None:
    pair = {"type": "array", "items": [{"type": "integer"}, {"type": "string"}]}
    assert schema_problem([1, "a"], pair) is None
    assert schema_problem(["a", "b"], pair) == "$[0] 'a' is not of type 'integer'"
    with pytest.raises(ValueError, match="Expected a JSON schema"):
        schema_problem([1], {**pair, "$schema": "https://json-schema.org/draft/2020-12/schema"})
