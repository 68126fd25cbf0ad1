"""Which server the suites test: every variable, and which goes before which."""

from __future__ import annotations

import itertools

import pytest

from InferenceLibrary.errors import TargetError
from InferenceLibrary.servers.target import Target, is_skipped, resolve_target

URL = "http://a:1"


def resolved(environment: dict[str, str], target: str | None = None, model: str | None = None) -> Target:
    return resolve_target(target, model, environment)


def test_without_anything_it_is_the_simulator() -> None:
    target = resolved({})
    assert target == Target("simulator", "default")
    assert not target.is_url


def test_each_name_goes_before_the_next() -> None:
    order = ["INFERENCE_TARGET", "VLLM_BACKEND_URL", "INFERENCE_SERVICE_URL", "LLM_GATEWAY_URL"]
    for first, *others in (order[start:] for start in range(len(order))):
        environment = {name: f"http://{name}" for name in [first, *others]}
        assert resolved(environment).name == f"http://{first}"
        assert resolved(environment).origin == first
        assert resolved(environment, target="mine").origin == "TARGET"


def test_pairs_in_any_order_of_the_environment() -> None:
    names = ["INFERENCE_SERVICE_URL", "VLLM_BACKEND_URL"]
    for order in itertools.permutations(names):
        assert resolved({name: f"http://{name}" for name in order}).origin == "VLLM_BACKEND_URL"


@pytest.mark.parametrize("empty", ["", None])
def test_what_is_empty_does_not_count(empty: str | None) -> None:
    assert resolved({"INFERENCE_TARGET": "", "LLM_GATEWAY_URL": URL}, target=empty).origin == "LLM_GATEWAY_URL"


@pytest.mark.parametrize(
    ("name", "is_url"), [("http://a", True), ("https://a", True), ("simulator", False), ("./mine.yaml", False)]
)
def test_what_is_a_url(name: str, is_url: bool) -> None:
    assert resolved({}, target=name).is_url is is_url


@pytest.mark.parametrize(
    ("environment", "profile", "found"),
    [
        ({"INFERENCE_TARGET": URL}, None, "openai"),
        ({"VLLM_BACKEND_URL": URL}, None, "vllm"),
        ({"INFERENCE_SERVICE_URL": URL}, None, "inference-service"),
        ({"LLM_GATEWAY_URL": URL}, None, "llm-gateway"),
        ({"LLM_GATEWAY_URL": URL, "INFERENCE_PROFILE": "sglang"}, None, "sglang"),
        ({"LLM_GATEWAY_URL": URL, "INFERENCE_PROFILE": "sglang"}, "mine.yaml", "mine.yaml"),
    ],
)
def test_what_answers_at_a_url(environment: dict[str, str], profile: str | None, found: str) -> None:
    assert resolve_target(None, None, environment, profile=profile).profile == found


def test_options_are_a_mapping_or_its_json() -> None:
    assert resolve_target(None, None, {}, options={"seed": 1}).options == {"seed": 1}
    assert resolve_target(None, None, {"INFERENCE_TARGET_OPTIONS": '{"seed": 2}'}).options == {"seed": 2}
    with pytest.raises(TargetError, match="expected a JSON object"):
        resolve_target(None, None, {}, options=[1])


def test_the_model_of_vllm_goes_with_its_url_only() -> None:
    model = {"VLLM_MODEL_NAME": "llama"}
    assert resolved({"VLLM_BACKEND_URL": URL} | model).model == "llama"
    assert resolved({"INFERENCE_TARGET": "simulator", "VLLM_BACKEND_URL": URL} | model).model is None
    assert resolved(model).model is None
    assert resolved({"VLLM_BACKEND_URL": URL} | model, model="mine").model == "mine"
    assert resolved({}, model="mine").model == "mine"
    assert resolved({}, model="").model is None


def test_the_port() -> None:
    assert resolved({"TEST_PORT": "8123"}).port == 8123
    assert resolved({"TEST_PORT": ""}).port is None
    for wrong in ("0", "65536", "-1", "http", "8.0", "²", "٣"):
        with pytest.raises(TargetError, match=rf"^TEST_PORT: expected a port from 1 to 65535, got '{wrong}'\.$"):
            resolved({"TEST_PORT": wrong})


@pytest.mark.parametrize(
    ("variable", "field"), [("INTEGRATION_TEST_TIMEOUT", "call_timeout"), ("STREAM_TEST_TIMEOUT", "stream_timeout")]
)
def test_the_time_limits(variable: str, field: str) -> None:
    for text, seconds in (("30", 30.0), ("1.5", 1.5), ("2 min", 120.0), ("500ms", 0.5)):
        assert getattr(resolved({variable: text}), field) == seconds
    assert getattr(resolved({variable: ""}), field) is None
    for wrong in ("soon", "0", "-1", "0 s", "²", " "):
        with pytest.raises(TargetError, match=rf"^{variable}: expected a duration"):
            resolved({variable: wrong})
    with pytest.raises(TargetError, match="got 'abc'; a number alone is seconds"):
        resolved({variable: "abc"})


@pytest.mark.parametrize("value", ["true", "TRUE", "1", "yes", " on "])
def test_skipping_is_asked_for(value: str) -> None:
    assert is_skipped({"SKIP_INTEGRATION_TESTS": value})


@pytest.mark.parametrize("value", ["false", "0", "no", "Off", ""])
def test_skipping_is_not_asked_for(value: str) -> None:
    assert not is_skipped({"SKIP_INTEGRATION_TESTS": value})
    assert not is_skipped({})


def test_a_typo_neither_skips_nor_runs() -> None:
    with pytest.raises(TargetError, match=r"SKIP_INTEGRATION_TESTS: expected true or false, got 'ture'\."):
        is_skipped({"SKIP_INTEGRATION_TESTS": "ture"})
