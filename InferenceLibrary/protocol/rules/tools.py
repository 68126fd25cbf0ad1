"""Rules of tool calls, streamed and whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from InferenceLibrary.protocol.exchange import Held
from InferenceLibrary.protocol.json_schema import schema_problem
from InferenceLibrary.protocol.rules.asked import Asked
from InferenceLibrary.protocol.rules.chats import CHAT, REFERENCE
from InferenceLibrary.protocol.rules.choices import Choices, ChoicesAnswer, ChoicesStream, ChoiceTrack
from InferenceLibrary.protocol.rules.rule import Found, Known, Level, rule
from InferenceLibrary.protocol.rules.tool_track import CallSeen
from InferenceLibrary.protocol.rules.views import at
from InferenceLibrary.protocol.strict_json import read_json, show

VLLM = "assertions of llama.cpp's and vLLM's tests, read 2026-11"


def _calls(view: Choices) -> Iterator[tuple[ChoiceTrack, CallSeen]]:
    for track in view.tracks.values():
        for call in track.calls.calls.values():
            yield track, call


@rule(
    "T1",
    Level.MUST,
    "Each piece of a tool call is an object with an integer index.",
    source=f"{REFERENCE}: The chat completion chunk object, tool_calls",
    kinds=("index", "not an object"),
    view=ChoicesStream,
    apis=CHAT,
)
def find_t1(view: ChoicesStream, known: Known) -> Iterator[Found]:
    for track in view.tracks.values():
        for place, got in track.calls.odd_index:
            yield at(place, "index", got)
        for place, got in track.calls.odd_piece:
            yield at(place, "not an object", got)


_LACKS = {"id": "id", "type": "type", "name": "name"}


@rule(
    "T2",
    Level.MUST,
    "The first piece of a tool call has its id, the type function, and the function's name.",
    source=VLLM,
    kinds=("id", "type", "name"),
    view=ChoicesStream,
    apis=CHAT,
)
def find_t2(view: ChoicesStream, known: Known) -> Iterator[Found]:
    for _, call in _calls(view):
        for name in call.lacks:
            yield at(call.place, _LACKS[name], f"no {name} for call {call.index}")
        if call.type and call.type not in ("function", "custom"):
            yield at(call.place, "type", f"{show(call.type)} for call {call.index}")


@rule(
    "T3",
    Level.SHOULD,
    "Id and name of a tool call come once; later pieces have arguments only.",
    source=VLLM,
    kinds=("again",),
    view=ChoicesStream,
    apis=CHAT,
)
def find_t3(view: ChoicesStream, known: Known) -> Iterator[Found]:
    for _, call in _calls(view):
        for place, got in call.again.kept[:1]:
            yield at(place, "again", f"{got} of call {call.index} again")


@rule(
    "T4",
    Level.MUST,
    "Calls of one answer have ids of their own, and in a stream indices from 0 on without a gap.",
    source=f"{REFERENCE}: tool_calls; {VLLM}",
    kinds=("index", "id shared", "two calls in one"),
    view=Choices,
    apis=CHAT,
)
def find_t4(view: Choices, known: Known) -> Iterator[Found]:
    for track in view.tracks.values():
        calls = track.calls.calls
        if view.streamed and sorted(calls) != list(range(len(calls))):
            place = next(iter(calls.values())).place
            yield at(place, "index", f"the indices {sorted(calls)[:20]} for {len(calls)} calls")
        seen: list[Any] = []
        for call in calls.values():
            if call.id and call.id in seen:
                yield at(call.place, "id shared", f"{show(call.id)} for call {call.index} too")
            seen.append(call.id)
            for place, other in call.other_id:
                yield at(place, "two calls in one", f"the id {show(other)} for call {call.index} of {show(call.id)}")


@rule(
    "T5",
    Level.MUST,
    "The arguments of a tool call are a JSON object, which fits the schema of the tool.",
    source=f"{REFERENCE}: tool_calls.function.arguments",
    kinds=("not JSON", "not an object", "schema", "not a text"),
    view=Choices,
    apis=CHAT,
    to_the_end=True,
)
def find_t5(view: Choices, known: Known) -> Iterator[Found]:
    for track, call in _calls(view):
        if call.odd_arguments and isinstance(view, ChoicesStream):
            # Of a whole answer N6 tells it.
            for place, value in call.odd_arguments:
                yield at(place, "not a text", f"{show(value)}, {json_kind(value)}, for call {call.index}")
        if track.was_cut or call.odd_arguments or call.type == "custom":
            continue
        read = read_json(call.arguments)
        if not read.readable or read.problems:
            yield at(call.place, "not JSON", f"{show(call.arguments)} for call {call.index} of {show(call.name)}")
        elif not isinstance(read.value, dict):
            yield at(call.place, "not an object", f"{show(call.arguments)} for call {call.index} of {show(call.name)}")
        else:
            problem = _misfit(view.asked, call, read.value)
            if problem is not None:
                yield at(call.place, "schema", f"{show(call.arguments)} for {show(call.name)}: {problem}")


def _misfit(asked: Asked, call: CallSeen, arguments: dict[str, Any]) -> str | None:
    """Where arguments do not fit the schema of their tool; None where they do, or where there is no good schema."""
    for tool in asked.tools:
        function = tool.get("function")
        if isinstance(function, dict) and function.get("name") == call.name:
            schema = function.get("parameters")
            try:
                return schema_problem(arguments, schema) if isinstance(schema, dict) else None
            except ValueError:
                return None
    return None


@rule(
    "T6",
    Level.MUST,
    "A choice with tool calls ends with tool_calls, and one without does not; with a named tool it may be stop.",
    source=f"{REFERENCE}: finish_reason; vLLM 9209, 25054 for named tools",
    kinds=("other reason", "no calls"),
    view=Choices,
    apis=CHAT,
    to_the_end=True,
)
def find_t6(view: Choices, known: Known) -> Iterator[Found]:
    named = isinstance(view.asked.tool_choice, dict) or not view.asked.known
    for track in view.tracks.values():
        reason = track.finish_reason
        if track.calls and reason == "stop" and not named:
            yield at(track.finish.kept[0][0], "other reason", f"'stop' for choice {track.index} with tool calls")
        if reason == "tool_calls" and not track.calls:
            yield at(track.finish.kept[0][0], "no calls", f"'tool_calls' for choice {track.index} without any")


@rule(
    "T7",
    Level.MUST,
    "The choice of tools is kept: none means no call, required at least one, a name that tool.",
    source=f"{REFERENCE}: tool_choice",
    kinds=("called", "not called", "other tool"),
    view=Choices,
    apis=CHAT,
    needs=(Held.REQUEST,),
    to_the_end=True,
)
def find_t7(view: Choices, known: Known) -> Iterator[Found]:
    asked = view.asked
    if not asked.known or not asked.tools:
        return
    wanted = _wanted(asked.tool_choice)
    for track in view.tracks.values():
        names = [call.name for call in track.calls.calls.values()]
        if asked.tool_choice == "none" and names:
            yield at(track.first, "called", f"{show(names[0])} in choice {track.index}")
        if (asked.tool_choice == "required" or wanted is not None) and not names and not _excused(track):
            yield at(track.first, "not called", f"no call in choice {track.index}, {show(track.text.text)}")
        if wanted is not None:
            for name in names:
                if name != wanted:
                    yield at(track.first, "other tool", f"{show(name)} where {show(wanted)} was named")


def _wanted(choice: Any) -> str | None:
    function = choice.get("function") if isinstance(choice, dict) and choice.get("type") == "function" else None
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else None


def _excused(track: ChoiceTrack) -> bool:
    return track.was_cut or track.other_output


@rule(
    "T8",
    Level.MUST,
    "Only tools that were offered are called.",
    source=f"{REFERENCE}: tools",
    kinds=("not offered",),
    view=Choices,
    apis=CHAT,
    needs=(Held.REQUEST,),
)
def find_t8(view: Choices, known: Known) -> Iterator[Found]:
    if not view.asked.known:
        return
    offered = [_name(tool) for tool in view.asked.tools]
    for _, call in _calls(view):
        if call.name and call.name not in offered:
            yield at(call.place, "not offered", f"{show(call.name)}, offered were {show(offered)}")


def _name(tool: dict[str, Any]) -> Any:
    inner = tool.get("function", tool.get("custom"))
    return inner.get("name") if isinstance(inner, dict) else None


@rule(
    "N6",
    Level.MUST,
    "A tool call of a message has an id, the type function, and a function with a name and arguments that are a text.",
    source=f"{REFERENCE}: The chat completion object, tool_calls",
    kinds=("id", "type", "name", "arguments", "not an object"),
    view=ChoicesAnswer,
    apis=CHAT,
)
def find_n6(view: ChoicesAnswer, known: Known) -> Iterator[Found]:
    for track in view.tracks.values():
        for place, got in track.calls.odd_piece:
            yield at(place, "not an object", got)
    for _, call in _calls(view):
        for name in call.lacks:
            yield Found(_LACKS[name], f"no {name} for call {call.index}")
        for name, value in (("id", call.id), ("name", call.name)):
            if value and not isinstance(value, str):
                yield Found(_LACKS[name], f"{show(value)} for call {call.index}")
        if call.type and call.type not in ("function", "custom"):
            yield Found("type", f"{show(call.type)} for call {call.index}")
        for _, value in call.odd_arguments:
            yield Found("arguments", f"{show(value)}, {json_kind(value)}, for call {call.index}")


def json_kind(value: Any) -> str:
    """The JSON type of a value, in words."""
    names = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
