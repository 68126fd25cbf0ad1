"""Plain calls of every API of the simulator: what is asked, nothing of what is checked.

Together they ask for whatever an answer can have, so that each fault strikes at least one of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

TEXT = "one two three four five"
ASKED = [{"role": "user", "content": TEXT}]
SLOWLY = [{"role": "user", "content": " ".join(map(str, range(12)))}]
SCHEMA = {
    "type": "object",
    "properties": {"city": {"enum": ["a city with a long name"]}},
    "required": ["city"],
}
NAMES = ("weather", "local_time")
TOOLS: dict[str, Any] = {
    "tools": [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in NAMES],
    "tool_choice": "required",
}
RESPONSES_TOOLS: dict[str, Any] = {
    "tools": [{"type": "function", "name": name, "parameters": SCHEMA} for name in NAMES],
    "tool_choice": "required",
}
MESSAGES_TOOLS: dict[str, Any] = {
    "tools": [{"name": name, "input_schema": SCHEMA} for name in NAMES],
    "tool_choice": {"type": "any"},
}
USAGE: dict[str, Any] = {"stream_options": {"include_usage": True}}
LOGPROBS: dict[str, Any] = {"logprobs": True, "top_logprobs": 2}
GREEDY = {"temperature": 0}
SHORT = {"max_tokens": 3}
FORMAT = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA}}
TEXT_FORMAT = {"type": "json_schema", "name": "place", "schema": SCHEMA}
THINKING: dict[str, Any] = {"max_tokens": 2000, "thinking": {"type": "enabled", "budget_tokens": 1024}}

OFFER = (("connection", "upgrade, http2-settings"), ("upgrade", "h2c"), ("http2-settings", "AAEAAEAAAAIAAAAB"))
"""Headers of clients that would rather speak HTTP/2."""

CHAT, COMPLETIONS, RESPONSES = "/v1/chat/completions", "/v1/completions", "/v1/responses"
MESSAGES, EMBEDDINGS, RERANK, SCORE = "/v1/messages", "/v1/embeddings", "/v1/rerank", "/v1/score"

NAMING = {CHAT, COMPLETIONS, EMBEDDINGS}
"""Routes whose requests must name a model, as in OpenAI's reference."""

KEY = "key-of-the-house"
SERVERS: dict[str, tuple[str, ...]] = {
    "openai": ("--mode", "echo", "--max-model-len", "4000"),
    "keyed": ("--mode", "echo", "--api-key", KEY),
    "slow": ("--mode", "echo", "--time-to-first-token", "30ms", "--inter-token-latency", "30ms"),
    "worker": ("--as", "worker", "--stub-mode", "--model", "tiny", "--worker-id", "w-1"),
    "service": (
        "--as",
        "service",
    ),
}
"""The servers that are called, by name: the arguments of the simulator."""


JOB = {"job_id": "j-1", "prompt": TEXT}


@dataclass(frozen=True)
class PlainCall:
    """One call: its name, the API that it speaks, the path, and the body; without one it is a GET.

    `{id}` in the path stands for the id that the answer before it had.
    """

    name: str
    api: str
    path: str
    body: dict[str, Any] | bytes | None = None
    """What is asked: an object for JSON, or bytes as they are sent."""
    content_type: str = "application/json"
    server: str = "openai"
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def method(self) -> str:
        return "GET" if self.body is None else "POST"

    @property
    def streamed(self) -> bool:
        return self.api == "worker" or (isinstance(self.body, dict) and bool(self.body.get("stream")))

    @property
    def form(self) -> str:
        """The API, and whether the answer is a stream: `chat`, `chat stream`."""
        return f"{self.api} stream" if self.streamed else self.api


def _both(name: str, api: str, path: str, body: dict[str, Any], **of_stream: Any) -> list[PlainCall]:
    """The same call twice: whole, and streamed."""
    return [
        PlainCall(name, api, path, body),
        PlainCall(f"{name} stream", api, path, {**body, "stream": True, **of_stream}),
    ]


