"""Rules of refusals: each kind fails for its own reason, and a right refusal keeps the rules."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from protocol.rules.exchanges import ASKED, CHAT, JSON, answer
from protocol.rules.exchanges import found as all_found
from protocol.rules.typed_exchanges import (
    ANTHROPIC_REFUSAL,
    EMBEDDINGS,
    EMBEDDINGS_ASKED,
    MESSAGES,
    MESSAGES_ASKED,
    ORCHESTRATED,
    REFUSAL,
    RESPONSES,
    Change,
    drop,
    put,
)

from InferenceLibrary.protocol.exchange import Exchange
from InferenceLibrary.protocol.rules.book import judge
from InferenceLibrary.protocol.rules.rule import Known

KNOWN = Known(models=("m", "tiny:latest"))
NOTHING = Known()
FULL = {**ASKED, "input": "Hello", "prompt": "Hello"}
GOOD = {key: value for key, value in ORCHESTRATED.items() if key != "orchestration"}


def found(call: Exchange, known: Known = NOTHING) -> set[tuple[str, str]]:
    """Rule and kind of the violations that are about refusals."""
    return {
        (rule, kind)
        for rule, kind in all_found(call, known=known)
        if (rule[0] == "R" and rule[1].isdigit()) or rule == "A7"
    }


def refusal(change: Change | None = None, *, status: int = 400, path: str = CHAT, **more: Any) -> Exchange:
    body = copy.deepcopy(ANTHROPIC_REFUSAL if path == MESSAGES else REFUSAL)
    other = change(body) if change is not None else None
    asked = more.pop("asked", MESSAGES_ASKED if path == MESSAGES else ASKED)
    return answer(path, asked, body if other is None else other, status=status, **more)


def sent(call: Exchange, *headers: tuple[str, str], body: bytes | None = None) -> Exchange:
    """A call whose request had these headers, and this body."""
    call.request = call.request._replace(headers=headers, body=call.request.body if body is None else body)
    return call


@pytest.mark.parametrize("path", [CHAT, RESPONSES, MESSAGES, "/v1/embeddings", "/v1/completions"])
@pytest.mark.parametrize("status", [400, 401, 429, 500, 503])
def test_right_refusals_keep_all_rules(path: str, status: int) -> None:
    judgement = judge(refusal(path=path, status=status, asked=FULL))
    assert judgement.broken == ()


@pytest.mark.parametrize(
    ("change", "breach"),
    [
        (lambda body: b"Internal Server Error", ("R1", "no JSON")),
        (lambda body: b"", ("R1", "no JSON")),
        (lambda body: [body], ("R1", "no JSON")),
        (lambda body: body["error"], ("R1", "no error")),
        (lambda body: {"detail": "wrong"}, ("R1", "no error")),
        (put("wrong", "error"), ("R1", "no error")),
        (drop("error", "message"), ("R1", "no message")),
        (put("", "error", "message"), ("R1", "no message")),
        (put(None, "error", "type"), ("R10", "type")),
        (drop("error", "type"), ("R10", "type")),
        (drop("error", "param"), ("R10", "param")),
        (put(5, "error", "param"), ("R10", "param")),
        (drop("error", "code"), ("R10", "code")),
        (put([], "error", "code"), ("R10", "code")),
        (put("cannot read /home/joe/models/x.gguf", "error", "message"), ("R7", "path")),
        (put("cannot read C:\\models\\x.gguf", "error", "message"), ("R7", "path")),
        (put("Traceback (most recent call last): ...", "error", "message"), ("R7", "stack")),
        (put('File "server.py", line 12, in chat', "error", "message"), ("R7", "stack")),
        (put("thread 'main' panicked at src/main.rs:12:5", "error", "message"), ("R7", "stack")),
        (put("Wrong key sk-abcdefghijklmnopqrstuvwxyz", "error", "message"), ("R7", "key")),
    ],
)
def test_a_refusal_breaks_the_rule(change: Change, breach: tuple[str, str]) -> None:
    assert found(refusal(change)) == {breach}


@pytest.mark.parametrize(
    ("change", "breach"),
    [
        (lambda body: b"Internal Server Error", ("A7", "no JSON")),
        (drop("type"), ("A7", "type")),
        (drop("error", "type"), ("A7", "error")),
        (drop("error", "message"), ("A7", "error")),
        (put("wrong", "error"), ("A7", "error")),
    ],
)
def test_a_refusal_of_messages_breaks_the_rule(change: Change, breach: tuple[str, str]) -> None:
    assert found(refusal(change, path=MESSAGES)) == {breach}


@pytest.mark.parametrize(
    "message",
    [
        "Unknown route /v1/chat/completion",
        "See https://platform.openai.com/docs/app/errors",
        "Incorrect API key provided: sk-abc***xyz",
        "Input should be less than or equal to 5.0, at messages.0.content",
        "'/opt' is not a tool",
    ],
)
def test_messages_that_tell_nothing(message: str) -> None:
    assert found(refusal(put(message, "error", "message"))) == set()


def test_what_the_client_wrote_itself_is_not_a_leak() -> None:
    asked = {**ASKED, "model": "/models/home/x"}
    assert found(refusal(put("no model /models/home/x", "error", "message"), asked=asked)) == set()


def test_the_route_that_was_asked_for_is_not_a_leak() -> None:
    path = "/data/models/v1/chat/completions"
    assert found(refusal(put(f"no route {path}", "error", "message"), path=path)) == set()


def test_the_key_of_the_call_is_not_told_back() -> None:
    call = sent(
        refusal(put("wrong key: abcdefgh12345678", "error", "message")), ("authorization", "Bearer abcdefgh12345678")
    )
    assert found(call) == {("R7", "key")}
    assert "abcdefgh12345678" not in str(judge(call, only=["R7"]).violations[0])


def test_a_route_that_a_server_lacks_is_no_refusal_of_the_api() -> None:
    for body in (b"404 page not found", b"", {"detail": "Not Found"}):
        assert found(refusal(lambda _, body=body: body, status=404)) == set()  # type: ignore[misc]
    assert found(refusal(lambda _: {"detail": "no such model"}, status=404)) == {("R1", "no error")}


@pytest.mark.parametrize(
    ("status", "change", "breaches"),
    [
        (200, lambda body: GOOD, {("R2", "served")}),
        (400, None, {("R2", "status")}),
        (500, None, {("R2", "status")}),
        (404, None, {("R2", "code")}),
        (404, put("model_not_found", "error", "code"), set()),
        (503, None, set()),
    ],
)
def test_an_unknown_model(status: int, change: Change | None, breaches: set[tuple[str, str]]) -> None:
    call = refusal(change, status=status, asked={**ASKED, "model": "x"})
    assert found(call, KNOWN) == breaches
    assert found(call) == set()
    for model in ("m", "tiny", "tiny:latest"):
        assert found(refusal(change, status=status, asked={**ASKED, "model": model}), KNOWN) == set()


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        (CHAT, {"model": "m", "messages": []}),
        (CHAT, {"model": "m"}),
        (CHAT, {"model": "m", "messages": None}),
        (MESSAGES, {"model": "m", "messages": []}),
        ("/v1/completions", {"model": "m"}),
        (RESPONSES, {"model": "m"}),
    ],
)
def test_nothing_to_answer(path: str, asked: Any) -> None:
    assert found(refusal(path=path, asked=asked)) == set()
    assert found(refusal(path=path, asked=asked, status=422)) == set()
    assert found(refusal(path=path, asked=asked, status=500)) == {("R3", "status")}
    assert found(answer(path, asked, GOOD)) == {("R3", "served")}


def test_an_empty_prompt_is_something_to_answer() -> None:
    assert found(answer("/v1/completions", {"model": "m", "prompt": None}, {})) == set()
    assert found(answer(RESPONSES, {"model": "m", "previous_response_id": "resp_1"}, {})) == set()


def test_a_call_without_a_key() -> None:
    known = Known(key=True)
    assert found(answer(CHAT, ASKED, GOOD), known) == {("R4", "served")}
    assert found(refusal(status=400), known) == {("R4", "status")}
    assert found(refusal(status=401), known) == set()
    assert found(sent(answer(CHAT, ASKED, GOOD), ("authorization", "Bearer x")), known) == set()
    assert found(sent(answer(CHAT, ASKED, GOOD), ("x-api-key", "x")), known) == set()
    assert found(answer(CHAT, ASKED, GOOD)) == set()


@pytest.mark.parametrize(
    ("value", "breaches"),
    [("5", False), ("Wed, 21 Oct 2026 07:28:00 GMT", False), ("soon", True), ("1.5", True), ("", True)],
)
def test_retry_after(value: str, breaches: bool) -> None:
    call = refusal(status=429, headers=(*JSON, ("retry-after", value)))
    assert found(call) == ({("R11", "nonsense")} if breaches else set())


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b"5", b"", b"\xff"])
def test_a_body_that_is_not_an_object(body: bytes) -> None:
    assert found(sent(refusal(), body=body)) == set()
    assert found(sent(refusal(status=422), body=body)) == set()
    assert found(sent(refusal(status=503), body=body)) == set()
    assert found(sent(refusal(status=500), body=body)) == {("R5", "status")}
    assert found(sent(answer(CHAT, ASKED, GOOD), body=body)) == {("R5", "served")}


def test_a_body_in_a_coding_need_not_be_json_as_it_is_held() -> None:
    for coding in (("content-encoding", "gzip"), ("transfer-encoding", "chunked")):
        assert found(sent(answer(CHAT, ASKED, GOOD), coding, body=b"\x1f\x8b")) == set()


def test_a_body_that_says_it_is_not_json() -> None:
    text = ("content-type", "text/plain")
    assert found(sent(refusal(status=415), text)) == set()
    assert found(sent(refusal(status=500), text)) == {("R6", "status")}
    assert found(sent(answer(CHAT, ASKED, GOOD), text)) == {("R6", "served")}
    assert found(sent(answer(CHAT, ASKED, GOOD), ("content-type", "application/json; charset=utf-8"))) == set()


def test_embeddings_are_refused_by_the_same_rules() -> None:
    assert found(answer("/v1/embeddings", {**EMBEDDINGS_ASKED, "model": "x"}, EMBEDDINGS), Known(models=("m",))) == {
        ("R2", "served")
    }


@pytest.mark.parametrize("given", ["", [], ["Paris", ""], 5, None])
def test_an_input_that_is_not_one(given: Any) -> None:
    asked = {"model": "m", "input": given}
    names = {name for name, _ in all_found(refusal(path="/v1/embeddings", asked=asked))}
    assert names == set()
    assert ("E5", "status") in all_found(refusal(path="/v1/embeddings", asked=asked, status=500))
    assert ("E5", "taken") in all_found(answer("/v1/embeddings", asked, EMBEDDINGS))
