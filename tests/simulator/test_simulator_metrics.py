"""/metrics: the text in both ways of writing, values that were set, adapters and the times they ran."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from time import monotonic, time

import pytest
from machine import patience

from InferenceLibrary.deadline import wait_until
from InferenceLibrary.protocol.prometheus import read_metrics
from InferenceLibrary.simulator.core.exposition import go_number
from InferenceLibrary.simulator.core.fake_metrics import Curve, Fake
from InferenceLibrary.simulator.core.metrics import Histogram, limits_of_histograms

LIMITS = limits_of_histograms(1024)
SET = {
    "running-requests": 16,
    "waiting-requests": 3,
    "kv-cache-usage": 0.3,
    "loras": [{"running": "la,lb", "waiting": "lc", "timestamp": 1257894567}],
    "ttft-buckets-values": [10, 20, 30],
    "request-prompt-tokens": [10, 20, 30],
    "request-success-total": {"stop": 20},
    "total-generation-tokens": 200,
    "prefix-cache-queries": 5,
    "prefix-cache-hits": 3,
}
SHOWN = {
    'num_requests_running{model_name="fake-model"} 16',
    'num_requests_waiting{model_name="fake-model"} 3',
    'kv_cache_usage_perc{model_name="fake-model"} 0.3',
    'lora_requests_info{max_lora="1",running_lora_adapters="la,lb",waiting_lora_adapters="lc"} ',
    'time_to_first_token_seconds_bucket{model_name="fake-model",le="0.005"} 30',
    'time_to_first_token_seconds_bucket{model_name="fake-model",le="+Inf"} 60',
    'time_to_first_token_seconds_sum{model_name="fake-model"} 0.41',
    'request_prompt_tokens_sum{model_name="fake-model"} 200',
    'prompt_tokens_total{model_name="fake-model"} 200',
    'generation_tokens_total{model_name="fake-model"} 200',
}


def page(simulator):
    return simulator.request("GET", "/metrics").body.decode()


def metric(simulator, name):
    text = simulator.request("GET", "/metrics").body.decode()
    return sum(float(value) for value in re.findall(rf"^vllm:{name}\{{[^}}]*\}} (\S+)$", text, re.MULTILINE))


@pytest.mark.parametrize("name", ["openai", "llm-d"])
def test_what_was_set_is_shown_and_nothing_else(start_simulator, name):
    simulator = start_simulator("--as", name, "--model", "fake-model", "--fake-metrics", json.dumps(SET))
    simulator.chat("one two")
    text = page(simulator)
    assert {line for line in SHOWN if f"\nvllm:{line}" not in text} == set()
    assert "e2e_request_latency" not in text
    assert read_metrics(text).value("vllm:num_requests_running") == 16
    if name == "llm-d":
        assert '\nvllm:prefix_cache_hits{model_name="fake-model"} 3\n' in text
        assert '\nvllm:request_success_total{finish_reason="length",model_name="fake-model"} 0\n' in text
        assert 'le="1"' in text
        assert " 1.257894567e+09\n" in text
    else:
        assert '\nvllm:prefix_cache_hits_total{model_name="fake-model"} 3\n' in text
        assert 'le="1.0"' in text


def test_values_are_changed_while_it_runs(start_simulator, tmp_path):
    file = tmp_path / "sim.yaml"
    file.write_text("as: llm-d\nmodel: fake-model\nfake-metrics: {running-requests: 2, waiting-requests: 1}\n")
    simulator = start_simulator("--config", str(file))
    assert simulator.request("POST", "/fake_metrics", {"running-requests": 7}).status == 200
    assert simulator.request("POST", "/fake_metrics", {"kv-cache-usage": 2}).status == 500
    assert simulator.request("POST", "/admin/config", {"fake-metrics": {"kv-cache-usage": 0.5}}).status == 200
    shown = read_metrics(page(simulator))
    names = ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc")
    assert [shown.value(f"vllm:{name}") for name in names] == [7, 1, 0.5]


def test_true_metrics_are_not_replaced_by_llm_d_while_it_runs(start_simulator):
    simulator = start_simulator("--as", "llm-d", "--model", "fake-model")
    assert simulator.request("POST", "/fake_metrics", {"running-requests": 7}).status == 500
    assert simulator.request("POST", "/admin/config", {"fake-metrics": {"running-requests": 7}}).status == 400
    assert read_metrics(page(simulator)).value("vllm:num_requests_running") == 0


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"runing-requests": 1}, "^fake metrics: 'runing-requests': unknown key.*Did you mean 'running-requests'"),
        ({"running-requests": -1}, "running-requests: expected 0 or more, got -1"),
        ({"running-requests": True}, "running-requests"),
        ({"kv-cache-usage": 5}, "kv-cache-usage: expected between 0 and 1, got 5"),
        ({"kv-cache-usage": "ramp:0:2:1s"}, "kv-cache-usage: expected between 0 and 1"),
        ({"running-requests": "ramp:0:2"}, "such as ramp:0:10:5s, got 'ramp:0:2'"),
        ({"running-requests": "ramp:nan:2:1s"}, "expected 0 or more"),
        ({"running-requests": "wave:0:2:1s"}, "'wave' is none of the functions oscillate, ramp"),
        ({"running-requests": "ramp:0:2:0s"}, "expected a period above 0"),
        ({"ttft-buckets-values": [1] * 24}, "expected at most 23 counts, got 24"),
        ({"tpot-buckets-values": [1, -1]}, "expected counts of 0 or more"),
        ({"tpot-buckets-values": 3}, "expected a list"),
        ({"request-success-total": {"done": 1}}, "'done' is none of cache_threshold, length"),
        ({"request-success-total": {"stop": -1}}, "0 or more for stop, got -1"),
        ({"total-prompt-tokens": -1}, "total-prompt-tokens: expected 0 or more"),
        ({"prefix-cache-hits": 1}, "expected both"),
        ({"prefix-cache-hits": 2, "prefix-cache-queries": 1}, "no more hits than queries"),
        ({"loras": ["{"]}, "loras"),
    ],
)
def test_a_wrong_value_is_told(values, said):
    with pytest.raises(ValueError, match=said) as caught:
        Fake(values, LIMITS)
    assert "\n" not in str(caught.value)


def test_a_wrong_value_ends_the_start(run_cli):
    ended = run_cli("--fake-metrics", '{"kv-cache-usag": 0.5}')
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "--fake-metrics" in ended.stderr
    assert "kv-cache-usage" in ended.stderr


@pytest.mark.parametrize(
    ("shape", "seen"),
    [
        ("oscillate", [3, 5, 3, 1, 3, 5]),
        ("ramp", [1, 2, 3, 4, 5, 5]),
        ("rampreset", [1, 2, 3, 4, 1, 2]),
        ("squarewave", [1, 1, 5, 5, 1, 1]),
    ],
)
def test_a_function_changes_its_value(shape, seen):
    curve = Curve(shape, 1, 5, 4)
    assert [curve.at(second) for second in range(6)] == pytest.approx(seen)


def test_a_function_is_shown_as_a_number(start_simulator):
    simulator = start_simulator("--fake-metrics", '{"running-requests": "ramp:3:9:1ms", "kv-cache-usage": 1}')
    # A value stands until it is refreshed.
    assert wait_until(lambda: read_metrics(page(simulator)).value("vllm:num_requests_running") == 9, patience(10))
    assert read_metrics(page(simulator)).value("vllm:kv_cache_usage_perc") == 1


@pytest.mark.parametrize("name", ["openai", "llm-d"])
def test_every_metric_says_what_it_is(start_simulator, name):
    simulator = start_simulator("--as", name, "--model", "fake-model")
    simulator.chat("one")
    heads = [line.split()[1:3] for line in page(simulator).splitlines() if line.startswith("#")]
    told = {kind: {name for one, name in heads if one == kind} for kind in ("HELP", "TYPE")}
    assert told["HELP"] == told["TYPE"] > {"vllm:num_requests_running", "vllm:prompt_tokens_total"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (16, "16"), (0.3, "0.3"), (27709, "27709"), (999999, "999999"), (1e6, "1e+06"),
        (1795902878, "1.795902878e+09"), (3.417e-05, "3.417e-05"), (0.0007329, "0.0007329"), (2.5, "2.5"),
    ],
)  # fmt: skip
def test_numbers_of_go(value, text):
    assert go_number(value) == text


def test_no_more_adapters_than_allowed_run_at_once(start_simulator):
    begun = int(time())
    wait = patience(0.5)
    simulator = start_simulator("--max-loras", "1", "--time-to-first-token", f"{wait:.2f}s", "--mode", "echo")
    for name in ("la", "lb"):
        simulator.request("POST", "/v1/load_lora_adapter", {"lora_name": name, "lora_path": f"/{name}"})
    assert f'running_lora_adapters="",waiting_lora_adapters=""}} {begun // 1000}' in page(simulator)
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(simulator.chat, "hi", model="la")]
        assert wait_until(lambda: 'running_lora_adapters="la"' in page(simulator), 60)
        calls += [pool.submit(simulator.chat, "hi", model=name) for name in ("lb", "la", "fake-model")]
        assert wait_until(lambda: 'running_lora_adapters="la",waiting_lora_adapters="lb"' in page(simulator), 60)
        assert read_metrics(page(simulator)).value("vllm:num_requests_waiting") == 1
        answers = [call.result() for call in calls]
    assert [answer.status for answer in answers] == [200] * 4
    assert 'running_lora_adapters="lb",waiting_lora_adapters=""' in page(simulator)


def test_values_of_a_histogram_count_the_same_one_by_one_and_together():
    limits = (0.1, 0.25, 0.5)
    values = [0.5, 0.1, 0.0, 0.30001, 7.0, 0.25] * 1000
    single, together = Histogram(limits), Histogram(limits)
    for value in values:
        single.add(value)
        together.note(value)
    together.trim()
    together.note(0.2)
    single.add(0.2)
    together.extend(values)
    single.add(0.5, 1000)
    for value in values:
        if value != 0.5:
            single.add(value)
    assert together.total == single.total == 12001
    assert together.sum == pytest.approx(single.sum)
    assert [one.value for one in together.samples({})][:4] == [one.value for one in single.samples({})][:4]


def test_metrics_agree_with_what_was_served(start_simulator):
    simulator = start_simulator("--mode", "echo", "--inter-token-latency", "20ms", "--time-to-first-token", "30ms")
    begin = monotonic()
    for _ in range(3):
        simulator.chat("one two three", stream=True)
    simulator.chat("one two", max_tokens=1)
    elapsed = monotonic() - begin
    simulator.chat(model="other")
    assert metric(simulator, "request_success_total") == 4
    assert metric(simulator, "prompt_tokens_total") == 11
    assert metric(simulator, "generation_tokens_total") == 10
    assert metric(simulator, "inter_token_latency_seconds_count") == 6
    # A first token that is late shortens the gaps after it: no last token is early.
    waited = metric(simulator, "time_to_first_token_seconds_sum") + metric(simulator, "inter_token_latency_seconds_sum")
    assert 3 * 0.07 + 0.03 <= waited + 1e-3 <= elapsed
    assert metric(simulator, "time_to_first_token_seconds_count") == 4
    assert metric(simulator, "time_to_first_token_seconds_sum") >= 0.12
    assert metric(simulator, "num_requests_running") == 0


def test_metrics_of_a_whole_reply_are_those_of_its_tokens(start_simulator):
    # The tokens of an answer in one piece are made one after another too, and as many at a time as there are choices.
    simulator = start_simulator("--mode", "echo", "--inter-token-latency", "80ms", "--time-to-first-token", "200ms")
    simulator.chat("one two three four five")
    simulator.chat("one two three four five", n=2)
    assert metric(simulator, "time_to_first_token_seconds_sum") == pytest.approx(0.4, abs=1e-6)
    assert metric(simulator, "inter_token_latency_seconds_count") == 4 + 9
    assert metric(simulator, "inter_token_latency_seconds_sum") == pytest.approx(0.64, abs=1e-6)
    assert metric(simulator, "request_decode_time_seconds_sum") == pytest.approx(0.64, abs=1e-6)


def test_an_adapter_that_waits_does_not_run(start_simulator):
    simulator = start_simulator("--max-num-seqs", "1", "--time-to-first-token", f"{patience(2):.2f}s")
    for name in ("la", "lb"):
        simulator.request("POST", "/v1/load_lora_adapter", {"lora_name": name, "lora_path": f"/{name}"})
    with ThreadPoolExecutor() as pool:
        calls = [pool.submit(simulator.chat)]
        while not metric(simulator, "num_requests_running"):
            assert not calls[0].done()
        calls += [pool.submit(simulator.chat, model=name) for name in ("la", "lb")]
        while metric(simulator, "num_requests_waiting") < 2:
            assert not calls[0].done()
        shown = simulator.request("GET", "/metrics").body.decode()
    assert 'running_lora_adapters="",waiting_lora_adapters="la,lb"' in shown


@pytest.mark.parametrize("streamed", [True, False])
def test_each_token_takes_as_long_as_the_load_of_its_moment(start_simulator, streamed):
    # The first answer begins alone, and is slowed while there is a second, whose two gaps last five times as long.
    gap = patience(0.02)
    settings = {
        "inter-token-latency": f"{gap:.3f}s",
        "max-num-seqs": "2",
        "time-factor-under-load": "5",
        "mode": "echo",
    }
    simulator = start_simulator(*(word for name, value in settings.items() for word in (f"--{name}", value)))
    with ThreadPoolExecutor() as pool:
        call = pool.submit(simulator.chat, " ".join(["word"] * 41), stream=streamed)
        while not metric(simulator, "num_requests_running"):
            assert not call.done()
        simulator.chat("one two three", stream=True)
        call.result()
    assert metric(simulator, "inter_token_latency_seconds_count") == 40 + 2
    # Of the first answer's gaps at least one whole one passes meanwhile: four more than those of the second alone.
    assert metric(simulator, "inter_token_latency_seconds_sum") > (42 + 8 + 3) * gap
