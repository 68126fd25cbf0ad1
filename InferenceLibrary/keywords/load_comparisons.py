"""Keywords that search the largest load and compare loads with earlier ones and with other servers."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot.api.deco import keyword

from InferenceLibrary.errors import CheckFailure, MonitorError, describe
from InferenceLibrary.keywords.shared.assertions import show
from InferenceLibrary.keywords.shared.load_plans import LOAD, SCHEDULE, TRACE, LoadGroup, plan_of, schedule_of
from InferenceLibrary.keywords.shared.shared_arguments import takes

if TYPE_CHECKING:
    from InferenceLibrary.load.compare import Comparison
    from InferenceLibrary.load.sweep import SweepStep


class LoadComparisonKeywords(LoadGroup):
    """What one load alone does not tell."""

    @keyword(tags=["performance"])
    @takes(SCHEDULE, LOAD)
    def find_max_load(
        self,
        *limits: str,
        users: int | None = None,
        rate: str | None = None,
        most: float | None = None,
        precision: float = 0.1,
        at_least: float | None = None,
        alias: str | None = None,
        server: Any = None,
        **options: Any,
    ) -> Any:
        """Find the largest load that keeps all limits.

        The load is doubled until it breaks a limit; then the interval between the last that kept them and the first
        that did not is halved until it is narrow enough. Requests that fail break the limits too, unless one of them
        is on `failures` or `error_rate`. A load in which this client was the bottleneck is run once more; when it is
        that again, the search ends there and says so: the server may hold more.

        Args:
            *limits: As in [Load Should Meet], such as `ttft_p99 < 500 ms`.
            users: Number of users to begin with; 1 by default.
            rate: Requests a second to begin with, in place of `users`.
            most: The largest load that is tried: users, or requests a second. 256 users, or 64 times the first rate.
            precision: How narrow the interval must be, relative to the load.
            at_least: The check fails where the server holds less.
            alias: Name of the load that was found, for later keywords.
            server: Alias, handle or object; None for the current one.

        Returns:
            What was found: `${found.level}` in `${found.unit}` (`users` or `requests/s`), `${found.best.result}`,
            `${found.steps}` with all loads, `${found.doubt}`.

        Raises:
            CheckFailure: Not even the first load keeps the limits, or the server holds less than `at_least`.
            MonitorError: A limit cannot be read, or the loads cannot be run.

        Example:
        ```robotframework
        *** Test Cases ***
        So Many Users
            Start Server    simulator    inter_token_latency=1 ms
            ${found} =    Find Max Load    ttft_p99 < 5 s    most=4    requests=8    max_tokens=4    at_least=2
            Log    ${found.level} users
        ```
        """
        from InferenceLibrary.keywords.shared.load_limits import check_names, missed, read_limits
        from InferenceLibrary.keywords.shared.test_facts import note_load
        from InferenceLibrary.load.pictures import sweep_picture
        from InferenceLibrary.load.plan import Rate
        from InferenceLibrary.load.sweep import MaxLoad, find_max, knee

        found = self.context.servers.get(server)
        wanted = read_limits(limits)
        check_names(wanted)
        if not {limit.figure for limit in wanted} & {"failures", "error_rate"}:
            wanted = [*wanted, *read_limits(["failures == 0"])]
        if users is not None and rate is not None:
            raise MonitorError(describe("A search needs one kind of load", expected="users= or rate=", got="both"))
        schedule = schedule_of(users or (1 if rate is None else None), rate, options)
        if isinstance(schedule, Rate) and schedule.end_rate is not None:
            raise MonitorError(
                describe(
                    "A search raises the rate itself", expected="the rate to begin with, such as 5/s", got=f"'{rate}'"
                )
            )
        first = schedule.rate if isinstance(schedule, Rate) else float(users or 1)
        largest = most if most is not None else 64 * first if rate is not None else max(256.0, first)

        unit = "users" if rate is None else "requests/s"
        steps: list[SweepStep] = []

        def told(step: SweepStep) -> None:
            steps.append(step)
            broken = "" if step.kept else "; " + "; ".join([*step.result.doubts[:1], *missed(step.result, wanted)])
            note_load(self.context, found, step.result)
            self.log.progress(f"{step.result}{broken}")

        plan = plan_of(found, schedule, options)
        try:
            most_held = self.interruptible(
                lambda: find_max(
                    plan, first, largest, lambda one: not missed(one, wanted), precision=precision, told=told
                )
            )
        except BaseException:
            # What was found until an interruption is kept, as that of a load is.
            if steps:
                rising = tuple(sorted(steps, key=lambda step: step.level))
                self.keep_figures(f"rising loads of {found.name}", MaxLoad(unit, rising, largest).facts(found.name))
            raise
        self.log.info(f"Largest load of {found.name}: {most_held}")
        self.log.metadata(f"Largest load of {found.name}", str(most_held))
        self.draw(
            f"rising loads of {found.name}",
            sweep_picture(found.name, most_held.unit, most_held.steps, knee(most_held.steps)),
        )
        self.keep_figures(f"rising loads of {found.name}", most_held.facts(found.name))
        if most_held.best is not None:
            self.context.loads.add(most_held.best.result, alias)
        if most_held.level < (at_least or 0) or most_held.best is None:
            broken = most_held.broken
            why = [*broken.result.doubts[:1], *missed(broken.result, wanted)] if broken else []
            expected = f"{at_least:g}" if at_least else f"{first:g}"
            raise CheckFailure(
                describe(
                    f"Server '{found.name}' does not hold its load",
                    expected=f"{expected} {most_held.unit} or more within {', '.join(map(str, wanted))}",
                    got=f"{most_held.level:g}" if most_held.best else "not even these",
                    detail=(f"At {broken.level:g} {most_held.unit}", [*why, str(broken.result)]) if broken else None,
                )
            )
        return most_held

    @keyword(tags=["performance", "assertion"])
    def compare_with_baseline(
        self,
        baseline: Path,
        *,
        tolerance: str | float = 0.1,
        percentile: float = 50,
        figures: str | None = None,
        undecided: bool = False,
        result: Any = None,
    ) -> Any:
        """Fail when a load is slower than an earlier one, beyond a tolerance and beyond chance.

        The test: the ratio of a percentile, now over before, with its bootstrap interval at 95 %. A figure is worse (or
        better) when the whole interval lies beyond the tolerance, the same when all of it lies within; else the samples
        cannot tell, and more requests would. The log has, for each figure, the smallest change that would have been
        seen. A baseline of another machine or version is compared too, and the log warns. The times are those of
        requests that succeeded, so a load of which more failed than of the baseline, beyond chance, is worse too.

        Args:
            baseline: The folder that [Run Load] had as `save_as`, or its `summary.json`.
            tolerance: Share by which a figure may be worse: `10 %` or 0.1.
            percentile: Which percentile is compared, 0 to 100.
            figures: Which figures, by the names of [Load Should Meet] without a percentile, separated by commas; those
                of `ttft`, `latency` and `rate` that the baseline has by default.
            undecided: Whether a figure of which the samples cannot tell passes, and a baseline that cannot be trusted.
            result: Alias, handle or object; None for the latest one.

        Returns:
            A list of comparisons: `${one.figure}`, `${one.verdict}` (`better`, `same`, `worse`, `cannot tell`),
            `${one.ratio}` with `estimate`, `low` and `high`, `${one.visible}`.

        Raises:
            CheckFailure: A figure is worse, or more requests fail; the samples cannot tell; the load or its baseline
                cannot be trusted.
            MonitorError: There is no baseline, it is not one, or a figure is not in both.

        Example:
        ```robotframework
        *** Test Cases ***
        As Fast As Before
            Start Server    simulator    time_to_first_token=20 ms
            Run Load    users=1    requests=20    save_as=${OUTPUT_DIR}/baseline
            Run Load    users=1    requests=20
            Compare With Baseline    ${OUTPUT_DIR}/baseline    tolerance=80 %    figures=ttft
        ```
        """
        from InferenceLibrary.load.compare import compare_summaries, more_failures, other_machine
        from InferenceLibrary.load.summaries import read_summary

        found = self.load(result)
        before = read_summary(baseline / "summary.json" if baseline.is_dir() else baseline)
        self.refuse_doubts(found)
        now = found.summary()
        if before["doubts"]:
            self.log.warn(f"The baseline '{baseline}' cannot be trusted: {before['doubts'][0]}")
        if differences := other_machine(now, before):
            self.log.warn(f"The baseline '{baseline}' is of another machine: {'; '.join(differences)}")
        if now["load"] != before["load"]:
            self.log.warn(f"The baseline '{baseline}' is of another load: {now['load']} for {before['load']}")
        compared = compare_summaries(
            now, before, tolerance=share_of(tolerance), rank=percentile, figures=_names(figures) if figures else None
        )
        if (failed := more_failures(now, before)) is not None:
            raise CheckFailure(
                describe(f"More requests of '{found.name}' fail than of its baseline", expected="no more", got=failed)
            )
        self._judge_comparisons(f"'{found.name}' and its baseline", compared, undecided)
        # What is worse than a baseline that was too slow is worse; all else it does not prove.
        if before["doubts"] and not undecided:
            raise CheckFailure(
                describe(
                    f"The baseline of '{found.name}' cannot be trusted",
                    expected="a client that was not the bottleneck",
                    got=before["doubts"][0],
                    hint="write it anew on a machine that has time for it, or let it pass with undecided=True",
                )
            )
        return compared

    @keyword(tags=["performance"])
    @takes(SCHEDULE, TRACE, LOAD)
    def compare_servers(
        self,
        first: Any,
        second: Any,
        *,
        users: int | None = None,
        rate: str | None = None,
        rounds: int = 6,
        tolerance: str | float = 0.1,
        percentile: float = 50,
        figures: str = "ttft,latency,rate",
        **options: Any,
    ) -> Any:
        """Put two servers under the same load in turns and tell which one is faster.

        Each round loads both, the first one first in every other round, so what disturbs the machine for a while
        disturbs both. The test: the median over the rounds of the ratio of a percentile, second over first, with its
        interval of order statistics, which assumes nothing on the distribution; six rounds reach 95 %. The keyword
        judges nothing: `Should Be Equal    ${compared[0].verdict}    same`.

        Args:
            first: Alias, handle or object.
            second: Alias, handle or object.
            users: Number of users at the same time.
            rate: Requests a second, such as `5/s`; in place of `users`.
            rounds: How often each is loaded, 6 or more.
            tolerance: Share by which they may differ and still be the same: `10 %` or 0.1.
            percentile: Which percentile is compared, 0 to 100.
            figures: Which figures, by the names of [Load Should Meet] without a percentile, separated by commas.

        Returns:
            A list of comparisons, as [Compare With Baseline] does; `worse`: the second one is worse than the first.

        Raises:
            CheckFailure: A round cannot be trusted, not even when it is run once more.
            MonitorError: The loads cannot be run, or requests of a round have no such figure.

        Example:
        ```robotframework
        *** Test Cases ***
        The Second One Is Slower
            Start Server    simulator    time_to_first_token=5 ms    alias=fast
            Start Server    simulator    time_to_first_token=100 ms    alias=slow
            ${compared} =    Compare Servers    fast    slow    users=1    requests=2    max_tokens=4    figures=ttft
            Should Be Equal    ${compared[0].verdict}    worse
        ```
        """
        from InferenceLibrary.load.compare import ROUNDS, compare_rounds
        from InferenceLibrary.load.figures import figure_of
        from InferenceLibrary.load.run import run

        share = share_of(tolerance)
        both = [self.context.servers.get(one) for one in (first, second)]
        schedule = schedule_of(users, rate, options)
        if rounds < ROUNDS:
            raise MonitorError(
                describe("Two servers cannot be compared", expected=f"{ROUNDS} rounds or more", got=str(rounds))
            )
        names = _names(figures)
        for name in names:
            figure_of(name)
        plans = [plan_of(one, schedule, options) for one in both]
        values: dict[tuple[str, int], list[list[float]]] = {(name, place): [] for name in names for place in (0, 1)}
        failed = [0, 0]
        for number in range(rounds):
            for place in (0, 1) if number % 2 == 0 else (1, 0):
                # Each round has prompts of its own: a cache must not help the later ones.
                plan = plans[place].seeded(plans[place].seed + number)
                found = self.interruptible(partial(run, plan))
                if found.doubts:
                    # Once more: the machine may have been busy with other work.
                    found = self.interruptible(partial(run, plan))
                self.log.progress(f"Round {number + 1} of {rounds}: {found}")
                self.refuse_doubts(found)
                for name in names:
                    values[name, place].append(found.values(name))
                failed[place] += found.failures
        compared = [
            compare_rounds(name, values[name, 1], values[name, 0], rank=percentile, tolerance=share) for name in names
        ]
        title = f"{both[1].name} for {both[0].name}"
        if any(failed):
            told = ", ".join(f"{count} of '{one.name}'" for count, one in zip(failed, both, strict=True))
            self.log.warn(f"{title}: requests failed, {told}: only the times of the others are compared")
        for one in compared:
            self.log.info(f"{title}: {one}")
        self.log.metadata(title, "; ".join(f"{one.figure}: {one.verdict}" for one in compared))
        return compared

    def _judge_comparisons(self, title: str, compared: list[Comparison], undecided: bool) -> None:
        for one in compared:
            self.log.info(f"{title}: {one}")
        worse = [one for one in compared if one.verdict == "worse"]
        open_ones = [one for one in compared if one.verdict == "cannot tell"]
        if worse:
            raise CheckFailure(
                describe(
                    f"Load of {title}",
                    expected=f"no figure more than {show(worse[0].tolerance, '%')} worse",
                    got=f"{', '.join(one.figure for one in worse)} worse",
                    detail=("Figures", [str(one) for one in compared]),
                )
            )
        if open_ones and not undecided:
            raise CheckFailure(
                describe(
                    f"Load of {title} cannot be told apart",
                    expected=f"intervals within or beyond {show(open_ones[0].tolerance, '%')}",
                    got=f"{', '.join(one.figure for one in open_ones)} in between",
                    hint="run more requests, tolerate more, or let it pass with undecided=True",
                    detail=("Figures", [str(one) for one in compared]),
                )
            )


def _names(figures: str) -> list[str]:
    return [name.strip() for name in figures.split(",") if name.strip()]


def share_of(tolerance: str | float) -> float:
    """Return what `10 %` or 0.1 means.

    Raises:
        MonitorError: It is not a share, or below zero.
    """
    from InferenceLibrary.types import to_quantity

    try:
        share = to_quantity(tolerance, "%")
    except ValueError:
        share = -1.0
    if share < 0:
        raise MonitorError(
            describe("A tolerance cannot be read", expected="a share, such as 10 % or 0.1", got=f"'{tolerance}'")
        )
    return share
