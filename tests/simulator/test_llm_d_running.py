"""llm-d-inference-sim v0.10.2 as it runs: ranks on ports of their own, its page of metrics, and how it ends."""

from __future__ import annotations

import json
import re
import signal
import socket
from time import monotonic
from typing import Any

import pytest
from likeness import compared, played
from recordings import recording

from InferenceLibrary.deadline import wait_until
from InferenceLibrary.processes.ports import free_port
from InferenceLibrary.protocol.prometheus import read_metrics
from InferenceLibrary.simulator.core.fake_metrics import Fake
from InferenceLibrary.simulator.core.metrics import limits_of_histograms
from InferenceLibrary.simulator.core.settings import StartError
from InferenceLibrary.simulator.core.sockets import bind_side_by_side

LLM_D = ("--as", "llm-d", "--model", "tiny")
RECORDS = list(recording("llm-d-inference-sim-0.10.2"))
TOLD = {
    "cache_config_info": "Information of the LLMEngine CacheConfig.",
    "e2e_request_latency_seconds": "Histogram of end to end request latency in seconds.",
    "generation_tokens_total": "Total number of generated tokens.",
    "inter_token_latency_seconds": "Histogram of inter-token latency in seconds.",
    "kv_cache_usage_perc": "Prometheus metric for the fraction of KV-cache blocks currently in use (from 0 to 1).",
    "lora_requests_info": "Running stats on lora requests.",
    "max_num_generation_tokens": "Histogram of maximum number of requested generation tokens.",
    "num_requests_running": "Number of requests currently running on GPU.",
    "num_requests_waiting": "Prometheus metric for the number of queued requests.",
    "prefix_cache_hits": "Prefix cache hits, in terms of number of cached tokens.",
    "prefix_cache_queries": "Prefix cache queries, in terms of number of queried tokens.",
    "prompt_tokens_total": "Total number of prompt tokens processed.",
    "request_decode_time_seconds": "Histogram of time spent in DECODE phase for request.",
    "request_generation_tokens": "Number of generation tokens processed.",
    "request_inference_time_seconds": "Histogram of time spent in RUNNING phase for request.",
    "request_params_max_tokens": "Histogram of the max_tokens request parameter.",
    "request_prefill_time_seconds": "Histogram of time spent in PREFILL phase for request.",
    "request_prompt_tokens": "Number of prefill tokens processed.",
    "request_queue_time_seconds": "Histogram of time spent in WAITING phase for request.",
    "request_success_total": "Count of successfully processed requests.",
    "time_per_output_token_seconds": "Histogram of time per output token in seconds.",
    "time_to_first_token_seconds": "Histogram of time to first token in seconds.",
}
"""By name what the page says of a metric; the recordings have no such lines."""


_TIMED = re.compile(r"vllm:(e2e|request_(decode|prefill|inference|queue)_time|lora|kv_cache).*|.*_bucket\{.*")
"""What takes another time at each start."""
_CONFIGURED = re.compile(r"vllm:(time_to_first_token|inter_token_latency|time_per_output_token)_seconds_(sum|count).*")


# The page of metrics


def lines_of(text: str) -> list[str]:
    """The page without the values and what it says of the metrics: names, kinds, labels and limits in their order."""
    return [
        re.sub(r"^(# HELP \S+) .*", r"\1", line) if line[0] == "#" else line.rpartition(" ")[0]
        for line in text.splitlines()
    ]


def values(page: str, kept: re.Pattern[str] | None = None) -> dict[str, float]:
    """The samples of a page, but for those that take another time each; or those of a pattern."""
    samples = (line.rpartition(" ") for line in page.splitlines() if not line.startswith("#"))
    return {
        name: pytest.approx(float(value))
        for name, _, value in samples
        if (kept.match(name) if kept else not _TIMED.match(name))
    }


@pytest.mark.parametrize("group", ["metrics", "fake small", "names"])
def test_the_page_of_metrics_is_the_recorded_one_line_by_line(group: str) -> None:
    records = [one for one in RECORDS if one.group == group]
    pages = [(one, got) for one, got in played(records, LLM_D) if one.request["path"] == "/metrics"]
    assert pages
    for one, got in pages:
        assert lines_of(got.text) == lines_of(one.answer["body"])
        said = dict(re.findall(r"^# HELP vllm:(\S+) (.*)$", got.text, re.MULTILINE))
        assert said == {name: TOLD[name] for name in said}
        # Each prompt and each choice is counted.
        assert values(got.text) == values(one.answer["body"])


