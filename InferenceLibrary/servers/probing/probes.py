"""The probe of each capability: the calls that show whether a server offers it. What a check asks is asked as there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from InferenceLibrary.protocol.paths import CHAT, COMPLETIONS, EMBEDDINGS, RERANK, RESPONSES
from InferenceLibrary.servers.probing.call import CheckCall
from InferenceLibrary.servers.probing.calls import CALLS, KEYLESS, NO_MODEL, REACH, SHORT

_ONE = [{"role": "user", "content": "Say one word."}]
_RANKING: dict[str, Any] = {"query": "one", "documents": ["two three", "one two"]}
_FUNCTIONS = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
    for name in ("get_weather", "get_time")
]


def _chat(name: str, capability: str, **more: Any) -> CheckCall:
    body = {"messages": _ONE, "max_tokens": SHORT, **more}
    return CheckCall(name, capability, CHAT, body, needs="chat", generates=SHORT)


def _three_times(call: CheckCall) -> tuple[CheckCall, ...]:
    """Two answers may be the same by chance."""
    return tuple(replace(call, name=f"{call.name}, {number} of 3") for number in (1, 2, 3))


_ASKED_BY_A_CHECK: dict[str, CheckCall] = {}
for _call in (*REACH, *CALLS):
    if _call.capability and not _call.refusal:
        _ASKED_BY_A_CHECK.setdefault(_call.capability, _call)
_REQUIRED = next(call for call in CALLS if call.name == "a tool that must be called")
_UNKNOWN_FIELD = _chat("a chat with a field that does not exist", "top_k", rfinference_no_such_field=1)
_AGAIN = _chat("a chat that is asked again", "repeatable answers", temperature=0, seed=7)
_SEEDED = _chat("a seeded chat", "seed", temperature=0.8, seed=7)

PROBES: dict[str, tuple[CheckCall, ...]] = {
    **{name: (call,) for name, call in _ASKED_BY_A_CHECK.items()},
    "keys": (KEYLESS,),
    # A model that may call a tool and does not says nothing of the server.
    "tool calls": (_REQUIRED,),
    "named tools": (
        _chat(
            "a tool that is named", "named tools",
            tools=_FUNCTIONS, tool_choice={"type": "function", "function": {"name": "get_time"}}, max_tokens=256,
        ),
    ),
    "stored responses": (
        CheckCall("a response that does not exist", "stored responses", f"{RESPONSES}/resp_rfinference_none",
                  needs="responses", refusal=True),
    ),
    "rerank v2": (CheckCall("ranking by version 2", "rerank v2", "/v2/rerank", _RANKING),),
    "unversioned rerank": (CheckCall("ranking without a version", "unversioned rerank", "/rerank", _RANKING),),
    "score": (CheckCall("a score", "score", "/v1/score", {"text_1": "one", "text_2": "one two"}),),
    "detokenize": (CheckCall("a text of tokens", "detokenize", "/detokenize", {"tokens": [1]}, needs="tokenize"),),
    "jobs": (
        CheckCall("a job", "jobs", "/execute",
                  {"job_id": "rfinference-probe", "prompt": "one", "max_tokens": 1, "temperature": 0, "seed": 1},
                  generates=1),
    ),
    "unknown model is refused": (
        CheckCall("a chat of an unknown model", "unknown model is refused", CHAT,
                  {"model": NO_MODEL, "messages": _ONE, "max_tokens": SHORT}, needs="chat", refusal=True),
    ),
    "reasoning": (_ASKED_BY_A_CHECK["chat"],),
    "documents in rankings": (
        CheckCall("ranking with documents", "documents in rankings", RERANK,
                  {**_RANKING, "return_documents": True}, needs="rerank"),
    ),
    "dimensions": (
        CheckCall("embedding of 16 numbers", "dimensions", EMBEDDINGS, {"input": "one", "dimensions": 16},
                  needs="embeddings"),
    ),
    "text parts": (
        _chat("a chat in parts", "text parts",
              messages=[{"role": "user", "content": [{"type": "text", "text": "Say one word."}]}]),
    ),
    "json object": (
        _chat("a chat answered as JSON", "json object", response_format={"type": "json_object"}, max_tokens=64,
              messages=[{"role": "user", "content": "Answer as JSON: a city of France, with the key city."}]),
    ),
    "known answers": (
        _chat("a chat about a capital", "known answers", temperature=0, max_tokens=32,
              messages=[{"role": "user", "content": "What is the capital of France?"}]),
    ),
    "repeatable answers": _three_times(_AGAIN),
    "seed": _three_times(_SEEDED),
    "ignore_eos": (_chat("a chat that goes on", "ignore_eos", ignore_eos=True),),
    "top_k": (_chat("a chat with top_k", "top_k", top_k=40), _UNKNOWN_FIELD),
}  # fmt: skip
"""Capability to the calls that show it. What needs another capability is asked only where that is offered.

`health` and `metrics` are asked by what the profile says, and stand in the prober.
"""

WITHOUT_CHATS = {
    "repeatable answers": _three_times(
        CheckCall("a completion that is asked again", "repeatable answers", COMPLETIONS,
                  {"prompt": "Say one word.", "max_tokens": SHORT, "temperature": 0, "seed": 7}, needs="completions",
                  generates=SHORT)
    ),
}  # fmt: skip
"""Capability to the calls that show it where completions are offered, and chats are not."""
