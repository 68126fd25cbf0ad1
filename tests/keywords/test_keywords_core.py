"""The keywords from plain Python, without a Robot run; what they leave in the log; two processes of pabot."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from inner_suites import InnerRun, marked_processes, run_inner
from own_server import write_own_server
from robot.api import SkipExecution
from robot.api.types import Secret
from wire_server import WireServer, answer

from InferenceLibrary import InferenceLibrary
from InferenceLibrary.errors import CheckFailure, RequestError, ServerError, StreamError, TargetError
from InferenceLibrary.protocol.exchange import Attempt, Exchange, Request

ROOT = Path(__file__).resolve().parents[2]
ASKED = Request("POST", "http://host/v1/chat/completions")
WITH_USAGE = ASKED._replace(body=b'{"messages": [], "stream": true, "stream_options": {"include_usage": true}}')
FRANCE = "What is the capital of France?"


@pytest.fixture
def lib(tmp_path: Path) -> Iterator[InferenceLibrary]:
    lib = InferenceLibrary(timeout=timedelta(seconds=30))
    lib.context.output_dir = tmp_path
    yield lib
    lib.close()


def test_a_chat_without_robot(lib: InferenceLibrary) -> None:
    server = lib.start_server("simulator")
    reply = lib.chat(FRANCE, system="Be terse.", stop="nowhere", max_tokens=20)
    lib.answer_should_contain(reply, "Paris")
    lib.finish_reason_should_be(reply, "stop")
    lib.usage_should_add_up(reply)
    assert lib.get_answer_text(reply, "contains", "Paris") == reply.text
    assert lib.get_elapsed_time(reply, "<", "20 s") == reply.elapsed
    assert lib.list_models() == ["fake-model"]
    assert len(lib.call_at_once("Chat", "Hello", count=2)) == 2
    assert lib.get_server() is server
    lib.server_should_be_healthy()
    lib.wait_until_server_is_ready(within=timedelta(seconds=5))
    assert "listening on" in lib.get_server_log()


@pytest.mark.parametrize(("model", "warned"), [("fake-modl", True), ("fake-model", False)])
def test_a_model_that_the_server_does_not_list_is_told_at_once(
    lib: InferenceLibrary, monkeypatch: pytest.MonkeyPatch, model: str, warned: bool
) -> None:
    told: list[str] = []
    monkeypatch.setattr("InferenceLibrary.log.Log.warn", lambda _, line: told.append(line))
    url = lib.start_server("simulator").base_url
    lib.connect_to_server(url, alias="other", model=model)
    listed = (
        f"Server 'other' does not list the model '{model}': the server lists fake-model. Did you mean 'fake-model'?"
    )
    assert told == ([listed] if warned else [])
    if warned:
        with pytest.raises(RequestError, match="Hint: the server lists fake-model"):
            lib.chat(FRANCE)


def test_a_stream_without_robot(lib: InferenceLibrary) -> None:
    lib.start_server("simulator")
    stream = lib.stream_chat(FRANCE, include_usage=True)
    lib.stream_should_end_with_done(stream)
    lib.stream_should_be_in_order(stream)
    lib.stream_should_have_one_id(stream)
    lib.get_chunk_count(stream, ">=", 3)
    assert lib.get_time_to_first_token(stream, ">", 0) == stream.time_to_first_token
    assert lib.stream_completion(FRANCE, max_tokens=5).finish_reason == "length"


def test_a_measurement_keeps_its_time_limit(lib: InferenceLibrary) -> None:
    lib.start_server("simulator", time_to_first_token="30 s")
    with pytest.raises(StreamError, match=r"total time limit of 0.3 s"):
        lib.measure_generation(FRANCE, iterations=1, warmup=0, timeout=timedelta(seconds=0.3))


def test_what_an_api_has_no_place_for_is_refused(lib: InferenceLibrary) -> None:
    lib.start_server("simulator")
    with pytest.raises(ValueError, match="Expected no 'response_format': the Messages API"):
        lib.send_message("Hello", response_format={"type": "json_object"})


def test_close_ends_everything(lib: InferenceLibrary) -> None:
    servers = [lib.start_server("simulator", alias=alias) for alias in ("one", "two")]
    assert lib.get_server() is servers[1]
    assert lib.switch_server("one") is servers[0]
    lib.close()
    assert all(not server.process.running for server in servers)
    with pytest.raises(TargetError, match=r"^No server is open\."):
        lib.get_server()
    lib.close()


def test_stopping_one_and_all(lib: InferenceLibrary) -> None:
    first, second, third = (lib.start_server("simulator") for _ in range(3))
    lib.stop_server(server=second)
    assert (first.process.running, second.process.running, third.process.running) == (True, False, True)
    lib.stop_all_servers()
    assert not first.process.running
    assert not third.process.running
    lib.stop_all_servers()


def test_a_remote_server_is_let_go(lib: InferenceLibrary) -> None:
    started = lib.start_server("simulator")
    remote = lib.connect_to_server(f"{started.base_url}/v1/", alias="remote")
    assert (remote.base_url, remote.model, remote.pid) == (started.base_url, "fake-model", None)
    with pytest.raises(ServerError, match="has no log here: it was not started by the library"):
        lib.get_server_log(server="remote")
    lib.stop_server(server="remote")
    assert started.process.running
    assert lib.chat("Hello").status == 200, "the other one is the current one again"


def test_a_server_that_is_far_has_its_time_to_answer(lib: InferenceLibrary, wire: Callable[..., WireServer]) -> None:
    """Half a second is what a handshake with another continent takes."""
    far = wire([0.5, answer("{}")])
    lib.connect_to_server(far.url, model="m")
    lib.server_should_be_healthy()
    assert len(far.requests) == 3, "each asks once; the first looks for the model too"


@pytest.mark.parametrize(
    ("given", "login"),
    [({"api_key": "k-1"}, "Bearer k-1"), ({"headers": {"Authorization": "Basic dTpw"}}, "Basic dTpw"), ({}, None)],
    ids=["key", "header", "nothing"],
)
def test_the_first_question_of_a_connection_bears_the_login(lib, wire, given, login):
    """Without it some gateways answer 500, which looks like a server that is not healthy."""
    server = wire([answer("{}")])
    lib.connect_to_server(server.url, model="m", profile="openai", **given)
    lines = dict(line.split(": ", 1) for line in server.requests[0].decode().lower().splitlines()[1:] if line)
    assert lines.get("authorization") == (login and login.lower())


def test_secrets_are_taken_in_headers_and_environment(lib: InferenceLibrary, tmp_path: Path) -> None:
    key = Secret("sk-abcdefgh")
    lib.start_server(str(write_own_server(tmp_path)), environment={"A": key})
    reply = lib.chat("Hello", headers={"Authorization": key})
    assert reply.headers["x-your-key"] == "sk-abcdefgh", "what came is not changed"
    assert "sk-abcdefgh" not in f"{reply}{reply!r}"
    refusal = lib.chat("wrong", headers={"Authorization": key}, expected_status=401)
    assert refusal.error.message == "Incorrect key sk-abcdefgh"
    assert "Incorrect key ***" in str(refusal)
    assert "sk-abcdefgh" not in f"{refusal}{refusal!r}"
    stream = lib.stream_chat("Hello", headers={"Authorization": key})
    assert stream.text == "key sk-abcdefgh"
    assert "sk-abcdefgh" not in f"{stream}{stream.chunks}"


def test_secrets_arrive_at_any_depth_of_a_body(lib: InferenceLibrary, tmp_path: Path) -> None:
    key = Secret("sk-abcdefgh")
    lib.start_server(str(write_own_server(tmp_path)))
    refusal = lib.chat("spell", extra={"told": {"deep": [key]}}, expected_status=401)
    assert refusal.error.message.endswith("{'deep': ['sk-abcdefgh']}")
    assert "sk-abcdefgh" not in f"{refusal}{refusal!r}"


def test_secrets_arrive_in_options_and_arguments_and_leave_the_log(lib: InferenceLibrary, tmp_path: Path) -> None:
    key = Secret("sk-abcdefgh")
    server = lib.start_server(str(write_own_server(tmp_path)), words=["a", key], arguments=["--more", key])
    assert "'--words', 'a', '--words', 'sk-abcdefgh', '--more', 'sk-abcdefgh']" in server.log_path.read_text()
    lib.stop_server()
    assert "'--words', 'a', '--words', '***', '--more', '***']" in server.log_path.read_text()


def test_a_server_that_lacks_something_is_skipped_with_the_reason(lib: InferenceLibrary) -> None:
    started = lib.start_server("simulator")
    lib.skip_unless_server_supports("fault injection")
    lib.connect_to_server(started.base_url, alias="far")
    with pytest.raises(SkipExecution, match=r"^far does not offer 'fault injection': its profile does not say so"):
        lib.skip_unless_server_supports("fault injection")
    with pytest.raises(SkipExecution, match=r"^far does not offer 'program': only its URL is known, not its program"):
        lib.skip_unless_server_supports("program")
    with pytest.raises(ValueError, match=r"'fault injetion' is not a capability\. Did you mean 'fault injection'"):
        lib.skip_unless_server_supports("fault injetion")


def test_switching_all_tests_off(lib: InferenceLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    lib.skip_if_integration_tests_are_off()
    monkeypatch.setenv("SKIP_INTEGRATION_TESTS", "yes")
    with pytest.raises(SkipExecution, match="SKIP_INTEGRATION_TESTS=true skips all integration tests"):
        lib.skip_if_integration_tests_are_off()


@pytest.mark.parametrize(
    ("usage", "message"),
    [
        (None, "got none"),
        ({"prompt_tokens": 1}, "N7: .* Got completion_tokens: missing"),
        ({"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 3}, r"N7: .* Got 1 \+ 1 = 3"),
        ({"prompt_tokens": 3, "completion_tokens": -1, "total_tokens": 2}, "N7: .* Got completion_tokens: -1"),
        ({"prompt_tokens": 1, "completion_tokens": 1.0, "total_tokens": 2}, r"N7: .* Got completion_tokens: 1\.0"),
    ],
)
def test_usage_that_does_not_add_up(lib: InferenceLibrary, usage: dict[str, int] | None, message: str) -> None:
    from InferenceLibrary.client.answers import Reply

    data = {"choices": [{"index": 0, "message": {"content": "Hi"}}]} | ({"usage": usage} if usage else {})
    body = json.dumps(data).encode()
    with pytest.raises(CheckFailure, match=message):
        lib.usage_should_add_up(Reply(Exchange(ASKED, 200, (("content-type", "application/json"),), body)))


def events(*data: str) -> Any:
    """A stream of these events."""
    from InferenceLibrary.client.stream_reader import stream_of

    raw = "".join(f"data: {item}\n\n" for item in data).encode()
    return stream_of(
        Exchange(
            WITH_USAGE if USAGE in data else ASKED,
            200,
            (("content-type", "text/event-stream"),),
            raw,
            ((0.1, len(raw)),),
        )
    )


ENVELOPE = '"id":"1","object":"chat.completion.chunk","created":1,"model":"m",'
ROLE = "{" + ENVELOPE + '"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}'
TEXT = "{" + ENVELOPE + '"choices":[{"index":0,"delta":{"content":"Hi"}}]}'
END = "{" + ENVELOPE + '"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'
USAGE = "{" + ENVELOPE + '"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}'
DONE = "[DONE]"


def test_a_stream_in_order(lib: InferenceLibrary) -> None:
    lib.stream_should_be_in_order(events(ROLE, TEXT, TEXT, END, USAGE, DONE))
    lib.stream_should_be_in_order(events(ROLE, END))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((TEXT, ROLE, END), "C6: .* Got the role of choice 0 after its first delta in event 2"),
        ((ROLE, END, TEXT), 'C11: .* Got "Hi" of choice 0 in event 3'),
        ((ROLE, TEXT, END, END), 'C9: .* Got "stop" for choice 0 again in event 4'),
        ((ROLE, TEXT, USAGE, END), "C14: .* in event 3"),
        ((ROLE, TEXT, DONE), "C9: .* Got none for choice 0"),
        ((), "C24: .* Got 0 events without one"),
    ],
)
def test_a_stream_out_of_order(lib: InferenceLibrary, data: tuple[str, ...], message: str) -> None:
    with pytest.raises(CheckFailure, match=message):
        lib.stream_should_be_in_order(events(*data))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((TEXT, END), "F8: .* Got none after 2 events"),
        ((TEXT, END, DONE, DONE), r"F8: .* Got another .DONE. in event 4"),
        ((TEXT, END, DONE, USAGE), "F8: .* in event 4"),
        ((), "F8: .* Got none after 0 events"),
    ],
)
def test_a_stream_without_a_proper_done(lib: InferenceLibrary, data: tuple[str, ...], message: str) -> None:
    with pytest.raises(CheckFailure, match=message):
        lib.stream_should_end_with_done(events(*data))


def test_checks_of_streams_that_fail(lib: InferenceLibrary) -> None:
    stream = events(ROLE, TEXT, END, DONE)
    lib.get_chunk_count(stream, "==", 1)
    with pytest.raises(CheckFailure, match="expected >= 2, got 1"):
        lib.get_chunk_count(stream, ">=", 2)
    with pytest.raises(CheckFailure, match=r'C2: .* Got "2" after "1" in event 2'):
        lib.stream_should_have_one_id(events(TEXT, TEXT.replace('"1"', '"2"')))
    with pytest.raises(CheckFailure, match="C2: "):
        lib.stream_should_have_one_id(events('{"id":"","choices":[]}'))
    with pytest.raises(CheckFailure, match="expected a chunk with text, got none"):
        lib.get_time_to_first_token(events(ROLE, END))


def test_checks_of_replies_that_fail(lib: InferenceLibrary) -> None:
    stream = events(ROLE, TEXT, END, DONE)
    with pytest.raises(CheckFailure, match="expected a text that contains 'hi', got 'Hi'"):
        lib.answer_should_contain(stream, "hi")
    lib.answer_should_contain(stream, "hi", ignore_case=True)
    with pytest.raises(CheckFailure, match="Nothing is looked for in the answer: expected a text, got an empty one"):
        lib.answer_should_contain(stream, "")
    with pytest.raises(CheckFailure, match="Finish reason: expected 'length', got 'stop'"):
        lib.finish_reason_should_be(stream, "length")
    with pytest.raises(CheckFailure, match="Expected 3 attempts, got 0"):
        lib.attempts_should_be(stream, 3)
    failed = RequestError("refused", attempts=(Attempt(1, 404, None, 0.1),))
    lib.attempts_should_be(failed, 1)
    with pytest.raises(CheckFailure, match="Expected 2 attempts, got 1"):
        lib.attempts_should_be(failed, 2)
    expected = "Attempts: expected a reply, a stream or the error of a call that failed, got the text 'refused'"
    for check in (
        lambda: lib.attempts_should_be("refused", 1),
        lambda: lib.backoff_should_follow_the_policy("refused"),
    ):
        with pytest.raises(CheckFailure, match=expected):
            check()
    with pytest.raises(CheckFailure, match="Total tokens: expected usage in the answer, got none"):
        lib.get_total_tokens(stream)


def test_calls_at_once_that_fail(lib: InferenceLibrary) -> None:
    lib.start_server("simulator", fault="status:code=503,first=1")
    with pytest.raises(CheckFailure, match=r"^1 of 3 calls of Chat at once failed; the first: POST .* got 503"):
        lib.call_at_once("Chat", "Hello", count=3)
    lib.start_server("simulator", fault="status:code=503,first=1")
    results = lib.call_at_once("Chat", "Hello", count=3, allow_failures=True)
    assert sum(isinstance(result, RequestError) for result in results) == 1
    with pytest.raises(CheckFailure, match="There is nothing to ask"):
        lib.call_at_once("Chat", [], count=3)


def test_calls_at_once_take_what_one_call_takes(lib: InferenceLibrary) -> None:
    lib.start_server("simulator")
    lib.load_adapter("pirate", "/adapters/pirate")
    alone = lib.chat(FRANCE).usage.prompt_tokens
    given = {"count": 3, "model": "pirate", "max_tokens": 2, "system": "Be terse."}
    for answers in (
        lib.call_at_once("Chat", FRANCE, **given),
        lib.call_at_once("Stream Chat", FRANCE, include_usage=True, **given),
    ):
        assert [answer.model for answer in answers] == ["pirate"] * 3
        assert [answer.usage.completion_tokens for answer in answers] == [2] * 3
        assert all(answer.usage.prompt_tokens > alone for answer in answers)
    for keyword in ("Chat", "Stream Chat"):
        results = lib.call_at_once(keyword, FRANCE, count=2, model="nobody", allow_failures=True)
        assert [result.status for result in results] == [404, 404]


def test_texts_asked_at_once_are_not_read_as_messages(lib: InferenceLibrary) -> None:
    lib.start_server("simulator", mode="echo", scenario="")
    assert [reply.text for reply in lib.call_at_once("Chat", ["[1, 2]", "[a]"])] == ["[1, 2]", "[a]"]


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> InnerRun:
    return run_inner("core_in_the_log.robot", tmp_path_factory.mktemp("log"), "--loglevel", "TRACE")


def test_foreign_text_is_escaped_in_the_log(logged: InnerRun) -> None:
    assert logged["Foreign Text Is Escaped"].status == "PASS", logged["Foreign Text Is Escaped"].message
    output = (logged.output_dir / "output.xml").read_text("utf-8")
    html = re.findall(r"<msg [^>]*html=\"true\"[^>]*>(.*?)</msg>", output, re.DOTALL)
    assert html, "links are logged as HTML"
    for message in html:
        # Escaped once for XML; twice where the text is foreign.
        assert "&lt;script" not in message
    assert '&lt;script&gt;alert("from the model")' in output, "as plain text it is there"
    log = (logged.output_dir / "log.html").read_text("utf-8")
    assert "<script>alert" not in log


def test_links_of_the_log_lead_to_files_beside_it(logged: InnerRun) -> None:
    output = (logged.output_dir / "output.xml").read_text("utf-8")
    links = re.findall(r"&lt;a href=\"([^\"]*)\"", output)
    assert links
    for link in links:
        assert not link.startswith(("/", "file:", ".."))
        assert (logged.output_dir / link).is_file()


@pytest.mark.parametrize(
    ("test", "status", "message"),
    [
        ("The Engine Evaluates", "PASS", ""),
        ("The Engine Refuses", "FAIL", "elapsed time"),
        ("A Failure Shows Foreign Text", "FAIL", "Answer: expected a text that contains 'Paris', got '<script>"),
        (
            "An Assertion Of The Wrong Unit",
            "FAIL",
            "expected a time with a unit, such as 200 ms or 2 s, got '5 apples'.",
        ),
        (
            "A Key In Plain Text Is Refused",
            "FAIL",
            "Argument 'api_key': expected a Robot secret, such as ${KEY: Secret}    %{MY_KEY}, got '***'",
        ),
    ],
)
def test_inline_assertions_and_refusals_in_a_run(logged: InnerRun, test: str, status: str, message: str) -> None:
    assert logged[test].status == status
    assert message in logged[test].message
    assert "Traceback" not in logged[test].message


def test_the_word_none_is_no_secret(logged: InnerRun) -> None:
    assert logged["No Key At All"].status == "PASS", logged["No Key At All"].message
    assert "the word None stays" in logged["No Key At All"].log


@pytest.mark.slow
def test_suites_pass_in_two_processes(tmp_path: Path) -> None:
    suites = [str(ROOT / "robot" / "integration" / name) for name in ("api.robot", "streaming.robot")]
    mark = "pabot-of-test"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pabot.pabot",
            "--processes",
            "2",
            "--pabotlibport",
            "0",
            "--outputdir",
            tmp_path,
            *suites,
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "INFERENCE_TEST_MARK": mark, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASSED") == 2
    assert (tmp_path / "output.xml").is_file()
    assert marked_processes(mark) == {}
