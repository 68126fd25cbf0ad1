"""Keywords that put a server under load and judge the figures."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from assertionengine import AssertionOperator
from robot.api.deco import keyword

from InferenceLibrary.errors import CheckFailure, MonitorError, describe
from InferenceLibrary.keywords.shared.assertions import check_number, show
from InferenceLibrary.keywords.shared.base import KeywordGroup
from InferenceLibrary.types import JsonObject, seconds

if TYPE_CHECKING:
    from InferenceLibrary.load.plan import Rate
    from InferenceLibrary.load.result import LoadResult

_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:/\s*s)?")
_LIMIT = re.compile(r"\s*(\w+)\s*(<=|>=|==|!=|<|>)\s*(.+?)\s*")


class LoadKeywords(KeywordGroup):
    """Many requests by a schedule."""

    @keyword(tags=["performance"])
    def run_load(
        self,
        *,
        users: int | None = None,
        rate: str | None = None,
        poisson: bool = False,
        requests: int | None = None,
        duration: timedelta | None = None,
        warmup: int = 0,
        think: timedelta = timedelta(0),
        prompt: str | None = None,
        prompt_tokens: int = 32,
        shared_prefix: int = 0,
        max_tokens: int | None = None,
        stream: bool = True,
        model: str | None = None,
        extra: JsonObject = JsonObject(),  # noqa: B008 - read, never changed
        cancel: float = 0.0,
        judged: float = 1.0,
        max_error_rate: float | None = None,
        workers: int = 1,
        seed: int = 0,
        alias: str | None = None,
        server: Any = None,
    ) -> Any:
        """Send chats by a schedule and return what was measured.

        With `users`, so many users ask, wait and ask again. With `rate`, requests start on time whatever the server
        does. Processes of their own send them; the times of tokens are those of the kernel. Each answer is judged by
        the rules of the wire after the run: one that breaks a rule with level must counts as failed. Each request has
        a prompt of its own, because one prompt repeated measures a cache.

        Failed requests do not fail the keyword: [Load Should Meet] does. A run in which this client was the bottleneck
        says so, and fails there too. It needs a server at `http:`.

        Args:
            users: Number of users at the same time.
            rate: Requests a second, such as `5/s`; in place of `users`.
            poisson: Random gaps between the requests of `rate`, in place of even ones.
            requests: Number of requests that count.
            duration: How long requests are started.
            warmup: Number of requests before them that do not count.
            think: How long a user waits between an answer and the next question.
            prompt: What is asked, with some words of its own for each request; made of common words by default.
            prompt_tokens: About so many tokens has a made prompt.
            shared_prefix: About so many of them are the same in all prompts.
            max_tokens: Longest answer in tokens.
            stream: Whether answers are streamed.
            model: Model to ask for; the server's by default.
            extra: Further keys of the request, as a JSON object.
            cancel: Share of the requests, 0 to 1, that are broken off after their first output.
            judged: Share of the answers, 0 to 1, that are judged.
            max_error_rate: Share of failed requests, 0 to 1, at which the run stops early.
            workers: Number of processes that send.
            seed: Of prompts, arrivals and shares.
            alias: Name for later keywords.
            server: Alias, handle or object; None for the current one.

        Returns:
            The result: `${result.totals}`, `${result.errors}`, `${result.broken}`, `${result.doubts}`,
            `${result.records}`, and `${result.get("ttft_p99")}` in SI units.

        Raises:
            MonitorError: The load cannot be run.

        Example:
        ```robotframework
        *** Test Cases ***
        Ten Users
            Start Server    simulator    inter_token_latency=5 ms
            Run Load    users=10    requests=30    warmup=5    max_tokens=8
            Load Should Meet    failures == 0    ttft_p99 < 5 s
        ```
        """
        from InferenceLibrary.load.plan import Kind, LoadPlan, Prompts, Users
        from InferenceLibrary.load.run import run

        found = self.context.servers.get(server)
        if (users is None) == (rate is None):
            raise MonitorError(
                describe(
                    "A load needs a schedule",
                    expected="users= or rate=, one of them",
                    got="both" if users is not None else "neither",
                )
            )
        kind = Kind.chat(model=model or found.model, max_tokens=max_tokens, stream=stream, extra=extra)
        result = run(
            LoadPlan(
                url=found.base_url,
                schedule=Users(users, think.total_seconds()) if users is not None else _rate(rate or "", poisson),
                kinds=(kind,),
                prompts=Prompts((prompt,) if prompt else (), prompt_tokens, shared_prefix, seed=seed),
                requests=requests,
                duration=seconds(duration),
                warmup=warmup,
                headers=tuple(found.client.own_headers.items()),
                cancel=cancel,
                judged=judged,
                waivers=tuple(found.profile.waivers),
                models=found.client.listed,
                max_error_rate=max_error_rate,
                workers=workers,
                seed=seed,
                name=found.name,
                server_pids=() if found.pid is None else (found.pid,),
            ),
            lambda progress: self.log.console(f"{found.name}: {progress}") if progress.elapsed > 1 else None,
        )
        self.context.loads.add(result, alias)
        self.log.info(f"Load of {result}")
        for remark in result.remarks:
            self.log.info(f"Load of {found.name}: {remark}")
        return result

    @keyword(tags=["performance", "assertion"])
    def load_should_meet(self, *limits: str, result: Any = None) -> None:
        """Fail unless a load meets every limit.

        A limit is a figure, a comparison and a value. Figures of requests are `ttft`, `ttst`, `itl`, `gap`, `tpot`,
        `latency`, `scheduled_latency` (times) and `rate` (tokens per second), each with `_p50`, `_p99`, `_mean`,
        `_max` or the like. Totals are `failures`, `error_rate`, `requests_per_second`, `tokens_per_second`,
        `output_tokens`, `concurrency`, `held_back`, `delivered` and `repeated_ids`.

        Args:
            *limits: Such as `ttft_p99 < 300 ms`, `failures == 0`, `tokens_per_second >= 30`.
            result: Alias, handle or object; None for the latest one.

        Raises:
            CheckFailure: A limit is not met; the result cannot be trusted, because the client was the bottleneck.
            MonitorError: A limit cannot be read, or the load has no such figure.

        Example:
        ```robotframework
        *** Test Cases ***
        Fast And Right
            Start Server    simulator    inter_token_latency=5 ms
            Run Load    users=2    requests=10    max_tokens=8
            Load Should Meet    ttft_p99 < 5 s    failures == 0    tokens_per_second >= 1
        ```
        """
        found = self._load(result)
        if not limits:
            raise MonitorError(describe("A load is held to nothing", expected="limits such as 'ttft_p99 < 300 ms'"))
        if found.doubts:
            raise CheckFailure(
                describe(
                    f"The load of '{found.plan.name}' cannot be trusted",
                    expected="a client that is not the bottleneck",
                    got=found.doubts[0],
                    detail=("Doubts", found.doubts),
                )
            )
        missed, seen = [], []
        for limit in limits:
            match = _LIMIT.fullmatch(limit)
            if match is None:
                raise MonitorError(
                    describe("A limit cannot be read", expected="one such as 'ttft_p99 < 300 ms'", got=f"'{limit}'")
                )
            name, operator, expected = match.groups()
            value, unit = found.get(name), _unit_of(name)
            seen.append(f"{name} {show(value, unit)}")
            try:
                check_number(value, AssertionOperator[operator], expected, f"{name} of '{found.plan.name}'", unit)
            except CheckFailure as failure:
                missed.append(str(failure))
            except ValueError as error:
                raise MonitorError(f"The limit '{limit}' cannot be read. {error}") from None
        if missed:
            raise CheckFailure("\n".join([*missed, *_why(found)]))
        self.log.info(f"Load of '{found.plan.name}': {', '.join(seen)}")

    @keyword(tags=["performance", "getter"])
    def get_load_figure(
        self,
        figure: str,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
        *,
        result: Any = None,
    ) -> float:
        """Return a figure of a load, times in seconds.

        Args:
            figure: As in [Load Should Meet]: `ttft_p99`, `requests_per_second`.
            assertion_operator: Such as `<`.
            assertion_expected: Such as `500 ms`.
            message: Replaces the text of the failure.
            result: Alias, handle or object; None for the latest one.

        Raises:
            CheckFailure: The assertion does not hold.
            MonitorError: The load has no such figure.

        Example:
        ```robotframework
        *** Test Cases ***
        Requests A Second
            Start Server    simulator
            Run Load    users=2    requests=10    max_tokens=8
            Get Load Figure    requests_per_second    >    1
        ```
        """
        found = self._load(result)
        name = f"{figure} of '{found.plan.name}'"
        value = found.get(figure)
        return float(check_number(value, assertion_operator, assertion_expected, name, _unit_of(figure), message))

    def _load(self, ref: Any) -> LoadResult:
        return self.context.loads.get(ref)


def _rate(text: str, poisson: bool) -> Rate:
    from InferenceLibrary.load.plan import Rate

    match = _RATE.fullmatch(text.strip())
    if match is None:
        raise MonitorError(
            describe("A rate cannot be read", expected="requests a second, such as 5/s", got=f"'{text}'")
        )
    return Rate(float(match[1]), poisson)


def _unit_of(name: str) -> str:
    from InferenceLibrary.load.figures import FIGURES

    figure = FIGURES.get(name.rpartition("_")[0])
    return figure.unit if figure is not None else ""


def _why(found: LoadResult) -> list[str]:
    """What may explain a limit that was not met."""
    errors = [f"    {count} times {name}" for name, count in found.errors.items()]
    first = next((one.detail for one in found.measured if one.error and one.detail), None)
    if first is not None:
        errors.append(f"    the first: {first}")
    return [f"{found}", *(["Failures:", *errors] if errors else []), *(f"Remark: {one}" for one in found.remarks)]
