"""The router personality: keys, limits, budgets, and which backend gets a request."""

import hashlib
import hmac
import json
import socket
import threading
import uuid
from collections import Counter

import pytest

CHAT = "/v1/chat/completions"
KEY = {"X-API-Key": "dev-test-key"}
ASKED = [{"role": "user", "content": "one two three"}]
ADMIN = "/v1/admin/routing"


@pytest.fixture(scope="module")
def backend(start_shared):
    return start_shared("--model", "gpt-4o", "--mode", "echo", "--control-port", "0", "--max-num-seqs", "64")


@pytest.fixture(scope="module")
def second(start_shared):
    return start_shared("--model", "gpt-4o", "--mode", "echo", "--control-port", "0", "--max-num-seqs", "64")


@pytest.fixture(scope="module")
def router(start_shared, backend):
    return start_shared(
        "--as", "router", "--backend", f"one={backend.url}", "--rate-burst", "100000", "--rate-limit", "100000",
        "--key", "k-good;org=acme;hmac=secret", "--key", "k-old;state=expired", "--key", "k-gone;state=revoked",
        "--component", "redis=healthy", "--control-port", "0",
    )  # fmt: skip


@pytest.fixture
def nobody():
    """A URL that refuses connections."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    return f"http://127.0.0.1:{port}"


def ask(simulator, headers=KEY, path=CHAT, **changes):
    body = {"model": "gpt-4o", "messages": ASKED, **changes}
    return simulator.request("POST", path, body, headers)


def infer(simulator, headers=KEY, **changes):
    body = {"request_id": str(uuid.uuid4()), "model": "gpt-4o", "payload": "one two three", **changes}
    return simulator.request("POST", "/v1/inference", body, headers)


def refusal(answer):
    assert set(answer.json) >= {"error", "code"}
    assert isinstance(answer.json["error"], str)
    return answer.status, answer.json["code"]


def status_server(status, body=b"{}", headers=b""):
    """Answer every connection with one status; return the URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        with listener:
            while True:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    head = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n"
                    connection.sendall(head % (status, len(body), headers) + body)

    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


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


# Backends


def test_weights_decide_and_zero_never_gets_any(start_simulator, backend, second):
    router = start_simulator(
        "--as", "router", "--seed", "5", "--backend", f"one={backend.url};weight=300", "--backend",
        f"two={second.url};weight=100", "--backend", "none=http://127.0.0.1:1;weight=0",
    )  # fmt: skip
    got = Counter(ask(router).headers["x-routing-backend"] for _ in range(80))
    assert got["one"] + got["two"] == 80
    assert got["one"] > got["two"] > 0


def test_failover(start_simulator, second, nobody):
    router = start_simulator(
        "--as", "router", "--backend", f"one={nobody};weight=1", "--backend", f"two={second.url};weight=0"
    )
    for answer in (ask(router), infer(router), ask(router, stream=True)):
        assert answer.status == 200
        assert (answer.headers["x-routing-backend"], answer.headers["x-routing-decision"]) == ("two", "FAILOVER")
    decisions = router.request("GET", f"{ADMIN}/decisions", None, KEY).json
    assert decisions["count"] == 6
    kinds = [(item["BackendID"], item["DecisionType"], item["AttemptNumber"]) for item in decisions["decisions"]]
    assert kinds[:2] == [("one", "PRIMARY", 1), ("two", "FAILOVER", 2)]
    assert "connection refused" in decisions["decisions"][0]["Reason"]
    # After three errors in a row it is left alone.
    assert ask(router).headers["x-routing-decision"] == "PRIMARY"
    health = router.request("GET", f"{ADMIN}/backends/one/health", None, KEY).json
    assert (health["status"], health["consecutive_errors"]) == ("unhealthy", 3)
    assert router.request("POST", f"{ADMIN}/backends/one/healthy", None, KEY).json["status"] == "healthy"
    assert ask(router).headers["x-routing-decision"] == "FAILOVER"


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_backend_in_trouble_is_left_for_another(start_simulator, second, status):
    router = start_simulator(
        "--as",
        "router",
        "--backend",
        f"one={status_server(status)};weight=1",
        "--backend",
        f"two={second.url};weight=0",
    )
    assert ask(router).headers["x-routing-backend"] == "two"


@pytest.mark.parametrize("status", [400, 404, 422])
def test_a_refused_request_is_not_tried_elsewhere(start_simulator, second, status):
    before = second.stats()["received"]
    url = status_server(status, b'{"why":"wrong"}')
    router = start_simulator(
        "--as", "router", "--backend", f"one={url};weight=1", "--backend", f"two={second.url};weight=0"
    )
    answer = ask(router)
    assert refusal(answer) == (502, "BACKEND_ERROR")
    assert answer.json["error"] == f'backend request failed: backend returned status {status}: {{"why":"wrong"}}'
    assert second.stats()["received"] == before
    health = router.request("GET", f"{ADMIN}/backends/one/health", None, KEY).json
    assert (health["status"], health["consecutive_errors"]) == ("healthy", 0)


@pytest.mark.parametrize("status", [400, 429, 503])
def test_a_status_of_the_only_backend_becomes_502(start_simulator, status):
    router = start_simulator("--as", "router", "--backend", f"one={status_server(status)}")
    assert refusal(ask(router)) == (502, "BACKEND_ERROR")
    assert refusal(infer(router)) == (502, "BACKEND_ERROR")


