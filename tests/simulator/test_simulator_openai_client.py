"""The official client of OpenAI against the simulator: what its users see."""

from __future__ import annotations

import json
from typing import Any

import pytest

MESSAGES = [{"role": "user", "content": "one two three"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture(scope="module")
def openai() -> Any:
    """The package; its import costs a second, which no collection of tests should."""
    return pytest.importorskip("openai")


@pytest.fixture
def client(simulator, openai):
    with openai.OpenAI(base_url=f"{simulator.url}/v1", api_key="none", max_retries=0, timeout=10) as client:
        yield client


def test_chat(client):
    answer = client.chat.completions.create(model="fake-model", messages=MESSAGES)
    assert answer.choices[0].message.content == "one two three"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_chat_stream(client):
    stream = client.chat.completions.create(
        model="fake-model", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "one two three"
    assert chunks[-1].usage.completion_tokens == 3


def test_tools(client):
    answer = client.chat.completions.create(
        model="fake-model", messages=MESSAGES, tools=[TOOL], tool_choice="required", parallel_tool_calls=False
    )
    (call,) = answer.choices[0].message.tool_calls
    assert "city" in json.loads(call.function.arguments)


def test_completions_embeddings_and_models(client):
    assert client.completions.create(model="fake-model", prompt="a b").choices[0].text == "a b"
    assert len(client.embeddings.create(model="fake-model", input=["a", "b"]).data[1].embedding) == 384
    assert [model.id for model in client.models.list()] == ["fake-model"]


def test_responses(client):
    answer = client.responses.create(model="fake-model", input="one two")
    assert answer.output_text == "one two"
    assert client.responses.retrieve(answer.id).output_text == "one two"
    kinds = [event.type for event in client.responses.create(model="fake-model", input="one two", stream=True)]
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("status:code=429", "RateLimitError"),
        ("status:code=503", "InternalServerError"),
        ("status:code=401", "AuthenticationError"),
        ("close-before-status", "APIConnectionError"),
        ("close-before-status:how=reset", "APIConnectionError"),
    ],
)
def test_errors_as_the_client_sees_them(openai, client, fault, error):
    with pytest.raises(getattr(openai, error)):
        client.chat.completions.create(
            model="fake-model", messages=MESSAGES, extra_headers={"X-Inference-Fault": fault}
        )


def test_unknown_model(client, openai):
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="other", messages=MESSAGES)


def test_retries_succeed_after_two_failures(start_simulator, openai):
    simulator = start_simulator("--fault", "status:code=503,first=2")
    with openai.OpenAI(base_url=f"{simulator.url}/v1", api_key="none", max_retries=2, timeout=20) as client:
        assert client.chat.completions.create(model="fake-model", messages=MESSAGES).id


def test_anthropic_client(simulator):
    anthropic = pytest.importorskip("anthropic")
    with anthropic.Anthropic(base_url=simulator.url, api_key="none", max_retries=0) as client:
        answer = client.messages.create(model="fake-model", max_tokens=10, messages=MESSAGES)
        assert answer.content[0].text == "one two three"
        with client.messages.stream(model="fake-model", max_tokens=10, messages=MESSAGES) as stream:
            assert "".join(stream.text_stream) == "one two three"
