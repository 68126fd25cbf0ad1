"""Whether a value fits a JSON schema, of any draft from 3 to 2020-12."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from InferenceLibrary.protocol.strict_json import show

_LONGEST = 300
"""Characters of the reason; a validator repeats the value, however long it is."""


def schema_problem(data: Any, schema: Mapping[str, Any]) -> str | None:
    """Return where data does not fit a schema, None when it does.

    The draft is what `$schema` says. Without it that is 2020-12, or draft 7 for a schema that only fits the older
    drafts, such as one with a list of `items`. References are followed inside the schema only.

    Raises:
        ValueError: It is not a schema that can be used.
    """
    from jsonschema import Draft7Validator, Draft202012Validator, SchemaError
    from jsonschema.exceptions import best_match
    from jsonschema.validators import validator_for
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    named = isinstance(schema.get("$schema"), str)
    kind = validator_for(schema, default=Draft202012Validator) if named else Draft202012Validator
    if not named and not _is_schema(kind, schema) and _is_schema(Draft7Validator, schema):
        kind = Draft7Validator
    try:
        kind.check_schema(schema)
        error = best_match(kind(schema, registry=Registry()).iter_errors(data))
    except SchemaError as wrong:
        raise ValueError(f"Expected a JSON schema: {wrong.json_path} {_cut(wrong.message)}.") from None
    except Unresolvable as wrong:
        raise ValueError(f"Expected a JSON schema whose references lie inside it: {_cut(str(wrong))}.") from None
    except (re.error, ValueError, ArithmeticError, RecursionError) as wrong:
        raise ValueError(f"Expected a JSON schema: {_cut(str(wrong))}.") from None
    return None if error is None else f"{error.json_path} {_cut(error.message)}"


def _is_schema(kind: Any, schema: Mapping[str, Any]) -> bool:
    """Whether it is a schema of a draft."""
    from jsonschema import SchemaError

    try:
        kind.check_schema(schema)
    except SchemaError:
        return False
    except (ValueError, ArithmeticError, RecursionError):
        # What it is will be told by the check of the draft that is taken.
        return False
    return True


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else show(text[:_LONGEST])[1:-1] + "…"
