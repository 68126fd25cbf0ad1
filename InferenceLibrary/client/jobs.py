"""Jobs of a worker: one prompt by `POST /execute`, answered by a stream of typed events.

The events are those of worker-orcd: `started`, then `token` and `metrics`, then exactly one `end` or `error`. Their
type stands in the JSON, and in the first era in the `event:` line too, with stop reasons in lower case.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from InferenceLibrary.client.answers import Reply, shorten
from InferenceLibrary.durations import milliseconds
from InferenceLibrary.errors import InferenceError, StreamError, describe

if TYPE_CHECKING:
    from InferenceLibrary.client.http import Client
    from InferenceLibrary.client.sending import Sending
    from InferenceLibrary.client.streams import Chunk, Stream
    from InferenceLibrary.protocol.exchange import Exchange

EXECUTE = "/execute"
CANCEL = "/cancel"
TERMINAL = ("end", "error")
"""Types of the events that end a job."""


class JobEvent:
    """One event of a job."""

    def __init__(self, chunk: Chunk) -> None:
        self.chunk = chunk
        self.arrival = chunk.arrival
        """Seconds since the job was sent."""
        self.data: dict[str, Any] = chunk.json if isinstance(chunk.json, dict) else {}
        self.name = chunk.event.event if chunk.event.event != "message" else None
        """What the `event:` line says, None when there is none."""
        self.type = str(self.data.get("type") or self.name or ("done" if chunk.is_done else "unknown"))
        """`started`, `token`, `metrics`, `end`, `error`; `done` for a closing `[DONE]`."""

    def __str__(self) -> str:
        return str(self.chunk)

    __repr__ = __str__


class Job:
    """One job as it was answered."""

    def __init__(self, job_id: str, stream: Stream) -> None:
        self.job_id = job_id
        self.stream = stream
        """The recorded stream, with its raw bytes."""
        self.cancel_reply: Reply | None = None
        """What the worker answered to the request to cancel, when there was one."""
        self.cancelled_after: float | None = None
        """Seconds from the request to cancel until the stream had ended."""

    @property
    def exchange(self) -> Exchange:
        """The record of the call."""
        return self.stream.exchange

    @property
    def events(self) -> list[JobEvent]:
        return [JobEvent(chunk) for chunk in self.stream.chunks]

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.events]

    @property
    def tokens(self) -> list[str]:
        """The texts of the tokens."""
        return [str(event.data.get("t", "")) for event in self.events if event.type == "token"]

    @property
    def text(self) -> str:
        return "".join(self.tokens)

    @property
    def started(self) -> dict[str, Any] | None:
        """What the `started` event says."""
        return self._first("started")

    @property
    def end(self) -> dict[str, Any] | None:
        """What the `end` event says: `tokens_out`, `decode_time_ms`, `stop_reason`."""
        return self._first("end")

    @property
    def error(self) -> dict[str, Any] | None:
        """What the `error` event says: `code` and `message`."""
        return self._first("error")

    @property
    def stop_reason(self) -> str | None:
        """Why the job ended, in lower case, whatever the era of the worker: max_tokens, stop_sequence, eos."""
        reason = (self.end or {}).get("stop_reason")
        return None if reason is None else str(reason).lower()

    @property
    def stop_sequence_matched(self) -> str | None:
        return (self.end or {}).get("stop_sequence_matched")

    @property
    def was_cancelled(self) -> bool:
        """Whether the worker says that it was cancelled."""
        return self.stop_reason == "cancelled" or str((self.error or {}).get("code")).upper() == "CANCELLED"

    @property
    def time_to_first_token(self) -> float | None:
        """Seconds from the sending of the job to its first token."""
        return self.stream.time_to_first_token

    @property
    def gaps(self) -> list[float]:
        """Seconds between neighbouring tokens."""
        return self.stream.gaps

    @property
    def elapsed(self) -> float:
        """Seconds that the whole job took."""
        return self.stream.elapsed

    @property
    def headers(self) -> dict[str, str]:
        return self.stream.headers

    def _first(self, kind: str) -> dict[str, Any] | None:
        return next((event.data for event in self.events if event.type == kind), None)

    @property
    def outcome(self) -> str:
        """How it ended, in a few words."""
        if self.was_cancelled:
            return "cancelled"
        if self.error is not None:
            return f"error {self.error.get('code')}: {self.error.get('message')}"
        return self.stop_reason or self.stream.broken or "no end"

    def __str__(self) -> str:
        first = milliseconds(self.time_to_first_token)
        shown = self.stream.redact(shorten(self.text))
        return (
            f"job {self.job_id} in {milliseconds(self.elapsed)}: {shown!r} "
            f"({len(self.tokens)} tokens, first after {first}, {self.stream.redact(self.outcome)})"
        )

    __repr__ = __str__


def improper_end(stream: Stream) -> str | None:
    """Return what is wrong with the end of a job's stream whose bytes came whole. An error event is a proper end."""
    from InferenceLibrary.protocol.sse import Oddity

    if any(note.oddity is Oddity.TRUNCATED for note in stream.notes):
        return "an end inside an event"
    if not stream.chunks:
        return "an end without any event"
    types = [JobEvent(chunk).type for chunk in stream.chunks]
    if not any(kind in (*TERMINAL, "done") for kind in types):
        return f"an end without an end or error event, the last one was {types[-1]}"
    return None


