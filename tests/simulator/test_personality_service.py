"""The service personality: models that come and go, several of them working on one answer, and a queue."""

import json
import threading
from time import monotonic

import pytest
from machine import patience

from InferenceLibrary.deadline import wait_until

CHAT = "/v1/chat/completions"
ASKED = [{"role": "user", "content": "one two three"}]
MODES = {"single": 1, "critique": 2, "debate": 3, "ensemble": 3, "pipeline": 3}


@pytest.fixture
def service(start_simulator):
    return start_simulator("--as", "service", "--control-port", "0", "--seed", "7")


def ask(simulator, headers=None, **changes):
    return simulator.request("POST", CHAT, {"model": "phi-4", "messages": ASKED, **changes}, headers)


def generations(simulator):
    return simulator.stats()["generations"]


def load(simulator, name):
    return simulator.request("POST", f"/v1/models/{name}/load")


def unload(simulator, name):
    return simulator.request("POST", f"/v1/models/{name}/unload")


def configure(simulator, name, **changes):
    return simulator.request("PATCH", f"/v1/models/{name}/config", changes)


def test_health_and_ready(service, start_simulator):
    assert service.request("GET", "/health").json == {
        "status": "ok",
        "service": "inference-service",
        "version": "0.1.0",
    }
    ready = service.request("GET", "/health/ready")
    assert (ready.status, ready.json["status"]) == (200, "ready")
    assert ready.json["loaded_models"] == ["phi-4", "llama-3.2-3b", "deepseek-r1-7b"]
    assert (ready.json["config"], ready.json["orchestration_mode"]) == ("D4", "single")
    empty = start_simulator("--as", "service", "--loaded-models", "none").request("GET", "/health/ready")
    assert (empty.status, empty.json["status"], empty.json["reason"]) == (503, "not_ready", "No models loaded")


def test_the_model_list(service):
    body = service.request("GET", "/v1/models").json
    assert set(body) == {"data", "config", "orchestration_mode"}
    assert body["data"][0] == {
        "id": "phi-4",
        "status": "loaded",
        "memory_mb": 8400,
        "context_length": 16384,
        "roles": ["primary", "thinker", "coder"],
    }
    assert [model["status"] for model in body["data"]] == ["loaded"] * 3 + ["available"]


def test_loading_and_unloading(service):
    full = load(service, "qwen2.5-7b")
    assert full.status == 507
    assert "15100 of 16000 MB" in full.json["detail"]
    assert load(service, "nothing").status == 404
    assert "nothing" in load(service, "nothing").json["detail"]
    gone = unload(service, "phi-4")
    assert (gone.status, gone.json["status"]) == (200, "available")
    assert unload(service, "phi-4").status == unload(service, "nothing").status == 200
    refused = ask(service)
    assert (refused.status, refused.json) == (404, {"detail": "Model 'phi-4' is not loaded"})
    loaded = load(service, "qwen2.5-7b")
    assert loaded.json == {
        "id": "qwen2.5-7b",
        "status": "loaded",
        "message": "Model 'qwen2.5-7b' loaded successfully",
    }
    assert load(service, "qwen2.5-7b").status == 200
    assert ask(service, model="qwen2.5-7b").status == 200
    assert service.request("POST", "/v1/models/phi-4/dance").status == 404


def test_a_model_that_is_being_loaded_asks_to_wait(start_simulator):
    service = start_simulator("--as", "service", "--loaded-models", "phi-4", "--model-load-time", "1s")
    loading = threading.Thread(target=load, args=(service, "llama-3.2-3b"))
    loading.start()
    assert wait_until(lambda: ask(service, model="llama-3.2-3b").status == 503, 60)
    answer = ask(service, model="llama-3.2-3b")
    assert answer.headers["retry-after"] == "1"
    assert answer.json["error"]["code"] == "MODEL_LOADING"
    assert answer.json["error"]["type"] == "retriable"
    assert ask(service).status == 200
    loading.join(20)
    assert ask(service, model="llama-3.2-3b").status == 200


def test_configuration(service):
    changed = configure(service, "qwen2.5-7b", context_length=100, gpu_layers=-1)
    assert changed.json == {"model_id": "qwen2.5-7b", "updated_fields": ["context_length"], "status": "ok"}
    assert service.request("GET", "/v1/models").json["data"][3]["context_length"] == 100
    # A loaded model gets it when it is loaded again.
    configure(service, "phi-4", context_length=4)
    assert ask(service, max_tokens=10).status == 200
    unload(service, "phi-4")
    load(service, "phi-4")
    over = ask(service, max_tokens=10)
    assert over.status == 400
    assert over.json["error"]["code"] == "CONTEXT_BUDGET_EXCEEDED"
    assert over.json["error"]["details"] == {"needed": 13, "available": 4}
    assert configure(service, "nothing", gpu_layers=1).status == 404
    for wrong in ({"context_length": 0}, {"context_length": "x"}, {"gpu_layers": -2}):
        assert configure(service, "phi-4", **wrong).status == 422


