"""The router personality: keys, limits, budgets, requests."""

import hashlib
import hmac
import json
import uuid

import pytest
from simulator.router_calls import ADMIN, ASKED, CHAT, KEY, ask, infer, refusal

from InferenceLibrary.simulator.personalities import router_limits


@pytest.fixture(scope="module")
def backend(start_shared):
    return start_shared("--model", "gpt-4o", "--mode", "echo", "--control-port", "0", "--max-num-seqs", "64")


@pytest.fixture(scope="module")
def router(start_shared, backend):
    return start_shared(
        "--as", "router", "--backend", f"one={backend.url}", "--rate-burst", "100000", "--rate-limit", "100000",
        "--key", "k-good;org=acme;hmac=secret", "--key", "k-old;state=expired", "--key", "k-gone;state=revoked",
        "--component", "redis=healthy", "--control-port", "0",
    )  # fmt: skip


# Status


def test_status_routes_need_no_key(router):
    health = router.request("GET", "/v1/status/healthz")
    assert (health.status, health.json["status"]) == (200, "healthy")
    assert set(health.json["build"]) == {"version", "commit", "build_time"}
    ready = router.request("GET", "/v1/status/readyz")
    assert (ready.status, ready.json["status"]) == (200, "ready")
    assert ready.json["components"] == {
        "redis": "healthy",
        "kafka": "not_configured",
        "config_service": "not_configured",
        "backend_registry": "healthy",
    }
    assert router.request("GET", "/v1/models").json["data"][0]["id"] == "gpt-4o"


@pytest.mark.parametrize("arguments", [["--component", "redis=unhealthy", "--backend", "a=http://127.0.0.1:1"], []])
def test_an_unhealthy_component_makes_it_not_ready(start_simulator, arguments):
    router = start_simulator("--as", "router", *arguments)
    ready = router.request("GET", "/v1/status/readyz")
    assert (ready.status, ready.json["status"]) == (503, "degraded")
    assert list(ready.json["components"].values()).count("unhealthy") == 1
    assert router.request("GET", "/v1/status/healthz").status == 200


# Keys


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": "dev-test-key"},
        {"X-API-Key": "test-anything"},
        {"Authorization": "Bearer dev-test-key"},
        {"authorization": "bearer k-good"},
        {"X-API-Key": "k-good"},
    ],
)
def test_a_good_key(router, headers):
    assert ask(router, headers).status == 200


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({}, "missing X-API-Key header"),
        ({"X-API-Key": ""}, "missing X-API-Key header"),
        ({"Authorization": "Basic dev-test-key"}, "missing X-API-Key header"),
        ({"X-API-Key": "other"}, "invalid API key: unknown key"),
        ({"X-API-Key": "k-old"}, "invalid API key: key is expired"),
        ({"X-API-Key": "k-gone"}, "invalid API key: key is revoked"),
    ],
)
def test_a_bad_key(router, headers, said):
    for answer in (
        ask(router, headers),
        infer(router, headers),
        router.request("GET", f"{ADMIN}/backends", None, headers),
    ):
        assert refusal(answer) == (401, "AUTH_INVALID")
        assert answer.json["error"] == said


def test_signatures(router):
    body = json.dumps({"model": "gpt-4o", "messages": ASKED}).encode()
    good = hmac.new(b"secret", body, hashlib.sha256).hexdigest()
    headers = {"X-API-Key": "k-good", "X-HMAC-Signature": good}
    assert router.request("POST", CHAT, body, headers).status == 200
    wrong = router.request("POST", CHAT, body + b" ", headers)
    assert refusal(wrong) == (401, "AUTH_INVALID")
    assert "HMAC signature mismatch" in wrong.json["error"]
    without = router.request("POST", CHAT, body, {**KEY, "X-HMAC-Signature": good})
    assert "no HMAC secret configured" in without.json["error"]


# Limits


