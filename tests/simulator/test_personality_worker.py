"""The worker personality against what is known of worker-orcd, in bytes and statuses."""

import json
import re
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from InferenceLibrary.deadline import wait_until

JOB = {"job_id": "a-1", "prompt": "one two three", "max_tokens": 3}
HEADER = {"X-Correlation-ID": "0f8fad5b-d9cb-469f-a165-70867728950e"}


@pytest.fixture(scope="module")
def worker(start_shared):
    return start_shared("--as", "worker", "--stub-mode", "--control-port", "0", "--worker-id", "w-7", "--model", "tiny")


def execute(simulator, headers=None, **changes):
    return simulator.request("POST", "/execute", {**JOB, **changes}, headers)


def open_job(simulator, **changes):
    """Send a job and return its connection."""
    body = json.dumps({**JOB, **changes}).encode()
    head = f"POST /execute HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    sock = simulator.connect()
    sock.sendall(head.encode() + body)
    return sock


def read_until(sock, is_enough):
    seen = b""
    while not is_enough(seen):
        piece = sock.recv(65536)
        assert piece, seen
        seen += piece
    return seen


def errors_of(answer):
    assert answer.status == 400, answer.raw
    return {(error["field"], error["constraint"]) for error in answer.json["errors"]}


def end_of(answer):
    return answer.data[-1]


def test_health(worker):
    answer = worker.request("GET", "/health")
    assert answer.status == 200
    assert answer.json == {"status": "healthy", "worker_id": "w-7", "vram_bytes": 1_500_000_000}


def test_the_frames_of_the_first_era(worker):
    answer = execute(worker)
    assert answer.headers["content-type"] == "text/event-stream"
    frames = answer.body.decode().split("\n\n")
    assert frames.pop() == ""
    started = re.fullmatch(
        r'event: started\ndata: {"type":"started","job_id":"a-1","model":"tiny","started_at":"(\S+)"}', frames[0]
    )
    assert started
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+\+00:00", started[1])
    for index, frame in enumerate(frames[1:-1]):
        assert re.fullmatch(rf'event: token\ndata: {{"type":"token","t":"[^"]+","i":{index}}}', frame), frame
    assert re.fullmatch(
        r'event: end\ndata: {"type":"end","tokens_out":3,"decode_time_ms":\d+,"stop_reason":"max_tokens"}', frames[-1]
    )
    assert len(frames) == 5


def test_the_late_era_has_no_event_lines_and_capital_stop_reasons(start_simulator):
    worker = start_simulator("--as", "worker", "--era", "late", "--scenario", "worker")
    answer = execute(worker, max_tokens=4)
    assert b"event:" not in answer.body
    assert [event["type"] for event in answer.data] == ["started", "token", "token", "token", "token", "end"]
    assert end_of(answer)["stop_reason"] == "MAX_TOKENS"
    assert end_of(execute(worker, prompt="as JSON", max_tokens=99, stop=["}"]))["stop_reason"] == "STOP_SEQUENCE"
    assert end_of(execute(worker, prompt="as JSON", max_tokens=99))["stop_reason"] == "EOS"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"job_id": ""}, ("job_id", "non_empty")),
        ({"prompt": ""}, ("prompt", "length(1..=32768)")),
        ({"prompt": "x" * 32769}, ("prompt", "length(1..=32768)")),
        ({"max_tokens": 0}, ("max_tokens", "range(1..=2048)")),
        ({"max_tokens": 2049}, ("max_tokens", "range(1..=2048)")),
        ({"temperature": -0.1}, ("temperature", "range(0.0..=2.0)")),
        ({"temperature": 2.1}, ("temperature", "range(0.0..=2.0)")),
        ({"top_p": 1.5}, ("top_p", "range(0.0..=1.0)")),
        ({"repetition_penalty": 2.5}, ("repetition_penalty", "range(0.0..=2.0)")),
        ({"min_p": -1}, ("min_p", "range(0.0..=1.0)")),
        ({"stop": list("abcde")}, ("stop", "max_count(4)")),
        ({"stop": [""]}, ("stop", "non_empty")),
        ({"stop": ["ü" * 51]}, ("stop", "max_length(100)")),
    ],
)
def test_a_value_outside_of_its_limits(worker, changes, expected):
    assert errors_of(execute(worker, **changes)) == {expected}


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": "x" * 32768},
        {"max_tokens": 2048},
        {"temperature": 0, "top_p": 0, "top_k": 0, "repetition_penalty": 0, "min_p": 0},
        {"temperature": 2, "top_p": 1, "repetition_penalty": 2, "min_p": 1, "seed": (1 << 64) - 1},
        {"stop": ["a" * 100, "b", "c", "d"]},
        {"stop": [], "seed": None, "unknown": 1},
    ],
)
def test_a_value_at_its_limit(worker, changes):
    assert execute(worker, **changes).status == 200