@pytest.mark.parametrize("mode", MODES)
def test_orchestration_is_true(service, mode):
    answer = ask(service, orchestration_mode=mode, max_tokens=20).json
    made = generations(service)
    found = answer["orchestration"]
    assert found["mode"] == mode
    assert sum(made.values()) == MODES[mode]
    assert sorted(found["models_used"]) == sorted(made)
    assert found["models_used"][0] == "phi-4"
    assert found["rounds"] >= 1
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    stats = service.stats()
    assert stats["generated_tokens"] == usage["completion_tokens"]
    assert stats["prompt_tokens"] == usage["prompt_tokens"]
    if mode != "single":
        assert len(found["models_used"]) >= 2
        assert usage["completion_tokens"] > len(answer["choices"][0]["message"]["content"].split())
    for score in ("final_score", "agreement_score", "confidence"):
        assert 0 <= found.get(score, 0) <= 1
    expected = {"critique": "final_score", "debate": "disagreement_points", "ensemble": "agreement_score"}
    assert expected.get(mode, "mode") in found
    if mode == "pipeline":
        assert found["completed_steps"] == ["draft", "refine", "validate"]


def test_scores_are_computed_from_the_texts(start_simulator):
    service = start_simulator("--as", "service", "--mode", "echo")
    same = ask(service, orchestration_mode="debate").json["orchestration"]
    assert (same["agreement_score"], same["disagreement_points"]) == (1.0, [])
    different = start_simulator("--as", "service", "--seed", "3")
    found = ask(different, orchestration_mode="debate", max_tokens=30).json["orchestration"]
    assert found["agreement_score"] < 1
    assert found["disagreement_points"]


def test_the_time_that_it_tells_is_the_time_that_it_takes(start_simulator):
    service = start_simulator("--as", "service", "--mode", "echo", "--time-to-first-token", "40ms")
    single = ask(service).json["orchestration"]["total_inference_time_ms"]
    began = monotonic()
    critique = ask(service, orchestration_mode="critique").json["orchestration"]["total_inference_time_ms"]
    took = monotonic() - began
    assert (single, critique) == (40.0, 80.0)
    assert took >= 0.08


def test_a_mode_needs_its_models(start_simulator):
    service = start_simulator("--as", "service", "--loaded-models", "phi-4")
    assert ask(service).json["orchestration"]["models_used"] == ["phi-4"]
    for mode in ("critique", "debate", "ensemble", "pipeline"):
        refused = ask(service, orchestration_mode=mode)
        assert refused.status == 400
        error = refused.json["error"]
        assert (error["code"], error["type"]) == ("VALIDATION_ERROR", "non_retriable")
        assert "needs 2 loaded models" in error["message"]


def test_the_task_chooses_who_joins(service):
    used = {
        task: ask(service, orchestration_mode="critique", task_type=task).json["orchestration"]["models_used"][1]
        for task in ("code", "reasoning", "summarization")
    }
    assert used == {"code": "llama-3.2-3b", "reasoning": "deepseek-r1-7b", "summarization": "llama-3.2-3b"}
    load_order = ask(service, orchestration_mode="critique").json["orchestration"]["models_used"]
    assert load_order == ["phi-4", "llama-3.2-3b"]


def test_the_default_mode_is_that_of_the_service(start_simulator):
    service = start_simulator("--as", "service", "--orchestration-mode", "critique")
    assert ask(service).json["orchestration"]["mode"] == "critique"


def test_a_completion_and_a_stream(service):
    answer = ask(service, max_tokens=4)
    assert answer.json["id"].startswith("chatcmpl-")
    assert answer.json["object"] == "chat.completion"
    assert answer.json["choices"][0]["finish_reason"] in {"stop", "length"}
    streamed = ask(service, max_tokens=9, stream=True)
    assert streamed.headers["content-type"] == "text/event-stream"
    assert len({chunk["id"] for chunk in streamed.data[:-1]}) == 1
    assert streamed.data[-2]["choices"][0]["finish_reason"]
    assert streamed.data[-1] == "[DONE]"
    assert all("orchestration" not in chunk for chunk in streamed.data[:-1])


