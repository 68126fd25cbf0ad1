"""Pages of other sites in a browser: the reference lets them call as OpenAI's and Anthropic's APIs do."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from inner_suites import run_inner
from likeness import served
from recordings import recording, recordings

ORIGIN = {"Origin": "https://page.example"}
OPT_IN = {"anthropic-dangerous-direct-browser-access": "true"}
CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
MESSAGE = {"model": "fake-model", "max_tokens": 5, "messages": [{"role": "user", "content": "one"}]}


def asks_first(*headers: str) -> dict[str, str]:
    """The headers of a browser's question before a POST."""
    asked = {**ORIGIN, "Access-Control-Request-Method": "POST"}
    return {**asked, "Access-Control-Request-Headers": ",".join(headers)} if headers else asked


def shared(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.startswith("access-control-")}


@pytest.fixture(scope="module")
def keyed(start_shared: Any) -> Any:
    return start_shared("--mode", "echo", "--api-key", "sk-secret")


def test_a_browser_is_told_what_a_page_may_send_before_it_has_a_key(keyed):
    answer = keyed.request("OPTIONS", CHAT, headers=asks_first("authorization", "content-type", "x-stainless-os"))
    assert (answer.status, answer.body, answer.headers["allow"]) == (200, b"", "POST, OPTIONS")
    assert shared(answer.headers) == {
        "access-control-allow-origin": "*",
        "access-control-expose-headers": "x-request-id",
        "access-control-allow-methods": "POST, OPTIONS",
        "access-control-allow-headers": "authorization,content-type,x-stainless-os",
    }


@pytest.mark.parametrize("key", ["sk-secret", "wrong"])
@pytest.mark.parametrize("more", [{}, {"stream": True}])
def test_a_page_may_read_answers_and_errors(keyed, key, more):
    headers = {**ORIGIN, "Authorization": f"Bearer {key}"}
    answer = keyed.request("POST", CHAT, {**MESSAGE, **more}, headers)
    assert answer.status == (200 if key == "sk-secret" else 401)
    assert shared(answer.headers) == {
        "access-control-allow-origin": "*",
        "access-control-expose-headers": "x-request-id",
    }


def test_others_see_nothing_of_it(keyed):
    answer = keyed.request("POST", CHAT, MESSAGE, {"Authorization": "Bearer sk-secret"})
    assert (answer.status, shared(answer.headers)) == (200, {})
    asked = keyed.request("OPTIONS", "/v1/models")
    assert (asked.status, asked.headers["allow"], shared(asked.headers)) == (200, "GET, OPTIONS", {})


def test_what_is_not_there_is_not_offered(keyed):
    assert keyed.request("OPTIONS", "/v1/nothing", headers=asks_first()).status == 404


def test_messages_are_for_pages_that_ask_for_it(simulator):
    first = simulator.request("OPTIONS", MESSAGES, headers=asks_first("content-type", *OPT_IN))
    assert first.headers["access-control-allow-origin"] == "*"
    silent = simulator.request("OPTIONS", MESSAGES, headers=asks_first("content-type"))
    assert "access-control-allow-origin" not in silent.headers
    answer = simulator.request("POST", MESSAGES, MESSAGE, {**ORIGIN, **OPT_IN})
    assert (answer.status, shared(answer.headers)) == (
        200,
        {"access-control-allow-origin": "*", "access-control-expose-headers": "*"},
    )


@pytest.mark.parametrize("path", [MESSAGES, f"{MESSAGES}/count_tokens"])
def test_a_page_that_does_not_ask_for_it_is_refused(simulator, path):
    body = MESSAGE if path == MESSAGES else {name: MESSAGE[name] for name in ("model", "messages")}
    refused = simulator.request("POST", path, body, ORIGIN)
    assert (refused.status, shared(refused.headers)) == (401, {})
    assert refused.json == {
        "type": "error",
        "error": {
            "type": "authentication_error",
            "message": "CORS requests must set 'anthropic-dangerous-direct-browser-access' header",
        },
    }
    assert simulator.request("POST", path, body).status == 200


@pytest.mark.parametrize("name", recordings())
def test_each_stand_in_is_compared_with_what_its_server_answers_to_options(name):
    """In the part of the recordings that each check plays."""
    records = list(recording(name))
    largest, _ = Counter(one.group for one in records).most_common(1)[0]
    assert [one for one in records if one.group == largest and one.request["method"] == "OPTIONS"]