def test_the_rate_limit(start_simulator, backend):
    router = start_simulator(
        "--as", "router", "--backend", f"one={backend.url}", "--rate-limit", "1", "--rate-burst", "3"
    )
    allowed = [ask(router) for _ in range(3)]
    assert [answer.headers["x-ratelimit-remaining"] for answer in allowed] == ["2", "1", "0"]
    assert {answer.headers["x-ratelimit-limit"] for answer in allowed} == {"3"}
    denied = ask(router)
    assert refusal(denied) == (429, "RATE_LIMIT_EXCEEDED")
    assert denied.headers["retry-after"] == "1"
    assert (denied.headers["x-ratelimit-limit"], denied.headers["x-ratelimit-remaining"]) == ("3", "0")
    assert denied.json["retry_after_seconds"] == 1
    assert denied.json["limit_context"] == {"current_usage": 3, "limit": 3, "remaining": 0}
    # Another key has a limit of its own, and the status routes have none.
    assert ask(router, {"X-API-Key": "dev-other"}).status == 200
    assert router.request("GET", "/v1/status/healthz").status == 200
    assert b"api_router_rate_limit_denials_total 1\n" in router.request("GET", "/metrics").body


@pytest.mark.parametrize(
    ("key", "code", "kind", "most"),
    [
        ("dev-exhausted-budget-key", "BUDGET_EXCEEDED", "budget", 10000.0),
        ("dev-exhausted-quota-key", "QUOTA_EXCEEDED", "daily_quota", 1000.0),
    ],
)
def test_exhausted_budgets(router, key, code, kind, most):
    for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}):
        answer = ask(router, headers)
        assert refusal(answer) == (402, code)
        assert answer.json["limit_context"] == {"current_usage": most, "limit": most, "quota_type": kind}
        assert "retry-after" not in answer.headers
    name = "budget" if kind == "budget" else "quota"
    assert f"api_router_{name}_denials_total 2\n".encode() in router.request("GET", "/metrics").body


# Requests


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"model": None}, "VALIDATION_ERROR", "model is required"),
        ({"model": ""}, "VALIDATION_ERROR", "model is required"),
        ({"messages": []}, "VALIDATION_ERROR", "messages array cannot be empty"),
        ({"messages": None}, "VALIDATION_ERROR", "messages array cannot be empty"),
        ({"messages": "x"}, "INVALID_REQUEST", "cannot unmarshal string into field messages"),
        (
            {"messages": [{"role": "user", "content": ["x"]}]},
            "INVALID_REQUEST",
            "field messages.content of type string",
        ),
        ({"max_tokens": "x"}, "INVALID_REQUEST", "field max_tokens of type int"),
        ({"stream": 1}, "INVALID_REQUEST", "field stream of type bool"),
    ],
)
def test_wrong_chats(router, changes, code, said):
    answer = ask(router, **changes)
    assert refusal(answer) == (400, code)
    assert said in answer.json["error"]


def test_wrong_bodies_and_paths(router):
    assert refusal(router.request("POST", CHAT, b'{"model"', KEY)) == (400, "INVALID_REQUEST")
    assert refusal(router.request("POST", CHAT, b"[]", KEY)) == (400, "INVALID_REQUEST")
    without = {"messages": None, "prompt": ""}
    assert refusal(ask(router, path="/v1/completions", **without)) == (400, "VALIDATION_ERROR")
    large = router.request("POST", CHAT, b'{"model": "%b"}' % (b"x" * 65536), KEY)
    assert (large.status, large.headers["content-type"]) == (413, "text/plain; charset=utf-8")
    assert large.body == b"request body too large\n"
    missing = router.request("GET", "/v1/none", None, KEY)
    assert (missing.status, missing.body) == (404, b"404 page not found\n")
    assert router.request("GET", CHAT, None, KEY).status == 405


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"request_id": ""}, "request_id is required"),
        ({"request_id": "no-uuid"}, "request_id must be a valid UUID"),
        ({"model": ""}, "model is required"),
        ({"payload": ""}, "payload is required"),
        ({"content_type": "image/png"}, "content_type must be"),
    ],
)
def test_wrong_inferences(router, changes, said):
    answer = infer(router, **changes)
    assert refusal(answer) == (400, "VALIDATION_ERROR")
    assert said in answer.json["error"]