def test_all_problems_come_together_and_the_prompt_is_not_told_back(worker):
    answer = execute(worker, job_id="", prompt="secret" * 6000, max_tokens=0, temperature=9.5, top_p=-1)
    fields = [error["field"] for error in answer.json["errors"]]
    assert fields == ["job_id", "prompt", "max_tokens", "temperature", "top_p"]
    by_field = {error["field"]: error for error in answer.json["errors"]}
    assert b"secret" not in answer.raw
    assert "value" not in by_field["prompt"]
    assert by_field["temperature"] == {
        "field": "temperature",
        "constraint": "range(0.0..=2.0)",
        "message": "temperature must be at most 2.0 (got 9.5)",
        "value": "9.5",
    }
    assert by_field["max_tokens"]["value"] == "0"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b'{"job_id": ', 400, "Failed to parse the request body as JSON"),
        (b"[" * 100_000, 400, "Failed to parse the request body as JSON"),
        (b'{"prompt": "x", "max_tokens": 1}', 422, "missing field `job_id`"),
        (b'{"job_id": "x", "max_tokens": 1}', 422, "missing field `prompt`"),
        (b'{"job_id": "x", "prompt": "x"}', 422, "missing field `max_tokens`"),
        (b'{"job_id": "x", "prompt": 1, "max_tokens": 1}', 422, "prompt: invalid type: integer `1`, expected a string"),
        (b'{"job_id": "x", "prompt": "x", "max_tokens": -1}', 422, "invalid value: integer `-1`, expected u32"),
        (b'{"job_id": "x", "prompt": "x", "max_tokens": "9"}', 422, "invalid type: string, expected u32"),
        (b'{"job_id": "x", "prompt": "x", "max_tokens": 1, "stop": "x"}', 422, "expected a sequence"),
        (b"[]", 422, "expected struct ExecuteRequest"),
    ],
)
def test_a_body_of_another_shape_is_refused_with_text(worker, body, status, said):
    answer = worker.request("POST", "/execute", body)
    assert answer.status == status
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert said in answer.body.decode()


def test_only_json_is_taken(worker):
    head = b"POST /execute HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n"
    assert worker.raw(head + b"Content-Type: text/plain\r\n\r\n{}").startswith(b"HTTP/1.1 415 ")
    assert worker.raw(head + b"\r\n{}").startswith(b"HTTP/1.1 415 ")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(["job_id", "prompt", "max_tokens", "temperature", "stop", "seed", "top_k", "x"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.lists(st.text(max_size=3)),
    )
)
def test_no_request_takes_it_down(worker, body):
    answer = worker.request("POST", "/execute", json.dumps(body).encode())
    assert answer.status in {200, 400, 422}
    assert worker.request("GET", "/health").status == 200


def test_stop_sequences(start_simulator):
    worker = start_simulator("--as", "worker", "--mode", "echo")
    text = 'say {"a": 1} END of it'
    answer = execute(worker, prompt=text, max_tokens=99, stop=["END", "}"])
    end = end_of(answer)
    assert (end["stop_reason"], end["stop_sequence_matched"]) == ("stop_sequence", "}")
    assert "".join(event["t"] for event in answer.data[1:-1]) == 'say {"a": 1'
    assert end["tokens_out"] == len(answer.data) - 2
    unmatched = end_of(execute(worker, prompt=text, max_tokens=99, stop=["never"]))
    assert "stop_sequence_matched" not in unmatched


def test_a_seed_decides_the_text(worker):
    def text(**changes):
        return "".join(
            event["t"] for event in execute(worker, max_tokens=30, **changes).data if event["type"] == "token"
        )

    assert text(seed=1) == text(seed=1)
    assert len({text(seed=number) for number in range(6)}) > 1
    # Without one the worker uses 42.
    assert text() == text(seed=42)


