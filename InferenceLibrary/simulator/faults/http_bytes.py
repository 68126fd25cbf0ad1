"""Faults of HTTP itself: status line, headers, lengths, chunks."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.core.draft import Draft, Frame
from InferenceLibrary.simulator.core.endings import close
from InferenceLibrary.simulator.faults.kinds import Parameter, Values, define

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.turn import Step, Turn

wrong_content_length = define(
    "wrong-content-length",
    "tells a Content-Length that is not the body's, then closes; streams get one too",
    breaks=("F10",),
    by=Parameter("int", 10, "how many bytes too many are told"),
)


@wrong_content_length.body
def wrong_content_length_body(draft: Draft, values: Values, turn: Turn) -> None:
    draft.content_length = len(draft.body) + values["by"]
    turn.keep_alive = False


@wrong_content_length.draft
def wrong_content_length_draft(draft: Draft, values: Values, turn: Turn) -> None:
    if draft.events is not None:
        draft.framing = "length"
        draft.content_length = 100_000 + values["by"]
        turn.keep_alive = False


bad_chunk = define("bad-chunk", "breaks the chunked transfer coding: a size that is not a number", breaks=("F10",))


@bad_chunk.frames
def bad_chunk_frames(frames: list[Frame], _values: Values, _turn: Turn) -> list[Frame]:
    place = len(frames) // 2
    return [*frames[:place], Frame(b"xyz\r\n", "raw"), *frames[place:]]


@bad_chunk.body
def bad_chunk_body(draft: Draft, _values: Values, _turn: Turn) -> None:
    draft.framing = "chunked"


@bad_chunk.wire
def bad_chunk_wire(steps: Iterator[Step], _values: Values, turn: Turn) -> Iterator[Step]:
    turn.keep_alive = False
    for step in steps:
        is_body = isinstance(step, bytes) and step.endswith(b"}\r\n0\r\n\r\n")
        yield step.replace(b"\r\n\r\n", b"\r\n\r\nxyz\r\n", 1) if isinstance(step, bytes) and is_body else step


missing_last_chunk = define("missing-last-chunk", "leaves out the last chunk and closes, after [DONE]", breaks=("F10",))


@missing_last_chunk.frames
def missing_last_chunk_frames(frames: list[Frame], _values: Values, _turn: Turn) -> list[Frame]:
    return [*frames, Frame(close)]


keep_alive_closed = define(
    "keep-alive-closed",
    "promises to keep the connection and closes it after the answer",
    nature="legal",
)


@keep_alive_closed.draft
def keep_alive_closed_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    draft.headers.append(("Keep-Alive", "timeout=60"))


@keep_alive_closed.wire
def keep_alive_closed_wire(steps: Iterator[Step], _values: Values, turn: Turn) -> Iterator[Step]:
    def end(_: Turn) -> bool:
        turn.keep_alive = False
        return False

    return itertools.chain(steps, [end])


huge_header = define(
    "huge-header", "sends a header of many bytes", nature="size", bytes=Parameter("int", 100_000, "its length")
)


@huge_header.draft
def huge_header_draft(draft: Draft, values: Values, _turn: Turn) -> None:
    draft.headers.append(("X-Padding", "x" * values["bytes"]))


many_headers = define(
    "many-headers", "sends very many headers", nature="size", count=Parameter("int", 1000, "how many")
)


@many_headers.draft
def many_headers_draft(draft: Draft, values: Values, _turn: Turn) -> None:
    draft.headers += [(f"X-Padding-{number}", "x") for number in range(values["count"])]


wrong_content_type = define(
    "wrong-content-type",
    "tells another content type than the body has",
    breaks=("F1", "N9"),
    type=Parameter("text", "text/plain", "what is told"),
)


@wrong_content_type.draft
def wrong_content_type_draft(draft: Draft, values: Values, _turn: Turn) -> None:
    draft.content_type = values["type"]


not_json = define(
    "not-json",
    "answers with HTML instead of JSON or events, as a proxy in between may",
    breaks=("N9", "F1"),
    status=Parameter("int", 200, "the status"),
)


@not_json.draft
def not_json_draft(draft: Draft, values: Values, _turn: Turn) -> None:
    draft.status = values["status"]
    draft.content_type = "text/html; charset=utf-8"
    draft.events = None
    draft.body = b"<html><body><h1>It works!</h1></body></html>\n"


empty_body = define("empty-body", "answers 200 with no body at all", breaks=("N1",))


@empty_body.draft
def empty_body_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    draft.events = None
    draft.body = b""


huge_body = define(
    "huge-body", "answers with a body of many bytes", nature="size", bytes=Parameter("int", 1_000_000_000, "its length")
)


@huge_body.wire
def huge_body_wire(_steps: Iterator[Step], values: Values, turn: Turn) -> Iterator[Step]:
    size = values["bytes"]
    turn.keep_alive = False
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    yield head % size
    block = b" " * 65536
    for _ in range(size // len(block)):
        yield block
    yield b" " * (size % len(block))


compression_bomb = define(
    "compression-bomb",
    "answers with gzip that unpacks to many bytes",
    nature="size",
    bytes=Parameter("int", 100_000_000, "its unpacked length"),
)


@compression_bomb.draft
def compression_bomb_draft(draft: Draft, values: Values, _turn: Turn) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = b" " * 1_000_000
    parts = [packer.compress(block) for _ in range(max(1, values["bytes"] // len(block)))]
    draft.events = None
    draft.body = b"".join([*parts, packer.flush()])
    draft.headers.append(("Content-Encoding", "gzip"))


redirect_loop = define("redirect-loop", "redirects to itself", status=Parameter("int", 307, "the status"))


@redirect_loop.draft
def redirect_loop_draft(draft: Draft, values: Values, turn: Turn) -> None:
    draft.status, draft.events, draft.body = values["status"], None, b""
    draft.headers.append(("Location", turn.request.path))


early_response = define(
    "early-response",
    "answers as soon as the headers of the request are read, before its body",
    status=Parameter("int", 413, "the status"),
)


@early_response.head
def early_response_head(turn: Turn, values: Values) -> None:
    turn.keep_alive = False
    connection = turn.connection
    turn.at_end(lambda _: connection.close_lingering())
    message = {"error": {"message": "Early answer", "type": "BadRequestError", "param": None, "code": values["status"]}}
    turn.faults = []
    deliver(turn, Draft(values["status"], body=message))


error_as_200 = define("error-as-200", "answers 200 with an error object as the body", breaks=("H1", "N1"))


@error_as_200.draft
def error_as_200_draft(draft: Draft, _values: Values, turn: Turn) -> None:
    from InferenceLibrary.simulator.core.api_errors import ApiError

    error = turn.app.personality.error(ApiError(500, "Something went wrong"), turn.request.path)
    draft.events, draft.body, draft.status, draft.content_type = None, error.body, 200, error.content_type


_SECOND_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
bytes_after_answer = define(
    "bytes-after-answer", "sends a second answer after the first, which nobody asked for", breaks=("F10",), paths=("/",)
)


@bytes_after_answer.wire
def bytes_after_answer_wire(steps: Iterator[Step], _values: Values, _turn: Turn) -> Iterator[Step]:
    # In one write with the end: a client that stops reading there has both.
    held = b""
    for step in steps:
        if held:
            yield held
        held = step if isinstance(step, bytes) else b""
        if not held:
            yield step
    yield held + _SECOND_ANSWER


answer_in_error = define(
    "answer-in-error",
    "gives a good answer the status of an error",
    breaks=("H1",),
    status=Parameter("int", 500, "which"),
)


@answer_in_error.draft
def answer_in_error_draft(draft: Draft, values: Values, _turn: Turn) -> None:
    if draft.status < 400:
        draft.status = values["status"]


body_of_no_content = define("body-of-no-content", "says 204 No Content, and sends the body", breaks=("F10",))


@body_of_no_content.draft
def body_of_no_content_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    if draft.events is None:
        draft.status = 204