def test_an_answer_and_its_headers(router):
    answer = ask(router)
    assert answer.status == 200
    assert answer.json["choices"][0]["message"]["content"] == "one two three"
    assert (answer.headers["x-routing-backend"], answer.headers["x-routing-decision"]) == ("one", "PRIMARY")
    assert ask(router, path="/v1/completions", prompt="one two").json["choices"][0]["text"] == "one two"


def test_a_stream_passes(router):
    answer = ask(router, stream=True, stream_options={"include_usage": True})
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["x-routing-backend"] == "one"
    assert answer.headers["x-ratelimit-limit"] == "100000"
    assert answer.data[-1] == "[DONE]"
    assert answer.data[-2]["usage"]["total_tokens"] == 6


def test_the_routers_own_api_and_its_audit(router):
    request_id = str(uuid.uuid4())
    answer = infer(router, {"X-API-Key": "k-good"}, request_id=request_id, parameters={"max_tokens": 2}).json
    assert answer["request_id"] == request_id
    assert answer["output"] == {"text": "one two"}
    assert set(answer["usage"]) == {"tokens_input", "tokens_output", "latency_ms", "cost_usd", "limit_state"}
    assert (answer["usage"]["tokens_input"], answer["usage"]["tokens_output"]) == (3, 2)
    assert answer["usage"]["limit_state"] == "WITHIN_LIMIT"
    assert len(answer["trace_id"]) == 32
    record = router.request("GET", f"/v1/audit/requests/{request_id}", None, KEY).json
    assert (record["request_id"], record["organization_id"], record["backend_id"]) == (request_id, "acme", "one")
    assert (record["tokens_input"], record["tokens_output"], record["decision_reason"]) == (3, 2, "PRIMARY")
    assert refusal(router.request("GET", "/v1/audit/requests/x", None, KEY)) == (404, "NOT_FOUND")
    traced = infer(router, {**KEY, "traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01"}).json
    assert traced["trace_id"] == "ab" * 16


def test_keys_are_not_told_by_the_control_api(router):
    ask(router, {"X-API-Key": "test-geheim-9"})
    ask(router, {"Authorization": "Bearer test-geheim-9"})
    assert b"geheim" not in router.control("GET", "/requests").body


def test_the_openai_client_through_the_router(router):
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=f"{router.url}/v1", api_key="dev-test-key", max_retries=0) as client:
        reply = client.chat.completions.create(model="gpt-4o", messages=ASKED)
        assert reply.choices[0].message.content == "one two three"
        chunks = list(client.chat.completions.create(model="gpt-4o", messages=ASKED, stream=True))
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "one two three"
        with pytest.raises(openai.BadRequestError) as raised:
            client.chat.completions.create(model="gpt-4o", messages=[])
        assert raised.value.response.json()["error"] == "messages array cannot be empty"
    for key, status in (("none", 401), ("dev-exhausted-budget-key", 402)):
        with (
            openai.OpenAI(base_url=f"{router.url}/v1", api_key=key, max_retries=0) as client,
            pytest.raises(openai.APIStatusError) as refused,
        ):
            client.chat.completions.create(model="gpt-4o", messages=ASKED)
        assert refused.value.status_code == status


def test_an_idle_client_saves_up_one_burst_and_no_more(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(router_limits, "monotonic", lambda: now[0])
    bucket = router_limits.Bucket(rate=2.0, burst=3)
    for idle in (0.0, 15.0, 1000.0):
        now[0] += idle
        assert [bucket.take()[0] for _ in range(4)] == [True, True, True, False]
    assert bucket.take() == (False, 0, 0.5)
