"""Keywords that put a server under load and judge the figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from assertionengine import AssertionOperator
from robot.api.deco import keyword

from InferenceLibrary.errors import CheckFailure, MonitorError, describe
from InferenceLibrary.keywords.shared.assertions import check_number
from InferenceLibrary.keywords.shared.load_plans import LOAD, SCHEDULE, TRACE, LoadGroup, plan_of, schedule_of
from InferenceLibrary.keywords.shared.shared_arguments import takes
from InferenceLibrary.types import Texts

if TYPE_CHECKING:
    from InferenceLibrary.load.result import LoadResult


class LoadKeywords(LoadGroup):
    """Many requests by a schedule."""

    @keyword(tags=["performance"])
    @takes(SCHEDULE, TRACE, LOAD)
    def run_load(
        self,
        *,
        users: int | None = None,
        rate: str | None = None,
        max_error_rate: float | None = None,
        stop_when: Texts | None = None,
        save_as: Path | None = None,
        alias: str | None = None,
        server: Any = None,
        **options: Any,
    ) -> Any:
        """Send chats by a schedule and return what was measured.

        With `users`, so many users ask, wait and ask again. With `rate`, requests start on time whatever the server
        does. Processes of their own send them; the times of tokens are those of the kernel. Each answer is judged by
        the rules of the wire after the run: one that breaks a rule with level must counts as failed. Each request has
        a prompt of its own, because one prompt repeated measures a cache.

        Failed requests do not fail the keyword: [Load Should Meet] does. A run in which this client was the bottleneck
        says so, and fails there too. Servers are reached as calls reach them, by TLS too, but not through a proxy.

        Args:
            users: Number of users at the same time.
            rate: Requests a second, such as `5/s`, or `1/s to 10/s` with `ramp`; in place of `users`.
            max_error_rate: Share of failed calls, 0 to 1, at which the run stops early; [Load Should Meet] then fails.
            stop_when: Condition on the last hundred requests at which the run ends early, such as `ttft_p99 > 2 s`, or
                `error_rate > 10 %` of answers that are judged; [Load Should Meet] then fails.
            save_as: Folder for `summary.json`, the baseline of later runs, and a row for each request in
                `requests.jsonl` and `requests.csv`.
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
        from InferenceLibrary.load.run import run

        found = self.context.servers.get(server)
        plan = plan_of(found, schedule_of(users, rate, options), options, max_error_rate=max_error_rate)
        watch = None
        if stop_when is not None:
            from InferenceLibrary.keywords.shared.load_limits import check_names, read_limits, stopped_by

            conditions = read_limits(stop_when, "ttft_p99 > 2 s")
            check_names(conditions)
            watch = stopped_by(conditions)
        result = self.interruptible(lambda: run(plan, self.progress_of(found.name), watch), alias)
        # Imported late: what comes before the first request keeps it waiting.
        from InferenceLibrary.keywords.shared.test_facts import note_load

        result.server_ended = self.end_of(found)
        self.context.loads.add(result, alias)
        note_load(self.context, found, result)
        self.told(result)
        self.log.metadata(f"Load of {found.name}", str(result))
        if save_as is not None:
            result.save(save_as, self.context.redactor)
            self.log.file(f"Load of {found.name}", save_as / "summary.json")
        return result

    @keyword(tags=["performance", "assertion"])
    def load_should_meet(self, *limits: str, result: Any = None) -> None:
        """Fail unless a load meets every limit.

        A limit is a figure, a comparison and a value. Figures of requests are `ttft` (and that of a channel alone:
        `ttft_text`, `ttft_reasoning`, `ttft_tool_call`), `ttst`, `itl`, `gap`, `tpot`,
        `latency`, `scheduled_latency` (times) and `rate` (tokens per second), each with `_p50`, `_p99`, `_mean`,
        `_max` or the like. Totals are `failures`, `error_rate`, `requests_per_second`, `tokens_per_second`,
        `output_tokens`, `concurrency`, `held_back`, `delivered` and `repeated_ids`.

        In a long load nothing should become worse: `ttft_drift < 10 %` is the rise of its values from the first quarter
        of the load to the last, `error_rate_drift <= 1 %` that of the share of failures.

        Args:
            *limits: Such as `ttft_p99 < 300 ms`, `failures == 0`, `tokens_per_second >= 30`.
            result: Alias, handle or object; None for the latest one.

        Raises:
            CheckFailure: A limit is not met, or the load has no such figure; a condition (`stop_when`,
                `max_error_rate`) ended it early; the result cannot be trusted, because the client was the bottleneck.
            MonitorError: A limit cannot be read.

        Example:
        ```robotframework
        *** Test Cases ***
        Fast And Right
            Start Server    simulator    inter_token_latency=5 ms
            Run Load    users=2    requests=10    max_tokens=8
            Load Should Meet    ttft_p99 < 5 s    failures == 0    tokens_per_second >= 1
        ```
        """
        from InferenceLibrary.keywords.shared.load_limits import check_names, read_limits

        found, wanted = self.load(result), read_limits(limits)
        check_names(wanted)
        failures, seen = [], []
        try:
            self.refuse_doubts(found)
        except CheckFailure as doubted:
            failures.append(str(doubted))  # what the server did wrong is told all the same
        if found.broken_off is not None:
            failures.append(describe(f"The load of '{found.name}' ended early", got=found.broken_off))
        for limit in wanted:
            try:
                seen.append(limit.check(found))
            except (CheckFailure, MonitorError) as failure:
                failures.append(str(failure))
        if failures:
            raise CheckFailure("\n".join([*failures, *_why(found)]))
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
            CheckFailure: The assertion does not hold, or is on a load that cannot be trusted.
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
        from InferenceLibrary.keywords.shared.load_limits import unit_of

        found = self.load(result)
        name = f"{figure} of '{found.plan.name}'"
        if assertion_operator is not None:
            self.refuse_doubts(found)
        value = found.get(figure)
        return float(check_number(value, assertion_operator, assertion_expected, name, unit_of(figure), message))

    @keyword(tags=["performance", "getter"])
    def get_load_goodput(
        self,
        *limits: str,
        result: Any = None,
    ) -> float:
        """Return how many requests a second kept all limits: the goodput.

        A request that failed, or that lacks a figure, kept none.

        Args:
            *limits: Such as `ttft < 500 ms`, `tpot < 50 ms`, `latency < 10 s`: figures of one request, as in
                [Load Should Meet], without a percentile. Of several values of a request the worst counts.
            result: Alias, handle or object; None for the latest one.

        Raises:
            MonitorError: A limit cannot be read, or requests have no such figure.

        Example:
        ```robotframework
        *** Test Cases ***
        Goodput
            Start Server    simulator    inter_token_latency=5 ms
            Run Load    users=2    requests=10    max_tokens=8
            ${goodput} =    Get Load Goodput    ttft < 5 s    latency < 10 s
            Should Be True    ${goodput} > 1
        ```
        """
        from InferenceLibrary.keywords.shared.load_limits import read_limits, unit_of
        from InferenceLibrary.load.figures import figure_of

        found = self.load(result)
        most: dict[str, float] = {}
        for limit in read_limits(limits, "ttft < 500 ms"):
            if str(limit.operator.value) not in {"<", "<="}:
                raise MonitorError(describe("A limit of goodput cannot be read", expected="<", got=f"'{limit}'"))
            figure_of(limit.figure)
            value = limit.value(unit_of(f"{limit.figure}_max"))
            most[limit.figure] = min(value, most.get(limit.figure, value))
        if found.doubts:
            self.log.warn(f"The load of '{found.name}' cannot be trusted: {found.doubts[0]}")
        value = found.goodput(**most)
        self.log.info(f"Goodput of '{found.name}': {value:.4g} requests/s of {found.totals['requests_per_second']:.4g}")
        return value


def _why(found: LoadResult) -> list[str]:
    """What may explain a limit that was not met."""
    errors = [f"    {count} times {name}" for name, count in found.errors.items()]
    if (first := found.tally.first_failure) is not None:
        errors.append(f"    the first: {first.detail}")
    return [f"{found}", *(["Failures:", *errors] if errors else []), *(f"Remark: {one}" for one in found.remarks)]
