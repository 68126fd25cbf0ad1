"""The search for the largest load, on servers that are made of numbers."""

from __future__ import annotations

import pytest

from InferenceLibrary.errors import MonitorError
from InferenceLibrary.load import sweep
from InferenceLibrary.load.plan import LoadPlan, Rate, Replay, Users
from InferenceLibrary.load.record import Record
from InferenceLibrary.load.result import LoadResult, WorkerFacts

FACTS = WorkerFacts(1.0, 10.0, [0.0001], [0.0001], 1, [], 0, 0, None, 1)
BUSY = WorkerFacts(9.9, 10.0, [0.0001], [0.0001], 1, [], 0, 0, None, 1)


def level_of(plan: LoadPlan) -> float:
    schedule = plan.schedule
    return schedule.count if isinstance(schedule, Users) else schedule.rate if isinstance(schedule, Rate) else 0.0


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The levels that were run; the client is busy at 48 and above. No two loads have a prompt in common."""
    levels: list[float] = []
    asked: set[str] = set()

    def run(plan: LoadPlan) -> LoadResult:
        prompts = {plan.prompts.text(number) for number in range(5)}
        assert not prompts & asked
        asked.update(prompts)
        levels.append(level_of(plan))
        records = [Record(number, "chat", number, number, number + 1.0, status=200) for number in range(5)]
        return LoadResult(plan, 0.0, records, [BUSY if levels[-1] >= 48 else FACTS], {}, 0.0)

    monkeypatch.setattr(sweep, "run", run)
    return levels


def find(capacity: float, schedule: Users | Rate, first: float, most: float, precision: float = 0.1) -> sweep.MaxLoad:
    plan = LoadPlan("http://x", schedule, requests=5)
    return sweep.find_max(plan, first, most, lambda one: level_of(one.plan) <= capacity, precision=precision)


@pytest.mark.parametrize(
    ("capacity", "found", "levels"),
    [
        (13, 13, [1, 2, 4, 8, 16, 12, 14, 13]),
        (1, 1, [1, 2]),
        (0.5, 0, [1]),
        (32, 32, [1, 2, 4, 8, 16, 32, 40, 36, 34]),
    ],
)
def test_the_interval_is_halved(ran: list[float], capacity: float, found: float, levels: list[float]) -> None:
    result = find(capacity, Users(1), 1, 40)
    assert result.level == found
    assert ran == levels
    assert result.doubt is None
    assert (result.best is None) == (found == 0)
    assert result.broken is not None
    assert [step.level for step in result.steps] == sorted(levels)


def test_rates_are_found_between_whole_numbers(ran: list[float]) -> None:
    found = find(3.3, Rate(1), 1, 40, precision=0.02)
    assert 3.3 / 1.03 <= found.level <= 3.3
    assert str(found).endswith(" do not")
    assert found.unit == "requests/s"


def test_an_end_of_the_search_is_not_a_limit_of_the_server(ran: list[float]) -> None:
    found = find(1000, Users(1), 1, 6)
    assert ran == [1, 2, 4, 6]
    assert str(found) == "6 users keep the limits; the search ended at 6 users, which kept the limits"


def test_a_busy_client_is_asked_twice_and_told(ran: list[float]) -> None:
    found = find(1000, Users(1), 16, 100, precision=1)
    assert ran == [16, 32, 64, 64]
    assert str(found) == (
        "32 users keep the limits, 64 do not; this client was the bottleneck at 64 users: "
        "a worker used 99% of its core: give it workers= beside it"
    )


@pytest.mark.parametrize(("first", "most", "precision"), [(0, 1, 0.1), (2, 1, 0.1), (1, 2, 0), (1, 2, 1.5)])
def test_numbers_that_cannot_be_used(first: float, most: float, precision: float) -> None:
    with pytest.raises(MonitorError, match="largest load cannot be searched for"):
        find(1, Users(1), first, most, precision)


def test_a_sweep_has_prompts_of_its_own_at_each_level(ran: list[float]) -> None:
    steps = sweep.sweep(LoadPlan("http://x", Users(1), requests=5), [1, 2, 4], lambda _: True)
    assert [step.level for step in steps] == ran == [1, 2, 4]


def test_a_trace_has_no_level() -> None:
    with pytest.raises(MonitorError, match="A trace has no level"):
        sweep.find_max(LoadPlan("http://x", Replay((0.0,))), 1, 2, lambda _: True)
