"""Answers of the OpenAI API as objects: what every path can do, one event at a time."""

from __future__ import annotations

from math import expm1, log
from time import time
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.answers.scored import Scored
from InferenceLibrary.simulator.answers.tokens import tokenize
from InferenceLibrary.simulator.core.draft import DONE, EVENT_STREAM, Draft, Event
from InferenceLibrary.simulator.core.draws import Draws

if TYPE_CHECKING:
    from InferenceLibrary.simulator.answers.engine import Output
    from InferenceLibrary.simulator.answers.openai_requests import Ask

# How many characters of tool arguments one streamed piece has.
_ARGUMENT_PIECE = 12


def usage_of(ask: Ask, outputs: list[Output]) -> dict[str, Any]:
    """Return the usage object; the parts add up."""
    completion = sum(output.count for output in outputs)
    return {
        "prompt_tokens": ask.prompt_tokens,
        "completion_tokens": completion,
        "total_tokens": ask.prompt_tokens + completion,
        "prompt_tokens_details": {"cached_tokens": ask.cached_tokens},
    }


MOST_MADE_UP = 128
"""Most tokens that are made up beside one, whatever a request asks for."""


def token_logprob(token: str, top: int) -> dict[str, Any]:
    """Return the log probabilities of one token: those that a model gave it, else made-up ones.

    Those are the same for the same token, and add up to less than one.
    """
    if isinstance(token, Scored):
        return token.entry(top)
    draws = Draws("logprob", token)
    chosen = -round(0.01 + draws.uniform() * 0.5, 4)
    entries = [{"token": token, "logprob": chosen, "bytes": list(token.encode())}]
    rest = log(-expm1(chosen))
    for place in range(1, min(top, MOST_MADE_UP)):
        other = f" alt{place}"
        value = round(rest - place * log(2), 4)
        entries.append({"token": other, "logprob": value, "bytes": list(other.encode())})
    return {**entries[0], "top_logprobs": entries[:top]}


class Chat:
    """Shapes of /v1/chat/completions."""

    object = "chat.completion"
    chunk_object = "chat.completion.chunk"
    prefix = "chatcmpl-"

    @staticmethod
    def choice(index: int, output: Output, ask: Ask, _prompt: str) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": output.text}
        if output.tool_calls:
            message = {"role": "assistant", "content": output.text or None, "tool_calls": output.tool_calls}
        choice: dict[str, Any] = {"index": index, "message": message, "finish_reason": output.finish}
        if ask.logprobs is not None:
            choice["logprobs"] = {"content": [token_logprob(token, ask.logprobs) for token in output.tokens]}
        return choice

    @staticmethod
    def token(index: int, token: str, ask: Ask, _offset: int) -> dict[str, Any]:
        choice: dict[str, Any] = {"index": index, "delta": {"content": token}, "finish_reason": None}
        if ask.logprobs is not None:
            choice["logprobs"] = {"content": [token_logprob(token, ask.logprobs)]}
        return choice

    @staticmethod
    def first(index: int) -> dict[str, Any] | None:
        return {"index": index, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}

    @staticmethod
    def last(index: int, finish: str) -> dict[str, Any]:
        return {"index": index, "delta": {}, "finish_reason": finish}


class Completion:
    """Shapes of /v1/completions."""

    object = "text_completion"
    chunk_object = "text_completion"
    prefix = "cmpl-"

    @staticmethod
    def choice(index: int, output: Output, ask: Ask, prompt: str) -> dict[str, Any]:
        text = prompt + output.text if ask.echo else output.text
        logprobs = None
        if ask.logprobs is not None:
            shown = [*tokenize(prompt), *output.tokens] if ask.echo else output.tokens
            logprobs = _text_logprobs(shown, ask.logprobs, 0)
            if ask.echo and prompt:
                # Nothing stands before the first token, so nothing says how likely it was.
                logprobs["token_logprobs"][0] = logprobs["top_logprobs"][0] = None
        return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": output.finish}

    @staticmethod
    def token(index: int, token: str, ask: Ask, offset: int) -> dict[str, Any]:
        logprobs = None if ask.logprobs is None else _text_logprobs([token], ask.logprobs, offset)
        return {"index": index, "text": token, "logprobs": logprobs, "finish_reason": None}

    @staticmethod
    def first(_index: int) -> dict[str, Any] | None:
        return None

    @staticmethod
    def last(index: int, finish: str) -> dict[str, Any]:
        return {"index": index, "text": "", "logprobs": None, "finish_reason": finish}