def test_times_are_counted_as_they_are_configured() -> None:
    records = [one for one in RECORDS if one.group == "metrics latency"]
    (got,) = (got for one, got in played(records, LLM_D) if one.request["path"] == "/metrics")
    real = values(records[-1].answer["body"], _CONFIGURED)
    assert len(real) == 6
    assert values(got.text, _CONFIGURED) == real


def test_every_metric_that_it_can_show_says_what_the_real_one_says(start_simulator: Any) -> None:
    values = {
        name: [1]
        for name in (
            "ttft-buckets-values", "tpot-buckets-values", "e2erl-buckets-values", "queue-time-buckets-values",
            "inf-time-buckets-values", "prefill-time-buckets-values", "decode-time-buckets-values",
            "request-prompt-tokens", "request-generation-tokens", "request-params-max-tokens",
            "request-max-generation-tokens",
        )
    }  # fmt: skip
    values |= {"request-success-total": {"stop": 1}, "prefix-cache-hits": 1, "prefix-cache-queries": 2}  # type: ignore[dict-item]
    simulator = start_simulator(*LLM_D, "--fake-metrics", json.dumps(values))
    text = simulator.request("GET", "/metrics").body.decode()
    assert dict(re.findall(r"^# HELP vllm:(\S+) (.*)$", text, re.MULTILINE)) == TOLD


def test_a_function_keeps_its_value_for_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 100.0, 102.4, 102.6, 107.4, 120.0])
    monkeypatch.setattr("InferenceLibrary.simulator.core.fake_metrics.monotonic", lambda: next(clock))
    fake = Fake({"kv-cache-usage": "ramp:0:1:10s"}, limits_of_histograms(1024), 2.5)
    assert [fake.gauge("kv_cache_usage") for _ in range(5)] == [0.0, 0.0, 0.25, 0.5, 1.0]


# Pictures, the threshold of the cache, and the names of the pod


@pytest.mark.parametrize("group", ["omni", "kv", "ids pod"])
def test_the_answers_are_the_recorded_ones(group: str) -> None:
    records = [one for one in RECORDS if one.group == group]
    answers = list(played(records, LLM_D))
    assert [(one.name, compared(one, got)) for one, got in answers] == [(one.name, []) for one in records]
    for one, got in answers:
        if one.request["path"] == "/metrics":
            assert values(got.text) == values(one.answer["body"])


def parts(answer: Any) -> Any:
    """The content of a whole answer: a text, or the kinds of its parts."""
    content = answer.json["choices"][0]["message"].get("content")
    return [part["type"] for part in content] if isinstance(content, list) else content


PICTURED = ["text", "image_url"]


def test_a_picture_is_shown_where_it_is_asked_for(start_simulator: Any) -> None:
    for words, shown in (
        (("--omni",), {"1": PICTURED, "true": PICTURED, "yes": "one two three four", "": "one two three four"}),
        (("--no-omni", "--image-emission-rate", "100"), {"true": "one two three four"}),
    ):
        simulator = start_simulator(*LLM_D, "--mode", "echo", *words)
        for header, wanted in shown.items():
            answer = simulator.request("POST", "/v1/chat/completions", chat(), {"X-Send-Image": header})
            assert parts(answer) == wanted
    body = {"model": "tiny", "prompt": "a"}
    completion = simulator.request("POST", "/v1/completions", body, {"X-Send-Image": "true"})
    assert completion.json["choices"][0]["text"] == "a"


def test_a_picture_takes_its_time_after_the_text(start_simulator: Any) -> None:
    words = ("--mode", "echo", "--time-to-first-token", "100ms", "--inter-token-latency", "50ms")
    picture = ("--omni", "--image-emission-rate", "100", "--time-to-generate-image", "200ms")
    simulator = start_simulator(*LLM_D, *words, *picture)
    for stream in (False, True):
        begin = monotonic()
        answer = simulator.request("POST", "/v1/chat/completions", chat(stream=stream))
        assert monotonic() - begin >= 0.1 + 3 * 0.05 + 0.2
    pictures = [place for place, one in enumerate(answer.data[:-1]) if one.get("modality") == "image"]
    assert pictures == [len(answer.data) - 3]


def ended(simulator: Any, headers: dict[str, str] | None = None, **more: Any) -> tuple[str, Any]:
    text = " ".join(f"w{number}" for number in range(40))
    body = {"model": "tiny", "messages": [{"role": "user", "content": text}], **more}
    answer = simulator.request("POST", "/v1/chat/completions", body, headers).json
    return answer["choices"][0]["finish_reason"], answer["usage"]["prompt_tokens_details"]


