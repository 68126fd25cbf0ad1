# ruff: noqa: E501 - patterns in whole
"""What fails leaves its evidence in the log: calls, checks on answers, and screens, without DEBUG and without secrets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from inner_suites import InnerRun, run_inner

from InferenceLibrary.client.evidence import evidence_of
from InferenceLibrary.client.recordings import read_recording
from InferenceLibrary.protocol.exchange import Attempt, Exchange, Request
from InferenceLibrary.redaction import Redactor

KEY = "sk-evidence-4471"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> InnerRun:
    return run_inner("evidence.robot", tmp_path_factory.mktemp("evidence") / "out", env={"EVIDENCE_KEY": KEY})


def folded(run: InnerRun, test: str) -> list[str]:
    return [line for line in run[test].log if line.startswith("<details><summary>")]


SHOWN = {
    "A Refused Call": [
        r"<summary>POST http://127\.0\.0\.1:\d+/v1/chat/completions: status 404 in \d+ ms</summary>",
        r"<b>Request</b><pre>POST http://127\.0\.0\.1:\d+/v1/chat/completions\n",
        r"\nx-asked: yes\n",
        r"\nauthorization: \*\*\*\n",
        r"&quot;content&quot;: &quot;Hello there&quot;.*&quot;model&quot;: &quot;gpt-99&quot;",
        r"<b>Answer</b><pre>status 404\n",
        r"\ncontent-type: application/json\n",
        r"&quot;message&quot;:&quot;The model `gpt-99` does not exist\.&quot;",
        r"\d+ bytes of a body; its end: whole",
        r"<b>Attempts</b><pre>1: status 404 in \d+ ms</pre>",
        r"<b>Rules</b><pre>none is broken</pre>",
        r'Recording: <a href="inference/calls/a-refused-call-call-\d+\.json">',
    ],
    "A Call That Is Tried Again": [
        r"status 503 in \d+ ms, 3 attempts</summary>",
        r"1: status 503 in \d+ ms, then waited \d+ ms\n2: status 503 in \d+ ms, then waited \d+ ms\n3: status 503 in \d+ ms<",
    ],
    "A Broken Stream": [
        r"<b>Answer</b><pre>status 200\n",
        r"\n\ndata: \{&quot;id&quot;",
        r"its end: cut \(a connection that broke off",
        r"<b>Rules</b><pre>.*F10: The body ends as its framing says.* Got a connection that broke off",
    ],
    "No Answer": [
        r"<summary>POST \S+: no answer in \d+ ms</summary>",
        r"<b>Answer</b><pre>no answer within the total time limit",
    ],
    "A Check That Fails": [r"<summary>POST \S+: status 200 in ", r"&quot;content&quot;: &quot;Hello there&quot;"],
    "A Call That Should Fail": [r"&quot;max_tokens&quot;: 7"],
    "A Refusal Of Another Kind": [r"status 404 in"],
    "An Expected Failure": [r"status 404 in"],
}  # fmt: skip


@pytest.mark.parametrize("test", SHOWN)
def test_a_call_is_shown_once_and_folded(run: InnerRun, test: str) -> None:
    (shown,) = folded(run, test)
    for pattern in SHOWN[test]:
        assert re.search(pattern, shown, re.DOTALL), pattern
    assert len(shown) < 8_000


def test_the_first_failures_of_calls_at_once_are_shown(run: InnerRun) -> None:
    assert len(folded(run, "Calls At Once")) == 2


def test_calls_of_a_test_that_passes_are_not_shown(run: InnerRun) -> None:
    assert run["A Call Of A Test That Passes"].status == "PASS"
    assert folded(run, "A Call Of A Test That Passes") == []


def test_the_recording_holds_the_call_whole(run: InnerRun) -> None:
    (path,) = (run.output_dir / "inference" / "calls").glob("a-refused-call-call-*.json")
    exchange = read_recording(path)
    assert (exchange.status, exchange.asked_for("model")) == (404, "gpt-99")


@pytest.mark.parametrize(
    ("test", "message"),
    [
        (
            "A Call That Should Fail",
            r'got 200 in .* for POST /v1/chat/completions with \{"messages": .*"max_tokens": 7\}\.',
        ),
        ("A Refusal Of Another Kind", r'expected status 400, got 404: .* for POST \S+ with \{.*"gpt-99"\}\.'),
    ],
)
def test_a_refusal_names_what_was_sent(run: InnerRun, test: str, message: str) -> None:
    assert run[test].status == "FAIL"
    assert re.search(message, run[test].message)


@pytest.mark.parametrize("test", ["A Screen That Another Library Judges", "No Prompt"])
def test_the_last_screen_is_shown_as_a_picture(run: InnerRun, test: str) -> None:
    (picture,) = [line for line in run[test].log if "<img " in line]
    found = re.search(r'src="(inference/terminals/[^"]+\.svg)"', picture)
    assert found
    assert ">" in (run.output_dir / found[1]).read_text("utf-8")


def test_the_key_is_nowhere(run: InnerRun) -> None:
    assert KEY not in run.everything()


def test_lines_of_the_http_library_are_not_in_the_log(tmp_path: Path) -> None:
    level = ["--loglevel", "TRACE", "--test", "A Call Of A Test That Passes"]
    run = run_inner("evidence.robot", tmp_path / "out", *level, env={"EVIDENCE_KEY": KEY})
    said = "\n".join(run["A Call Of A Test That Passes"].log)
    assert "Hello there" in said
    assert not re.search(r"connect_tcp|send_request_headers|receive_response|HTTP Request:", said)


def exchange(body: bytes = b"{}", **more: object) -> Exchange:
    attempts = (Attempt(1, 200, None, 0.1),)
    given = {"headers": (("set-cookie", "sid=1"),), "body": body, "attempts": attempts, **more}
    return Exchange(Request("POST", "http://host/v1/chat/completions", (), b'{"stream": true}'), 200, **given)  # type: ignore[arg-type]


def test_foreign_text_is_shown_safely() -> None:
    html = evidence_of(exchange(b"<script>\x1b[2J\xff</script>"), Redactor())
    assert "<script>" not in html
    assert "&lt;script&gt;\\x1b[2J\ufffd&lt;/script&gt;" in html
    assert "set-cookie: ***" in html


def test_large_bodies_and_many_headers_are_cut() -> None:
    headers = tuple((f"x-{number}", "y") for number in range(60))
    html = evidence_of(exchange(b"x" * 3_000_000, headers=headers), Redactor())
    assert len(html) < 8_000
    assert "… and 20 more headers" in html
    assert "3,000,000 bytes of a body" in html


def test_rules_and_secrets_are_shown_as_given_and_masked() -> None:
    redact = Redactor()
    redact.add("sk-planted-1234")
    html = evidence_of(exchange(b"sk-planted-1234"), redact, rules="C9: <one> sk-planted-1234", recording="<a>x</a>")
    assert "sk-planted" not in html
    assert "<b>Rules</b><pre>C9: &lt;one&gt; ***</pre><a>x</a>" in html
    assert "<b>Rules</b>" not in evidence_of(exchange(), redact)
