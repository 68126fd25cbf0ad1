"""What is done with the choices of dialects: joined with those that they stand on, and searched for names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from InferenceLibrary.dialects.choices import OpenChoices, Template


def template_names(template: Template) -> Iterator[str]:
    """Yield the names that a template holds."""
    if isinstance(template, str):
        if template.startswith("$") and not template.startswith("${"):
            yield template[1:].partition("|")[0]
        for found in re.findall(r"\$\{([^}]*)\}", template):
            yield from found.split("|")
    elif isinstance(template, dict):
        for one in template.values():
            yield from template_names(one)
    elif isinstance(template, list):
        for one in template:
            yield from template_names(one)


def joined(below: OpenChoices, above: OpenChoices) -> OpenChoices:
    """Return choices with what they take over from others: keys of mappings are joined, lists replaced.

    The variants of the result are those of `above`, where it has any.
    """
    both = msgspec.convert(_merged(msgspec.to_builtins(below), msgspec.to_builtins(above)), OpenChoices)
    routes = {name: route for name, route in both.routes.items() if name not in above.without_routes}
    return msgspec.structs.replace(both, routes=routes, without_routes=[])


def _merged(below: Any, above: Any) -> Any:
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return {**below, **{key: _merged(below.get(key), value) for key, value in above.items()}}
