"""What each API is asked, from one question."""

import pytest

from InferenceLibrary.protocol.paths import CHAT, COMPLETIONS, COUNT_TOKENS, MESSAGES, RESPONSES
from InferenceLibrary.protocol.requests import Question, body_for, embedding_body, rerank_body

HELLO = [{"role": "user", "content": "Hi"}]
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "required": ["a"]}}}


def test_a_chat_has_its_system_message_first_and_no_key_that_was_not_given():
    assert body_for(CHAT, Question(messages=HELLO)) == {"messages": HELLO}
    told = body_for(CHAT, Question(messages=HELLO, system="Be brief.", model="m"))
    assert told == {"messages": [{"role": "system", "content": "Be brief."}, *HELLO], "model": "m"}


def test_extra_keys_win():
    question = Question(messages=HELLO, max_tokens=5, extra={"max_tokens": 6, "model": None})
    assert body_for(CHAT, question) == {"messages": HELLO, "max_tokens": 6, "model": None}


def test_usage_is_asked_of_streams_only():
    question = Question(messages=HELLO, include_usage=True)
    assert body_for(CHAT, question) == {"messages": HELLO}
    assert body_for(CHAT, question, stream=True)["stream_options"] == {"include_usage": True}
    assert "stream_options" not in body_for(CHAT, Question(messages=HELLO), stream=True)


def test_log_probabilities_are_a_switch_in_chats_and_a_number_in_completions():
    chat = body_for(CHAT, Question(messages=HELLO, logprobs=0))
    assert (chat["logprobs"], chat["top_logprobs"]) == (True, 0)
    assert body_for(COMPLETIONS, Question(prompt="Hi", logprobs=2)) == {"prompt": "Hi", "logprobs": 2}


@pytest.mark.parametrize(
    ("path", "choice", "sent"),
    [
        (CHAT, "required", "required"),
        (CHAT, "add", {"type": "function", "function": {"name": "add"}}),
        (RESPONSES, "auto", "auto"),
        (RESPONSES, "add", {"type": "function", "name": "add"}),
        (MESSAGES, "required", {"type": "any"}),
        (MESSAGES, "none", {"type": "none"}),
        (MESSAGES, "add", {"type": "tool", "name": "add"}),
        (
            MESSAGES,
            {"type": "auto", "disable_parallel_tool_use": True},
            {"type": "auto", "disable_parallel_tool_use": True},
        ),
    ],
)
def test_the_choice_of_a_tool(path, choice, sent):
    assert body_for(path, Question(messages=HELLO, tools=[TOOL], tool_choice=choice))["tool_choice"] == sent


def test_tools_are_written_as_the_api_has_them():
    question = Question(messages=HELLO, tools=[TOOL, {"type": "function", "function": {"name": "now"}}])
    assert body_for(RESPONSES, question)["tools"][0] == {"type": "function", **TOOL["function"]}
    assert body_for(MESSAGES, question)["tools"] == [
        {"name": "add", "description": "", "input_schema": TOOL["function"]["parameters"]},
        {"name": "now", "description": "", "input_schema": {"type": "object"}},
    ]


def test_a_response_takes_plain_text_or_items():
    assert body_for(RESPONSES, Question(messages=HELLO, max_tokens=3)) == {"input": "Hi", "max_output_tokens": 3}
    assert body_for(RESPONSES, Question(messages=HELLO * 2, system="s")) == {"input": HELLO * 2, "instructions": "s"}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}
    asked = body_for(RESPONSES, Question(messages=HELLO, response_format=form))
    assert asked["text"] == {"format": {"type": "json_schema", "name": "n", "schema": {}}}


def test_a_message_has_a_limit_and_a_count_has_none():
    assert body_for(MESSAGES, Question(messages=HELLO, stop=["x"])) == {
        "messages": HELLO,
        "max_tokens": 256,
        "stop_sequences": ["x"],
    }
    assert body_for(COUNT_TOKENS, Question(messages=HELLO, max_tokens=3)) == {"messages": HELLO}


@pytest.mark.parametrize(
    ("path", "question", "named"),
    [
        (MESSAGES, Question(messages=HELLO, response_format={"type": "json_object"}), "response_format"),
        (MESSAGES, Question(messages=HELLO, n=2), "n"),
        (RESPONSES, Question(messages=HELLO, logprobs=0), "logprobs"),
        (COMPLETIONS, Question(prompt="Hi", tools=[TOOL]), "tools"),
    ],
)
def test_what_an_api_has_no_place_for_is_refused(path, question, named):
    with pytest.raises(ValueError, match=f"Expected no '{named}'"):
        body_for(path, question)


def test_embeddings_and_rankings():
    assert embedding_body(["a"], "float", None, None, None) == {"input": "a", "encoding_format": "float"}
    assert embedding_body(["a", "b"], "base64", "m", 3, {"user": "u"}) == {
        "input": ["a", "b"],
        "encoding_format": "base64",
        "model": "m",
        "dimensions": 3,
        "user": "u",
    }
    assert rerank_body("q", ["a"], "m", 1, None) == {"query": "q", "documents": ["a"], "model": "m", "top_n": 1}
