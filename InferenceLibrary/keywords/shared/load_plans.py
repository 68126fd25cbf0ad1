"""The load that keywords send: the arguments that they share, and the plan that comes of them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from InferenceLibrary.errors import CheckFailure, MonitorError, describe
from InferenceLibrary.keywords.shared.base import KeywordGroup
from InferenceLibrary.keywords.shared.shared_arguments import Shared
from InferenceLibrary.types import JsonObject, seconds

if TYPE_CHECKING:
    from InferenceLibrary.load.plan import LoadPlan, Rate, Users
    from InferenceLibrary.load.result import LoadResult
    from InferenceLibrary.load.run import Progress
    from InferenceLibrary.servers.server import Server

_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:/\s*s)?")

LOAD = (
    Shared("poisson", bool, "Random gaps between the requests of a rate, in place of even ones.", False),
    Shared("requests", int | None, "Number of requests that count."),
    Shared("duration", timedelta | None, "How long requests are started."),
    Shared("warmup", int, "Number of requests before them that do not count.", 0),
    Shared("prompt", str | None, "What is asked, with some words of its own for each request; made by default."),
    Shared("prompt_tokens", int, "About so many tokens has a made prompt.", 32),
    Shared("shared_prefix", int, "About so many of them are the same in all prompts.", 0),
    Shared("max_tokens", int | None, "Longest answer in tokens."),
    Shared("stream", bool, "Whether answers are streamed.", True),
    Shared("model", str | None, "Model to ask for; the server's by default."),
    Shared("extra", JsonObject | None, "Further keys of the request, as a JSON object."),
    Shared("judged", float, "Share of the answers, 0 to 1, that are judged.", 1.0),
    Shared("workers", int, "Number of processes that send.", 1),
    Shared("seed", int, "Of prompts, arrivals and shares.", 0),
)
"""What every load is made of, beside its schedule."""


def rate_of(text: str, poisson: bool) -> Rate:
    """Read `5/s`.

    Raises:
        MonitorError: It is not a rate.
    """
    from InferenceLibrary.load.plan import Rate

    match = _RATE.fullmatch(text.strip())
    if match is None:
        raise MonitorError(
            describe("A rate cannot be read", expected="requests a second, such as 5/s", got=f"'{text}'")
        )
    return Rate(float(match[1]), poisson)


def schedule_of(users: int | None, rate: str | None, poisson: bool, think: float = 0.0) -> Users | Rate:
    """Return when requests start.

    Raises:
        MonitorError: Neither or both are given, or the rate cannot be read.
    """
    from InferenceLibrary.load.plan import Users

    if (users is None) == (rate is None):
        got = "both" if users is not None else "neither"
        raise MonitorError(describe("A load needs a schedule", expected="users= or rate=, one of them", got=got))
    return Users(users, think) if users is not None else rate_of(rate or "", poisson)


def plan_of(found: Server, schedule: Users | Rate, options: dict[str, Any], **more: Any) -> LoadPlan:
    """Return the load of a server that a keyword's arguments (`LOAD`) ask for; `more` goes to the plan as it is."""
    from InferenceLibrary.load.plan import Kind, LoadPlan, Prompts

    given = {item.name: options.get(item.name, item.parameter.default) for item in LOAD}
    prompt, seed = given["prompt"], given["seed"]
    kind = Kind.chat(
        model=given["model"] or found.model,
        max_tokens=given["max_tokens"],
        stream=given["stream"],
        extra=given["extra"],
    )
    return LoadPlan(
        url=found.base_url,
        schedule=schedule,
        kinds=(kind,),
        prompts=Prompts((prompt,) if prompt else (), given["prompt_tokens"], given["shared_prefix"], seed=seed),
        requests=given["requests"],
        duration=seconds(given["duration"]),
        warmup=given["warmup"],
        headers=tuple(found.client.own_headers.items()),
        judged=given["judged"],
        waivers=tuple(found.profile.waivers),
        models=found.client.listed,
        workers=given["workers"],
        seed=seed,
        name=found.name,
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

    def load(self, ref: Any) -> LoadResult:
        """Return a result by its alias, handle or object; of an interrupted load what it measured."""
        from InferenceLibrary.load.run import InterruptedLoad

        found = self.context.loads.get(ref)
        return found.result() if isinstance(found, InterruptedLoad) else found

    def told(self, result: LoadResult) -> None:
        """Log what a load was, its remarks, and its pictures: with what monitors of the server saw meanwhile."""
        from InferenceLibrary.load.pictures import Curve, distribution_picture, timeline_picture

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
            kind = record.best_kind()
            points = [(when - result.clock, value / 1e6) for when, value in record.series(kind)]
            curves.append(Curve(f"{kind.upper()}, MB", points))
            busy = [(when - result.clock, share) for when, share in record.cpu_shares()]
            curves.append(Curve("CPU, cores", busy))
        if result.records:
            self.draw(f"load of {result.name}", timeline_picture(result, curves))

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
