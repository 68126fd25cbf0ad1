"""`rfinference check`: verdicts, exit codes, what is never said, and servers that cannot be judged."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from check.odd_server import OddServer
from likeness import served

from InferenceLibrary.check.command import check
from InferenceLibrary.check.targets import CheckTarget
from InferenceLibrary.cli import main
from InferenceLibrary.dialects.files import load_dialect
from InferenceLibrary.protocol.rules.rule import REGISTRY
from InferenceLibrary.redaction import Redactor
from InferenceLibrary.report.check_results import CheckResults, read_results, schema
from InferenceLibrary.servers.probing.calls import CALLS, REACH, calls_for

KEY = "sk-a-key-that-nobody-may-see"
Serve = Callable[..., OddServer]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    monkeypatch.delenv("INFERENCE_API_KEY", raising=False)
    servers: list[OddServer] = []

    def start(habit: str = "", lives_for: int = 10**9) -> OddServer:
        servers.append(OddServer(habit, lives_for))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def results(folder: Path) -> CheckResults:
    return read_results(folder / "check.json")


@pytest.mark.parametrize(
    ("habit", "said"),
    [
        ("200", "it has no model list (it answers every path"),
        ("html", "it has no model list (it answers every path: status 200: text/html"),
        ("redirects", "a redirect to /v1/models"),
        ("no models", "its model list is empty"),
        ("key", "it wants a key: name its variable, --api-key-env"),
        ("503", "status 503: Loading model"),
        ("closes", "it does not answer"),
        ("silent", "it does not answer"),
        ("speaks otherwise", "it does not answer"),
        ("stops in the middle", "it has no model list (status 200, then "),
    ],
)
def test_what_cannot_be_judged_is_2_and_one_line(
    serve: Serve, capsys: pytest.CaptureFixture[str], habit: str, said: str
) -> None:
    assert main(["check", serve(habit).url, "--timeout", "0.5" if habit == "silent" else "60"]) == 2
    (line,) = capsys.readouterr().out.splitlines()
    assert "compat not judged, strict not judged" in line
    assert said in line


@pytest.mark.parametrize("habit", ["200", "html", "redirects", "503"])
def test_a_given_model_does_not_make_nothing_something(
    serve: Serve, capsys: pytest.CaptureFixture[str], habit: str
) -> None:
    assert main(["check", serve(habit).url, "--model", "tiny", "--timeout", "30"]) == 2
    (line,) = capsys.readouterr().out.splitlines()
    assert "it offers none of the routes" in line


def test_a_url_that_nobody_answers(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        assert main(["check", f"http://127.0.0.1:{free.getsockname()[1]}"]) == 2
    (line,) = capsys.readouterr().out.splitlines()
    assert "it does not answer" in line
    assert "refused" in line


def test_a_refused_key(serve: Serve, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFERENCE_API_KEY", KEY)
    assert main(["check", serve("key").url]) == 2
    assert "the key is refused (status 401: Incorrect API key)" in capsys.readouterr().out


def test_a_server_that_dies_half_way_is_2_though_nothing_was_broken(
    serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", serve(lives_for=5).url]) == 2
    (line,) = capsys.readouterr().out.splitlines()
    assert "it stopped answering at" in line


def test_a_small_right_server_passes_and_what_it_lacks_is_not_held_against_it(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = serve()
    assert main(["check", server.url, "--output", str(tmp_path)]) == 0
    (target,) = results(tmp_path).targets
    states = {one.capability: one.state for one in reversed(target.coverage)}
    assert states["chat"] == "offered"
    assert states["completions"] == states["embeddings"] == "not offered"
    assert states["streams"] == "refused"
    broken = {one.rule for one in target.rules if one.state == "broken"}
    assert not any(REGISTRY[name].level.value == "must" for name in broken)
    assert target.compat == "pass"
    kept = sum(one.state == "kept" for one in target.rules)
    assert f"{kept} rules are kept in " in capsys.readouterr().out
    assert target.requests == len(server.requests)
    # Below a route that is not there, nothing more is asked.
    assert [path for _, path, _ in server.requests].count("/v1/completions") == 1


def test_a_broken_must_rule_is_1_and_named_with_its_evidence(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", serve("wrong usage").url, "--output", str(tmp_path)]) == 1
    assert "breaks 1 must rule: N7" in capsys.readouterr().out
    (target,) = results(tmp_path).targets
    (rule,) = (one for one in target.rules if one.rule == "N7")
    assert (rule.state, rule.breaches[0].call, rule.breaches[0].kind) == ("broken", "chat", "sum")
    (call,) = (one for one in target.calls if one.name == "chat")
    assert json.loads((tmp_path / call.evidence).read_text())["status"] == 200
    assert "N7" in (tmp_path / "log.html").read_text()
    assert "N7" in (tmp_path / "check.html").read_text()
    assert "| N7 | must | ❌ broken |" in (tmp_path / "check.md").read_text()
    cases = ElementTree.parse(tmp_path / "junit.xml").getroot().iter("testcase")
    assert [case.get("name") for case in cases if case.find("failure") is not None] == ["verdict", "N7"]


def test_strict_is_another_verdict(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    code = main(["check", server.url, "--strict", "--output", str(tmp_path)])
    (target,) = results(tmp_path).targets
    assert (code, target.compat) == ({"pass": 0, "fail": 1}[target.strict], "pass")
    # A chat as plain text is taken: only the reference minds.
    assert code == 1


def test_a_waived_rule_passes_compat_and_not_strict(serve: Serve, tmp_path: Path) -> None:
    dialect = tmp_path / "mine.yaml"
    dialect.write_text(
        "name: mine\ntitle: Mine\nversion: '1'\ndeviations:\n"
        "- {rule: N7, reason: counts the template}\n- {rule: F8, reason: no longer so}\n"
    )
    out = tmp_path / "out"
    assert main(["check", serve("wrong usage").url, "--dialect", str(dialect), "--output", str(out)]) == 0
    (target,) = results(out).targets
    (rule,) = (one for one in target.rules if one.rule == "N7")
    assert (rule.state, rule.reason, target.strict) == ("waived", "counts the template", "fail")
    assert target.stale == ["F8: no longer so"]


PAST, TODAY = "2020-02-02", date.today().isoformat()


@pytest.mark.parametrize(
    ("until", "code", "state", "notices"),
    [
        (TODAY, 0, "waived", []),
        (PAST, 1, "broken", [f"waiver past its date, {PAST}, and no longer applied: N7: counts the template"]),
    ],
    ids=["on its last day", "after it"],
)
@pytest.mark.parametrize("where", ["dialect", "profile"])
def test_a_waiver_of_ones_own_ends_with_its_date(
    serve: Serve, tmp_path: Path, where: str, until: str, code: int, state: str, notices: list[str]
) -> None:
    url = serve("wrong usage").url
    waived = f"- {{rule: N7, reason: counts the template, until: {until}}}\n"
    mine = tmp_path / "mine.yaml"
    texts = {
        "dialect": f"name: mine\ntitle: Mine\nversion: '1'\ndeviations:\n{waived}",
        "profile": f"title: Mine\nurl: {url}\nready: {{first_token: none}}\nwaives:\n{waived}",
    }
    mine.write_text(texts[where])
    words = [url, "--dialect", str(mine)] if where == "dialect" else [str(mine)]
    assert main(["check", *words, "--output", str(tmp_path / "out")]) == code
    (target,) = results(tmp_path / "out").targets
    (rule,) = (one for one in target.rules if one.rule == "N7")
    assert (rule.state, [one for one in target.notices if "date" in one]) == (state, notices)


def test_a_shipped_waiver_past_its_date_is_applied_and_told(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(f"name: mine\ntitle: Mine\nversion: '1'\ndeviations:\n- {{rule: N7, reason: so, until: {PAST}}}\n")
    shipped = load_dialect(str(mine))._replace(shipped=True)
    monkeypatch.setattr("InferenceLibrary.servers.versions.load_dialect", lambda wanted: shipped)
    out = tmp_path / "out"
    assert main(["check", serve("wrong usage").url, "--dialect", str(mine), "--output", str(out)]) == 0
    (target,) = results(out).targets
    assert f"waiver past its date, {PAST}: N7: so" in target.notices


def test_a_baseline_fails_on_what_got_worse_only(serve: Serve, tmp_path: Path) -> None:
    server = serve("wrong usage")
    old = tmp_path / "new" / "old.json"
    assert main(["check", server.url, "--json", str(old)]) == 1
    assert main(["check", server.url, "--baseline", str(old)]) == 0
    server.habit = ""
    assert main(["check", server.url, "--json", str(old)]) == 0
    server.habit = "wrong usage"
    new = tmp_path / "new.json"
    assert main(["check", server.url, "--baseline", str(old), "--json", str(new)]) == 1
    (target,) = read_results(new).targets
    assert [line.split(":")[0] for line in target.worse] == ["rule N7 is broken"]


def test_not_judged_wins_over_broken(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    good, broken, dead = serve(), serve("wrong usage"), serve("closes")
    assert main(["check", good.url, broken.url]) == 1
    out = capsys.readouterr().out
    assert "Conformance: rules that a target breaks" in out
    assert "chat: got" in out
    assert main(["check", good.url, broken.url, dead.url]) == 2


def test_the_key_goes_to_the_server_and_nowhere_else(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    server = serve()
    main(["check", server.url, "--api-key-env", "MY_KEY", "--output", str(tmp_path)])
    sent = [headers.get("authorization") for _, _, headers in server.requests]
    assert sent.count(None) == 1
    assert set(sent) == {None, f"Bearer {KEY}"}
    captured = capsys.readouterr()
    texts = [captured.out, captured.err, *(path.read_text() for path in tmp_path.rglob("*") if path.is_file())]
    assert len(texts) > 8
    assert not any(KEY in text for text in texts)


def test_each_server_gets_its_own_key_only(
    serve: Serve, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONE_KEY", KEY)
    monkeypatch.setenv("OTHER_KEY", "sk-of-the-other")
    one, other, keyless = serve(), serve(), serve()
    urls = [one.url, other.url, keyless.url]
    main(["check", *urls, "--api-key-env", f"{one.url}=ONE_KEY", "--api-key-env", f"{other.url}=OTHER_KEY"])
    sent = [{headers.get("authorization") for _, _, headers in server.requests} for server in (one, other, keyless)]
    assert sent == [{None, f"Bearer {KEY}"}, {None, "Bearer sk-of-the-other"}, {None}]
    capsys.readouterr()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "The key of INFERENCE_API_KEY would be sent to several servers"),
        (["--api-key-env", "ONE_KEY"], "The key of ONE_KEY would be sent to several servers"),
        (["--api-key-env", "http://127.0.0.1:3=ONE_KEY"], "names a target that is not checked"),
        (["--api-key-env", "ONE_KEY", "--api-key-env", "ONE_KEY"], "is given twice"),
    ],
)
def test_a_key_for_several_servers_is_refused_and_nothing_is_sent(
    serve: Serve,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    said: str,
) -> None:
    one, other = serve(), serve()
    monkeypatch.setenv("INFERENCE_API_KEY", KEY)
    monkeypatch.setenv("ONE_KEY", KEY)
    assert main(["check", one.url, other.url, *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert KEY not in line
    assert one.requests == other.requests == []


def test_a_field_that_is_taken_and_ignored_is_not_offered(serve: Serve, tmp_path: Path) -> None:
    main(["check", serve("ignores fields").url, "--output", str(tmp_path)])
    (target,) = results(tmp_path).targets
    found = {one.capability: one for one in reversed(target.coverage)}
    assert found["several choices"].state == "not offered"
    assert found["several choices"].reason == "two choices were asked for, 1 came"
    assert found["tool calls"].state == "not offered"
    assert found["tool calls"].reason.startswith("no tool is called")
    # What is ignored is asked whole and streamed: the rules judge it.
    asked = {one.name for one in target.calls if one.state != "not asked"}
    assert "a tool that must be called, streamed" in asked


def test_a_variable_without_a_key_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "http://127.0.0.1:1", "--api-key-env", "NO_SUCH_VARIABLE"]) == 2
    assert "NO_SUCH_VARIABLE of --api-key-env is not set" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--option", "seed"], "expected NAME=VALUE"),
        (["--timeout", "0"], "expected seconds above 0"),
        (["--timeout", "nan"], "expected seconds above 0"),
        (["--baseline", "/nowhere.json"], "does not hold results of a check"),
        (["--dialect", "vlm", "--plan"], "No dialect 'vlm'"),
        (["ftp://127.0.0.1"], "'ftp://127.0.0.1' cannot be checked: expected a URL of http:// or https://"),
    ],
)
def test_bad_options_are_one_line(capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    assert main(["check", "http://127.0.0.1:1", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


@pytest.mark.parametrize("text", ["[]", "{", '{"format": "rfinference-check", "version": 2}'])
def test_another_file_is_not_a_baseline(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    (tmp_path / "old.json").write_text(text)
    assert main(["check", "http://127.0.0.1:1", "--baseline", str(tmp_path / "old.json")]) == 2
    assert "does not hold results of a check" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "there"), [("--output", "a file"), ("--json", "a folder"), ("--html", "a folder"), ("--json", "a pipe")]
)
def test_what_cannot_be_written_is_told_before_anything_is_sent(
    option: str, there: str, serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server, path = serve(), tmp_path / "out"
    {"a file": path.touch, "a folder": path.mkdir, "a pipe": lambda: os.mkfifo(path)}[there]()
    assert main(["check", server.url, option, str(path)]) == 2
    assert f"'{path}' cannot be written" in capsys.readouterr().err
    assert server.requests == []


def test_a_profile_that_is_not_started_wants_a_url(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "openai"]) == 2
    assert "expected its URL" in capsys.readouterr().out


def test_the_plan_sends_nothing(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    server = serve()
    assert main(["check", server.url, "--plan"]) == 0
    assert server.requests == []
    assert f"{len(calls_for(key=False))} requests at most" in capsys.readouterr().out


def test_a_check_asks_less_than_sixty_times() -> None:
    calls = calls_for(key=True)
    assert len(calls) < 60
    assert len({call.name for call in calls}) == len(calls)
    needed = {call.needs for call in calls if call.needs}
    assert needed <= {call.capability for call in (*REACH, *CALLS)}


def test_progress_goes_line_by_line_into_a_pipe(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    server = serve()
    main(["check", server.url])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(calls_for(key=False))
    assert lines[2].startswith("[3/")


def test_the_simulator_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "simulator", "--output", str(tmp_path)]) == 0, capsys.readouterr().out
    (target,) = results(tmp_path).targets
    states = [one.state for one in target.rules]
    assert states.count("kept") > 120
    msgspec.json.decode((tmp_path / "check.json").read_bytes(), type=CheckResults)
    assert schema()["$ref"] == "#/$defs/CheckResults"


def test_a_fault_of_the_simulator_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "simulator", "--option", "fault=missing-done"]) == 1
    assert "F8" in capsys.readouterr().out.splitlines()[-1]


def test_streamed_and_whole_answers_are_compared_where_they_repeat() -> None:
    rules = ("C19", "RS22", "A19")
    as_llm_d = ["--as", "llm-d", "--model", "tiny"]
    faults = ["--fault", "lost-token", "--fault", "final-text-differs"]
    for more, state, told in (
        ([], "not judged", "answers are not repeatable"),
        (["--mode", "echo", *faults], "broken", ""),
    ):
        with served([*as_llm_d, *more], {}) as port:
            found = check(CheckTarget(f"http://127.0.0.1:{port}"), Redactor(), tell=lambda line: None).result
        assert [(one.rule, one.state) for one in found.rules if one.rule in rules] == [(one, state) for one in rules]
        assert all(one.reason.partition(":")[0] == told for one in found.rules if one.rule in rules)


def test_calls_ask_for_capabilities_of_the_closed_list() -> None:
    from InferenceLibrary.protocol.capabilities import CAPABILITIES

    words = {call.capability for call in calls_for(key=True) if call.capability}
    assert len(words) > 10
    assert words <= set(CAPABILITIES)