METRICS = PlainCall("metrics", "other", "/metrics")
"""Asked for before a call, and once more after it."""
CALLS = [
    *_both("chat", "chat", CHAT, {"messages": ASKED}, **USAGE),
    PlainCall("chat with an offer", "chat", CHAT, {"messages": ASKED}, headers=OFFER),
    *_both("chat greedy", "chat", CHAT, {"messages": ASKED, **GREEDY}),
    *_both("chat logprobs", "chat", CHAT, {"messages": ASKED, "n": 2, "max_tokens": 3, **LOGPROBS}),
    *_both("chat stop", "chat", CHAT, {"messages": ASKED, "stop": [" three four"]}),
    *_both("chat tools", "chat", CHAT, {"messages": ASKED, **TOOLS, "seed": 3}),
    *_both("chat one tool", "chat", CHAT, {"messages": ASKED, **TOOLS, "parallel_tool_calls": False}),
    *_both("chat format", "chat", CHAT, {"messages": ASKED, "response_format": FORMAT}),
    *_both("chat of another model", "chat", CHAT, {"messages": ASKED, "model": "another"}),
    PlainCall("chat without messages", "chat", CHAT, {"messages": []}),
    PlainCall("chat stream options", "chat", CHAT, {"messages": ASKED, **USAGE}),
    *_both("completion", "completions", COMPLETIONS, {"prompt": TEXT, "max_tokens": 3, "logprobs": 2}, **USAGE),
    *_both("completion greedy", "completions", COMPLETIONS, {"prompt": TEXT, **GREEDY}),
    *_both("completion echo", "completions", COMPLETIONS, {"prompt": TEXT, "echo": True, "logprobs": 2, **SHORT}),
    PlainCall("completions", "completions", COMPLETIONS, {"prompt": [TEXT, "six seven"], "n": 2, "max_tokens": 3}),
    METRICS,
    PlainCall("completion stop", "completions", COMPLETIONS, {"prompt": TEXT, "stop": [" three four"]}),
    replace(METRICS, name="metrics again"),
    PlainCall("completion of another model", "completions", COMPLETIONS, {"prompt": TEXT, "model": "another"}),
    *_both("response", "responses", RESPONSES, {"input": TEXT}),
    *_both("response greedy", "responses", RESPONSES, {"input": TEXT, **GREEDY}),
    PlainCall("models", "models", "/v1/models"),
    PlainCall("model", "models", "/v1/models/fake-model"),
    *_both("response limit", "responses", RESPONSES, {"input": TEXT, "max_output_tokens": 2, "store": False}),
    PlainCall("response not to be stored", "responses", RESPONSES, {"input": TEXT, "store": False}),
    PlainCall("response that was not stored", "responses", f"{RESPONSES}/{{id}}"),
    *_both("response tools", "responses", RESPONSES, {"input": TEXT, **RESPONSES_TOOLS}),
    *_both("response format", "responses", RESPONSES, {"input": TEXT, "text": {"format": TEXT_FORMAT}}),
    PlainCall("response unstored", "responses", RESPONSES, {"input": TEXT, "background": True, "store": False}),
    PlainCall("response of another model", "responses", RESPONSES, {"input": TEXT, "model": "another"}),
    *_both("message", "messages", MESSAGES, {"model": "MODEL", "messages": ASKED, "max_tokens": 30}),
    *_both(
        "message greedy", "messages", MESSAGES, {"model": "MODEL", "messages": ASKED, "max_tokens": 30, **GREEDY}
    ),
    *_both("message limit", "messages", MESSAGES, {"model": "MODEL", "messages": ASKED, "max_tokens": 2}),
    *_both(
        "message stop", "messages", MESSAGES,
        {"model": "MODEL", "messages": ASKED, "max_tokens": 30, "stop_sequences": [" three four"]},
    ),
    *_both("message thinking", "messages", MESSAGES, {"model": "MODEL", "messages": ASKED, **THINKING}),
    *_both(
        "message tools", "messages", MESSAGES,
        {"model": "MODEL", "messages": ASKED, "max_tokens": 100, **MESSAGES_TOOLS},
    ),
    PlainCall(
        "message format", "messages", MESSAGES,
        {"model": "MODEL", "messages": ASKED, "max_tokens": 100,
         "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
    ),
    PlainCall("message of another model", "messages", MESSAGES, {"model": "x", "messages": ASKED, "max_tokens": 9}),
    PlainCall("message tokens", "messages", f"{MESSAGES}/count_tokens", {"model": "MODEL", "messages": ASKED}),
    PlainCall("embeddings", "embeddings", EMBEDDINGS, {"input": ["one", "two three"]}),
    PlainCall("embeddings of one text", "embeddings", EMBEDDINGS, {"input": ["one", "one"]}),
    PlainCall("embeddings in base64", "embeddings", EMBEDDINGS, {"input": ["one"], "encoding_format": "base64"}),
    PlainCall(
        "embeddings base64", "embeddings", EMBEDDINGS,
        {"input": ["one", "two three"], "encoding_format": "base64", "dimensions": 8},
    ),
    PlainCall("embeddings of nothing", "embeddings", EMBEDDINGS, {"input": ""}),
    PlainCall("embeddings of another model", "embeddings", EMBEDDINGS, {"input": "one", "model": "another"}),
    PlainCall("ranking", "rerank", RERANK, {"query": "one", "documents": ["one two", "two", "one"]}),
    PlainCall("ranking top", "rerank", RERANK, {"query": "one", "documents": ["one two", "two", "one"], "top_n": 2}),
    PlainCall("ranking of nothing", "rerank", RERANK, {"query": "one", "documents": []}),
    PlainCall("scores", "score", SCORE, {"text_1": "one", "text_2": ["one", "two"]}),
    PlainCall("scores of nothing", "score", SCORE, {"text_1": "one"}),
    PlainCall("tokens", "tokens", "/tokenize", {"model": "MODEL", "prompt": TEXT}),
    PlainCall("text of tokens", "tokens", "/detokenize", {"model": "MODEL", "tokens": []}),
    PlainCall("chat that is not JSON", "chat", CHAT, b"{"),
    PlainCall("chat that is a list", "chat", CHAT, b"[]"),
    PlainCall("chat as text", "chat", CHAT, {"messages": ASKED}, "text/plain"),
    PlainCall("chat without a key", "chat", CHAT, {"messages": ASKED}, server="keyed"),
    PlainCall("models without a key", "models", "/v1/models", server="keyed"),
    PlainCall("slow chat", "chat", CHAT, {"messages": SLOWLY, "stream": True}, server="slow"),
    PlainCall("job", "worker", "/execute", {**JOB, "max_tokens": 4}, server="worker"),
    PlainCall("job stop", "worker", "/execute", {**JOB, "max_tokens": 30, "stop": ["e"]}, server="worker"),
    PlainCall("job refused", "worker", "/execute", {**JOB, "max_tokens": 0}, server="worker"),
    *(
        PlainCall(
            f"orchestration {mode}", "orchestration", CHAT,
            {"model": "phi-4", "messages": ASKED, "max_tokens": 5, "orchestration_mode": mode}, server="service",
        )
        for mode in ("single", "critique", "debate")
    ),
]  # fmt: skip


def bytes_of(call: PlainCall, model: str) -> bytes:
    """Return what is sent as the body of a call, with the model's name where it has to be named."""
    if call.body is None or isinstance(call.body, bytes):
        return call.body or b""
    named = call.body.get("model", "MODEL" if call.path in NAMING else None)
    body = {**call.body, "model": model} if named == "MODEL" else call.body
    return json.dumps(body).encode()
