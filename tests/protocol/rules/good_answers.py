"""Good answers of every API. Each keeps all rules; the mutants of the tests are made of them."""

from __future__ import annotations

from protocol.rules.exchanges import (
    ASKED,
    CHAT,
    COMPLETIONS,
    DONE,
    GOOD,
    GOOD_CALL,
    LOGPROBS,
    PROMPT,
    ROLE,
    STOP,
    USAGE,
    USAGE_CHUNK,
    WITH_TOOLS,
    WITH_USAGE,
    answer,
    call,
    chat,
    chat_stream,
    chunk,
    completion,
    stream,
    text,
    token,
    usage_stream,
    whole,
    with_logprobs,
)
from protocol.rules.typed_exchanges import (
    ANTHROPIC_REFUSAL,
    MESSAGES,
    MESSAGES_ASKED,
    REFUSAL,
    WHOLE,
    good,
    job,
    message,
    message_stream,
    response,
    response_stream,
)

from InferenceLibrary.protocol.exchange import Exchange

_DETAILS = {"prompt_tokens_details": {"cached_tokens": 2}, "completion_tokens_details": {"reasoning_tokens": 1}}
_SAID = chunk({"content": "Hi"})
_SAID["choices"][0]["logprobs"] = {"content": [token("Hi")], "refusal": None}
_LISTS = {
    "tokens": ["H", "i"],
    "token_logprobs": [-0.1, -0.2],
    "top_logprobs": [{"H": -0.1}, {"i": -0.2}],
    "text_offset": [0, 1],
}
_TWO = [
    whole()["choices"][0],
    {
        "index": 1,
        "message": {"role": "assistant", "content": None, "refusal": "No."},
        "finish_reason": "content_filter",
    },
]

GOOD_ANSWERS: dict[str, Exchange] = {
    "chat": chat(whole(usage={**USAGE, **_DETAILS}), {**ASKED, "stop": ["London"], "max_tokens": 9}),
    "chat of two choices": chat(whole(choices=_TWO), {**ASKED, "n": 2}),
    "chat with tools": chat(
        whole({"role": "assistant", "content": None, "tool_calls": [call(), call(number="call_2")]}, "tool_calls"),
        WITH_TOOLS,
    ),
    "chat with log probabilities": chat(with_logprobs(token("H"), token("i")), LOGPROBS),
    "chat in a format": chat(
        whole({"role": "assistant", "content": '{"a": 1}'}), {**ASKED, "response_format": {"type": "json_object"}}
    ),
    "stream": chat_stream(GOOD, {**ASKED, "stop": "London"}),
    "stream with usage": chat_stream(
        usage_stream([{**USAGE_CHUNK, "usage": {**USAGE, **_DETAILS}}, DONE]), {**WITH_USAGE, "max_tokens": 9}
    ),
    "stream with tools": chat_stream(GOOD_CALL, WITH_TOOLS),
    "stream with log probabilities": chat_stream([ROLE, _SAID, STOP, DONE], LOGPROBS),
    "completion": answer(COMPLETIONS, {**PROMPT, "logprobs": 1}, completion(text("Hi", logprobs=_LISTS), usage=USAGE)),
    "completions streamed": stream(
        COMPLETIONS,
        {**PROMPT, "prompt": ["Say", "Tell"], "echo": True},
        [completion(text("Say Hi", None)), completion(text("Tell Hi", "stop", 1)), completion(text("", "stop")), DONE],
    ),
    "response": response(),
    "response streamed": response_stream(),
    "message": message(),
    "message streamed": message_stream(),
    **{path: good(path) for path, _, _ in WHOLE},
    "job": job(),
    "job without names": job(named=False),
    "refusal": answer(CHAT, ASKED, REFUSAL, status=400),
    "refusal of a message": answer(MESSAGES, MESSAGES_ASKED, ANTHROPIC_REFUSAL, status=400),
}
