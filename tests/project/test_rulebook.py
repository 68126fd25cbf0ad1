"""The proof of the rulebook: faults that are noticed, and each gap that makes it fail."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
import fault_reach
import rulebook

from InferenceLibrary.simulator.faults.catalogue import KINDS, reach

CHATS = [call for call in rulebook.CALLS if call.name in {"chat", "chat stream", "metrics"}]


@pytest.fixture
def few_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two calls of one server, so that the proof is quick."""
    monkeypatch.setattr(rulebook, "CALLS", CHATS)
    monkeypatch.setattr(rulebook, "SERVERS", {"openai": rulebook.SERVERS["openai"]})


@pytest.mark.usefixtures("few_calls")
def test_noticed_faults_make_no_gap(capsys: pytest.CaptureFixture[str]) -> None:
    assert rulebook.main(["missing-done", "comments", "status"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["missing-done", "F8", "1", "1"] in lines
    assert ["comments", "-"] in lines
    assert ["status", "call", "2", "status", "503"] in lines
    assert ["Played", "under", "rules=fail-should:", "none"] in lines


@pytest.mark.usefixtures("few_calls")
def test_what_only_should_be_kept_is_played_as_such(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tolerated = "usage-with-choices"
    monkeypatch.setitem(KINDS, tolerated, replace(KINDS[tolerated], breaks=("C14",)))
    assert rulebook.main(["role-repeated", tolerated, "missing-done"]) == 0
    out = capsys.readouterr().out
    assert ["role-repeated", "C7"] in [line.split()[:2] for line in out.splitlines()]
    assert "Played under rules=fail-should: role-repeated, usage-with-choices\n" in out


@pytest.mark.usefixtures("few_calls")
@pytest.mark.parametrize(
    ("name", "changes", "gap"),
    [
        ("missing-done", {"breaks": ("F8", "F5")}, "missing-done: F5 does not notice it"),
        ("missing-done", {"nature": "legal"}, "missing-done: F8 alarms on what is legal"),
        ("comments", {"nature": "wire", "breaks": ()}, "comments: noticed by no call"),
        ("tool-id-shared", {}, "tool-id-shared: strikes none of the calls"),
    ],
)
def test_each_gap_fails(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    changes: dict[str, object],
    gap: str,
) -> None:
    monkeypatch.setitem(KINDS, name, replace(KINDS[name], **changes))
    assert rulebook.main([name]) == 1
    assert f"GAP  {gap}" in capsys.readouterr().out


@pytest.mark.usefixtures("few_calls")
def test_an_alarm_without_a_fault_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(rulebook.SERVERS, "openai", ("--fault", "missing-done"))
    assert rulebook.main(["wrong-id"]) == 1
    assert "GAP  chat stream, without a fault: F8" in capsys.readouterr().out


def test_every_fault_has_its_day(monkeypatch: pytest.MonkeyPatch) -> None:
    class Today(rulebook.date):
        number = 0

        @classmethod
        def today(cls) -> rulebook.date:
            return rulebook.date.fromordinal(700_000 + cls.number)

    monkeypatch.setattr(rulebook, "date", Today)
    monkeypatch.delenv("ALL", raising=False)
    days = []
    for Today.number in range(rulebook.DAYS):
        days.append({kind.name for kind in rulebook.sampled([])})
    monkeypatch.setenv("ALL", "1")
    assert set().union(*days) == {kind.name for kind in rulebook.sampled([])}
    assert sum(map(len, days)) == len(rulebook.sampled([]))


def test_the_table_of_what_faults_reach_has_all_of_them() -> None:
    assert set(reach()) == {kind.name for kind in fault_reach.played()}
    assert [name for name, forms in reach().items() if not forms] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sequence-gap", "orchestration-mode-differs", "accepts-any-key"])
def test_the_table_is_what_is_measured(name: str) -> None:
    assert fault_reach.measure([KINDS[name]]) == {name: reach()[name]}
