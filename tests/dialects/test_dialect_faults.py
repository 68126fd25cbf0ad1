"""What the waivers of a dialect hide: a fault that is not one of its quirks is told."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from dialect_faults import SEVERAL, Noticed, hidden, notices, played_faults

from InferenceLibrary.dialects.dialect import Circumstances, Deviation, Dialect
from InferenceLibrary.protocol.rules.rule import Api

MODELS = Deviation(rule="M3", kind="model", apis=[Api.MODELS], reason="lists a model without the time")


@pytest.fixture(scope="module")
def seen() -> list[Noticed]:
    """Two faults as they show on the reference."""
    return list(notices(["missing-key", "close-before-status"]))


def told(seen: list[Noticed], *deviations: Deviation) -> list[str]:
    return hidden(Dialect(name="mine", title="Mine", version="1", deviations=list(deviations)), seen)


def test_a_waiver_hides_a_fault(seen: list[Noticed]) -> None:
    assert {one.fault for one in seen} == {"missing-key", "close-before-status"}
    assert told(seen) == []
    assert told(seen, MODELS) == [
        "missing-key on models is hidden by M3 (model; models): lists a model without the time"
    ]


@pytest.mark.parametrize(
    "narrower",
    [
        {"got": "no owned_by"},
        {"when": Circumstances(statuses=[404])},
        {"when": Circumstances(answer="nobody says so")},
        {"quirk": "missing-key:key=created"},
        {"quirk": "role-repeated;missing-key"},
    ],
    ids=str,
)
def test_what_is_narrow_or_named_hides_nothing(seen: list[Noticed], narrower: dict[str, Any]) -> None:
    assert told(seen, msgspec.structs.replace(MODELS, **narrower)) == []


def test_a_fault_that_looks_like_a_quirk_must_show_elsewhere(seen: list[Noticed]) -> None:
    likewise = msgspec.structs.replace(MODELS, quirk="wrong-object")
    assert told(seen, likewise) == []
    alone = [one for one in seen if one.form in {"models", SEVERAL} and one.fault == "missing-key"]
    assert told(alone, likewise) == [
        "missing-key on models is hidden by M3 (model; models): lists a model without the time"
    ]


def test_no_waiver_hides_a_call_that_fails(seen: list[Noticed]) -> None:
    assert all(not one.violations for one in seen if one.fault == "close-before-status" and one.form != SEVERAL)
    everything = [Deviation(rule=rule, reason="so") for rule in ("F8", "F10", "M3", "R1")]
    assert not any("close-before-status" in line for line in told(seen, *everything))


def test_what_one_call_alone_shows_is_played() -> None:
    faults = ["buffered", "accepts-any-content-type"]
    assert {one.fault for one in notices(faults)} == set(faults)


def test_the_faults_of_a_week_are_all_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    import dialect_faults

    class Day:
        number = 0

        @classmethod
        def today(cls) -> Any:
            return cls

        @classmethod
        def toordinal(cls) -> int:
            return cls.number

    monkeypatch.setattr(dialect_faults, "date", Day)
    week: list[str] = []
    for Day.number in range(7):
        week += played_faults(sample=True)
    assert sorted(week) == sorted(played_faults(sample=False))
    assert len(week) > 150
