"""What a simulator does with values of odd kinds and with numbers that JSON cannot write: it never makes a mistake."""

from __future__ import annotations

import json
from typing import Any

import pytest

from InferenceLibrary.simulator.answers.schema_values import value_for
from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.core.draft import Event, event_bytes, to_json
from InferenceLibrary.simulator.core.draws import Draws
from InferenceLibrary.simulator.core.settings import Settings
from InferenceLibrary.simulator.personalities.router_limits import RouterError
from InferenceLibrary.simulator.personalities.router_requests import check_inference

CHAT: dict[str, Any] = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}
RESPONSE: dict[str, Any] = {"model": "tiny", "input": "hi"}
ODD_KINDS: list[Any] = [["x"], {"a": 1}, [None]]


@pytest.mark.parametrize("name", ["vllm", "llama.cpp", "ollama", "litellm", "transformers"])
def test_types_of_odd_kinds_are_like_other_unknown_types(start_simulator: Any, name: str) -> None:
    simulator = start_simulator("--as", name, "--model", "tiny")
    function = {"name": "f", "parameters": {"type": "object"}}
    for path, body, more in (
        ("/v1/responses", RESPONSE, lambda kind: {"text": {"format": {"type": kind}}}),
        ("/v1/responses", RESPONSE, lambda kind: {"tools": [{"type": kind, **function}]}),
        ("/v1/chat/completions", CHAT, lambda kind: {"tools": [{"type": kind, "function": function}]}),
    ):
        usual = simulator.request("POST", path, {**body, **more(5)}).status
        for kind in ODD_KINDS:
            answer = simulator.request("POST", path, {**body, **more(kind)})
            assert (answer.status, b"made a mistake" in answer.body) == (usual, False), (path, kind)
    assert "Traceback" not in simulator.errors()


@pytest.mark.parametrize("name", ["openai", "tgi", "sglang", "lm-studio"])
def test_a_role_of_an_odd_kind_is_refused(start_simulator: Any, name: str) -> None:
    simulator = start_simulator("--as", name, "--model", "tiny")
    for path in ("/v1/messages", "/v1/messages/count_tokens"):
        for role in ODD_KINDS:
            body = {"model": "tiny", "max_tokens": 5, "messages": [{"role": role, "content": "s"}]}
            answer = simulator.request("POST", path, body)
            assert answer.status == 400
            assert "messages.0.role: must be user or assistant" in answer.body.decode()


def test_a_named_tool_of_an_odd_kind_is_refused(start_simulator: Any) -> None:
    simulator = start_simulator("--model", "tiny")
    tools = [{"type": "function", "function": {"name": "f"}}]
    for name in ODD_KINDS:
        for path, more in (
            ("/v1/chat/completions", {"tools": tools, "tool_choice": {"type": "function", "function": {"name": name}}}),
            ("/v1/responses", {"input": "hi", "tool_choice": {"type": "function", "name": name}}),
            ("/v1/messages", {"max_tokens": 5, "tool_choice": {"type": "tool", "name": name}}),
        ):
            assert simulator.request("POST", path, {**CHAT, **more}).status == 400, path


def test_faults_take_tools_whose_types_are_odd(start_simulator: Any) -> None:
    simulator = start_simulator("--model", "tiny")
    body = {**RESPONSE, "tools": [{"type": ["x"], "name": "f"}]}
    for fault in ("item-key-missing", "tool-name-unknown", "tool-arguments-object"):
        assert simulator.request("POST", "/v1/responses", body, {"X-Inference-Fault": fault}).status == 200, fault


def test_a_script_takes_choices_whose_kinds_are_odd(start_simulator: Any, tmp_path: Any) -> None:
    script = tmp_path / "script.yaml"
    script.write_text("rules:\n  - answer: {text: scripted}\n")
    simulator = start_simulator("--as", "ollama", "--model", "tiny", "--scenario", str(script))
    for more in ({"tool_choice": {"type": []}}, {"text": {"format": {"type": []}}}):
        assert simulator.request("POST", "/v1/responses", {**RESPONSE, **more}).status < 500


