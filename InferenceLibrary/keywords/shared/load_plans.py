"""The load that keywords send: the arguments that they share, and the plan that comes of them."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from InferenceLibrary.errors import CheckFailure, MonitorError, describe
from InferenceLibrary.keywords.shared.base import KeywordGroup
from InferenceLibrary.keywords.shared.shared_arguments import Shared
from InferenceLibrary.types import JsonObject, Kinds, seconds

if TYPE_CHECKING:
    from InferenceLibrary.load.pictures import Curve
    from InferenceLibrary.load.plan import LoadPlan, Rate, Replay, Users
    from InferenceLibrary.load.result import LoadResult
    from InferenceLibrary.load.run import Progress
    from InferenceLibrary.servers.server import Server

_ONE_RATE = r"(\d+(?:\.\d+)?)\s*(?:/\s*s)?"
_RATE = rf"{_ONE_RATE}(?:\s+to\s+{_ONE_RATE})?"

_FEW_POINTS = 10
LOAD = (
    Shared("poisson", bool, "Random gaps between the requests of a rate, in place of even ones.", False),
    Shared("requests", int | None, "Number of requests that count."),
    Shared("duration", timedelta | None, "How long requests are started."),
    Shared("warmup", int, "Number of requests before them that do not count.", 0),
    Shared("prompt", str | None, "What is asked, with some words of its own for each request; made by default."),
    Shared("prompts", Path | None, "File of prompts, one a line, or JSON lines with `prompt`; in place of `prompt`."),
    Shared("prompt_tokens", int, "About so many tokens has a made prompt; with `tokenizer` so many exactly.", 32),
    Shared(
        "tokenizer",
        Path | None,
        "The model's `tokenizer.json`, or its folder: it makes prompts of an exact length, and counts where a server "
        "tells no usage. A chat adds some tokens of its own.",
    ),
    Shared("shared_prefix", int, "About so many of them are the same in all prompts.", 0),
    Shared("max_tokens", int | None, "Longest answer in tokens."),
    Shared("stream", bool, "Whether answers are streamed.", True),
    Shared("model", str | None, "Model to ask for; the server's by default."),
    Shared("extra", JsonObject | None, "Further keys of the request, as a JSON object."),
    Shared(
        "kinds",
        Kinds | None,
        "A mix, as a list of objects: `name`, `weight`, and `prompt`, `prompt_tokens`, `max_tokens`, `stream`, "
        "`system`, `model`, `extra` of its own; or `path` and `body`, with `{prompt}` where the prompt goes.",
    ),
    Shared("judged", float, "Share of the answers, 0 to 1, that are judged.", 1.0),
    Shared("workers", int, "Number of processes that send.", 1),
    Shared("timeout", timedelta, "Time limit of each request.", timedelta(minutes=5)),
    Shared("silence_timeout", timedelta, "Longest silence inside an answer.", timedelta(minutes=1)),
    Shared("seed", int, "Of prompts, arrivals and shares.", 0),
)
"""What every load is made of, beside its schedule."""
SCHEDULE = (
    Shared("think", timedelta, "How long a user waits between an answer and the next question.", timedelta(0)),
    Shared(
        "turns",
        int,
        "Questions of a conversation: each user sends with a question all that was said before it, the server's "
        "answers included, and begins anew after so many.",
        1,
    ),
    Shared(
        "ramp",
        timedelta,
        "How long the first starts of `users` are spread, or how long the rate changes.",
        timedelta(0),
    ),
    Shared("burst", int, "So many requests of `rate` start together.", 1),
    Shared("cancel", float, "Share of the requests, 0 to 1, that are broken off after their first output.", 0.0),
)
"""How requests follow each other, for users and rates."""
TRACE = (
    Shared(
        "trace",
        Path | None,
        "File of times at which requests start: a time in seconds a line, or JSON lines with `timestamp`; in place of "
        "`users`.",
    ),
)
"""A schedule as it was recorded, where it is sent as it is."""


def rate_of(text: str, poisson: bool, ramp: float = 0.0, burst: int = 1) -> Rate:
    """Read `5/s`, or `1/s to 10/s` for a rate that changes in the seconds of `ramp`.

    Raises:
        MonitorError: It is not a rate, or a change has no time or a time no change.
    """
    from InferenceLibrary.load.plan import Rate

    match = re.fullmatch(_RATE, text.strip())
    if match is None:
        raise MonitorError(
            describe("A rate cannot be read", expected="requests a second, such as 5/s or 1/s to 10/s", got=f"'{text}'")
        )
    if (match[2] is None) != (ramp == 0):
        raise MonitorError(
            describe(
                "A rate that changes needs both", expected="such as rate=1/s to 10/s and ramp=30 s", got=f"'{text}'"
            )
        )
    return Rate(float(match[1]), poisson, float(match[2]) if match[2] else None, ramp, burst)


def schedule_of(users: int | None, rate: str | None, options: dict[str, Any]) -> Users | Rate | Replay:
    """Return when requests start, by a keyword's arguments (`LOAD`, `SCHEDULE` and perhaps `TRACE`).

    Raises:
        MonitorError: There is not one schedule, it cannot be read, or something is given that it does not have.
    """
    from InferenceLibrary.load.plan import Replay, Users

    asked = {item.name: options.get(item.name, item.parameter.default) for item in (*LOAD, *SCHEDULE, *TRACE)}
    think, ramp = asked["think"].total_seconds(), asked["ramp"].total_seconds()
    burst, poisson, trace = asked["burst"], asked["poisson"], asked["trace"]
    given = [name for name, value in (("users", users), ("rate", rate), ("trace", trace)) if value is not None]
    if len(given) != 1:
        got = " and ".join(given) or "neither"
        expected = "users=, rate= or trace=, one of them"
        raise MonitorError(describe("A load needs a schedule", expected=expected, got=got))
    for name, value, where in (
        ("think", think, ("users",)),
        ("ramp", ramp, ("users", "rate")),
        ("burst", burst - 1, ("rate",)),
        ("poisson", poisson, ("rate",)),
    ):
        if value and given[0] not in where:
            beside = " or ".join(f"{one}=" for one in where)
            raise MonitorError(describe(f"A load by {given[0]}= has no {name}", expected=f"{beside} beside {name}="))
    if users is not None:
        return Users(users, think, ramp)
    return Replay.from_file(trace) if trace is not None else rate_of(rate or "", poisson, ramp, burst)


def plan_of(found: Server, schedule: Users | Rate | Replay, options: dict[str, Any], **more: Any) -> LoadPlan:
    """Return the load of a server that a keyword's arguments (`LOAD`) ask for; `more` goes to the plan as it is."""
    from InferenceLibrary.keywords.shared.load_kinds import kind_of, prompts_of
    from InferenceLibrary.load.plan import LoadPlan

    given = {item.name: options.get(item.name, item.parameter.default) for item in (*LOAD, *SCHEDULE)}
    given["model"] = given["model"] or found.model
    prompts = prompts_of(given)
    kinds = [kind_of(item, number, given, prompts) for number, item in enumerate(given["kinds"] or ({},), start=1)]
    return LoadPlan(
        url=found.base_url,
        schedule=schedule,
        kinds=tuple(kinds),
        prompts=prompts,
        requests=given["requests"],
        duration=seconds(given["duration"]),
        warmup=given["warmup"],
        headers=tuple(found.client.own_headers.items()),
        judged=given["judged"],
        waivers=found.known.waivers,
        models=found.client.listed,
        timeout=given["timeout"].total_seconds(),
        idle=given["silence_timeout"].total_seconds(),
        turns=given["turns"],
        cancel=given["cancel"],
        workers=given["workers"],
        seed=given["seed"],
        name=found.name,
        route=found.client.route,
        server_pids=() if found.pid is None else (found.pid,),
        **more,
    )


