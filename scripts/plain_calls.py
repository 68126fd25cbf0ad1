"""Plain calls of every API of the simulator: what is asked, nothing of what is checked.

What `rfinference check` asks too is taken from its list; the others ask for what not every server has. Together they
ask for whatever an answer can have, so that each fault strikes at least one of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from InferenceLibrary.protocol.paths import (
    CHAT,
    COMPLETIONS,
    COUNT_TOKENS,
    EMBEDDINGS,
    MESSAGES,
    MODELS,
    RERANK,
    RESPONSES,
    SCORE,
)
from InferenceLibrary.servers.probing import calls as checks

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
SHORT = {"max_tokens": 3}
TEXT_FORMAT = {"type": "json_schema", "name": "place", "schema": SCHEMA}
THINKING: dict[str, Any] = {"max_tokens": 2000, "thinking": {"type": "enabled", "budget_tokens": 1024}}

APIS = {
    CHAT: "chat", COMPLETIONS: "completions", RESPONSES: "responses", MESSAGES: "messages", COUNT_TOKENS: "messages",
    EMBEDDINGS: "embeddings", RERANK: "rerank", MODELS: "models", "/tokenize": "tokens",
}  # fmt: skip
"""Path of a call of a check to the API that it speaks."""
MODEL = "fake-model"
UNKNOWN_MODELS = {"another", checks.NO_MODEL}
"""Models that no simulator has."""

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


_CHECKS = {call.name: call for call in (*checks.REACH, *checks.CALLS)}


def _checked(name: str, asked: str = "") -> PlainCall:
    """A call of a check, under a name of its own or the same."""
    call = _CHECKS[asked or name]
    body = {"model": "MODEL", **call.body} if isinstance(call.body, dict) else call.body
    path = call.path_for(MODEL)
    headers = dict(call.headers)
    kind = headers.pop("content-type", "application/json")
    return PlainCall(name, APIS[path.removesuffix(f"/{MODEL}")], path, body, kind, headers=tuple(headers.items()))


def _both_checked(name: str, asked: str) -> list[PlainCall]:
    """A call of a check twice, as the check makes it: whole, and streamed."""
    return [_checked(name, asked), _checked(f"{name} stream", f"{asked}, streamed")]


METRICS = PlainCall("metrics", "other", "/metrics")
"""Asked for before a call, and once more after it."""
CALLS = [
    _checked("chat"),
    _checked("chat stream", "chat with usage, streamed"),
    _checked("chat with an offer", "chat with an offer of HTTP/2"),
    *_both_checked("chat greedy", "chat"),
    *_both("chat logprobs", "chat", CHAT, {"messages": ASKED, "n": 2, "max_tokens": 3, **LOGPROBS}),
    *_both_checked("chat stop", "chat with a stop text"),
    *_both("chat tools", "chat", CHAT, {"messages": ASKED, **TOOLS, "seed": 3}),
    *_both("chat one tool", "chat", CHAT, {"messages": ASKED, **TOOLS, "parallel_tool_calls": False}),
    *_both_checked("chat format", "chat in a format"),
    _checked("chat of another model", "a chat of an unknown model"),
    _checked("chat of another model stream", "an unknown model, streamed"),
    _checked("chat without messages", "a chat with no message"),
    _checked("chat stream options", "stream options without a stream"),
    *_both("completion", "completions", COMPLETIONS, {"prompt": TEXT, "max_tokens": 3, "logprobs": 2}, **USAGE),
    *_both_checked("completion greedy", "completion"),
    *_both("completion echo", "completions", COMPLETIONS, {"prompt": TEXT, "echo": True, "logprobs": 2, **SHORT}),
    PlainCall("completions", "completions", COMPLETIONS, {"prompt": [TEXT, "six seven"], "n": 2, "max_tokens": 3}),
    METRICS,
    PlainCall("completion stop", "completions", COMPLETIONS, {"prompt": TEXT, "stop": [" three four"]}),
    replace(METRICS, name="metrics again"),
    PlainCall("completion of another model", "completions", COMPLETIONS, {"prompt": TEXT, "model": "another"}),
    *_both("response", "responses", RESPONSES, {"input": TEXT}),
    *_both_checked("response greedy", "response"),
    _checked("models", "model list"),
    _checked("model", "one model"),
    _checked("response limit", "response to the limit"),
    PlainCall(
        "response limit stream", "responses", RESPONSES,
        {"input": TEXT, "max_output_tokens": 2, "store": False, "stream": True},
    ),
    PlainCall("response not to be stored", "responses", RESPONSES, {"input": TEXT, "store": False}),
    PlainCall("response that was not stored", "responses", f"{RESPONSES}/{{id}}"),
    *_both("response tools", "responses", RESPONSES, {"input": TEXT, **RESPONSES_TOOLS}),
    _checked("response format", "response in a format"),
    PlainCall(
        "response format stream", "responses", RESPONSES,
        {"input": TEXT, "text": {"format": TEXT_FORMAT}, "stream": True},
    ),
    PlainCall("response unstored", "responses", RESPONSES, {"input": TEXT, "background": True, "store": False}),
    _checked("response of another model", "a response of an unknown model"),
    *_both("message", "messages", MESSAGES, {"model": "MODEL", "messages": ASKED, "max_tokens": 30}),
    *_both_checked("message greedy", "message"),
    *_both("message limit", "messages", MESSAGES, {"model": "MODEL", "messages": ASKED, "max_tokens": 2}),
    _checked("message stop", "message with a stop text"),
    PlainCall(
        "message stop stream", "messages", MESSAGES,
        {"model": "MODEL", "messages": ASKED, "max_tokens": 30, "stop_sequences": [" three four"], "stream": True},
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
    _checked("message of another model", "a message of an unknown model"),
    _checked("message tokens", "tokens of a message"),
    _checked("embeddings"),
    PlainCall("embeddings of one text", "embeddings", EMBEDDINGS, {"input": ["one", "one"]}),
    _checked("embeddings in base64"),
    PlainCall(
        "embeddings base64", "embeddings", EMBEDDINGS,
        {"input": ["one", "two three"], "encoding_format": "base64", "dimensions": 8},
    ),
    _checked("embeddings of nothing"),
    PlainCall("embeddings of another model", "embeddings", EMBEDDINGS, {"input": "one", "model": "another"}),
    _checked("ranking"),
    _checked("ranking top", "ranking of the best"),
    PlainCall("ranking of nothing", "rerank", RERANK, {"query": "one", "documents": []}),
    PlainCall("scores", "score", SCORE, {"text_1": "one", "text_2": ["one", "two"]}),
    PlainCall("scores of nothing", "score", SCORE, {"text_1": "one"}),
    _checked("tokens"),
    PlainCall("text of tokens", "tokens", "/detokenize", {"model": "MODEL", "tokens": []}),
    _checked("chat that is not JSON", "a chat that is not JSON"),
    _checked("chat that is a list", "a chat that is a list"),
    _checked("chat as text", "a chat as plain text"),
    PlainCall("chat without a key", "chat", CHAT, {"messages": ASKED}, server="keyed"),
    PlainCall("models without a key", "models", MODELS, server="keyed"),
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
        return (call.body or b"").replace(b"MODEL", json.dumps(model).encode())
    named = call.body.get("model", "MODEL" if call.path in NAMING else None)
    body = {**call.body, "model": model} if named == "MODEL" else call.body
    return json.dumps(body).encode()