def test_an_answer_ends_where_too_little_of_its_prompt_is_kept(start_simulator: Any) -> None:
    words = ("--mode", "echo", "--enable-kvcache", "--block-size", "8", "--global-cache-hit-threshold", "0.5")
    simulator = start_simulator(*LLM_D, *words, env={"POD_IP": "127.0.0.1"})
    assert ended(simulator, cache_hit_threshold=0) == ("stop", {"cached_tokens": 0})
    assert ended(simulator) == ("stop", {"cached_tokens": 40})
    assert ended(simulator, cache_hit_threshold=1) == ("cache_threshold", None)
    assert ended(simulator, {"X-Cache-Threshold-Finish-Reason": "true"}) == ("cache_threshold", None)
    streamed = simulator.request(
        "POST", "/v1/chat/completions", chat(stream=True), {"X-Cache-Threshold-Finish-Reason": "1"}
    )
    assert [one["choices"][0]["finish_reason"] for one in streamed.data[:-1]] == ["cache_threshold"]


# Ranks


def test_each_rank_has_a_port_and_metrics_of_its_own_and_all_end_together(start_simulator: Any) -> None:
    simulator = start_simulator(*LLM_D, "--mode", "echo", "--data-parallel-size", "3", env={"POD_NAME": "p"})
    ports = [simulator.port + rank for rank in range(3)]
    for calls, port in enumerate(ports):
        for _ in range(calls):
            answer = simulator.request("POST", "/v1/chat/completions", chat(), port=port)
            assert (answer.status, answer.json["model"], answer.headers["x-inference-port"]) == (200, "tiny", str(port))
    counts = [successes(simulator.request("GET", "/metrics", port=port).body.decode()) for port in ports]
    assert counts == [0, 1, 2]
    models = [simulator.request("GET", "/v1/models", port=port).json["data"][0]["id"] for port in ports]
    assert models == ["tiny"] * 3
    told = simulator.request("GET", "/admin/config", port=ports[2]).json
    assert (told["data-parallel-size"], "port" in told) == (3, False)
    # What is changed at one is changed there alone.
    simulator.request("POST", "/v1/load_lora_adapter", {"lora_name": "a"}, port=ports[1])
    listed = [len(simulator.request("GET", "/v1/models", port=port).json["data"]) for port in ports]
    assert listed == [1, 2, 1]
    assert simulator.process.stdout.read(4096).decode() == "".join(
        f"rank {rank} is at http://127.0.0.1:{ports[rank]}\n" for rank in (1, 2)
    )
    assert simulator.stop() == 0
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            simulator.connect(port)


def test_faults_strike_at_each_rank_and_are_counted_there(start_simulator: Any) -> None:
    simulator = start_simulator(*LLM_D, "--data-parallel-size", "2", "--fault", "status:code=418,first=1")
    seen = [
        simulator.request("POST", "/v1/chat/completions", chat(), port=port).status
        for port in (simulator.port, simulator.port + 1) * 2
    ]
    assert seen == [418, 418, 200, 200]


def test_a_rank_that_is_given_stands_alone_on_its_port(start_simulator: Any) -> None:
    simulator = start_simulator(*LLM_D, "--data-parallel-size", "3", "--data-parallel-rank", "2")
    assert simulator.request("GET", "/health").status == 200
    with pytest.raises(ConnectionRefusedError):
        simulator.connect(simulator.port + 1)


