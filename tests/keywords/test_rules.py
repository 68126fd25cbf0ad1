"""Every call is judged by the rules of the wire: what is told, what fails, what ends the setting."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from inner_suites import InnerRun, run_inner

from InferenceLibrary.context import RUN, Context
from InferenceLibrary.errors import ProfileError
from InferenceLibrary.protocol.exchange import Exchange, Request
from InferenceLibrary.protocol.rules.rule import Judgement
from InferenceLibrary.protocol.rules.verdicts import Waiver, verdict_of
from InferenceLibrary.servers.profile import load_profile


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> InnerRun:
    return run_inner("rules.robot", tmp_path_factory.mktemp("rules"))


N4 = r'chat on simulator broke rules of the wire: N4: A message has the role .* Got "user" in choice 0\.'
C7 = r"streamed chat on simulator broke rules of the wire: C7: The role stands in the first delta of a choice only\. .*"
KEPT = "Answer Should Keep The Rules"
FAILED = {
    "A Must Rule Fails The Call": N4,
    "A Must Rule Fails The Suite's Calls": N4,
    "The Others Are Held When One Is Left Out": N4,
    "What Is Left Out Must Be In The Book": r"Use Rules: expected the id of a rule, one of .*; got 'N444'\.",
    "At A Server Of Ours Each Test Fails": N4,
    "At A Server Of Ours A Broken Should Rule Fails Too": r"streamed chat on simulator broke rules of the wire: C3: .*",
    "At Another Server The Test Of The Rule Fails": N4.replace("simulator", "another"),
    "At Another Server A Tag That Was Just Set Counts": N4.replace("simulator", "another"),
    "A Should Rule Fails Where It Counts": C7,
    "What Cannot Be A Success Fails All The Same": r"POST .* failed: .* got 200 with an error as its body: .*",
    "One Of Several At Once Fails Them": r"calls of Chat at once on simulator broke rules .*: N4: .* \(2 times\)",
    "A Background Stream Is Judged": r"streamed chat on simulator broke rules of the wire: C7: .*",
    "A Failed Call Is Judged And Fails As It Did": r"POST .* failed: expected a stream with a proper end, got .*",
    "A Refusal That Breaks Rules Is Not The One Expected": r"chat on simulator broke rules of the wire: R1: .*",
    "Rules Of One's Own": r"chat on simulator broke rules of the wire: OWN-SHORT: .* Got \d+ bytes\.",
    "Whole Book Refused": r"The answer breaks rules of the wire: C7: .*",
    "A Whole Answer Is Judged Again": r"The answer breaks rules of the wire: N4: .*",
    "What Is Not An Answer Is Not Recorded": r"Record Answer: expected a reply, .* the error of a call, got .*",
    "A Replay Is Judged Again": r"The answer breaks rules of the wire: C7: .*",
    "A Lump Does Not Come Evenly": r"Stalls of a stream: F11: .* Got \d+ events in 1 reads, all after .*",
    "No Rule To Ask": r"Rules: expected at least one that has something to say, got none\.",
    "A Rule That Is Not In The Book": rf"{KEPT}: expected the id of a rule, one of .*; got 'C777'\.",
    "An Object That Is Not An Answer": rf"{KEPT}: expected a reply, a stream or the error of a call, got .*",
}


def test_what_fails_and_what_does_not(run: InnerRun) -> None:
    assert {name for name, test in run.tests.items() if test.status == "FAIL"} == set(FAILED)
    assert run.leftovers == []


@pytest.mark.parametrize("test", FAILED)
def test_the_message_names_the_rule_and_its_place(run: InnerRun, test: str) -> None:
    assert re.fullmatch(FAILED[test], run[test].first_line), run[test].first_line


def lines(run: InnerRun, test: str, text: str) -> list[str]:
    return [line for line in run[test].log if text in line]


def test_the_line_of_a_call_ends_with_what_it_broke(run: InnerRun) -> None:
    (line,) = lines(run, "The Setting Ends With Its Test", "chat on simulator: 200")
    assert line.endswith("; breaks N4")
    (line,) = lines(run, "A Should Rule Is Only Told", "streamed chat on simulator: 200")
    assert line.endswith("; breaks C7")
    assert lines(run, "Nothing Is Judged", "breaks") == []
    assert lines(run, "Good Calls Are Silent", "breaks") == []


def test_a_rule_that_is_left_out_is_told(run: InnerRun) -> None:
    (line,) = lines(run, "A Rule That Is Left Out Is Told", "chat on simulator: 200")
    assert line.endswith("; waived N4")


def test_another_server_fails_in_the_test_of_the_rule_and_warns_in_others(run: InnerRun) -> None:
    warning = "another breaks rules of the wire:"
    assert len(lines(run, "At Another Server A Test Of Another Rule Warns", warning)) == 1
    assert lines(run, "At Another Server The Test Of The Rule Fails", warning) == []
    (line,) = lines(run, "At Another Server A Should Rule Is Told", "streamed chat on another: 200")
    assert line.endswith("; breaks C7")


def test_a_must_rule_warns_once_a_run(run: InnerRun) -> None:
    assert len(lines(run, "Warned And Returned", "simulator breaks rules of the wire:")) == 1
    assert lines(run, "Warned Once A Run", "simulator breaks rules of the wire:") == []
    # The second is of a rule of the suite itself.
    assert run.console.count("simulator breaks rules of the wire:") == 2


def test_the_run_ends_with_a_table(run: InnerRun) -> None:
    assert re.search(r"^\d\d calls judged by the rules of the wire; broken rules: \d", run.console, re.MULTILINE)
    assert re.search(r"^N4 +must +\d+ +Warned And Returned ", run.console, re.MULTILINE)
    assert re.search(r"^C7 +should +\d+ +A Should Rule Is Only Told ", run.console, re.MULTILINE)


def test_a_setting_belongs_to_its_owner() -> None:
    context = Context(rules="warn")
    context.enter("suite")
    context.use_rules("fail", ["C7"])
    context.enter("test")
    assert context.rules == "fail"
    assert context.rules_left_out == ("C7",)
    context.use_rules("off")
    context.use_rules("fail-should")
    assert context.rules == "fail-should"
    assert context.rules_left_out == ()
    context.leave("test")
    assert context.rules == "fail"
    assert context.rules_left_out == ("C7",)
    context.leave("suite")
    assert context.rules == "warn"
    assert context.owner == RUN


def judgement_of_a_role() -> Judgement:
    from InferenceLibrary.protocol.rules.book import judge

    body = b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"user","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}'  # noqa: E501
    asked = Request("POST", "http://host/v1/chat/completions", (), b'{"messages": []}')
    return judge(Exchange(asked, 200, (("content-type", "application/json"),), body), only=["N4", "C16"])


@pytest.mark.parametrize(
    ("waiver", "held"),
    [
        (Waiver("N4", "an old server"), ()),
        (Waiver("N4", "an old server", "other role"), ()),
        (Waiver("N4", "an old server", "missing"), ("N4",)),
        (Waiver("N3", "an old server"), ("N4",)),
    ],
)
def test_a_waived_rule_is_not_held_against_its_server(waiver: Waiver, held: tuple[str, ...]) -> None:
    verdict = verdict_of([judgement_of_a_role()], [waiver])
    assert verdict.broken == held
    assert bool(verdict.failing("fail")) == bool(held)
    assert str(verdict) == ("; breaks N4" if held else "; waived N4")


def test_a_profile_names_what_it_waives(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("title: mine\nreference: anthropic\nwaives:\n- rule: C7\n  reason: a role in every chunk\n")
    profile = load_profile(str(path))
    assert profile.own_waivers == (Waiver("C7", "a role in every chunk"),)
    assert profile.reference == "anthropic"
    path.write_text("title: mine\nwaives:\n- rule: C7\n")
    with pytest.raises(ProfileError, match="reason"):
        load_profile(str(path))