def test_a_content_type_of_an_odd_kind_is_refused() -> None:
    body = {"request_id": "00000000-0000-0000-0000-000000000000", "model": "a", "payload": "b"}
    for kind in ODD_KINDS:
        with pytest.raises(RouterError, match="content_type must be"):
            check_inference({**body, "content_type": kind})


def test_dimensions_of_an_odd_kind_are_refused_by_ollama(start_simulator: Any) -> None:
    simulator = start_simulator("--as", "ollama", "--model", "tiny")
    for given, told in (([None], "array"), ({}, "object"), ("8", "string"), (True, "bool"), (1.5, "number 1.5")):
        answer = simulator.request("POST", "/api/embed", {"model": "tiny", "input": "a", "dimensions": given})
        said = f"json: cannot unmarshal {told} into Go struct field EmbedRequest.dimensions of type int"
        assert (answer.status, answer.json["error"]) == (400, said)
    for given, length in ((8, 8), (-1, 384), (10**12, 384), (None, 384)):
        answer = simulator.request("POST", "/api/embed", {"model": "tiny", "input": "a", "dimensions": given})
        assert len(answer.json["embeddings"][0]) == length


def test_adapters_of_an_odd_kind_are_passed_over(start_simulator: Any) -> None:
    simulator = start_simulator("--as", "llama.cpp", "--model", "tiny")
    for number in ODD_KINDS:
        given = [{"id": number, "scale": 1.0}]
        assert simulator.request("POST", "/lora-adapters", given).status == 200
        assert simulator.request("POST", "/v1/chat/completions", {**CHAT, "lora": given}).status == 200


def test_settings_of_odd_kinds_are_refused(start_simulator: Any) -> None:
    simulator = start_simulator("--as", "llm-d", "--model", "tiny", "--control-port", "0")
    for path, given in (
        ("/admin/config", {"failure-types": [[]]}),
        ("/admin/config", {"failure-types": 1}),
        ("/admin/config", {"image-emission-rate": []}),
        ("/admin/config", {"time-to-first-token": "x", "time-to-first-token-std-dev": "y"}),
        ("/inference/v1/generate", {"token_ids": [1], "sampling_params": {"max_tokens": ["x"]}}),
    ):
        assert simulator.request("POST", path, given).status == 400, given
    assert simulator.control("PATCH", "/config", {"mode": []}).status == 400


def test_a_router_of_models_refuses_names_of_odd_kinds(start_simulator: Any, tmp_path: Any) -> None:
    presets = tmp_path / "presets.ini"
    presets.write_text("[a]\nhf-repo = x/a\n[b]\nhf-repo = x/b\n")
    simulator = start_simulator("--as", "llama.cpp", "--models-preset", str(presets))
    for name in ODD_KINDS:
        assert simulator.request("POST", "/models/load", {"model": name}).status == 404
        assert simulator.request("POST", "/v1/chat/completions", {**CHAT, "model": name}).status == 400


# Numbers


FIELDS = (
    '"truncation": {}', '"temperature": {}', '"metadata": {{"a": {}}}', '"previous_response_id": {}',
    '"reasoning": {{"effort": {}}}', '"text": {{"format": {}}}', '"text": {{"format": {{"type": {}}}}}',
    '"tools": [{{"type": "function", "name": {}}}]',
    '"tools": [{{"type": "function", "name": "f", "parameters": {{"a": {}}}}}]',
)  # fmt: skip
NUMBERS = ("1e999", "-1e999", "NaN", "Infinity", "-Infinity", "1" + "0" * 400)


