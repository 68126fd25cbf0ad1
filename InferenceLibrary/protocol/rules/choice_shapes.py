"""The shapes of chats and completions: what the reference demands, and where it allows null."""

from __future__ import annotations

from InferenceLibrary.protocol.rules.shape import (
    ANYTHING,
    INTEGER,
    TEXT,
    Field,
    ListOf,
    ObjectOf,
    OneOf,
    nullable,
    optional,
)

_COMMON = {
    "id": Field(TEXT),
    "created": Field(INTEGER),
    "model": Field(TEXT),
    "system_fingerprint": optional(TEXT),
    "service_tier": nullable(TEXT),
}
_CALL = optional(ListOf(ANYTHING))
_FUNCTION = optional(ObjectOf())
_DELTA = ObjectOf(
    role=optional(TEXT),
    content=nullable(TEXT),
    refusal=nullable(TEXT),
    tool_calls=_CALL,
    function_call=_FUNCTION,
)
_MESSAGE = ObjectOf(
    role=Field(TEXT),
    content=nullable(TEXT, required=True),
    refusal=nullable(TEXT),
    tool_calls=_CALL,
    function_call=_FUNCTION,
    annotations=optional(ListOf(ANYTHING)),
    audio=nullable(ObjectOf()),
)
_USAGE = ObjectOf()

CHAT_CHUNK = ObjectOf(
    **_COMMON,
    object=OneOf("chat.completion.chunk"),
    choices=ListOf(
        ObjectOf(
            index=INTEGER,
            delta=_DELTA,
            finish_reason=nullable(TEXT, required=True),
            logprobs=nullable(ObjectOf()),
        )
    ),
    usage=nullable(_USAGE),
)
CHAT_ANSWER = ObjectOf(
    **_COMMON,
    object=OneOf("chat.completion"),
    choices=ListOf(
        ObjectOf(index=INTEGER, message=_MESSAGE, finish_reason=TEXT, logprobs=nullable(ObjectOf())),
    ),
    usage=Field(_USAGE),
)
COMPLETION_CHUNK = ObjectOf(
    **_COMMON,
    object=OneOf("text_completion"),
    choices=ListOf(
        ObjectOf(
            index=INTEGER,
            text=TEXT,
            finish_reason=nullable(TEXT, required=True),
            logprobs=nullable(ObjectOf()),
        )
    ),
    usage=nullable(_USAGE),
)
COMPLETION_ANSWER = ObjectOf(
    **_COMMON,
    object=OneOf("text_completion"),
    choices=ListOf(ObjectOf(index=INTEGER, text=TEXT, finish_reason=TEXT, logprobs=nullable(ObjectOf()))),
    usage=optional(_USAGE),
)
