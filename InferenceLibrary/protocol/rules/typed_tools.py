"""What was asked of tools and formats, held against what came, for the APIs with typed events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from InferenceLibrary.protocol.json_schema import schema_problem
from InferenceLibrary.protocol.rules.forms import inside, is_filled, listed
from InferenceLibrary.protocol.strict_json import read_json, show

TOOL_KINDS = ("unknown tool", "schema", "called", "no call", "other tool", "several calls")


class MadeCall(NamedTuple):
    """A call of a tool."""

    place: int
    """Place among the items or blocks of the answer."""
    name: Any
    arguments: Any
    """Decoded; None when they are not JSON."""


class Wanted(NamedTuple):
    """What was asked for by `tool_choice`."""

    word: str = "auto"
    """`auto`, `none` or `required`."""
    names: tuple[str, ...] = ()
    """The tools that may be called; none: any."""
    single: bool = False
    """Whether there may be one call at most."""

    @classmethod
    def from_responses(cls, choice: Any) -> Wanted:
        """Read the form of the Responses API."""
        if isinstance(choice, str):
            return cls(choice)
        kind, name = inside(choice, "type"), inside(choice, "name")
        if kind == "function" and is_filled(name):
            return cls("required", (name,))
        if kind == "allowed_tools":
            names = tuple(tool["name"] for tool in listed(choice.get("tools")) if is_filled(inside(tool, "name")))
            return cls("required" if choice.get("mode") == "required" else "auto", names)
        return cls()

    @classmethod
    def from_messages(cls, choice: Any) -> Wanted:
        """Read the form of the Messages API."""
        kind, name = inside(choice, "type"), inside(choice, "name")
        single = inside(choice, "disable_parallel_tool_use") is True
        if kind == "tool" and is_filled(name):
            return cls("required", (name,), single)
        return cls({"any": "required", "none": "none"}.get(kind, "auto") if is_filled(kind) else "auto", (), single)


def tool_problems(
    calls: Iterable[MadeCall], schemas: Mapping[str, Any], wanted: Wanted, *, complete: bool
) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the calls of an answer, as a kind of `TOOL_KINDS` and what came.

    Args:
        calls: The calls.
        schemas: The schema of each function that was offered.
        wanted: What was asked for.
        complete: Whether the answer ended by itself; else calls may be missing or cut.
    """
    made = list(calls)
    for call in made:
        if is_filled(call.name) and call.name not in schemas:
            yield "unknown tool", f"{show(call.name)}, offered: {', '.join(schemas) or 'none'}"
        elif wanted.names and is_filled(call.name) and call.name not in wanted.names:
            yield "other tool", f"{show(call.name)} in place of {', '.join(wanted.names)}"
        elif complete and isinstance(call.arguments, dict) and is_filled(call.name):
            problem = schema_misfit(call.arguments, schemas[call.name])
            if problem is not None:
                yield "schema", f"arguments of {show(call.name)}: {problem}"
    if wanted.word == "none" and made:
        yield "called", f"{len(made)} calls with tool_choice none"
    if wanted.word == "required" and not made and complete and schemas:
        yield "no call", "no call where one was required"
    if wanted.single and len(made) > 1:
        yield "several calls", f"{len(made)} calls where one was allowed"


def format_problem(text: str, schema: Any) -> tuple[str, str] | None:
    """Return what is wrong with a text that is to be a JSON object or to fit a schema, as kind and what came."""
    read = read_json(text)
    if not read.readable:
        return "no JSON", show(text)
    data = read.value
    if schema is None:
        return None if isinstance(data, dict) else ("no JSON", f"{show(data)} in place of an object")
    problem = schema_misfit(data, schema)
    return None if problem is None else ("schema", problem)


def schema_misfit(data: Any, schema: Any) -> str | None:
    """Return where data does not fit a schema; None when it does, or the schema cannot be used."""
    if not isinstance(schema, dict):
        return None
    try:
        return schema_problem(data, schema)
    except ValueError:
        # A schema that is not one is a fault of the client, not of the server.
        return None
