"""The argument type of checks of readiness, and how Robot's values become one."""

from __future__ import annotations

from typing import Any

from InferenceLibrary.types import to_json_object


class ReadyChecks(list[Any]):
    """Checks of readiness.

    Give one check or a list of them: an object such as `{"tcp": 9090}`, as JSON, Python literal or dictionary variable,
    or a Python function.
    """


def to_ready_checks(value: object) -> ReadyChecks:
    """Convert to checks; what each must be is told when the server is started.

    Raises:
        ValueError: A text is neither JSON nor a Python literal.
    """
    if isinstance(value, str):
        text = value.strip()
        value = to_json_object(f'{{"checks": {text}}}')["checks"] if text.startswith("[") else to_json_object(text)
    return ReadyChecks(value if isinstance(value, list | tuple) else [value])


CONVERTERS: dict[type, Any] = {ReadyChecks: to_ready_checks}
"""What keywords that start servers take besides the common types; the library registers it at Robot Framework."""
