"""Rules of the Messages API for the message, whole or joined from a stream."""

from __future__ import annotations

from collections.abc import Iterator

from InferenceLibrary.protocol.exchange import Held
from InferenceLibrary.protocol.rules.asked import has_text
from InferenceLibrary.protocol.rules.forms import inside, is_count, is_filled, listed, wrong_keys
from InferenceLibrary.protocol.rules.messages_views import Message, TokenCount
from InferenceLibrary.protocol.rules.rule import Api, Found, Known, Level, rule
from InferenceLibrary.protocol.rules.shape import COUNT, FILLED, LIST, OBJECT, TEXT, ObjectOf, OneOf, nullable
from InferenceLibrary.protocol.rules.typed_tools import TOOL_KINDS, MadeCall, Wanted, tool_problems
from InferenceLibrary.protocol.strict_json import show

_MESSAGES = "Anthropic's API reference, Messages, read 2026-11"
_REASONS = (
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "pause_turn",
    "refusal",
    "model_context_window_exceeded",
)
_FORM = ObjectOf(
    id=FILLED,
    type=OneOf("message"),
    role=OneOf("assistant"),
    model=FILLED,
    content=LIST,
    stop_reason=nullable(TEXT, required=True),
    usage=OBJECT,
)
_BLOCKS = {
    "text": ObjectOf(text=TEXT),
    "thinking": ObjectOf(thinking=TEXT),
    "redacted_thinking": ObjectOf(data=TEXT),
    "tool_use": ObjectOf(id=FILLED, name=FILLED, input=OBJECT),
}
_STREAMED_TOOL = ObjectOf(id=FILLED, name=FILLED)


_FROM_CACHE = ("cache_creation_input_tokens", "cache_read_input_tokens")
"""Tokens of the input that `input_tokens` does not count."""


@rule(
    "A10",
    Level.MUST,
    "A message has id, type `message`, role `assistant`, model, content, stop_reason and usage.",
    source=_MESSAGES,
    kinds=("missing", "wrong", "usage", "zero"),
    view=Message,
    apis=(Api.MESSAGES,),
)
def form(view: Message, known: Known) -> Iterator[Found]:
    if not isinstance(view.data, dict):
        yield view.found("missing", f"{show(view.data)} in place of a message")
        return
    for kind, got in wrong_keys(view.data, _FORM):
        yield view.found(kind, got)
    usage = view.data.get("usage")
    if isinstance(usage, dict) and not view.streamed:
        for _, got in wrong_keys(usage, ObjectOf(input_tokens=COUNT, output_tokens=COUNT)):
            yield view.found("usage", f"{got} in usage")
    if isinstance(usage, dict):
        if usage.get("output_tokens") == 0 and view.text:
            yield view.found("zero", f"no output_tokens for {show(view.text)}")
        asked = view.exchange.asked_for("messages") if Held.REQUEST in view.exchange.held else None
        if usage.get("input_tokens") == 0 and has_text(asked) and not any(map(usage.get, _FROM_CACHE)):
            yield view.found("zero", "no input_tokens for messages that are not empty")


@rule(
    "A16",
    Level.SHOULD,
    "A message has the key stop_sequence, null where no stop sequence ended it.",
    source=_MESSAGES,
    kinds=("missing", "wrong"),
    view=Message,
    apis=(Api.MESSAGES,),
)
def stop_sequence_key(view: Message, known: Known) -> Iterator[Found]:
    if isinstance(view.data, dict):
        for kind, got in wrong_keys(view.data, ObjectOf(stop_sequence=nullable(TEXT, required=True))):
            yield view.found(kind, got)


@rule(
    "A17",
    Level.MUST,
    "Each block of the content is an object with a type, and has the keys of that type.",
    source=f"{_MESSAGES}: content",
    kinds=("block", "key"),
    view=Message,
    apis=(Api.MESSAGES,),
)
def blocks(view: Message, known: Known) -> Iterator[Found]:
    for place, block in enumerate(view.blocks):
        kind = inside(block, "type")
        if not is_filled(kind):
            yield view.found("block", f"{show(block)} as block {place}")
            continue
        wanted = _BLOCKS.get(kind, OBJECT)
        if view.streamed and kind == "tool_use":
            # The input of a stream is judged by its pieces.
            wanted = _STREAMED_TOOL
        for _, got in wrong_keys(block, wanted):
            yield view.found("key", f"{got} in the {show(kind)} block {place}")


@rule(
    "A18",
    Level.SHOULD,
    "A block of thinking has a signature.",
    source="Anthropic's guide on extended thinking, read 2026-11",
    kinds=("signature",),
    view=Message,
    apis=(Api.MESSAGES,),
)
def signature(view: Message, known: Known) -> Iterator[Found]:
    for place, block in enumerate(view.blocks):
        if not view.streamed and inside(block, "type") == "thinking" and not is_filled(block.get("signature")):
            yield view.found("signature", f"signature {show(block.get('signature'))} in block {place}")


