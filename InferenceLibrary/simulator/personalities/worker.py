"""worker-orcd: one model, jobs by POST /execute, their tokens as typed events; both eras of its wire format."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from InferenceLibrary.simulator.answers.generation import Generator
from InferenceLibrary.simulator.answers.openai_requests import Ask
from InferenceLibrary.simulator.answers.tokens import count_tokens
from InferenceLibrary.simulator.core.delivery import deliver, head_bytes
from InferenceLibrary.simulator.core.draft import EVENT_STREAM, Draft, Event, chunk, event_bytes
from InferenceLibrary.simulator.personalities.worker_requests import Invalid, Job, Rejected, parse_body, read_job

if TYPE_CHECKING:
    from collections.abc import Iterator

    from InferenceLibrary.simulator.answers.engine import Output
    from InferenceLibrary.simulator.core.api_errors import ApiError
    from InferenceLibrary.simulator.core.app import App
    from InferenceLibrary.simulator.core.turn import Handler, Step, Turn
    from InferenceLibrary.simulator.personalities.worker_settings import WorkerSettings

_EXECUTE = "/execute"
_TEXT = "text/plain; charset=utf-8"
# Status of an HTTP error to its code, and whether a job may be sent again.
_CODES = {
    400: ("INVALID_REQUEST", False),
    404: ("NOT_FOUND", False),
    405: ("INVALID_REQUEST", False),
    408: ("INFERENCE_TIMEOUT", True),
    413: ("INVALID_REQUEST", False),
    499: ("CANCELLED", False),
    503: ("WORKER_UNHEALTHY", True),
    507: ("VRAM_OOM", True),
}
# Codes that say more than their status; the rest of the codes of devices, models and kernels go with 500.
_RETRIABLE = {
    "VRAM_OOM",
    "INSUFFICIENT_VRAM",
    "WORKER_UNHEALTHY",
    "INFERENCE_TIMEOUT",
    "TIMEOUT",
    "CUDA_ERROR",
    "INTERNAL",
}
_UUID_LENGTHS = (8, 4, 4, 4, 12)


class Worker:
    """`--as worker`."""

    generating = frozenset({_EXECUTE})
    open_paths = frozenset({"/health"})

    def __init__(self, app: App) -> None:
        self.app = app
        self.settings = cast("WorkerSettings", app.settings)
        self._load_model()
        # The limits of the worker are those of POST /execute; the engine's own must never come before them.
        self.settings.max_model_len = max(self.settings.max_model_len, 1 << 17)
        self.generator = Generator(app)
        self.jobs: dict[str, list[Turn]] = {}
        app.header_sources.append(self._correlation)
        self.routes: dict[str, dict[str, Handler]] = {
            "/health": {"GET": self.health},
            _EXECUTE: {"POST": self.execute},
            "/cancel": {"POST": self.cancel},
            "/cancel/*": {"POST": self.cancel},
            "/shutdown": {"POST": self.shutdown},
        }

    def _load_model(self) -> None:
        """Refuse a model file that does not exist or is not a GGUF file; a mere name needs no file."""
        from InferenceLibrary.simulator.core.settings import StartError

        model = self.settings.model
        if self.settings.stub_mode or not ("/" in model or model.endswith(".gguf")):
            return
        try:
            with Path(model).open("rb") as file:
                magic = file.read(4)
        except OSError as error:
            raise StartError(f"failed to load model '{model}': {error.strerror}") from None
        if magic != b"GGUF":
            raise StartError(f"failed to load model '{model}': invalid GGUF magic {magic.hex() or 'nothing'}")

    def error(self, error: ApiError, path: str = "") -> Draft:
        if isinstance(error, Invalid):
            return Draft(400, body={"errors": error.errors})
        from_body = path == _EXECUTE and error.status in {400, 415} and error.kind is None
        if isinstance(error, Rejected) or from_body:
            return Draft(error.status, content_type=_TEXT, body=error.message.encode("utf-8", "replace"))
        if error.status in {404, 405} and error.kind is None:
            return Draft(error.status)
        code, retriable = _CODES.get(error.status, ("INTERNAL", True))
        if error.kind is not None:
            code, retriable = error.kind, error.kind in _RETRIABLE
        body = {"code": code, "message": error.message, "retriable": retriable}
        return Draft(error.status, body=body)

    def error_event(self, message: str, code: str = "") -> Event:
        """Return the event that ends a job which failed in its middle."""
        return self._event("error", code=code or "INFERENCE_FAILED", message=message)

    def before(self, turn: Turn) -> bool:
        turn.json = parse_body(turn.request)
        return False

    def _correlation(self, turn: Turn) -> tuple[tuple[str, str], ...]:
        given = turn.request.headers.get("x-correlation-id", "")
        parts = given.split("-")
        hexadecimal = all(char in "0123456789abcdefABCDEF" for part in parts for char in part)
        if tuple(map(len, parts)) != _UUID_LENGTHS or not hexadecimal:
            text = f"{self.app.chance.bits():016x}{self.app.chance.bits():016x}"
            given = f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"
        return (("X-Correlation-ID", given),)

    def health(self, turn: Turn) -> None:
        settings = self.settings
        body = {"status": "healthy", "worker_id": settings.worker_id, "vram_bytes": settings.vram_bytes}
        deliver(turn, Draft(body=body))

    def execute(self, turn: Turn) -> None:
        job = read_job(turn.json)
        ask = Ask(
            model=self.settings.model,
            prompts=[job.prompt],
            prompt_tokens=count_tokens(job.prompt),
            echo_text=job.prompt,
            stream=True,
            max_tokens=job.max_tokens,
            seed=job.seed,
            temperature=job.temperature,
            # A worker under test generates as many tokens as it is asked for, so that they can be counted.
            ignore_eos=True,
        )
        whole = self.generator.outputs(turn, ask)[0]
        ask.stop = job.stop
        output = self.generator.outputs(turn, ask)[0] if job.stop else whole
        matched = _matched(whole.text, job.stop)
        self.generator.note(turn, ask, output, "job-")
        turn.id = job.job_id
        self.jobs.setdefault(job.job_id, []).append(turn)
        turn.at_end(self._forget)
        self.app.when_free(turn, lambda: self._send(turn, job, ask, output, matched))

    def _forget(self, turn: Turn) -> None:
        running = self.jobs.get(turn.id, [])
        if turn in running:
            running.remove(turn)
        if not running:
            self.jobs.pop(turn.id, None)

    def _send(self, turn: Turn, job: Job, ask: Ask, output: Output, matched: str | None) -> None:
        turn.status = 200
        first, gaps = self.generator.times(turn, ask, output.count)
        waits = [gaps] * max(0, output.count - 1) if isinstance(gaps, float) else gaps
        events = [self._event("started", job_id=job.job_id, model=self.settings.model, started_at=_now())]
        spent = 0.0
        for index, token in enumerate(output.tokens):
            event = self._event("token", t=token, i=index)
            event.kind, event.tokens = "token", 1
            event.delay = waits[index - 1] if index else first
            spent += event.delay
            events.append(event)
            every = self.settings.metrics_every
            if every and (index + 1) % every == 0:
                events.append(self._metrics(index + 1, spent))
        end: dict[str, Any] = {"tokens_out": output.count, "decode_time_ms": round(spent * 1000)}
        end["stop_reason"] = self._stop_reason(output, matched)
        if matched is not None:
            end["stop_sequence_matched"] = matched
        events.append(self._event("end", **end))
        draft = Draft(content_type=EVENT_STREAM, headers=[("Cache-Control", "no-cache")], events=events)
        if turn.scripted is not None:
            turn.scripted.change(draft)
        deliver(turn, draft)

    def _event(self, kind: str, **fields: Any) -> Event:
        """Return an event in the form of the era."""
        return Event({"type": kind, **fields}, kind, name=kind if self.settings.era == "seed" else "")

    def _metrics(self, tokens: int, spent: float) -> Event:
        speed = round(tokens / spent, 2) if spent else 0.0
        return self._event("metrics", tokens_per_sec=speed, vram_bytes=self.settings.vram_bytes)

    def _stop_reason(self, output: Output, matched: str | None) -> str:
        if matched is not None:
            reason = "stop_sequence"
        elif output.finish == "length":
            reason = "max_tokens"
        else:
            # The first era has no word for a model that ended by itself, and says this.
            reason = "max_tokens" if self.settings.era == "seed" else "eos"
        return reason if self.settings.era == "seed" else reason.upper()

    def cancel(self, turn: Turn) -> None:
        """End a job: its stream gets an error event at once. A job that is over or unknown is as good as cancelled."""
        path = turn.request.path
        if path == "/cancel":
            data = parse_body(turn.request)
            if not isinstance(data.get("job_id"), str):
                raise Rejected(422, "Failed to deserialize the JSON body into the target type: missing field `job_id`")
            job_id = data["job_id"]
        else:
            job_id = path.removeprefix("/cancel/")
        for job in list(self.jobs.get(job_id, ())):
            self._break_off(job)
        deliver(turn, Draft(202, body={"job_id": job_id, "status": "cancelled"}))

    def shutdown(self, turn: Turn) -> None:
        """End the process as TERM does: after the open answers."""
        import os
        import signal

        deliver(turn, Draft(202, body={"status": "shutting_down"}))
        os.kill(os.getpid(), signal.SIGTERM)

    def _break_off(self, turn: Turn) -> None:
        error = self._event("error", code="CANCELLED", message="Job cancelled by client")
        turn.replace(self._last_words(turn, error, turn.status == 0))

    def _last_words(self, turn: Turn, event: Event, waits: bool) -> Iterator[Step]:
        """Yield the end of a cancelled stream, and its head when the job still waits for its place."""
        draft = Draft(content_type=EVENT_STREAM, framing="close" if turn.request.version == "1.0" else "chunked")
        data = event_bytes(event)
        if waits:
            turn.status = 200
            yield head_bytes(turn, draft, None)
        yield data if draft.framing == "close" else chunk(data) + b"0\r\n\r\n"
        yield _end_as_cancelled


def _end_as_cancelled(turn: Turn) -> bool:
    turn.finish("cancelled")
    return True


def _matched(text: str, stops: list[str]) -> str | None:
    """Return the stop sequence that comes first in the text."""
    found = [(place, stop) for stop in stops if (place := text.find(stop)) >= 0]
    return min(found)[1] if found else None


def _now() -> str:
    return datetime.now(UTC).isoformat()