def test_metrics_events_come_between_tokens(start_simulator):
    worker = start_simulator(
        "--as", "worker", "--metrics-every", "2", "--vram-bytes", "77", "--inter-token-latency", "2ms"
    )
    events = execute(worker, max_tokens=5).data
    assert [event["type"][0] for event in events] == list("sttmttmte")
    metrics = events[3]
    assert set(metrics) == {"type", "tokens_per_sec", "vram_bytes"}
    assert metrics["vram_bytes"] == 77
    assert metrics["tokens_per_sec"] > 0
    quiet = start_simulator("--as", "worker", "--metrics-every", "0")
    assert {event["type"] for event in execute(quiet, max_tokens=50).data} == {"started", "token", "end"}


def test_correlation_ids(worker):
    assert worker.request("GET", "/health", headers=HEADER).headers["x-correlation-id"] == HEADER["X-Correlation-ID"]
    assert execute(worker, HEADER).headers["x-correlation-id"] == HEADER["X-Correlation-ID"]
    made = execute(worker, {"X-Correlation-ID": "not-a-uuid"}).headers["x-correlation-id"]
    uuid = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}"
    assert re.fullmatch(uuid, made)
    assert execute(worker).headers["x-correlation-id"] != made


@pytest.mark.parametrize("by", ["path", "body"])
def test_cancel_ends_the_stream_and_the_generation(start_simulator, by):
    worker = start_simulator("--as", "worker", "--inter-token-latency", "20ms", "--control-port", "0")
    with open_job(worker, max_tokens=2000) as sock:
        seen = read_until(sock, lambda seen: seen.count(b"event: token") >= 2)
        path, data = ("/cancel/a-1", None) if by == "path" else ("/cancel", {"job_id": "a-1"})
        assert worker.request("POST", path, data).status == 202
        seen += read_until(sock, lambda seen: seen.endswith(b"0\r\n\r\n"))
        # The connection lives on.
        sock.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 ")
    assert seen.count(b"event: end") == 0
    assert (
        seen.count(b'event: error\ndata: {"type":"error","code":"CANCELLED","message":"Job cancelled by client"}') == 1
    )
    stats = worker.stats()
    assert (stats["cancelled"], stats["completed"], stats["in_flight"]) == (1, 0, 0)
    assert stats["generated_tokens"] == seen.count(b"event: token") < 2000


def test_a_job_that_waits_can_be_cancelled(start_simulator):
    worker = start_simulator(
        "--as", "worker", "--inter-token-latency", "20ms", "--control-port", "0", "--max-num-seqs", "1"
    )
    first = open_job(worker, job_id="first", max_tokens=2000)
    read_until(first, lambda seen: b"event: token" in seen)
    second = open_job(worker, job_id="second")
    assert wait_until(lambda: worker.stats()["waiting"] == 1, 60)
    assert worker.request("POST", "/cancel/second").status == 202
    seen = read_until(second, lambda seen: seen.endswith(b"0\r\n\r\n"))
    assert seen.startswith(b"HTTP/1.1 200 ")
    assert seen.count(b"data: ") == 1
    assert b"CANCELLED" in seen
    worker.request("POST", "/cancel/first")
    first.close()
    second.close()
    stats = worker.stats()
    assert (stats["running"], stats["waiting"], stats["cancelled"]) == (0, 0, 2)


def test_cancelling_what_is_not_there_is_no_error(worker):
    assert worker.request("POST", "/cancel/nothing").status == 202
    assert worker.request("POST", "/cancel", {"job_id": "nothing"}).status == 202
    assert worker.request("POST", "/cancel", {}).status == 422


def test_errors_outside_of_jobs(worker):
    assert (worker.request("GET", "/nothing").status, worker.request("GET", "/nothing").body) == (404, b"")
    assert worker.request("GET", "/execute").status == 405
    answer = execute(worker, {"X-Inference-Fault": "status:code=503"})
    assert answer.status == 503
    assert answer.json["code"] == "WORKER_UNHEALTHY"
    assert answer.json["retriable"] is True


