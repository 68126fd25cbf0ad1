"""`rfinference check --prove`: what is noticed, what is missed, and an alarm on what is legal."""

from __future__ import annotations

import pytest

from InferenceLibrary.check import command, proof
from InferenceLibrary.check.proof import prove
from InferenceLibrary.cli import main
from InferenceLibrary.report.check_results import ProofResult


def test_faults_are_noticed_or_missed_and_legal_oddities_raise_no_alarm() -> None:
    lines: list[str] = []
    found = prove(["missing-done", "wrong-role", "ignores-max-tokens", "score-lost", "comments"], lines.append)
    assert (found.faults, found.missed, found.oddities, found.alarms) == (4, ["score-lost"], 1, [])
    assert {"F8", "N4", "C17"} <= set(found.red)
    assert "stuck-after-error" in found.not_played
    assert not {"missing-done", "comments"} & set(found.not_played)
    assert "F8" in found.alone
    assert any(line.endswith("missing-done: F8") for line in lines)


def test_an_alarm_on_what_is_legal_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = [{**one, "nature": "legal"} for one in proof.catalogue() if one["name"] == "missing-done"]
    monkeypatch.setattr(proof, "catalogue", lambda: catalogue)
    assert prove().alarms == ["missing-done: F8"]


@pytest.mark.parametrize(("alarms", "code"), [([], 0), (["comments: F3"], 2)])
def test_the_share_is_printed_and_an_alarm_decides(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], alarms: list[str], code: int
) -> None:
    found = ProofResult(
        faults=3, missed=["a"], oddities=8, alarms=alarms, rules=9, red=["F8"], alone=["F8"], not_played=["b"]
    )
    monkeypatch.setattr(command, "prove", lambda tell: found)
    assert main(["check", "--prove"]) == code
    out = capsys.readouterr().out
    assert "2 of 3 faults of the simulator are noticed." in out
    assert "is noticed by no call" in out
    assert "1 faults were not played: they strike none of these calls." in out
    assert ("is legal" in out) == bool(alarms)


def test_nothing_to_check_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 2
    assert "What is checked?" in capsys.readouterr().err