# The systems of the other documents, by their sources


def test_the_gateway_lets_pages_of_all_sites_call(start_simulator):
    gateway = start_simulator("--as", "gateway", "--upstream", "local=http://127.0.0.1:9", "--api-key", "k")
    first = gateway.request("OPTIONS", CHAT, headers=asks_first("content-type", "x-own"))
    assert (first.status, first.body, first.headers["vary"]) == (200, b"OK", "Origin")
    assert shared(first.headers) == {
        "access-control-allow-origin": "https://page.example",
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT",
        "access-control-allow-headers": "content-type,x-own",
        "access-control-max-age": "600",
    }
    page = {"access-control-allow-origin": "*", "access-control-allow-credentials": "true"}
    answer = gateway.request("GET", "/health", headers=ORIGIN)
    assert (answer.status, shared(answer.headers), "vary" in answer.headers) == (200, page, False)
    cookie = gateway.request("GET", "/health", headers={**ORIGIN, "Cookie": "a=b"})
    assert (shared(cookie.headers)["access-control-allow-origin"], cookie.headers["vary"]) == (
        "https://page.example",
        "Origin",
    )
    refused = gateway.request("POST", CHAT, MESSAGE, ORIGIN)
    assert (refused.status, shared(refused.headers)) == (401, page)
    plain = gateway.request("OPTIONS", CHAT, headers={"Authorization": "Bearer k"})
    assert (plain.status, plain.headers["allow"], plain.json) == (405, "POST", {"detail": "Method Not Allowed"})
    assert shared(gateway.request("GET", "/health").headers) == {}


def test_the_router_asks_for_the_key_before_it_refuses_a_method(start_simulator):
    router = start_simulator("--as", "router", "--backend", "a=http://127.0.0.1:9")
    for method in ("OPTIONS", "GET"):
        nobody = router.request(method, CHAT, headers=asks_first("x-api-key"))
        assert (nobody.status, nobody.json["code"], shared(nobody.headers)) == (401, "AUTH_INVALID", {})
        known = router.request(method, CHAT, headers={"X-API-Key": "dev-test-key"})
        assert (known.status, known.headers["allow"], known.body) == (405, "POST", b"")
    assert router.request("OPTIONS", "/v1/status/healthz").status == 405


@pytest.mark.parametrize(
    ("words", "path", "allowed"),
    [(("--as", "worker", "--worker-id", "w"), "/execute", "POST"), (("--as", "service"), CHAT, "POST")],
    ids=["worker", "service"],
)
def test_the_worker_and_the_service_know_nothing_of_pages(start_simulator, words, path, allowed):
    simulator = start_simulator(*words)
    asked = simulator.request("OPTIONS", path, headers=asks_first("content-type"))
    assert (asked.status, asked.headers["allow"], shared(asked.headers)) == (405, allowed, {})
    assert shared(simulator.request("GET", "/health", headers=ORIGIN).headers) == {}


FORGETFUL = """
name: forgetful
title: Forgetful
version: '1'
choices:
  preflight: {headers: {access-control-allow-origin: '*'}}
  routes:
    GET /health: {body: OK}
    GET /v1/models: {body: {object: list, data: [{id: tiny, object: model, created: 1, owned_by: me}]}}
    POST /v1/chat/completions: {does: chat}
  answers:
    chat:
      answer: {id: $id, object: chat.completion, created: $created, model: $model, choices: $choices, usage: $usage}
      choice: {index: $index, message: {role: assistant, content: $content}, finish_reason: $finish}
"""


def test_a_server_that_forgets_what_it_allowed_is_seen(tmp_path):
    path = tmp_path / "forgetful.yaml"
    path.write_text(FORGETFUL)
    suite = Path(__file__).parents[2] / "robot" / "integration" / "api.robot"
    name = "A Page That May Ask May Read The Answers"
    with served(("--as", str(path), "--model", "tiny"), {}) as port:
        given = ("--variable", f"TARGET:http://127.0.0.1:{port}", "--test", name)
        done = run_inner(suite, tmp_path / "out", *given).tests[name]
    told = "Access-Control-Allow-Origin: expected https://page.example or *, as OPTIONS promised, got no header: "
    assert (done.status, done.message[: len(told)]) == ("FAIL", told)
