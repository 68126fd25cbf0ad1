"""Keywords for workers: jobs by `POST /execute`, answered by a stream of typed events."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, Literal

from robot.api.deco import keyword

from InferenceLibrary.client.answers import Reply
from InferenceLibrary.client.jobs import Job
from InferenceLibrary.errors import CheckFailure
from InferenceLibrary.keywords.shared.calling import CallGroup
from InferenceLibrary.keywords.shared.shared_arguments import SENDING, TRANSPORT, takes
from InferenceLibrary.protocol.statuses import Statuses
from InferenceLibrary.types import Texts, shown_kind, to_texts

_numbers = itertools.count(1)
_ACCEPTED = Statuses("2xx")


class WorkerKeywords(CallGroup):
    """Jobs of a worker and checks of their events."""

    @keyword(tags=["worker", "call"])
    @takes(SENDING)
    def execute_job(
        self,
        prompt: str,
        *,
        job_id: str | None = None,
        max_tokens: int = 16,
        temperature: float | None = None,
        seed: int | None = None,
        top_p: float | None = None,
        top_k: int | None = None,
        stop: Texts | None = None,
        cancel_after: int | None = None,
        allow_broken: bool = False,
        **options: Any,
    ) -> Job | Reply:
        """Have a worker run a job (`POST /execute`), read its events to the end and record them.

        Args:
            prompt: The text to continue.
            job_id: Id of the job; a new one by default.
            max_tokens: Longest answer in tokens.
            temperature: Sampling temperature.
            seed: Seed of the sampling.
            top_p: Nucleus sampling.
            top_k: How many tokens are considered; 0 for all.
            stop: One text or several at which generation stops.
            cancel_after: Ask the worker to cancel the job after so many tokens (`POST /cancel/...`), and go on
                reading: its last event must tell.
            allow_broken: Whether to return a job whose stream broke off instead of failing.

        Returns:
            The job: `${job.text}`, `${job.tokens}`, `${job.events}` (each with `.type`, `.data` and `.arrival` in
            seconds), `${job.started}`, `${job.end}`, `${job.error}`, `${job.stop_reason}` in lower case,
            `${job.time_to_first_token}`, `${job.gaps}` and `${job.elapsed}` in seconds, `${job.stream}`.

        Raises:
            RequestError: No answer in time, or another status than 200.
            StreamError: The answer is not an event stream, broke off, or ended without an `end` or `error` event.

        Example:
        ```robotframework
        *** Test Cases ***
        Five Tokens
            Start Server    worker
            ${job} =    Execute Job    Hello    max_tokens=5
            Job Should Have Completed    ${job}
            Token Count Should Be    ${job}    5
        ```
        """
        from InferenceLibrary.client.jobs import execute

        call = self._call(options, stream=True, allow_broken=allow_broken)
        given: dict[str, Any] = {"temperature": temperature, "seed": seed, "top_p": top_p, "top_k": top_k}
        given["stop"] = to_texts(stop) if stop else None
        body = self._body(prompt, job_id, max_tokens, given, call.question.extra)
        job = self._made(
            "job", call, lambda: execute(call.server.client, body, call.sending, cancel_after=cancel_after)
        )
        if isinstance(job, Job):
            self.log.debug("\n".join(str(event) for event in job.events[:200]))
        return job

    @keyword(tags=["worker", "call"])
    @takes(TRANSPORT)
    def cancel_job(
        self,
        job_id: str,
        *,
        by: Literal["path", "body"] = "path",
        **options: Any,
    ) -> Reply:
        """Ask a worker to cancel a job. Cancelling what is over or unknown is not an error: it is as good as cancelled.

        Args:
            job_id: Id of the job.
            by: `path` sends `POST /cancel/JOB_ID`, `body` sends `POST /cancel` with a JSON body.

        Returns:
            The reply.

        Raises:
            RequestError: No answer, or another status than expected: one from 200 to 299 by default; give
                `expected_status=2xx,404,405` where a worker need not have that route.

        Example:
        ```robotframework
        *** Test Cases ***
        Cancelling Twice Is No Error
            Start Server    worker
            Cancel Job    job-1
            ${reply} =    Cancel Job    job-1    by=body
            Should Be Equal As Integers    ${reply.status}    202
        ```
        """
        from InferenceLibrary.client.jobs import cancel

        call = self._call(options, success=_ACCEPTED)
        return self._made(f"cancel job {job_id}", call, lambda: cancel(call.server.client, job_id, call.sending, by=by))

    @keyword(tags=["worker", "assertion"])
    def job_events_should_be_in_order(self, job: Job) -> None:
        """Check the order of a job's events: `started`, then tokens and metrics, then one `end` or `error`, no more.

        Tokens must be numbered from 0 without a gap. An `event:` line, where there is one, must say what the JSON
        says. A job that failed before it started may have an `error` alone.

        Args:
            job: What [Execute Job] returned.

        Raises:
            CheckFailure: An event stands in the wrong place; the message says which.

        Example:
        ```robotframework
        *** Test Cases ***
        Order
            Start Server    worker
            ${job} =    Execute Job    Hello
            Job Events Should Be In Order    ${job}
        ```
        """
        from InferenceLibrary.keywords.shared.rule_groups import ORDER, TYPED, hold

        hold(self.context, f"Order of {job.job_id}", job, (*ORDER, *TYPED))

    @keyword(tags=["worker", "assertion"])
    def token_count_should_be(self, job: Job, expected: int) -> None:
        """Check how many tokens a job sent, and that its end says the same.

        Args:
            job: What [Execute Job] returned.
            expected: Tokens.

        Raises:
            CheckFailure: It sent more or fewer, or counts otherwise in its `end` event.

        Example:
        ```robotframework
        *** Test Cases ***
        Three Tokens
            Start Server    worker
            ${job} =    Execute Job    Hello    max_tokens=3
            Token Count Should Be    ${job}    3
        ```
        """
        sent = len(job.tokens)
        if sent != expected:
            raise CheckFailure(f"Tokens of {job.job_id}: expected {expected}, got {sent}, then {job.outcome}.")
        told = (job.end or {}).get("tokens_out", sent)
        if told != sent:
            raise CheckFailure(f"Tokens of {job.job_id}: expected tokens_out {sent} as sent, got {told}.")
        self.log.info(f"{job.job_id}: {sent} tokens.")

    @keyword(tags=["worker", "assertion"])
    def job_should_have_completed(self, job: Job, *, stop_reason: str | None = None) -> None:
        """Check that a job ended well: an `end` event, not cancelled, no error, the id and the count as they were.

        Args:
            job: What [Execute Job] returned.
            stop_reason: Why it must have ended; upper and lower case are the same.

        Raises:
            CheckFailure: It failed, was cancelled, broke off, or ended for another reason.

        Example:
        ```robotframework
        *** Test Cases ***
        Stop Sequence
            Start Server    worker
            ${job} =    Execute Job    Write JSON    max_tokens=100    stop=}
            Job Should Have Completed    ${job}    stop_reason=stop_sequence
            Should Be Equal    ${job.stop_sequence_matched}    }
        ```
        """
        end = job.end
        if end is None or job.stop_reason in {"cancelled", "error"}:
            raise CheckFailure(
                f"Job {job.job_id} did not complete: expected an end, got {job.outcome} after {len(job.tokens)} tokens."
            )
        started_as = (job.started or {}).get("job_id")
        if started_as != job.job_id:
            raise CheckFailure(f"Job {job.job_id}: expected its id in the started event, got {started_as!r}.")
        if end.get("tokens_out") != len(job.tokens):
            raise CheckFailure(
                f"Job {job.job_id}: expected tokens_out {len(job.tokens)} as sent, got {end.get('tokens_out')}."
            )
        if stop_reason is not None and job.stop_reason != stop_reason.lower():
            raise CheckFailure(
                f"Job {job.job_id}: expected stop reason {stop_reason}, got {job.stop_reason} after "
                f"{len(job.tokens)} tokens."
            )
        self.log.info(f"{job.job_id}: {job.outcome} after {len(job.tokens)} tokens.")

    @keyword(tags=["worker", "assertion"])
    def job_should_have_been_cancelled(self, job: Job) -> None:
        """Check that a job was cancelled and that its last event says so.

        Args:
            job: What [Execute Job] returned, with `cancel_after`.

        Raises:
            CheckFailure: It ended otherwise.

        Example:
        ```robotframework
        *** Test Cases ***
        Cancelled In The Middle
            Start Server    worker    inter_token_latency=20 ms
            ${job} =    Execute Job    Hello    max_tokens=500    cancel_after=3
            Job Should Have Been Cancelled    ${job}
        ```
        """
        if not job.was_cancelled:
            raise CheckFailure(
                f"Job {job.job_id} was not cancelled: expected stop reason or error code cancelled, got {job.outcome} "
                f"after {len(job.tokens)} tokens."
            )
        self.log.info(f"{job.job_id}: {job.outcome} after {len(job.tokens)} tokens.")

    def _body(
        self, prompt: str, job_id: str | None, max_tokens: int, given: dict[str, Any], extra: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        body: dict[str, Any] = {"job_id": job_id or f"job-{next(_numbers)}", "prompt": prompt, "max_tokens": max_tokens}
        body |= {name: value for name, value in given.items() if value is not None}
        return body | dict(extra or {})


def refuse_job(value: object) -> Job:
    """The job that a worker did.

    Its attributes, told on the page on what keywords return (docs/objects.md): `job_id`, `stream`, `cancel_reply`,
    `cancelled_after`, `exchange`, `events`, `types`, `tokens`, `text`, `started`, `end`, `error`, `stop_reason`,
    `stop_sequence_matched`, `was_cancelled`, `time_to_first_token`, `gaps`, `elapsed`, `headers`, `outcome`.
    """
    raise ValueError(f"Expected a job of Execute Job, got {shown_kind(value)}.")


CONVERTERS: dict[type, Any] = {Job: refuse_job}
"""What these keywords take besides the common types; the library registers it at Robot Framework."""
