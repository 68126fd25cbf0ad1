"""How the bytes of an answer become its record: read, counted and judged after the measurement."""

from __future__ import annotations

import array
import functools
from collections.abc import Iterator
from typing import Any

from InferenceLibrary.foreign_text import cut, readable, readable_or_none
from InferenceLibrary.load.connections import Raw
from InferenceLibrary.load.framing import ChunkWalk
from InferenceLibrary.load.generation import Generation, Outputs, generation_of
from InferenceLibrary.load.plan import LoadPlan
from InferenceLibrary.load.record import Record
from InferenceLibrary.load.tokenizer import NamedTokenizer
from InferenceLibrary.load.wording import Wording
from InferenceLibrary.protocol.exchange import EVERYTHING, Ending, Exchange, Held, Request, decode_json
from InferenceLibrary.protocol.messages import merge_usage, read_pieces, read_usage
from InferenceLibrary.protocol.paths import CHAT
from InferenceLibrary.protocol.rules.book import judge
from InferenceLibrary.protocol.rules.rule import Known, Level
from InferenceLibrary.protocol.rules.verdicts import verdict_of
from InferenceLibrary.protocol.sse import SSEDecoder
from InferenceLibrary.protocol.usage_details import NO_DETAILS, read_usage_details

_LARGEST = 1 << 28
"""Bytes that a compressed answer may unpack to."""


class Digest:
    """Turns what requests left into records.

    Args:
        plan: The load.
        begin: Its beginning on the monotonic clock.
    """

    def __init__(self, plan: LoadPlan, begin: float) -> None:
        self._plan = plan
        self._begin = begin
        self._wording = Wording(plan)
        self._known = Known(models=plan.models)
        self._tokenizer = functools.cache(NamedTokenizer)

    def record(self, raw: Raw) -> Record:
        """Return the record of a request. Its texts can be encoded, whatever the server said."""
        made = self._record(raw)
        made.detail = readable(made.detail)
        made.finish_reason = readable_or_none(made.finish_reason)
        made.answer_id = readable_or_none(made.answer_id)
        return made

    def _record(self, raw: Raw) -> Record:
        kind = self._plan.kinds[raw.kind]
        made = Record(
            raw.number,
            kind.name,
            raw.scheduled - self._begin,
            raw.sent - self._begin,
            raw.ended - self._begin,
            raw.connected,
            raw.head.status if raw.head else None,
            raw.error,
            raw.detail,
            raw.warmup,
            raw.cancelled,
            raw.turn,
            raw.resent,
        )
        exchange = self._exchange(raw, made.detail)
        if exchange is None:
            return made
        if made.error is None and exchange.problem is not None:
            made.error, made.detail = "protocol", exchange.problem
        if made.error is None and exchange.status is not None and exchange.status >= 400:
            made.error, made.detail = f"status {exchange.status}", cut(exchange.text, 200)
        generation, text = self._read(exchange, made)
        if generation is not None:
            _fill(made, generation, streamed=exchange.is_event_stream)
        elif made.error is None and not made.cancelled and (exchange.is_event_stream or kind.path == CHAT):
            what = "a stream" if exchange.is_event_stream else "an answer"
            made.error, made.detail = "no output", f"{what} without output"
        whole = made.error is None and not made.cancelled
        if whole and self._wording.draw(raw.number, "judge") < self._plan.judged:
            verdict = verdict_of([judge(exchange, self._known)], self._plan.waivers)
            made.broken = list(verdict.broken)
            if breaches := verdict.of_level(Level.MUST):
                made.error, made.detail = "rules", str(breaches[0])
        if whole and kind.expect_prompt and raw.prompt not in text:
            made.error, made.detail = "wrong answer", f"the answer does not hold its prompt: {cut(text, 80)!r}"
        return made

    def text(self, raw: Raw) -> str:
        """Return the text of an answer; empty where it has none."""
        exchange = self._exchange(raw, "")
        if exchange is None:
            return ""
        return "".join(piece.text for _, value in _values(exchange) for piece in read_pieces(value))

    def _exchange(self, raw: Raw, problem: str) -> Exchange | None:
        if raw.head is None:
            return None
        kind = self._plan.kinds[raw.kind]
        data = b"".join(raw.parts[::2])
        head = data[: raw.head_end]
        lines = head[head.rfind(b"HTTP/1.") :].decode("latin-1").split("\r\n")[1:]
        headers = tuple(
            (name.strip().lower(), value.strip())
            for name, colon, value in (line.partition(":") for line in lines)
            if colon
        )
        came, total = [], 0
        for part, when in zip(raw.parts[::2], raw.parts[1::2], strict=True):
            total += len(part)
            if total > raw.head_end:
                came.append((max(0.0, when - raw.sent), total - raw.head_end))
        body, left = data[raw.head_end :], b""
        reads = came
        if raw.head.chunked:
            walk = ChunkWalk()
            walk.feed(body)
            left = walk.left_over
            body, marks = walk.body()
            reads, place = [], 0
            for when, until in came:
                length = reads[-1][1] if reads else 0
                while place < len(marks) and marks[place][0] <= until:
                    length = marks[place][1]
                    place += 1
                if not reads or length > reads[-1][1]:
                    reads.append((when, length))
        elif raw.head.length is not None:
            body, left = body[: raw.head.length], body[raw.head.length :]
        coding = next((value for name, value in headers if name == "content-encoding"), "")
        if coding.strip().lower() not in {"", "identity"}:
            body, reads, coded = _unpacked(coding, body, reads, whole=raw.error is None and not raw.cancelled)
            problem = problem or coded
        ending = (
            Ending.WHOLE if raw.error is None else Ending.CUT if raw.error in {"cut", "connection"} else Ending.LIMIT
        )
        url = f"{self._plan.url.rstrip('/')}{kind.path}"
        asked = Request(
            kind.method,
            url,
            (("content-type", "application/json"),),
            self._wording.body(raw.kind, raw.prompt, raw.said),
        )
        return Exchange(
            request=asked,
            status=raw.head.status,
            headers=headers,
            body=body,
            reads=tuple(reads),
            ending=Ending.CANCELLED if raw.cancelled else ending,
            left_over=left,
            elapsed=raw.ended - raw.sent,
            problem=problem or None,
            held=EVERYTHING - {Held.FRAMING} if left else EVERYTHING,
        )

    def _read(self, exchange: Exchange, made: Record) -> tuple[Generation | None, str]:
        """Return the generation of an answer and its text; note errors that came as events."""
        outputs, usages, details, text = Outputs(), [], NO_DETAILS, []
        finish: str | None = None
        for arrival, value in _values(exchange):
            pieces = read_pieces(value)
            outputs.add(arrival, pieces)
            text += [piece.text for piece in pieces]
            finish = next((piece.finish_reason for piece in pieces if piece.finish_reason), finish)
            if (usage := read_usage(value)) is not None:
                usages.append(usage)
            details = details.merge(read_usage_details(value))
            if isinstance(value, dict):
                made.answer_id = made.answer_id or (value["id"] if isinstance(value.get("id"), str) else None)
                if value.get("error") and made.error is None:
                    made.error, made.detail = "error event", cut(str(value["error"]), 200)
        usage = merge_usage(usages)
        told = usage is not None and usage.completion_tokens
        named = self._plan.prompts.tokenizer if not told else None
        counted = self._tokenizer(named).count("".join(text)) if named is not None and text else None
        generation = generation_of(
            outputs,
            started=made.sent,
            elapsed=exchange.elapsed,
            completion_tokens=usage.completion_tokens if usage else None,
            prompt_tokens=usage.prompt_tokens if usage else None,
            details=details,
            finish_reason=finish,
            counted=counted,
        )
        return generation, "".join(text)


