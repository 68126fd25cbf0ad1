"""The openai package for Python: chats, completions, responses, embeddings, and what it does with failures."""

from __future__ import annotations

import json
from typing import Any

import openai
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

TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}
client = openai.OpenAI(base_url=f"{URL}/v1", api_key="none", max_retries=0, timeout=60)


class Trip(BaseModel):
    city: str
    days: int


def chat(**more: Any) -> Any:
    return client.chat.completions.create(**{"model": MODEL, "messages": MESSAGES, **more})


def streamed(**more: Any) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chat(stream=True, **more) if chunk.choices)


def usage() -> str:
    (last,) = [chunk.usage for chunk in chat(stream=True, stream_options={"include_usage": True}) if chunk.usage]
    return f"{last.completion_tokens} tokens"


def call_of(message: Any) -> str:
    (call,) = message.tool_calls
    return f"{call.function.name} {sorted(json.loads(call.function.arguments))}"


def tools() -> str:
    asked = {"tools": [TOOL], "tool_choice": "required", "parallel_tool_calls": False}
    answer = chat(**asked).choices[0]
    with client.chat.completions.stream(model=MODEL, messages=MESSAGES, **asked) as stream:  # type: ignore[call-overload]
        final = stream.get_final_completion().choices[0]
    assert call_of(final.message) == call_of(answer.message)
    return f"{call_of(answer.message)} {answer.finish_reason}"


def tool_result() -> str:
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    turn = [{"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}]
    return str(chat(messages=[*MESSAGES, *turn], tools=[TOOL]).choices[0].message.role)


def structured() -> str:
    answer = client.chat.completions.parse(model=MODEL, messages=MESSAGES, response_format=Trip)
    return type(answer.choices[0].message.parsed).__name__


def structured_cut() -> str:
    client.chat.completions.parse(model=MODEL, messages=MESSAGES, response_format=Trip, max_tokens=1)
    return "passed"


def responses() -> str:
    answer = client.responses.create(model=MODEL, input="one two three")
    return f"{client.responses.retrieve(answer.id).output_text} {answer.status}"


def responses_stream(**more: Any) -> str:
    with client.responses.stream(model=MODEL, input="one two three", **more) as stream:
        kinds = [event.type for event in stream]
        return f"{kinds[0]} {kinds[-1]} {stream.get_final_response().output_text}"


def responses_structured() -> str:
    return type(client.responses.parse(model=MODEL, input="one", text_format=Trip).output_parsed).__name__


def responses_tools() -> str:
    tool: Any = {"type": "function", "name": "get_weather", "parameters": SCHEMA, "strict": True}
    answer = client.responses.create(model=MODEL, input="one", tools=[tool], tool_choice="required")
    return next(f"{item.name} {item.status}" for item in answer.output if item.type == "function_call")


def embeddings() -> str:
    return str([len(one.embedding) for one in client.embeddings.create(model=MODEL, input=["a", "b"]).data])


def retried() -> str:
    patient = client.with_options(max_retries=1)
    asked: Any = {"model": MODEL, "messages": MESSAGES, "extra_headers": {"X-Case": "retry"}}
    return waited(lambda: str(patient.chat.completions.create(**asked).choices[0].message.content))


def cancelled_stream() -> str:
    with chat(stream=True, extra_headers=SLOW) as stream:
        next(iter(stream))
        assert running()
    return released()


def cancelled_call() -> str:
    async def ask() -> None:
        async with openai.AsyncOpenAI(base_url=f"{URL}/v1", api_key="none", max_retries=0) as one:
            asked: Any = {"model": MODEL, "messages": MESSAGES, "extra_headers": SLOW}
            await cancel(one.chat.completions.create(**asked))

    return cancelled(ask)


FAULTS = broken(401, 403, 409, 422, 429, 500, 503)
STREAM_FAULTS = {
    "stream cut": "cut-after-events:events=2",
    "stream reset": "cut-after-events:events=2,how=reset",
    "stream cut in JSON": "cut-in-json:event=2",
    "error in the stream": "error-mid-stream:events=2",
    "malformed event": "malformed-json:event=2",
}

play(
    {
        "chat": lambda: chat().choices[0].message.content,
        "stream": streamed,
        "usage of a stream": usage,
        "completion": lambda: client.completions.create(model=MODEL, prompt="a b").choices[0].text,
        "tools": tools,
        "result of a tool": tool_result,
        "structured output": structured,
        "structured output cut": structured_cut,
        "responses": responses,
        "responses stream": responses_stream,
        "responses structured": responses_structured,
        "responses tools": responses_tools,
        "embeddings": embeddings,
        "models": lambda: [model.id for model in client.models.list()],
        "400": lambda: chat(messages=[]),
        "404": lambda: chat(model="other"),
        "retry": retried,
        "time limit": lambda: chat(extra_headers=fault("close-before-status:how=hang"), timeout=1),
        "time limit of a stream": lambda: streamed(extra_headers=fault("stall:event=2,seconds=20"), timeout=1),
        "stream cancelled": cancelled_stream,
        "call cancelled": cancelled_call,
        **{name: lambda text=text: chat(extra_headers=fault(text)) for name, text in FAULTS.items()},
        **{name: lambda text=text: streamed(extra_headers=fault(text)) for name, text in STREAM_FAULTS.items()},
        "responses stream cut": lambda: responses_stream(extra_headers=fault("cut-after-events:events=2")),
        "responses stream failed": lambda: responses_stream(extra_headers=fault("error-mid-stream:events=2")),
    }
)