def _text_logprobs(tokens: list[str], top: int, offset: int) -> dict[str, Any]:
    made = [token_logprob(token, max(1, top)) for token in tokens]
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(token)
    return {
        "tokens": tokens,
        "token_logprobs": [entry["logprob"] for entry in made],
        "top_logprobs": [{other["token"]: other["logprob"] for other in entry["top_logprobs"][:top]} for entry in made],
        "text_offset": offsets,
    }


Shape = type[Chat] | type[Completion]


def envelope(shape: Shape, answer_id: str, model: str, *, chunk: bool) -> dict[str, Any]:
    """Return the keys that all objects of one answer share."""
    return {
        "id": answer_id,
        "object": shape.chunk_object if chunk else shape.object,
        "created": int(time()),
        "model": model,
    }


def whole_choice(shape: Shape, index: int, output: Output, ask: Ask, prompt: str, *, complete: bool) -> dict[str, Any]:
    """Return a choice of a whole answer; `complete` adds what OpenAI's reference requires and lets be null."""
    choice = shape.choice(index, output, ask, prompt)
    if complete and shape is Chat:
        choice["message"]["refusal"] = None
        choice["logprobs"] = {**choice["logprobs"], "refusal": None} if "logprobs" in choice else None
    return choice


def whole_answer(
    shape: Shape, answer_id: str, model: str, ask: Ask, outputs: list[Output], *, complete: bool = False
) -> Draft:
    """Return the answer in one piece; `complete` as of `whole_choice`."""
    body = envelope(shape, answer_id, model, chunk=False)
    body["choices"] = [
        whole_choice(shape, index, output, ask, ask.prompts[index // ask.n], complete=complete)
        for index, output in enumerate(outputs)
    ]
    body["usage"] = usage_of(ask, outputs)
    return Draft(body=body, tokens=sum(output.count for output in outputs))


def streamed_answer(
    shape: Shape,
    answer_id: str,
    model: str,
    ask: Ask,
    outputs: list[Output],
    first: float,
    gaps: list[float] | float,
) -> Draft:
    """Return the answer as a stream: `first` seconds to the first token, then `gaps` between the rounds of tokens."""
    base = envelope(shape, answer_id, model, chunk=True)
    events: list[Event] = []

    def add(choice: dict[str, Any], kind: str, tokens: int = 0) -> None:
        events.append(Event({**base, "choices": [choice], "usage": None}, kind, tokens=tokens))

    for index in range(len(outputs)):
        opening = shape.first(index)
        if opening is not None:
            add(opening, "role")
    pieces = [_pieces(shape, index, output, ask) for index, output in enumerate(outputs)]
    for step in range(max((len(part) for part in pieces), default=0)):
        begin = len(events)
        for part in pieces:
            if step < len(part):
                choice, kind, tokens = part[step]
                add(choice, kind, tokens)
        if step and begin < len(events):
            events[begin].delay = gaps if isinstance(gaps, float) else gaps[min(step, len(gaps)) - 1] if gaps else 0.0
    if events:
        events[0].delay = first
    for index, output in enumerate(outputs):
        add(shape.last(index, output.finish), "finish")
    if ask.include_usage:
        events.append(Event({**base, "choices": [], "usage": usage_of(ask, outputs)}, "usage"))
    events.append(Event(DONE, "done"))
    if not any(event.delay for event in events):
        events[0].delay = first
    return Draft(content_type=EVENT_STREAM, events=events)


def _pieces(shape: Shape, index: int, output: Output, ask: Ask) -> list[tuple[dict[str, Any], str, int]]:
    """Return what is streamed for one choice, token by token."""
    pieces: list[tuple[dict[str, Any], str, int]] = []
    offset = 0
    if ask.echo:
        prompt = ask.prompts[index // ask.n]
        pieces.append((shape.token(index, prompt, ask, 0), "token", 0))
        offset = len(prompt)
    for token in output.tokens:
        pieces.append((shape.token(index, token, ask, offset), "token", 1))
        offset += len(token)
    remaining = output.tool_tokens
    for place, call in enumerate(output.tool_calls):
        arguments = call["function"]["arguments"]
        parts = [arguments[start : start + _ARGUMENT_PIECE] for start in range(0, len(arguments), _ARGUMENT_PIECE)]
        opening = {
            "index": place,
            "id": call["id"],
            "type": "function",
            "function": {"name": call["function"]["name"], "arguments": ""},
        }
        deltas = [opening, *({"index": place, "function": {"arguments": part}} for part in parts)]
        for number, delta in enumerate(deltas):
            is_end = place == len(output.tool_calls) - 1 and number == len(deltas) - 1
            tokens = remaining if is_end else min(1, remaining)
            remaining -= tokens
            pieces.append(({"index": index, "delta": {"tool_calls": [delta]}, "finish_reason": None}, "tool", tokens))
    return pieces