@rule(
    "A11",
    Level.MUST,
    "No more tokens come than max_tokens allows, and a message that it ended has the stop reason max_tokens.",
    source=f"{_MESSAGES}: max_tokens, stop_reason",
    kinds=("over the limit", "other reason"),
    view=Message,
    apis=(Api.MESSAGES,),
    needs=(Held.REQUEST,),
)
def limit(view: Message, known: Known) -> Iterator[Found]:
    asked = view.exchange.asked_for("max_tokens")
    written = inside(inside(view.data, "usage"), "output_tokens")
    if not is_count(asked) or not is_count(written) or asked == 0:
        return
    if written > asked:
        yield view.found("over the limit", f"{written} tokens under a limit of {asked}")
    elif view.stop_reason == "end_turn" and written == asked == view.shown:
        yield view.found("other reason", f"end_turn after {written} tokens under a limit of {asked}")


@rule(
    "A12",
    Level.MUST,
    "No stop sequence is in the text, and stop_sequence names the one that ended it.",
    source=f"{_MESSAGES}: stop_sequences, stop_sequence",
    kinds=("in the text", "not told", "other sequence"),
    view=Message,
    apis=(Api.MESSAGES,),
    needs=(Held.REQUEST,),
)
def stop_sequences(view: Message, known: Known) -> Iterator[Found]:
    asked = [item for item in listed(view.exchange.asked_for("stop_sequences")) if is_filled(item)]
    for sequence in asked:
        if sequence in view.text:
            yield view.found("in the text", f"the stop sequence {show(sequence)} in the text")
    told = inside(view.data, "stop_sequence")
    if view.stop_reason == "stop_sequence":
        if told is None:
            yield view.found("not told", "stop_sequence null with the stop reason stop_sequence")
        elif told not in asked:
            yield view.found("other sequence", f"{show(told)}, which was not asked for")
    elif told is not None:
        yield view.found("other sequence", f"stop_sequence {show(told)} with the stop reason {show(view.stop_reason)}")


@rule(
    "A13",
    Level.MUST,
    "The stop reason is one of the reference, and tool_use where tools are called.",
    source=f"{_MESSAGES}: stop_reason",
    kinds=("missing", "unknown", "not tool_use", "no call"),
    view=Message,
    apis=(Api.MESSAGES,),
    to_the_end=True,
)
def stop_reason(view: Message, known: Known) -> Iterator[Found]:
    if not isinstance(view.data, dict):
        return
    reason = view.stop_reason
    calls = any(inside(block, "type") == "tool_use" for block in view.blocks)
    if reason is None:
        yield view.found("missing", "stop_reason null in a message that is over")
    elif reason not in _REASONS:
        yield view.found("unknown", f"stop_reason {show(reason)}")
    elif calls and reason in ("end_turn", "stop_sequence"):
        yield view.found("not tool_use", f"stop_reason {show(reason)} with a call of a tool")
    elif reason == "tool_use" and not calls:
        yield view.found("no call", "stop_reason tool_use without a call")


@rule(
    "A14",
    Level.MUST,
    "Calls are of tools that were offered, with an input of their schema, as tool_choice asks.",
    source=f"{_MESSAGES}: tools, tool_choice",
    kinds=TOOL_KINDS,
    view=Message,
    apis=(Api.MESSAGES,),
    needs=(Held.REQUEST,),
)
def tools(view: Message, known: Known) -> Iterator[Found]:
    exchange = view.exchange
    calls = [
        MadeCall(place, block.get("name"), block.get("input"))
        for place, block in enumerate(view.blocks)
        if inside(block, "type") == "tool_use"
    ]
    schemas = {
        tool["name"]: tool.get("input_schema")
        for tool in listed(exchange.asked_for("tools"))
        if is_filled(inside(tool, "name"))
    }
    wanted = Wanted.from_messages(exchange.asked_for("tool_choice"))
    complete = view.stop_reason in ("end_turn", "tool_use", "stop_sequence")
    for kind, got in tool_problems(calls, schemas, wanted, complete=complete):
        yield view.found(kind, got)


@rule(
    "A15",
    Level.MUST,
    "The answer to count_tokens has input_tokens, an integer.",
    source="Anthropic's API reference, Count tokens in a message, read 2026-11",
    kinds=("input_tokens",),
    view=TokenCount,
    apis=(Api.MESSAGES,),
)
def count(view: TokenCount, known: Known) -> Iterator[Found]:
    given = inside(view.data, "input_tokens")
    if not is_count(given):
        yield Found("input_tokens", f"input_tokens {show(given)}")
