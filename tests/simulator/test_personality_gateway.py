"""The gateway personality between a client and its upstreams: where requests go, what comes back, byte for byte."""

import re
import socket
import subprocess
import sys
import threading

import pytest
from machine import patience

from InferenceLibrary.deadline import wait_until

CHAT = "/v1/chat/completions"
ASKED = [{"role": "user", "content": "one two three"}]


@pytest.fixture(scope="module")
def upstream(start_shared):
    return start_shared("--model", "phi-4", "--mode", "echo", "--control-port", "0")


@pytest.fixture(scope="module")
def other(start_shared):
    return start_shared("--model", "llama3", "--mode", "echo", "--control-port", "0")


@pytest.fixture(scope="module")
def gateway(start_shared, upstream, other):
    return start_shared(
        "--as", "gateway", "--upstream", f"inference={upstream.url}", "--upstream", f"ollama={other.url}"
    )  # fmt: skip


def ask(simulator, model="phi-4", headers=None, **more):
    return simulator.request("POST", CHAT, {"model": model, "messages": ASKED, **more}, headers)


def provider_error(answer):
    error = answer.json["error"]
    assert set(error) == {"message", "code", "provider", "type"}
    assert error["type"] == "provider_error"
    return answer.status, error["code"], error["provider"]


def raw_server(answer, *, after=None):
    """Serve one connection with these bytes; return its URL. With `after` it keeps the connection until that is set."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        with listener, listener.accept()[0] as connection:
            connection.recv(65536)
            connection.sendall(answer)
            if after is not None:
                after.wait(20)

    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize(
    ("asked", "owner", "named"),
    [
        ("phi-4", "upstream", "phi-4"),
        ("inference:phi-4", "upstream", "phi-4"),
        ("local:phi-4", "upstream", "phi-4"),
        ("inference/phi-4", "upstream", "phi-4"),
        ("llama3", "other", "llama3"),
        ("ollama/llama3", "other", "llama3"),
        ("ollama:llama3", "other", "llama3"),
    ],
)
def test_the_model_decides_where_it_goes(gateway, request, asked, owner, named):
    servers = {name: request.getfixturevalue(name) for name in ("upstream", "other")}
    before = {name: server.stats()["completed"] for name, server in servers.items()}
    answer = ask(gateway, asked)
    assert answer.status == 200
    assert answer.json["model"] == named
    assert answer.json["choices"][0]["message"]["content"] == "one two three"
    gained = {name: server.stats()["completed"] - before[name] for name, server in servers.items()}
    assert gained == {"upstream": 0, "other": 0, owner: 1}


@pytest.mark.parametrize(
    ("model", "code", "provider"),
    [
        ("gpt-9", "model_not_registered", "gateway"),
        ("nobody:phi-4", "model_not_registered", "gateway"),
        ("openrouter/x", "provider_not_configured", "openrouter"),
        ("deepseek-api/x", "provider_not_configured", "deepseek-api"),
        ("inference:gpt-9", "provider_error", "inference"),
    ],
)
def test_a_model_that_nobody_has_is_502(gateway, model, code, provider):
    assert provider_error(ask(gateway, model)) == (502, code, provider)
    assert provider_error(ask(gateway, model, stream=True)) == (502, code, provider)


def test_an_answer_passes_byte_for_byte(gateway, upstream):
    direct, passed = ask(upstream), ask(gateway)
    varies = rb'"(id|created)":("[^"]*"|\d+)'
    assert re.sub(varies, b"", passed.body) == re.sub(varies, b"", direct.body)
    direct, passed = ask(upstream, stream=True), ask(gateway, stream=True)
    assert passed.headers["content-type"] == "text/event-stream"
    assert re.sub(varies, b"", passed.body) == re.sub(varies, b"", direct.body)
    assert passed.data[-1] == "[DONE]"


def test_a_stream_is_not_held_back(start_simulator):
    upstream = start_simulator(
        "--model", "phi-4", "--mode", "echo", "--control-port", "0", "--inter-token-latency", "1s"
    )
    gateway = start_simulator("--as", "gateway", "--upstream", f"inference={upstream.url}", "--control-port", "0")
    body = b'{"model": "phi-4", "stream": true, "messages": [{"role": "user", "content": "one two three four"}]}'
    with gateway.connect() as sock:
        sock.sendall(b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (CHAT.encode(), len(body), body))
        seen = b""
        while b'"one"' not in seen:
            seen += sock.recv(65536)
        # The first token is here while the upstream has not ended yet.
        assert b" four" not in seen
        assert upstream.stats()["in_flight"] == 1
    # A client that leaves is a cancellation at both.
    assert wait_until(lambda: upstream.stats()["cancelled"] == 1, 60)
    assert gateway.stats()["cancelled"] == 1


def test_a_slow_client_slows_the_upstream(start_simulator):
    upstream = start_simulator("--model", "phi-4", "--fault", "endless-stream:pause=0", "--control-port", "0")
    gateway = start_simulator("--as", "gateway", "--upstream", f"inference={upstream.url}")
    body = b'{"model": "phi-4", "stream": true, "messages": [{"role": "user", "content": "x"}]}'
    sent = [0]

    def stands():
        sent.append(upstream.stats()["bytes_sent"])
        return sent[-1] > 100_000 and len(set(sent[-4:])) == 1

    with gateway.connect() as sock:
        sock.sendall(b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (CHAT.encode(), len(body), body))
        # Nobody reads, so the upstream must come to a stand once all buffers are full.
        assert wait_until(stands, 15.0, first=0.2, longest=0.2), sent
        assert len(sock.recv(65536)) > 0


def test_an_upstream_that_is_down(start_simulator):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    gateway = start_simulator("--as", "gateway", "--upstream", f"inference=http://127.0.0.1:{port};phi-4")
    assert provider_error(ask(gateway)) == (502, "provider_unavailable", "inference")
    assert "connection refused" in ask(gateway).json["error"]["message"]
    assert provider_error(ask(gateway, stream=True)) == (502, "provider_unavailable", "inference")
    ready = gateway.request("GET", "/health/ready")
    assert (ready.status, ready.json["status"], ready.json["checks"]) == (503, "not_ready", {"inference": False})
    assert gateway.request("GET", "/health").status == 200


def test_an_upstream_that_is_slow(start_simulator, upstream):
    enough = f"{patience(2):.1f}s"
    gateway = start_simulator(
        "--as", "gateway", "--upstream", f"inference={upstream.url};phi-4", "--upstream-timeout", enough
    )
    quick = ask(gateway)
    assert quick.status == 200
    over = threading.Event()
    silent = start_simulator(
        "--as", "gateway", "--upstream", f"inference={raw_server(b'', after=over)};phi-4", "--upstream-timeout", "100ms"
    )
    answer = ask(silent)
    over.set()
    assert provider_error(answer) == (502, "provider_timeout", "inference")
    assert "no answer for 0.1 s" in answer.json["error"]["message"]


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_stream_that_the_upstream_cuts_is_cut_here_too(start_simulator, how):
    upstream = start_simulator("--model", "phi-4", "--mode", "echo", "--fault", f"cut-after-events:events=2,how={how}")
    gateway = start_simulator("--as", "gateway", "--upstream", f"inference={upstream.url}", "--control-port", "0")
    answer = ask(gateway, stream=True)
    assert answer.status == 200
    assert len(answer.data) == 2
    assert not answer.raw.endswith(b"0\r\n\r\n")
    assert gateway.stats()["failed"] == 1


@pytest.mark.parametrize(
    ("bytes_sent", "code"),
    [
        (b"", "provider_error"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", "provider_error"),
        (b"SSH-2.0-OpenSSH\r\n", "provider_error"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "provider_error"),
        (b'HTTP/1.1 500 Oops\r\nContent-Length: 13\r\n\r\n{"error":"x"}', "provider_error"),
        (b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", "provider_error"),
        (b"HTTP/1.1 418 No\r\nContent-Length: 4\r\n\r\ntext", "provider_error"),
    ],
)
def test_an_answer_that_is_none_is_502(start_simulator, bytes_sent, code):
    gateway = start_simulator("--as", "gateway", "--upstream", f"inference={raw_server(bytes_sent)};phi-4")
    assert provider_error(ask(gateway)) == (502, code, "inference")


def test_an_upstream_that_asks_to_wait_is_passed_on(start_simulator):
    busy = b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 17\r\n\r\n" + b'{"detail":"full"}'
    gateway = start_simulator("--as", "gateway", "--upstream", f"inference={raw_server(busy)};phi-4")
    answer = ask(gateway)
    assert provider_error(answer) == (503, "provider_unavailable", "inference")
    assert answer.headers["retry-after"] == "7"
    assert "full" in answer.json["error"]["message"]
    limited = b"HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n"
    gateway = start_simulator("--as", "gateway", "--upstream", f"inference={raw_server(limited)};phi-4")
    assert provider_error(ask(gateway)) == (429, "rate_limit_exceeded", "inference")


def test_an_answer_that_ends_with_its_connection_is_whole(start_simulator):
    until_close = b'HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{"choices": []}'
    gateway = start_simulator("--as", "gateway", "--upstream", f"inference={raw_server(until_close)};phi-4")
    assert ask(gateway).body == b'{"choices": []}'


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, [["body", "model"], ["body", "messages"]]),
        ({"model": "phi-4"}, [["body", "messages"]]),
        ({"messages": ASKED}, [["body", "model"]]),
        ({"model": "phi-4", "messages": []}, [["body", "messages"]]),
        ({"model": 1, "messages": "x"}, [["body", "model"], ["body", "messages"]]),
        ({"model": "phi-4", "messages": [{"role": "me", "content": 1}, 2]}, [
            ["body", "messages", 0, "role"], ["body", "messages", 0, "content"], ["body", "messages", 1]]),
        ({"model": "phi-4", "messages": ASKED, "temperature": 3, "max_tokens": 0}, [
            ["body", "max_tokens"], ["body", "temperature"]]),
        (b'{"model"', [["body", 8]]),
        (b"[]", [["body"]]),
    ],
)  # fmt: skip
def test_wrong_requests_are_422_with_every_field(gateway, body, where):
    answer = gateway.request("POST", CHAT, body)
    assert answer.status == 422
    assert [problem["loc"] for problem in answer.json["detail"]] == where
    assert all({"type", "loc", "msg", "input"} <= set(problem) for problem in answer.json["detail"])


def test_other_errors_have_the_shape_of_fastapi(gateway):
    assert (gateway.request("GET", "/x").status, gateway.request("GET", "/x").json) == (404, {"detail": "Not Found"})
    assert gateway.request("GET", CHAT).json == {"detail": "Method Not Allowed"}


def test_what_it_tells_of_itself(gateway):
    health = gateway.request("GET", "/health").json
    assert (health["status"], health["version"], health["inference_service"]) == ("healthy", "1.0.0", "not_managed")
    ready = gateway.request("GET", "/health/ready")
    assert (ready.status, ready.json["status"]) == (200, "ready")
    assert ready.json["checks"] == {"inference": True, "ollama": True}
    models = gateway.request("GET", "/v1/models").json
    assert models["object"] == "list"
    assert [(item["id"], item["object"], item["owned_by"]) for item in models["data"]] == [
        ("phi-4", "model", "inference"),
        ("llama3", "model", "ollama"),
    ]
    providers = gateway.request("GET", "/v1/providers").json
    assert providers["providers"] == {"inference": ["phi-4"], "ollama": ["llama3"]}
    assert providers["provider_names"] == ["inference", "ollama"]
    assert gateway.request("GET", "/v1/models/llama3").json["owned_by"] == "ollama"
    assert gateway.request("GET", "/v1/models/none").status == 404


def test_without_upstreams_it_runs_and_is_not_ready(start_simulator):
    gateway = start_simulator("--as", "gateway")
    assert gateway.request("GET", "/health/ready").status == 503
    assert gateway.request("GET", "/v1/models").json["data"] == []
    assert provider_error(ask(gateway)) == (502, "model_not_registered", "gateway")


def test_the_context_headers(gateway):
    headers = ask(gateway).headers
    names = ("x-cms-routed", "x-cms-tier", "x-token-count", "x-token-limit", "x-headroom-pct")
    assert [headers[name] for name in names] == ["false", "1", "3", "8192", "99"]


def test_its_own_faults_strike_what_it_passes_on(gateway):
    answer = ask(gateway, headers={"X-Inference-Fault": "missing-done"}, stream=True)
    assert answer.data[-1] != "[DONE]"
    assert answer.data[-1]["choices"][0]["finish_reason"] == "stop"
    assert ask(gateway, headers={"X-Inference-Fault": "status:code=500"}).status == 500
    wrong = ask(gateway, headers={"X-Inference-Fault": "usage-off-by-one"}).json["usage"]
    assert wrong["total_tokens"] != wrong["prompt_tokens"] + wrong["completion_tokens"]


@pytest.mark.parametrize(
    "wrong", ["inference", "=http://127.0.0.1:1", "a=https://127.0.0.1", "a=127.0.0.1:1", "a=http://x:0"]
)
def test_a_wrong_upstream_is_refused_at_the_start(run_cli, wrong):
    run = run_cli("--as", "gateway", "--upstream", wrong)
    assert run.returncode == 2
    assert run.stderr.startswith("inference-simulator: error: --upstream: ")


def test_the_openai_client_through_the_gateway(gateway):
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="x", max_retries=0) as client:
        assert [model.id for model in client.models.list()] == ["phi-4", "llama3"]
        reply = client.chat.completions.create(model="inference:phi-4", messages=ASKED)
        assert reply.choices[0].message.content == "one two three"
        chunks = list(
            client.chat.completions.create(
                model="ollama/llama3", messages=ASKED, stream=True, stream_options={"include_usage": True}
            )
        )
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1]) == "one two three"
        assert chunks[-1].usage.total_tokens == 6
        with pytest.raises(openai.InternalServerError, match="not registered") as raised:
            client.chat.completions.create(model="none", messages=ASKED)
        assert raised.value.status_code == 502
        with pytest.raises(openai.UnprocessableEntityError):
            client.chat.completions.create(model="phi-4", messages=[])


def test_the_way_to_upstreams_costs_no_tls_and_no_http_library():
    code = (
        "import sys; from InferenceLibrary.simulator.core.eventloop import new_event_loop; loop = new_event_loop();"
        "import InferenceLibrary.simulator.personalities.relay, InferenceLibrary.simulator.personalities.gateway;"
        "print(sorted({'ssl', 'httpx', 'http.client', 'pydantic', 'numpy', 'requests'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert run.stdout.strip() == "[]"