def test_no_backend_answers(start_simulator, nobody):
    router = start_simulator("--as", "router", "--backend", f"one={nobody}")
    assert refusal(ask(router)) == (502, "BACKEND_ERROR")
    assert refusal(infer(router)) == (503, "BACKEND_UNAVAILABLE")
    slow = start_simulator("--model", "gpt-4o", "--time-to-first-token", "20s", "--drain-timeout", "10ms")
    router = start_simulator("--as", "router", "--backend", f"one={slow.url}", "--upstream-timeout", "100ms")
    assert refusal(ask(router)) == (502, "BACKEND_ERROR")
    assert refusal(infer(router)) == (504, "BACKEND_TIMEOUT")


def test_a_stream_that_a_backend_cuts_is_cut(start_simulator):
    cutting = start_simulator("--model", "gpt-4o", "--mode", "echo", "--fault", "cut-after-events:events=2")
    router = start_simulator("--as", "router", "--backend", f"one={cutting.url}")
    answer = ask(router, stream=True)
    assert (answer.status, len(answer.data)) == (200, 2)
    assert not answer.raw.endswith(b"0\r\n\r\n")


def test_a_degraded_backend_gets_nothing(start_simulator, backend, second):
    router = start_simulator("--as", "router", "--backend", f"one={backend.url}", "--backend", f"two={second.url}")
    assert {ask(router).headers["x-routing-backend"] for _ in range(30)} == {"one", "two"}
    degraded = router.request("POST", f"{ADMIN}/backends/one/degrade", {"reason": "test"}, KEY)
    assert (degraded.status, degraded.json["status"], degraded.json["reason"]) == (200, "degraded", "test")
    assert {ask(router).headers["x-routing-backend"] for _ in range(30)} == {"two"}
    shown = router.request("GET", f"{ADMIN}/backends", None, KEY).json
    assert shown["count"] == 2
    assert [(item["backend_id"], item["health_status"]) for item in shown["backends"]] == [
        ("one", "degraded"),
        ("two", "healthy"),
    ]
    policy = router.request("GET", f"{ADMIN}/policies/acme/gpt-4o", None, KEY).json
    assert policy["degraded_backends"] == ["one"]
    router.request("POST", f"{ADMIN}/backends/two/degrade", {}, KEY)
    # When all are degraded, any is better than none.
    assert ask(router).status == 200
    router.request("POST", f"{ADMIN}/backends/one/healthy", None, KEY)
    assert {ask(router).headers["x-routing-backend"] for _ in range(20)} == {"one"}
    assert refusal(router.request("POST", f"{ADMIN}/backends/none/degrade", {}, KEY)) == (404, "NOT_FOUND")


def test_policies(start_simulator, backend):
    router = start_simulator("--as", "router", "--backend", f"one={backend.url};serves=fast;model=gpt-4o")
    answer = ask(router, model="fast")
    assert (answer.status, answer.json["model"]) == (200, "gpt-4o")
    assert refusal(ask(router, model="gpt-4o")) == (500, "ROUTING_ERROR")
    assert refusal(router.request("GET", f"{ADMIN}/policies/acme/none", None, KEY)) == (404, "NOT_FOUND")
    new = {"organization_id": "acme", "model": "m", "backends": []}
    assert router.request("POST", f"{ADMIN}/policies", new, KEY).json["policy_id"] == "acme-m"
    assert refusal(router.request("POST", f"{ADMIN}/policies", {"model": "m"}, KEY)) == (400, "INVALID_REQUEST")
    alone = start_simulator("--as", "router")
    assert refusal(ask(alone)) == (500, "ROUTING_ERROR")


def test_the_first_era_knows_no_streams_and_no_failover(start_simulator, backend, nobody):
    router = start_simulator("--as", "router", "--era", "seed", "--backend", f"one={backend.url}")
    answer = ask(router)
    assert (answer.status, answer.headers["x-routing-decision"]) == (200, "PRIMARY")
    streamed = ask(router, stream=True)
    assert refusal(streamed) == (502, "BACKEND_ERROR")
    assert "invalid character 'd'" in streamed.json["error"]
    # What it does not know is dropped.
    assert ask(router, n=2, stop=["two"]).json["choices"][0]["message"]["content"] == "one two three"
    failing = start_simulator(
        "--as", "router", "--era", "seed", "--backend", f"one={nobody}", "--backend", f"two={backend.url}"
    )
    assert refusal(ask(failing)) == (502, "BACKEND_ERROR")
    assert infer(failing).status == 200


@pytest.mark.parametrize(
    "arguments",
    [
        ["--backend", "x"],
        ["--backend", "a=ftp://x"],
        ["--backend", "a=http://127.0.0.1:1;weight=much"],
        ["--backend", "a=http://127.0.0.1:1;speed=9"],
        ["--key", "k;state=asleep"],
        ["--component", "redis=tired"],
        ["--component", "mysql=healthy"],
    ],
)
def test_wrong_flags(run_cli, arguments):
    run = run_cli("--as", "router", *arguments)
    assert run.returncode == 2
    assert run.stderr.startswith(f"inference-simulator: error: {arguments[0]}: ")


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