def test_faults_strike_jobs_too(worker):
    cut = execute(worker, {"X-Inference-Fault": "cut-after-events:events=2"})
    assert [event["type"] for event in cut.data] == ["started", "token"]
    assert not cut.raw.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    ("fault", "types"),
    [
        ("error-mid-stream:events=3,code=VRAM_OOM", ["started", "token", "token", "error"]),
        ("terminal-event-missing", ["started", "token", "token", "token"]),
        ("terminal-event-twice", ["started", "token", "token", "token", "end", "end"]),
        ("start-event-late", ["token", "started", "token", "token", "end"]),
        ("lost-token", ["started", "token", "token", "end"]),
        ("doubled-token", ["started", "token", "token", "token", "token", "end"]),
    ],
)
def test_faults_of_typed_events(worker, start_simulator, fault, types):
    assert [event["type"] for event in execute(worker, {"X-Inference-Fault": fault}).data] == types
    faulty = start_simulator("--as", "worker", "--fault", fault)
    assert [event["type"] for event in execute(faulty).data] == types
    assert execute(faulty).headers["content-type"] == "text/event-stream"


def test_an_error_in_the_stream_has_its_code(start_simulator):
    worker = start_simulator("--as", "worker", "--fault", "error-mid-stream:code=TIMEOUT")
    assert execute(worker).body.endswith(
        b'event: error\ndata: {"type":"error","code":"TIMEOUT","message":"The engine died"}\n\n'
    )


@pytest.mark.parametrize(
    ("status", "code", "retriable"),
    [
        (503, "VRAM_OOM", True),
        (500, "INFERENCE_FAILED", False),
        (500, "MODEL_LOAD_FAILED", False),
        (400, "INVALID_PARAMETER", False),
        (500, "CUDA_ERROR", True),
    ],
)
def test_each_code_of_an_error_can_be_had(worker, status, code, retriable):
    answer = execute(worker, {"X-Inference-Fault": f"status:code={status},kind={code},message=Not now"})
    assert (answer.status, answer.json) == (status, {"code": code, "message": "Not now", "retriable": retriable})


def test_exit_codes(run_cli, start_simulator, tmp_path):
    wrong = tmp_path / "wrong.gguf"
    wrong.write_text("This is not a model")
    good = tmp_path / "good.gguf"
    good.write_bytes(b"GGUF" + bytes(20))
    missing = run_cli("--as", "worker", "--port", "0", "--model", str(tmp_path / "none.gguf"))
    assert (missing.returncode, missing.stdout) == (1, "")
    assert re.fullmatch(
        r"inference-simulator: error: failed to load model '\S+none\.gguf': No such .*\n", missing.stderr
    )
    foreign = run_cli("--as", "worker", "--port", "0", "--model", str(wrong))
    assert foreign.returncode == 1
    assert "invalid GGUF magic 54686973" in foreign.stderr
    assert run_cli("--as", "worker", "--gpu-device", "x").returncode == 2
    assert run_cli("--as", "worker", "--era", "old").returncode == 2
    assert run_cli("--as", "worker", "--no-such-flag").returncode == 2
    # Its flags are its own.
    assert run_cli("--worker-id", "x").returncode == 2
    assert start_simulator("--as", "worker", "--model", str(good)).stop() == 0
    assert start_simulator("--as", "worker", "--model", str(wrong), "--stub-mode").stop() == 0


def test_shutdown(start_simulator):
    worker = start_simulator("--as", "worker", "--inter-token-latency", "20ms")
    job = open_job(worker, max_tokens=10)
    seen = read_until(job, lambda seen: b"event: token" in seen)
    assert worker.request("POST", "/shutdown").status == 202
    # What runs is brought to its end.
    seen += read_until(job, lambda seen: seen.endswith(b"0\r\n\r\n"))
    assert b"event: end" in seen
    job.close()
    assert worker.process.wait(60) == 0


def test_help_and_yaml_know_the_flags_of_the_personality(run_cli, start_simulator, tmp_path):
    assert "--worker-id" in run_cli("--as", "worker", "--help").stdout
    assert "--worker-id" in run_cli("--help", "--as=worker").stdout
    assert "--worker-id" not in run_cli("--help").stdout
    file = tmp_path / "worker.yaml"
    file.write_text("as: worker\nworker-id: from-yaml\n")
    worker = start_simulator("--config", str(file))
    assert worker.request("GET", "/health").json["worker_id"] == "from-yaml"
    file.write_text("worker-id: from-yaml\n")
    assert "unknown key 'worker-id'" in run_cli("--config", str(file)).stderr


def test_the_text_is_safe_in_any_alphabet(start_simulator):
    worker = start_simulator("--as", "worker", "--mode", "echo")
    prompt = "世界 👋🌍 " + string.printable
    answer = execute(worker, prompt=prompt, max_tokens=2048)
    assert "".join(event["t"] for event in answer.data if event["type"] == "token") == prompt