def _told(answer: Any) -> None:
    """Read an answer as strict readers do."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} in {answer.body.decode()[:300]}")

    lines = answer.body.decode().split("\n")
    if "event-stream" in answer.headers["content-type"]:
        lines = [line[6:] for line in lines if line.startswith("data: {")]
    else:
        lines = ["\n".join(lines)]
    for line in lines:
        json.loads(line, parse_constant=refuse)


@pytest.mark.parametrize("name", ["openai", "tgi", "sglang", "lm-studio", "llama.cpp", "ollama"])
def test_numbers_that_json_has_not_are_no_json(start_simulator: Any, name: str) -> None:
    simulator = start_simulator("--as", name, "--model", "tiny")
    for field in FIELDS:
        for number in NUMBERS:
            body = f'{{"model": "tiny", "input": "hi", {field.format(number)}}}'.encode()
            answer = simulator.request("POST", "/v1/responses", body)
            assert answer.status == 400, body
            assert json.loads(answer.body)["error"]["message"]
    body = json.dumps({**RESPONSE, "input": "9" * 400, "metadata": {"a": "1e999"}, "top_p": 1e-999}).encode()
    assert simulator.request("POST", "/v1/responses", body).status == 200


@pytest.mark.parametrize("name", ["vllm", "litellm"])
def test_answers_and_events_hold_no_numbers_that_json_has_not(start_simulator: Any, name: str) -> None:
    simulator = start_simulator("--as", name, "--model", "tiny")
    for field in FIELDS:
        for number in NUMBERS[:5]:
            for stream in ("false", "true"):
                body = f'{{"model": "tiny", "input": "hi", "stream": {stream}, {field.format(number)}}}'.encode()
                answer = simulator.request("POST", "/v1/responses", body)
                assert b"made a mistake" not in answer.body, body
                _told(answer)
    body = b'{"model": "tiny", "prompt": "a", "temperature": 1%b, "logprobs": 1e999}' % (b"0" * 400)
    assert b"made a mistake" not in simulator.request("POST", "/v1/completions", body).body


def test_numbers_that_json_has_not_are_told_in_the_words_of_the_reader(start_simulator: Any) -> None:
    for name, said in (
        ("ollama", "json: cannot unmarshal number -1e999 into Go value of type float64"),
        ("llama.cpp", "[json.exception.out_of_range.406] number overflow parsing '-1e999'"),
    ):
        simulator = start_simulator("--as", name, "--model", "tiny")
        answer = simulator.request("POST", "/v1/chat/completions", b'{"a": "1e999", "b": 12, "n": -1e999}')
        assert (answer.status, answer.json["error"]["message"]) == (400, said)


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (("llm-d", "--model", "tiny"), "/v1/messages"),
        (("service",), "/v1/chat/completions"),
        (("worker",), "/execute"),
        (("router", "--backend", "a=http://127.0.0.1:9"), "/v1/chat/completions"),
    ],
)
def test_other_servers_refuse_them_as_well(start_simulator: Any, words: tuple[str, ...], path: str) -> None:
    simulator = start_simulator("--as", *words)
    for number in NUMBERS:
        body = b'{"model": "tiny", "max_tokens": 5, "messages": [], "tools": [{"name": %b}]}' % number.encode()
        answer = simulator.request("POST", path, body, {"X-API-Key": "dev-a"})
        assert answer.status in (400, 422)
        text = answer.body.decode()
        assert "not a JSON value" in text or "out of range" in text or "invalid character" in text, text
        if "json" in answer.headers["content-type"]:
            _told(answer)


def test_null_is_written_for_numbers_that_json_has_not() -> None:
    data = {"a": [1.5, float("inf"), {"b": float("nan"), "c": (float("-inf"), "x", None, True)}]}
    written = b'{"a":[1.5,null,{"b":null,"c":[null,"x",null,true]}]}'
    assert to_json(data) == written
    assert event_bytes(Event(data)) == b"data: " + written + b"\n\n"


def test_a_schema_names_no_number_that_json_has_not() -> None:
    for schema in ({"const": float("nan")}, {"enum": [[float("inf")]]}):
        with pytest.raises(ApiError, match="A number of the schema is too large"):
            value_for(schema, Draws(1), Settings())
