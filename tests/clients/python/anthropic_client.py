"""The anthropic package for Python: messages, their streams, and what it does with failures."""

from __future__ import annotations

from typing import Any

import anthropic
from playing import (
    MESSAGES,
    MODEL,
    SCHEMA,
    SLOW,
    URL,
    broken,
    cancel,
    cancelled,
    fault,
    play,
    released,
    running,
    waited,
)
from pydantic import BaseModel

TOOL = {"name": "get_weather", "input_schema": SCHEMA}
ASKED: dict[str, Any] = {"model": MODEL, "max_tokens": 700, "messages": MESSAGES}
client = anthropic.Anthropic(base_url=URL, api_key="none", max_retries=0, timeout=60)


class Trip(BaseModel):
    city: str
    days: int


def ask(**more: Any) -> Any:
    return client.messages.create(**{**ASKED, **more})


def text(**more: Any) -> str:
    answer = ask(**more)
    return f"{answer.content[0].text} {answer.stop_reason} {answer.usage.output_tokens}"


def streamed(**more: Any) -> str:
    with client.messages.stream(**{**ASKED, **more}) as stream:
        said = "".join(stream.text_stream)
        return f"{said} {stream.get_final_message().stop_reason}"


def events() -> str:
    kinds = [event.type for event in ask(stream=True)]
    return f"{kinds[0]} {kinds[-1]}"


def tools() -> str:
    asked = {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "get_weather"}}
    answer = ask(**asked)
    with client.messages.stream(**ASKED, **asked) as stream:
        final = stream.get_final_message()
    told = [f"{one.content[0].name} {sorted(one.content[0].input)} {one.stop_reason}" for one in (answer, final)]
    assert told[0] == told[1]
    return told[0]


def tool_result() -> str:
    use = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"}
    turn = [{"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    return str(ask(messages=[*MESSAGES, *turn], tools=[TOOL]).role)


def structured(**more: Any) -> str:
    return type(client.messages.parse(**{**ASKED, **more}, output_format=Trip).parsed_output).__name__


def retried() -> str:
    patient = client.with_options(max_retries=1)
    return waited(lambda: str(patient.messages.create(**ASKED, extra_headers={"X-Case": "retry"}).content[0].text))


def cancelled_stream() -> str:
    with client.messages.stream(**ASKED, extra_headers=SLOW) as stream:
        next(iter(stream.text_stream))
        assert running()
    return released()


def cancelled_call() -> str:
    async def call() -> None:
        async with anthropic.AsyncAnthropic(base_url=URL, api_key="none", max_retries=0) as one:
            await cancel(one.messages.create(**ASKED, extra_headers=SLOW))

    return cancelled(call)


FAULTS = broken(401, 403, 409, 413, 422, 429, 500, 503, 529)
STREAM_FAULTS = {
    "stream cut": "cut-after-events:events=4",
    "stream reset": "cut-after-events:events=4,how=reset",
    "stream cut in JSON": "cut-in-json:event=4",
    "error in the stream": "error-mid-stream:events=4",
    "malformed event": "malformed-json:event=4",
    "start event missing": "start-event-late",
}

play(
    {
        "messages": text,
        "messages stream": streamed,
        "events": events,
        "tools": tools,
        "result of a tool": tool_result,
        "structured output": structured,
        "structured output cut": lambda: structured(max_tokens=1),
        "count of tokens": lambda: client.messages.count_tokens(model=MODEL, messages=MESSAGES).input_tokens,
        "models": lambda: [model.id for model in client.models.list()],
        "400": lambda: ask(messages=[]),
        "404": lambda: ask(model="other"),
        "retry": retried,
        "time limit": lambda: ask(extra_headers=fault("close-before-status:how=hang"), timeout=1),
        "time limit of a stream": lambda: streamed(extra_headers=fault("stall:event=2,seconds=20"), timeout=1),
        "stream cancelled": cancelled_stream,
        "call cancelled": cancelled_call,
        **{name: lambda text=text: ask(extra_headers=fault(text)) for name, text in FAULTS.items()},
        **{name: lambda text=text: streamed(extra_headers=fault(text)) for name, text in STREAM_FAULTS.items()},
    }
)