def _values(exchange: Exchange) -> Iterator[tuple[float, Any]]:
    """Each decoded event with the time of the read that completed it; a whole answer at its end."""
    if not exchange.is_event_stream:
        yield exchange.elapsed, exchange.json
        return
    reads = iter(exchange.reads)
    when, until = next(reads, (exchange.elapsed, len(exchange.body)))
    for event in SSEDecoder().feed(exchange.body):
        while until < event.end:
            step = next(reads, None)
            if step is None:
                break
            when, until = step
        if event.data != "[DONE]":
            yield when, decode_json(event.data)


def _unpacked(
    coding: str, body: bytes, reads: list[tuple[float, int]], *, whole: bool
) -> tuple[bytes, list[tuple[float, int]], str]:
    """Return a body without its content codings, how much of it each read brought, and why that failed, if it did."""
    from InferenceLibrary.client.codings import CodingError, TooLarge, Unpacker

    found, out, place = [], bytearray(), 0
    try:
        unpacker = Unpacker(coding, _LARGEST)
        for when, until in reads:
            out += unpacker.feed(body[place:until])
            place = until
            found.append((when, len(out)))
        if whole:
            unpacker.close()
    except (CodingError, TooLarge) as error:
        return bytes(out), found, str(error)
    return bytes(out), found, ""


def _fill(made: Record, found: Generation, *, streamed: bool) -> None:
    made.first_token = found.time_to_first_token
    made.first_text = found.channels.get("text")
    made.first_reasoning = found.channels.get("reasoning")
    made.first_tool_call = found.channels.get("tool calls")
    made.second_token = found.time_to_second_token
    made.last_token = found.arrivals[-1]
    made.output_tokens, made.token_source = found.output_tokens, found.token_source
    made.prompt_tokens, made.cached_tokens = found.prompt_tokens, found.details.cached_tokens
    made.rate, made.no_rate = found.rate if streamed else (None, "an answer that came whole has no rate")
    made.held_back = made.no_rate is not None and made.no_rate.endswith("held them back")
    made.server_rate = found.details.tokens_per_second
    made.token_a_chunk = found.is_a_token_a_chunk
    made.finish_reason = found.finish_reason
    made.micros = array.array("I", [min(int(one * 1e6), 0xFFFFFFFF) for one in found.arrivals]).tobytes()