def test_a_port_of_a_rank_that_is_taken_is_told(run_cli: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_cli(*LLM_D, "--data-parallel-size", "2", "--port", str(port - 1))
    assert done.returncode == 1
    told = (f"cannot listen on 127.0.0.1:{one}: address already in use" for one in (port - 1, port))
    assert done.stderr in {f"inference-simulator: error: {one}\n" for one in told}


def test_ports_side_by_side_are_looked_for_and_given_back() -> None:
    socks = bind_side_by_side("127.0.0.1", 0, 3)
    first = socks[0].getsockname()[1]
    assert [sock.getsockname()[1] for sock in socks] == [first, first + 1, first + 2]
    for sock in socks[:2]:
        sock.close()
    with pytest.raises(StartError, match=f":{first + 2}: address already in use"):
        bind_side_by_side("127.0.0.1", first, 3)
    # The first two were let go.
    for sock in bind_side_by_side("127.0.0.1", first, 2):
        sock.close()
    socks[2].close()


# The end


def chat(**more: Any) -> dict[str, Any]:
    return {"model": "tiny", "messages": [{"role": "user", "content": "one two three four"}], **more}


def successes(text: str) -> float:
    return sum(float(value) for value in re.findall(r"^vllm:request_success_total\{.*\} (\S+)$", text, re.MULTILINE))


def begin_stream(simulator: Any) -> socket.socket:
    """Begin a stream, and tell the simulator to end while it runs."""
    body = json.dumps(chat(stream=True)).encode()
    sock: socket.socket = simulator.connect()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n\r\n"
    sock.sendall(head.encode() + body)
    assert b" 200 " in sock.recv(65536)
    simulator.process.send_signal(signal.SIGTERM)
    return sock


def refused(simulator: Any, port: int) -> bool:
    """Whether work is refused; one token is not waited for."""
    body = {"model": "tiny", "messages": [{"role": "user", "content": "one"}]}
    return bool(simulator.request("POST", "/v1/chat/completions", body, port=port).status == 503)


def test_a_stream_is_complete_before_it_ends(start_simulator: Any) -> None:
    simulator = start_simulator(*LLM_D, "--mode", "echo", "--inter-token-latency", "200ms")
    with begin_stream(simulator) as sock:
        rest = b""
        while part := sock.recv(65536):
            rest += part
    assert b"data: [DONE]" in rest
    assert simulator.process.wait(60) == 0


def test_while_a_stream_runs_new_work_is_refused_until_a_second_signal_ends_all(start_simulator: Any) -> None:
    words = ("--mode", "echo", "--inter-token-latency", "60s", "--data-parallel-size", "2")
    simulator = start_simulator(*LLM_D, *words)
    with begin_stream(simulator):
        for port in (simulator.port, simulator.port + 1):
            assert wait_until(lambda port=port: refused(simulator, port), 60)
            answer = simulator.request("POST", "/v1/completions", {"model": "tiny", "prompt": "a"}, port=port)
            assert answer.json["error"] == {
                "message": "server is shutting down", "type": "InternalServerError", "param": None, "code": 503,
            }  # fmt: skip
        assert simulator.request("GET", "/health").status == 200
        assert simulator.request("GET", "/health/ready").status == 200
        assert simulator.request("POST", "/v1/embeddings", {"model": "tiny", "input": "a"}).status == 200
        running = read_metrics(simulator.request("GET", "/metrics").body.decode()).value("vllm:num_requests_running")
        assert running == 1
    # The client has left, and the answer is made all the same, until a second signal ends all at once.
    assert refused(simulator, simulator.port)
    simulator.process.send_signal(signal.SIGTERM)
    assert simulator.process.wait(60) == 1
    with pytest.raises(ConnectionRefusedError):
        simulator.connect()


def test_without_work_it_ends_at_once(start_simulator: Any) -> None:
    simulator = start_simulator(*LLM_D, "--port", str(free_port()))
    with simulator.connect() as kept:
        assert simulator.stop() == 0
        assert kept.recv(1) == b""


def test_the_ids_of_tokens_are_those_of_the_real_server(start_simulator):
    """As recorded of v0.10.2."""
    llm_d = start_simulator("--as", "llm-d", "--model", "tiny")
    words = [2871118705, 2168563675, 933488787, 2312110321, 1946735703, 3692005271, 1354289308]
    text = "Hello big world, how are you?"
    for asked, ids in (
        ({"prompt": text}, [*words, 973910158]),
        (
            {"messages": [{"role": "user", "content": text}]},
            [638357778, 638357778, 399020470, 1618501362, 2382766391, *words, 3858358220],
        ),
    ):
        assert llm_d.request("POST", "/tokenize", {"model": "tiny", **asked}).json["tokens"] == ids
    assert llm_d.request("POST", "/v1/completions/render", {"prompt": text}).json == [
        {"token_ids": [*words, 973910158]}
    ]


# Messages of Anthropic's API


def test_messages_become_those_of_a_chat(start_simulator: Any) -> None:
    simulator = start_simulator(*LLM_D, "--mode", "echo")
    call = {"type": "tool_use", "id": "c", "name": "weather", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "21 degrees"}]}
    spoken = [{"role": "user", "content": "How warm is it?"}, {"role": "assistant", "content": [call]}]
    asked = {"model": "tiny", "max_tokens": 50}
    answer = simulator.request(
        "POST", "/v1/messages", {**asked, "messages": [*spoken, {"role": "user", "content": [result]}]}
    )
    assert answer.json["content"] == [{"type": "text", "text": "21 degrees"}]
    refused = simulator.request("POST", "/v1/messages", {**asked, "messages": []})
    assert (refused.status, refused.json["error"]["message"]) == (400, "messages must not be empty")
