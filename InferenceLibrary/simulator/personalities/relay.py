"""Answering a request with the answer of an upstream. A stream passes through as it comes, nothing is held back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.core.delivery import head_bytes
from InferenceLibrary.simulator.core.draft import DONE, EVENT_STREAM, Draft, Event, chunk
from InferenceLibrary.simulator.core.endings import close
from InferenceLibrary.simulator.core.turn import Turn
from InferenceLibrary.simulator.personalities.upstream import LARGEST, Address, Failure, UpstreamAnswer, UpstreamCall

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.turn import Step

# Bytes that may wait for a slow client before the upstream is not read any more.
_MOST_WAITING = 256 * 1024

Headers = list[tuple[str, str]]


class Relay:
    """One attempt to get an answer from an upstream.

    Args:
        turn: The request to answer.
        answered: Called with an answer in one piece, of any status; also with a stream when faults shall change it.
        failed: Called when there is no answer.
        streams: Called when a stream begins; returns the headers that it gets here. None: streams are collected too.
    """

    def __init__(
        self,
        turn: Turn,
        answered: Callable[[UpstreamAnswer], None],
        failed: Callable[[Failure], None],
        streams: Callable[[UpstreamCall], Headers] | None,
    ) -> None:
        self._turn = turn
        self._answered = answered
        self._failed = failed
        self._streams = streams
        self._call: UpstreamCall
        self._pieces: list[bytes] = []
        self._size = 0
        self._passing = False
        self._over = False
        self._failure: Failure | None = None
        self._read_paused = False

    def send(self, address: Address, path: str, headers: Mapping[str, str], body: bytes, timeout: float) -> None:
        """Send the request on; `timeout` is the longest silence in seconds."""
        call = self._call = UpstreamCall(self._turn.app.timers, address, self, timeout)
        self._turn.at_end(lambda _turn: call.abort())
        call.send("POST", path, {"content-type": "application/json", **headers}, body)

    # UpstreamCall tells these

    def head(self, call: UpstreamCall) -> None:
        kind = call.headers.get("content-type", "").partition(";")[0].strip().lower()
        turn = self._turn
        if call.status == 200 and kind == EVENT_STREAM and not turn.faults and self._streams is not None:
            self._passing = True
            turn.status = 200
            turn.replace(self._steps(self._streams(call)))

    def data(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size += len(piece)
        if not self._passing:
            if self._size > LARGEST:
                self._call.abort()
                self._failed(Failure("malformed", f"an answer of more than {LARGEST:,} bytes"))
            return
        if self._size > _MOST_WAITING and not self._read_paused:
            self._read_paused = True
            self._call.pause_reading()
        self._turn.resume()

    def end(self) -> None:
        self._over = True
        if self._passing:
            self._turn.resume()
        else:
            self._answered(UpstreamAnswer(self._call.status, self._call.headers, b"".join(self._pieces)))

    def failed(self, failure: Failure) -> None:
        self._over = True
        if self._passing:
            self._failure = failure
            self._turn.resume()
        else:
            self._failed(failure)

    def _steps(self, headers: Headers) -> Iterator[Step]:
        turn = self._turn
        chunked = turn.request.version != "1.0"
        draft = Draft(content_type=EVENT_STREAM, headers=headers, framing="chunked" if chunked else "close")
        if not chunked:
            turn.keep_alive = False
        yield head_bytes(turn, draft, None)
        while True:
            if self._pieces:
                data = b"".join(self._pieces)
                self._pieces.clear()
                self._size = 0
                if self._read_paused:
                    self._read_paused = False
                    self._call.resume_reading()
                yield chunk(data) if chunked else data
            elif not self._over:
                yield Turn.pause
            else:
                break
        if self._failure is not None:
            # The head is out, so the only way left to say that something is wrong: an end without its last chunk.
            yield close
        elif chunked:
            yield b"0\r\n\r\n"


def draft_of(answer: UpstreamAnswer, headers: Headers, *, parsed: bool) -> Draft:
    """Return an upstream's good answer as a draft; `parsed` for faults, which change objects; else byte for byte."""
    kind = answer.headers.get("content-type", "application/json")
    draft = Draft(answer.status, content_type=kind, headers=headers, body=answer.body)
    if kind.partition(";")[0].strip().lower() == EVENT_STREAM:
        draft.content_type = EVENT_STREAM
        draft.events = _events(answer.body)
    elif "json" in kind:
        usage = read_object(answer.body).get("usage")
        count = usage.get("completion_tokens") if isinstance(usage, dict) else None
        draft.tokens = count if isinstance(count, int) and count >= 0 else 0
        if parsed and answer.body:
            draft.body = _json_or_bytes(answer.body)
    return draft


def read_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object, an empty one for anything else."""
    data = _json_or_bytes(body)
    return data if isinstance(data, dict) else {}


def _json_or_bytes(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body


def _events(body: bytes) -> list[Event]:
    from InferenceLibrary.protocol.sse import SSEDecoder

    events = []
    for found in SSEDecoder().feed(body):
        name = "" if found.event == "message" else found.event
        data = read_object(found.data.encode()) or found.data
        kind = _kind(data)
        events.append(Event(data, kind, name=name, tokens=int(kind == "token")))
    return events


def _kind(data: Any) -> str:
    if not isinstance(data, dict):
        return "done" if data == DONE else "token"
    choices = data.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return "usage" if data.get("usage") else "error" if "error" in data else "token"
    if choices[0].get("finish_reason"):
        return "finish"
    delta = choices[0].get("delta")
    return "role" if isinstance(delta, dict) and not delta.get("content") and delta.get("role") else "token"
