"""LiteLLM as a client: the OpenAI and the Anthropic API by one call, and what it does with failures."""

from __future__ import annotations

import json
import os
from typing import Any

# Its table of prices lies in the package; otherwise each import asks the network for a newer one.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
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

litellm.suppress_debug_info = True
litellm.telemetry = False
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}
SERVER: dict[str, Any] = {"api_base": f"{URL}/v1", "api_key": "none", "timeout": 60}
ASKED: dict[str, Any] = {"model": f"openai/{MODEL}", "messages": MESSAGES, "max_retries": 0, **SERVER}
ANTHROPIC = {"model": f"anthropic/{MODEL}", "api_base": URL, "max_tokens": 100}


class Trip(BaseModel):
    city: str
    days: int


def ask(**more: Any) -> Any:
    return litellm.completion(**{**ASKED, **more})


def said(**more: Any) -> str:
    return str(ask(**more).choices[0].message.content)


def streamed(**more: Any) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in ask(stream=True, **more))


def tools(**more: Any) -> str:
    answer = ask(tools=[TOOL], tool_choice="required", **more).choices[0]
    (call,) = answer.message.tool_calls
    return f"{call.function.name} {sorted(json.loads(call.function.arguments))} {answer.finish_reason}"


def structured() -> str:
    return type(Trip.model_validate_json(said(response_format=Trip))).__name__


def responses() -> str:
    answer = litellm.responses(model=f"openai/{MODEL}", input="one two three", **SERVER)
    return f"{answer.output[0].content[0].text} {answer.status}"


def responses_stream() -> str:
    kinds = [event.type for event in litellm.responses(model=f"openai/{MODEL}", input="one", stream=True, **SERVER)]
    return f"{kinds[0].value} {kinds[-1].value}"


def embeddings() -> str:
    answer = litellm.embedding(model=f"openai/{MODEL}", input=["a", "b"], **SERVER)
    return str([len(one["embedding"]) for one in answer.data])


def cancelled_stream() -> str:
    stream = ask(stream=True, extra_headers=SLOW)
    next(iter(stream))
    assert running()
    # Its own stream has no end but that of the stream of the client inside.
    stream.completion_stream.close()
    return released()


def cancelled_call() -> str:
    async def call() -> None:
        await cancel(litellm.acompletion(**ASKED, extra_headers=SLOW))

    return cancelled(call)


FAULTS = broken(401, 403, 422, 429, 500, 503)
STREAM_FAULTS = {
    "stream cut": "cut-after-events:events=2",
    "stream reset": "cut-after-events:events=2,how=reset",
    "error in the stream": "error-mid-stream:events=2",
    "malformed event": "malformed-json:event=2",
}

play(
    {
        "chat": said,
        "stream": streamed,
        "tools": tools,
        "structured output": structured,
        "responses": responses,
        "responses stream": responses_stream,
        "messages": lambda: said(**ANTHROPIC),
        "messages stream": lambda: streamed(**ANTHROPIC),
        "messages tools": lambda: tools(**ANTHROPIC),
        "embeddings": embeddings,
        "400": lambda: ask(messages=[]),
        "404": lambda: ask(model="openai/other"),
        "retry": lambda: waited(lambda: said(max_retries=1, extra_headers={"X-Case": "retry"})),
        "time limit": lambda: ask(extra_headers=fault("close-before-status:how=hang"), timeout=1),
        "time limit of a stream": lambda: streamed(extra_headers=fault("stall:event=2,seconds=20"), timeout=1),
        "stream cancelled": cancelled_stream,
        "call cancelled": cancelled_call,
        **{name: lambda text=text: ask(extra_headers=fault(text)) for name, text in FAULTS.items()},
        **{name: lambda text=text: streamed(extra_headers=fault(text)) for name, text in STREAM_FAULTS.items()},
        "messages stream cut": lambda: streamed(extra_headers=fault("cut-after-events:events=4"), **ANTHROPIC),
        "messages 429": lambda: ask(extra_headers=fault("status:code=429"), **ANTHROPIC),
    }
)
