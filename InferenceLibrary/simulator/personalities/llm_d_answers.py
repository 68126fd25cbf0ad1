"""Answers as llm-d-inference-sim v0.10.2 writes them."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.answers.openai_answers import MOST_MADE_UP
from InferenceLibrary.simulator.core.draft import DONE, EVENT_STREAM, Draft, Event
from InferenceLibrary.simulator.personalities.llm_d_requests import tokens_of

if TYPE_CHECKING:
    from InferenceLibrary.simulator.answers.engine import Output
    from InferenceLibrary.simulator.answers.openai_requests import Ask

_FIRST_LOGPROB, _STEP, _ALTERNATIVE = 1.0, 0.1, 0.5


_PICTURE = {
    "type": "image_url",
    "image_url": {
        "url": "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAA"
        "AABJRU5ErkJggg=="
    },
}
"""A single point."""
_TRANSFER = {
    "do_remote_decode": False, "do_remote_prefill": True, "remote_engine_id": "DUMMY_ID",
    "remote_block_ids": ["DUMMY_ID"], "remote_host": "DUMMY", "remote_port": 1234, "tp_size": 1,
}  # fmt: skip
"""Where another server finds what this one read of a prompt."""
BELOW = "cache_threshold"
"""Why an answer ends of whose prompt too little is kept."""


def usage(ask: Ask, outputs: list[Output]) -> dict[str, Any]:
    """Return the usage of chats and completions."""
    made = sum(output.count for output in outputs)
    below = any(output.finish == BELOW for output in outputs)
    return {
        "prompt_tokens": ask.prompt_tokens,
        "completion_tokens": made,
        "total_tokens": ask.prompt_tokens + made,
        "prompt_tokens_details": None if below else {"cached_tokens": ask.cached_tokens},
    }


def whole(
    answer_id: str, model: str, ask: Ask, outputs: list[Output], *, chat: bool, picture_after: float | None = None
) -> Draft:
    """Return a whole chat or completion; with a picture, so many seconds after its text, where a time is given."""
    choices = []
    for index, output in enumerate(outputs):
        choice: dict[str, Any] = {"index": index, "finish_reason": output.finish}
        if chat:
            message: dict[str, Any] = {"role": "assistant"}
            if output.tool_calls:
                message["tool_calls"] = output.tool_calls
            elif picture_after is not None:
                message["content"] = [_text_part(output.text), _PICTURE]
            elif output.text:
                message["content"] = output.text
            choice["message"] = message
        else:
            choice["text"] = output.text
        if ask.logprobs is not None and not output.tool_calls:
            choice["logprobs"] = _logprobs(output.tokens, ask.logprobs, chat=chat)
        choices.append(choice)
    kind = "chat.completion" if chat else "text_completion"
    body: dict[str, Any] = {"id": answer_id, "model": model, "object": kind}
    if ask.do_remote_decode:
        body["kv_transfer_params"] = _TRANSFER
    body |= {"created": int(time()), "usage": usage(ask, outputs)}
    counted = sum(output.count for output in outputs)
    return Draft(body={**body, "choices": choices}, tokens=counted, delay=picture_after or 0.0)


def streamed(
    answer_id: str, model: str, ask: Ask, outputs: list[Output], *, chat: bool, picture_after: float | None = None
) -> Draft:
    """Return a streamed chat or completion: prompt after prompt, choice after choice; a picture after the text."""
    head = {
        # Its chunks have the id of the last prompt, the whole answer that of the first.
        "id": answer_id if len(ask.prompts) == 1 else f"{answer_id.removesuffix('-0')}-{len(ask.prompts) - 1}",
        "model": model,
        "object": "chat.completion.chunk" if chat else "text_completion",
        "created": int(time()),
    }
    events: list[Event] = []

    def add(choices: list[dict[str, Any]], kind: str, tokens: int = 0, counted: dict[str, Any] | None = None) -> None:
        events.append(Event({**head, "usage": counted, "choices": choices}, kind, tokens=tokens))

    for index, output in enumerate(outputs):
        if chat and output.count:
            add([{"index": index, "finish_reason": None, "delta": {"role": "assistant"}}], "role")
        pieces = [piece for call in output.tool_calls for piece in _call_pieces(call)]
        for number, piece in enumerate(pieces, 1):
            finish = output.finish if number == len(pieces) else None
            add([{"index": index, "finish_reason": finish, "delta": {"tool_calls": [piece]}}], "tool", 1)
        if pieces:
            continue
        for token in output.tokens:
            content = token if picture_after is None else [_text_part(token)]
            said = {"delta": {"content": content}} if chat else {"text": token}
            choice: dict[str, Any] = {"index": index, "finish_reason": None, **said}
            if ask.logprobs is not None:
                choice["logprobs"] = _logprobs([token], ask.logprobs, chat=chat, start=2)
            add([choice], "token", 1)
        if picture_after is not None:
            shown = {"index": index, "finish_reason": None, "delta": {"content": [_PICTURE]}}
            data = {**head, "usage": None, "choices": [shown], "modality": "image"}
            events.append(Event(data, "picture", delay=picture_after))
        last: dict[str, Any] = {"delta": {}} if chat else {"text": ""}
        add([{"index": index, "finish_reason": output.finish, **last}], "finish")
    if ask.include_usage:
        head["id"] = answer_id
        if len(outputs) > 1:
            head["created"] = 0
        add([], "usage", counted=usage(ask, outputs))
    events.append(Event(DONE, "done"))
    return Draft(content_type=EVENT_STREAM, events=events)


def _text_part(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def failed_stream(body: bytes) -> Draft:
    """Return a stream that fails before its first token: an event with the error, status 200."""
    return Draft(content_type=EVENT_STREAM, events=[Event(body, "error"), Event(DONE, "done")])


def _call_pieces(call: dict[str, Any]) -> list[dict[str, Any]]:
    """Each piece of a call has its id and type, and null for the name after the first."""
    pieces = []
    for place, text in enumerate(tokens_of(call["function"]["arguments"])):
        name = None if place else call["function"]["name"]
        pieces.append({**call, "function": {"name": name, "arguments": text}})
    return pieces


def _logprobs(tokens: list[str], top: int, *, chat: bool, start: int = 0) -> dict[str, Any]:
    entries = [_entry(token, place + start, max(1, top)) for place, token in enumerate(tokens)]
    if chat:
        return {"content": entries}
    offsets, offset = [], 0
    for token in tokens:
        offsets.append(offset)
        offset += len(token)
    return {
        "tokens": tokens,
        "token_logprobs": [entry["logprob"] for entry in entries],
        "top_logprobs": [{one["token"]: one["logprob"] for one in entry["top_logprobs"]} for entry in entries],
        "text_offset": offsets,
    }


def _entry(token: str, place: int, top: int) -> dict[str, Any]:
    """-1, -1.1, -1.2 in turn, each alternative half less likely than the one before."""
    value = -round(_FIRST_LOGPROB + place % 3 * _STEP, 1)
    found = []
    for number in range(max(1, min(top, MOST_MADE_UP))):
        text = token if not number else f"{token}_{number}"
        found.append({"token": text, "logprob": round(value - number * _ALTERNATIVE, 1), "bytes": list(text.encode())})
    return {**found[0], "top_logprobs": found}


def response(answer_id: str, model: str, data: dict[str, Any], ask: Ask, output: Output) -> Draft:
    """Return a response, whole or streamed."""
    opening: dict[str, Any] = {"id": answer_id, "model": model, "object": "response", "created_at": int(time())}
    extra = {"instructions": data["instructions"]} if data.get("instructions") else {}
    form = {"text": {"format": {"type": "text"}}}
    part: dict[str, Any] = {"type": "output_text"}
    part |= {"text": output.text} if output.text else {}
    if ask.logprobs is not None:
        part["logprobs"] = _logprobs(output.tokens, ask.logprobs, chat=True)["content"]
    counts = {
        "input_tokens": ask.prompt_tokens, "output_tokens": output.count,
        "total_tokens": ask.prompt_tokens + output.count,
    }  # fmt: skip
    counted = {name: value for name, value in counts.items() if value}
    item = {"type": "message", "role": "assistant", "status": "completed", "content": [part]}
    if not ask.stream:
        body = {**opening, "status": "completed", **extra, "output": [item], **form, "usage": counted}
        return Draft(body=body, tokens=output.count)
    item_id = f"msg_{answer_id.removeprefix('resp_')}"
    named = {"type": "message", "id": item_id, "role": "assistant"}
    begun = {**opening, "status": "in_progress", **extra, **form}
    done = {**named, "status": "completed", "content": [part]}
    events: list[tuple[str, dict[str, Any], int]] = [
        ("response.created", {"response": begun}, 0),
        ("response.in_progress", {"response": begun}, 0),
        ("response.output_item.added", {"item": {**named, "status": "in_progress", "content": []}}, 0),
        ("response.content_part.added", {"item_id": item_id, "part": {"type": "output_text"}}, 0),
        *(("response.output_text.delta", {"item_id": item_id, "delta": token}, 1) for token in output.tokens),
        ("response.output_text.done", {"item_id": item_id, "text": output.text}, 0),
        ("response.content_part.done", {"item_id": item_id, "part": part}, 0),
        ("response.output_item.done", {"item": done}, 0),
        (
            "response.completed",
            {"response": {**opening, "status": "completed", **extra, "output": [done], **form, "usage": counted}},
            0,
        ),
    ]
    return Draft(
        content_type=EVENT_STREAM,
        events=[Event({"type": name, **data}, name, tokens=tokens, name=name) for name, data, tokens in events],
    )


def message(answer_id: str, model: str, ask: Ask, output: Output) -> Draft:
    """Return a message, whole or streamed."""
    import json

    reasons = {"length": "max_tokens", "tool_calls": "tool_use"}
    stop = {"stop_reason": reasons.get(output.finish, "end_turn"), "stop_sequence": None}
    counted = {"input_tokens": ask.prompt_tokens, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}
    calls = [
        {"type": "tool_use", "id": f"toolu_{call['id'].rpartition('-')[2]}", "name": call["function"]["name"]}
        for call in output.tool_calls
    ]
    head = {"id": answer_id, "type": "message", "role": "assistant"}
    if not ask.stream:
        content: list[dict[str, Any]] = [
            {**shown, "input": json.loads(call["function"]["arguments"])}
            for shown, call in zip(calls, output.tool_calls, strict=True)
        ]
        content = content or [{"type": "text", "text": output.text}]
        ending = {**stop, "usage": {**counted, "output_tokens": output.count}}
        return Draft(body={**head, "content": content, "model": model, **ending}, tokens=output.count)
    nothing = {"stop_reason": None, "stop_sequence": None, "usage": {**counted, "output_tokens": 0}}
    events = [Event({"type": "message_start", "message": {**head, "content": [], "model": model, **nothing}}, "role")]
    ping = Event({"type": "ping"}, "ping")
    if calls:
        events.append(ping)
    for index, (shown, call) in enumerate(zip(calls, output.tool_calls, strict=True)):
        events.append(_block(index, shown))
        for text in tokens_of(call["function"]["arguments"]):
            events.append(_delta(index, {"type": "input_json_delta", "partial_json": text}))
        events.append(Event({"type": "content_block_stop", "index": index}, "block"))
    if not calls:
        events += [_block(0, {"type": "text"}), ping]
        events += [_delta(0, {"type": "text_delta", "text": token}) for token in output.tokens]
        events.append(Event({"type": "content_block_stop", "index": 0}, "block"))
    events.append(Event({"type": "message_delta", "delta": stop, "usage": {"output_tokens": output.count}}, "finish"))
    events.append(Event({"type": "message_stop"}, "done"))
    for event in events:
        event.name = event.data["type"]
    return Draft(content_type=EVENT_STREAM, events=events)


def _block(index: int, block: dict[str, Any]) -> Event:
    return Event({"type": "content_block_start", "index": index, "content_block": block}, "block")


def _delta(index: int, delta: dict[str, Any]) -> Event:
    return Event({"type": "content_block_delta", "index": index, "delta": delta}, "token", tokens=1)
