"""What public test suites ask over HTTP is played by the stand-ins, but for a few things with a reason each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from simulator.public_scenarios import NOT_PLAYED, SCENARIOS, Scenario, StandIns
from simulator.scenario_servers import servers

COUNTED = {"L": 87, "V": 46, "T": 13}
"""How many things each suite asks: llama.cpp's, vLLM's and TGI's."""
BAR = 0.9


@pytest.fixture(scope="module")
def standing() -> Iterator[StandIns]:
    with servers() as found:
        yield found


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_a_scenario_is_played(standing: StandIns, scenario: Scenario) -> None:
    scenario.check(standing[scenario.server])


def test_nine_tenths_of_all_scenarios_are_played() -> None:
    assert not set(SCENARIOS) & set(NOT_PLAYED)
    names = [*SCENARIOS, *NOT_PLAYED]
    assert {suite: sum(name[0] == suite for name in names) for suite in COUNTED} == COUNTED
    assert len(SCENARIOS) >= BAR * len(names)