def execute(client: Client, body: dict[str, Any], sending: Sending, *, cancel_after: int | None = None) -> Job | Reply:
    """Run a job to its end; a refusal that is expected is returned as it is.

    Args:
        client: Client of the worker.
        body: The request; `job_id` is read from it.
        sending: How it is sent.
        cancel_after: Ask the worker to cancel the job after so many tokens, and go on reading.

    Raises:
        RequestError: No answer, or another status than the expected one.
        StreamError: The stream broke off, or ended without an `end` or `error` event; or the job was over before it
            could be cancelled.
    """
    if cancel_after is None:
        answer = client.record(EXECUTE, body, sending, improper_end)
        return answer if isinstance(answer, Reply) else Job(str(body.get("job_id")), answer)
    return _execute_and_cancel(client, body, sending, cancel_after)


def _execute_and_cancel(client: Client, body: dict[str, Any], sending: Sending, cancel_after: int) -> Job | Reply:
    """Read the stream in another thread, so that the request to cancel goes out while the job runs."""
    from InferenceLibrary.client.cancellation import Cancellation
    from InferenceLibrary.client.sending import ANY_STATUS
    from InferenceLibrary.deadline import Deadline, wait_until

    cancellation = Cancellation()
    begun: list[Stream] = []
    results: list[Stream | Reply | InferenceError] = []
    watched = sending._replace(allow_broken=True, cancellation=cancellation, watch=begun.append)

    def read() -> None:
        try:
            results.append(client.record(EXECUTE, body, watched, improper_end))
        except InferenceError as error:
            results.append(error)

    deadline = Deadline((sending.limits or client.stream_limits or client.limits).total + 1.0)
    threading.Thread(target=read, daemon=True).start()
    reply: Reply | None = None
    asked = 0.0
    try:
        wait_until(
            lambda: bool(results) or bool(begun and len(begun[0].tokens) >= cancel_after), deadline, longest=0.005
        )
        if not results:
            asked = time.perf_counter()
            reply = cancel(client, str(body.get("job_id")), ANY_STATUS)
            wait_until(lambda: bool(results), deadline, longest=0.005)
    finally:
        if not results:
            cancellation.cancel()
    wait_until(lambda: bool(results), 1.0)
    result = results[0] if results else begun[0]
    if isinstance(result, InferenceError):
        raise result
    if isinstance(result, Reply):
        return result
    job = Job(str(body.get("job_id")), result)
    job.cancel_reply = reply
    if reply is None:
        got = f"{len(job.tokens)} tokens and then {job.outcome}"
        text = describe(
            f"Job {job.job_id} was over before it could be cancelled",
            expected=f"more than {cancel_after} tokens",
            got=got,
            hint="give it more max_tokens, or a slower worker.",
        )
        raise StreamError(text, stream=result)
    job.cancelled_after = time.perf_counter() - asked
    if result.broken and not sending.allow_broken:
        text = describe(
            f"The stream of the cancelled job {job.job_id} broke off",
            expected="an end or error event",
            got=f"{result.broken} after {len(result.chunks)} events",
            after=result.elapsed,
        )
        raise StreamError(text, event_index=len(result.chunks), stream=result)
    return job


def cancel(client: Client, job_id: str, sending: Sending, *, by: str = "path") -> Reply:
    """Ask a worker to cancel a job: `POST /cancel/JOB_ID`, or `POST /cancel` with the id in the body.

    Raises:
        RequestError: No answer, or another status than the expected one.
    """
    path, body = (CANCEL, {"job_id": job_id}) if by == "body" else (f"{CANCEL}/{job_id}", None)
    return client.send("POST", path, body, sending)
