"""The router personality: which backend gets a request, and what becomes of one that fails."""

import socket
from collections import Counter

import pytest
from simulator.router_calls import ADMIN, KEY, ask, infer, refusal, status_server


@pytest.fixture(scope="module")
def backend(start_shared):
    return start_shared("--model", "gpt-4o", "--mode", "echo", "--control-port", "0", "--max-num-seqs", "64")


@pytest.fixture(scope="module")
def second(start_shared):
    return start_shared("--model", "gpt-4o", "--mode", "echo", "--control-port", "0", "--max-num-seqs", "64")


@pytest.fixture
def nobody():
    """A URL that refuses connections."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    return f"http://127.0.0.1:{port}"


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


def test_the_answer_of_a_backend_of_the_first_era_is_read(start_simulator):
    backend = status_server(200, b'{"text": "two words", "tokens_used": 2}')
    router = start_simulator("--as", "router", "--backend", f"one={backend}")
    answer = infer(router).json
    assert answer["output"] == {"text": "two words"}
    assert (answer["usage"]["tokens_input"], answer["usage"]["tokens_output"]) == (0, 2)


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