def test_a_stream_of_several_models_counts_all_of_them(service):
    options = {"stream": True, "stream_options": {"include_usage": True}, "orchestration_mode": "pipeline"}
    usage = ask(service, max_tokens=9, **options).data[-2]["usage"]
    assert sum(generations(service).values()) == 3
    stats = service.stats()
    assert (stats["prompt_tokens"], stats["generated_tokens"]) == (usage["prompt_tokens"], usage["completion_tokens"])
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens"] > 3


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"messages": []}, ["messages"]),
        ({"model": None}, ["model"]),
        ({"temperature": 2.5}, ["temperature"]),
        ({"max_tokens": -1}, ["max_tokens"]),
        ({"orchestration_mode": "chaos"}, ["orchestration_mode"]),
        ({"task_type": "cooking"}, ["task_type"]),
        ({"priority": 0}, ["priority"]),
        ({"priority": 4, "presence_penalty": 3}, ["presence_penalty", "priority"]),
    ],
)
def test_wrong_requests(service, changes, where):
    answer = ask(service, **changes)
    assert answer.status == 422
    assert [problem["loc"][1] for problem in answer.json["detail"]] == where


def test_other_errors(service):
    assert service.request("POST", CHAT, b'{"model').status == 422
    assert service.request("GET", "/nothing").json == {"detail": "Not Found"}
    assert service.request("GET", CHAT).json == {"detail": "Method Not Allowed"}
    assert ask(service, {"X-Inference-Fault": "status:code=500"}).status == 500


def open_chat(simulator, text, **changes):
    """Send a chat and return its connection."""
    body = json.dumps({"model": "phi-4", "messages": [{"role": "user", "content": text}], **changes}).encode()
    sock = simulator.connect()
    sock.sendall(
        b"POST %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b"
        % (CHAT.encode(), len(body), body)
    )
    return sock


def answer_of(sock):
    seen = b""
    while piece := sock.recv(65536):
        seen += piece
    sock.close()
    return seen


@pytest.fixture
def queued(start_simulator):
    """Give a function that lets three requests wait behind one, and returns the order in which they were answered."""

    def run(strategy):
        service = start_simulator(
            "--as", "service", "--mode", "echo", "--queue-strategy", strategy, "--queue-max-size", "3",
            # As long as the others need to queue up behind the first.
            "--control-port", "0", "--time-to-first-token", f"{patience(0.4):.2f}s",
        )  # fmt: skip
        socks = [open_chat(service, "running")]
        assert wait_until(lambda: service.stats()["running"] == 1, 60.0)
        for number, (text, priority) in enumerate((("low", 1), ("normal", None), ("high", 3)), start=1):
            socks.append(open_chat(service, text, **({"priority": priority} if priority else {})))
            assert wait_until(lambda number=number: service.stats()["waiting"] == number, 60.0)
        full = ask(service)
        answers = [answer_of(sock) for sock in socks]
        recent = service.control("GET", "/requests").json["requests"]
        order = [json.loads(item["body"])["messages"][0]["content"] for item in recent if item["status"] == 200]
        return full, answers, order

    return run


def test_a_full_queue_is_503_with_the_time_to_wait(queued):
    full, answers, order = queued("fifo")
    assert full.status == 503
    assert full.headers["retry-after"] == "5"
    assert full.json == {
        "detail": "Inference queue is full. Please retry later.",
        "max_concurrent": 1,
        "retry_after_seconds": 5,
    }
    assert b"X-Queue-Position" not in answers[0]
    assert [answer.count(b"X-Queue-Position: %d\r\n" % place) for place, answer in enumerate(answers)] == [0, 1, 1, 1]
    assert order == ["running", "low", "normal", "high"]


def test_high_priorities_go_first(queued):
    _, answers, order = queued("priority")
    assert all(answer.startswith(b"HTTP/1.1 200 ") for answer in answers)
    assert order == ["running", "high", "normal", "low"]


def test_wrong_flags(run_cli):
    for arguments in (["--loaded-models", "gpt-9"], ["--queue-strategy", "lifo"], ["--orchestration-mode", "chaos"]):
        run = run_cli("--as", "service", *arguments)
        assert run.returncode == 2
        assert run.stderr.startswith(f"inference-simulator: error: {arguments[0]}: ")


def test_the_openai_client(service):
    openai = pytest.importorskip("openai")
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key="x", max_retries=0) as client:
        reply = client.chat.completions.create(
            model="phi-4", messages=ASKED, extra_body={"orchestration_mode": "critique", "task_type": "code"}
        )
        assert reply.orchestration["mode"] == "critique"
        chunks = list(client.chat.completions.create(model="phi-4", messages=ASKED, stream=True))
        assert chunks[-1].choices[0].finish_reason in {"stop", "length"}
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="gpt-9", messages=ASKED)
