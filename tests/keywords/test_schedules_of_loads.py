"""Searches and comparisons send the schedules that a load has, and refuse what has no sense there."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from InferenceLibrary import InferenceLibrary
from InferenceLibrary.client.route import Route
from InferenceLibrary.errors import MonitorError
from InferenceLibrary.load import run, sweep
from InferenceLibrary.load.plan import LoadPlan, Rate, Replay, Users


class Sent(Exception):
    """The load that would have been sent."""

    def __init__(self, plan: LoadPlan) -> None:
        super().__init__()
        self.plan = plan


@pytest.fixture
def lib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InferenceLibrary]:
    lib = InferenceLibrary()
    lib.context.output_dir = tmp_path
    server = SimpleNamespace(
        name="one", model="m", base_url="http://127.0.0.1:1", pid=None, known=SimpleNamespace(waivers=()),
        client=SimpleNamespace(own_headers={}, listed=None, route=Route()),
    )  # fmt: skip
    monkeypatch.setattr(lib.context.servers, "get", lambda _: server)

    def send(plan: LoadPlan, *_: Any) -> None:
        raise Sent(plan)

    monkeypatch.setattr(run, "run", send)
    monkeypatch.setattr(sweep, "run", send)
    yield lib
    lib.close()


def sent(call: Callable[..., Any], *arguments: Any, **options: Any) -> LoadPlan:
    with pytest.raises(Sent) as caught:
        call(*arguments, requests=3, **options)
    return caught.value.plan


def test_users_who_talk_think_and_leave(lib: InferenceLibrary) -> None:
    options = {"users": 2, "turns": 3, "think": timedelta(seconds=1), "ramp": timedelta(seconds=4), "cancel": 0.5}
    for plan in (
        sent(lib.run_load, **options),
        sent(lib.find_max_load, "ttft_p50 < 1 s", **options),
        sent(lib.compare_servers, "one", "other", **options),
    ):
        assert plan.schedule == Users(2, 1.0, 4.0)
        assert (plan.turns, plan.cancel) == (3, 0.5)


def test_rates_in_bursts(lib: InferenceLibrary) -> None:
    options = {"rate": "8/s", "burst": 4, "poisson": True}
    for plan in (
        sent(lib.run_load, **options),
        sent(lib.find_max_load, "ttft_p50 < 1 s", **options),
        sent(lib.compare_servers, "one", "other", **options),
    ):
        assert plan.schedule == Rate(8.0, poisson=True, burst=4)


def test_traces_and_rates_that_rise_are_compared(lib: InferenceLibrary, tmp_path: Path) -> None:
    trace = tmp_path / "times"
    trace.write_text("1\n1.5\n", encoding="utf-8")
    assert sent(lib.compare_servers, "one", "other", trace=trace).schedule == Replay((0.0, 0.5))
    plan = sent(lib.compare_servers, "one", "other", rate="1/s to 9/s", ramp=timedelta(seconds=2))
    assert plan.schedule == Rate(1.0, end_rate=9.0, ramp=2.0)


def test_a_search_raises_the_rate_itself(lib: InferenceLibrary) -> None:
    with pytest.raises(MonitorError, match=r"A search raises the rate itself: expected the rate to begin with"):
        lib.find_max_load("ttft_p50 < 1 s", rate="1/s to 9/s", ramp=timedelta(seconds=2), requests=3)
    with pytest.raises(MonitorError, match=r"A load by users= has no burst: expected rate= beside burst="):
        lib.find_max_load("ttft_p50 < 1 s", users=2, burst=2, requests=3)