class LoadGroup(KeywordGroup):
    """What the keywords of loads share."""

    def load_folder(self, name: str) -> Any:
        """A new folder beside the log for the files of a load."""
        return self.context.artifact("loads", name, "files").with_suffix("")

    def interruptible(self, work: Callable[[], Any], alias: str | None = None) -> Any:
        """Run a load; where it is interrupted, what it measured is kept for teardowns and beside the log."""
        try:
            return work()
        except BaseException as error:
            if (load := getattr(error, "load", None)) is not None:
                load.kept_in, load.redact = self.load_folder(load.name), self.context.redactor
                self.context.loads.add(load, alias)
            raise

    @staticmethod
    def end_of(found: Server) -> str | None:
        """How the process of a server ended, with what its last words hint at; None while it lives or is not ours."""
        from InferenceLibrary.causes import find_cause

        state, log = found.state()
        if state is None:
            return None
        hint = find_cause(log, state.rpartition("ended with ")[2])
        return f"{state}{f' ({hint})' if hint else ''}"

    def load(self, ref: Any) -> LoadResult:
        """Return a result by its alias, handle or object; of an interrupted load what it measured."""
        from InferenceLibrary.load.run import InterruptedLoad

        found = self.context.loads.get(ref)
        return found.result() if isinstance(found, InterruptedLoad) else found

    def told(self, result: LoadResult) -> None:
        """Log what a load was, its remarks, and its pictures: with what monitors of the server saw meanwhile."""
        from InferenceLibrary.load.pictures import Curve, distribution_picture, timeline_picture, tokens_over_time

        self.log.info(f"Load of {result}")
        for remark in result.remarks:
            self.log.info(f"Load of {result.name}: {remark}")
        if result.figures:
            self.draw(f"latencies of {result.name}", distribution_picture(result))
        curves = []
        for monitor in self.context.monitors:
            if monitor.name != result.name or result.clock is None:
                continue
            record = monitor.snapshot()
            kind, points = record.best_kind(), record.series(record.best_kind())
            if sum(when >= result.clock for when, _ in points) < _FEW_POINTS:
                # PSS is read seldom: a short load has but a few of them.
                kind, points = "rss", record.series("rss")
            curves.append(Curve(f"{kind.upper()}, MB", [(when - result.clock, value / 1e6) for when, value in points]))
            busy = [(when - result.clock, share) for when, share in record.cpu_shares()]
            curves.append(Curve("CPU, cores", busy))
            if gpu := [(when - result.clock, share * 100) for when, share in record.gpu_series("utilisation")]:
                curves.append(Curve("GPU, %", gpu))
        curves += self._metric_curves(result)
        if result.records:
            self.draw(f"load of {result.name}", timeline_picture(result, curves))
        told = [
            ("open requests", "", result.concurrency_over_time()),
            ("tokens/s", "tokens/s", tokens_over_time(result)),
        ]
        told += [(curve.label.partition(", ")[0], curve.label.partition(", ")[2], curve.points) for curve in curves]
        self.keep_figures(
            f"load of {result.name}",
            result.summary()
            | {"curves": [{"name": name, "unit": unit, "points": points} for name, unit, points in told]},
        )

    def _metric_curves(self, result: LoadResult) -> list[Curve]:
        """What monitors of the server's metrics read meanwhile: of the metrics that a test named."""
        from InferenceLibrary.load.pictures import Curve
        from InferenceLibrary.monitor.metrics import COUNTERS

        found = []
        for monitor in self.context.metric_monitors:
            if monitor.name != result.name or result.clock is None:
                continue
            record = monitor.snapshot()
            for name in monitor.chosen:
                points = [(when - result.clock, value) for when, value in record.curve(name)]
                found.append(Curve(f"{name}{', /s' if name.endswith(COUNTERS) else ''}", points))
        return found

    def keep_figures(self, name: str, figures: dict[str, Any]) -> None:
        """Write figures to a file beside the log, which links to it: reports read them again."""
        text = json.dumps(figures, indent=1, ensure_ascii=False)
        self.log.file("Figures", self.log.kept(name, text, "json"))

    def draw(self, caption: str, picture: str) -> None:
        """Show a picture in the log."""
        from InferenceLibrary.files import write_text

        path = self.context.artifact("charts", caption, "svg")
        write_text(path, self.context.redactor(picture))
        self.log.picture(f"{caption[:1].upper()}{caption[1:]}", path)

    def progress_of(self, name: str) -> Callable[[Progress], None]:
        """Return what tells on the console how far a load is, first often and then seldom."""
        told = itertools.accumulate(itertools.chain((1, 1, 3, 5, 10, 10), itertools.repeat(30)))
        due = next(told)

        def tell(progress: Progress) -> None:
            nonlocal due
            if progress.elapsed >= due:
                due = next(told)
                self.log.console(f"{name}: {progress}")

        return tell

    @staticmethod
    def refuse_doubts(found: LoadResult) -> None:
        """Fail where the client was the bottleneck of a load."""
        if found.doubts:
            raise CheckFailure(
                describe(
                    f"The load of '{found.plan.name}' cannot be trusted",
                    expected="a client that is not the bottleneck",
                    got=found.doubts[0],
                    detail=("Doubts", found.doubts),
                )
            )
