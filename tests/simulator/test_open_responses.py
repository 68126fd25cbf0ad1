"""What the conformance tests of Open Responses ask over HTTP, at `--reference open-responses`: no rule is broken.

Asked are a text, a stream, a system prompt, calls of tools, whole and streamed, a picture, a conversation, and the
compaction of a conversation, which then goes on.
"""

from __future__ import annotations

import json

import pytest
from likeness import ask
from recordings import Recorded

from InferenceLibrary.protocol.rules.book import judge
from InferenceLibrary.protocol.rules.rule import Known, Reference

KNOWN = Known(models=("fake-model",), key=False, reference=Reference.OPEN_RESPONSES)
TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a place",
    "parameters": {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]},
}
DOT = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="


def said(role, content):
    return {"type": "message", "role": role, "content": content}


WEATHER = {"input": [said("user", "What is the weather like in San Francisco?")], "tools": [TOOL]}
CASES = {
    "text": {"input": [said("user", "Say hello in three words.")]},
    "system prompt": {"input": [said("system", "You are a pirate."), said("user", "Say hello.")]},
    "tools": WEATHER,
    "picture": {
        "input": [
            said("user", [{"type": "input_text", "text": "What is it?"}, {"type": "input_image", "image_url": DOT}])
        ]
    },
    "conversation": {
        "input": [said("user", "My name is Alice."), said("assistant", "Hello Alice!"), said("user", "Who am I?")]
    },
}


@pytest.fixture(scope="module")
def strict(start_shared):
    return start_shared("--reference", "open-responses")


def asked(server, body, path="/v1/responses"):
    request = {"method": "POST", "path": path, "json": {"model": "fake-model", **body}}
    answer = {"status": 200, "headers": {}, "body": ""}
    exchange = ask(server.port, Recorded("", (), path, request, answer, False, False, {}))
    assert exchange.status == 200, exchange.text
    return exchange


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("case", CASES)
def test_a_response_is_as_open_responses_has_it(strict, case, stream):
    exchange = asked(strict, {**CASES[case], "stream": stream})
    assert [str(one) for one in judge(exchange, KNOWN).violations] == []
    events = [json.loads(line[6:]) for line in exchange.text.splitlines() if line.startswith("data: {")]
    final = events[-1]["response"] if stream else exchange.json
    assert final["status"] == "completed"
    kinds = [item["type"] for item in final["output"]]
    assert kinds == ["function_call"] if case == "tools" else kinds == ["message"]
    if stream:
        assert exchange.text.endswith("data: [DONE]\n\n")
        names = [each["type"] for each in events]
        arguments = {"response.function_call_arguments.delta", "response.function_call_arguments.done"}
        assert arguments <= set(names) if case == "tools" else not arguments & set(names)
        opened = [each["item"]["type"] for each in events if each["type"].endswith("_item.added")]
        assert opened == kinds


def test_what_a_tool_gave_is_answered_with_a_text(strict):
    call = asked(strict, WEATHER).json["output"][0]
    given = {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"}
    more = asked(strict, {**WEATHER, "input": [*WEATHER["input"], call, given], "tool_choice": "none"}).json
    assert [item["type"] for item in more["output"]] == ["message"]


def test_by_the_reference_of_openai_no_done_ends_a_response(simulator):
    exchange = asked(simulator, {"input": "one", "stream": True})
    assert "[DONE]" not in exchange.text
    assert {one.rule.id for one in judge(exchange, KNOWN).violations} == {"F9"}
    assert not judge(exchange).violations


@pytest.mark.parametrize("more", [{}, {"instructions": "Be brief."}], ids=["plain", "instructions"])
def test_a_conversation_is_compacted_and_goes_on(strict, more):
    conversation = CASES["conversation"]["input"]
    compacted = asked(strict, {"input": conversation, **more}, "/v1/responses/compact").json
    assert compacted["object"] == "response.compaction"
    assert [item["type"] for item in compacted["output"]] == ["message", "message", "compaction"]
    assert {item["role"] for item in compacted["output"][:-1]} == {"user"}
    usage = compacted["usage"]
    assert usage["input_tokens"] + usage["output_tokens"] == usage["total_tokens"]
    further = asked(strict, {"input": [*compacted["output"], said("user", "Go on.")]})
    assert [str(one) for one in judge(further, KNOWN).violations] == []
    assert further.json["usage"]["input_tokens"] > usage["input_tokens"]


def test_a_compaction_of_another_server_is_refused(strict):
    item = {"type": "compaction", "encrypted_content": "*"}
    refused = strict.request("POST", "/v1/responses", {"input": [item]})
    assert (refused.status, refused.json["error"]["message"]) == (400, "'encrypted_content' is not of this server")


def test_an_unknown_reference_is_refused(run_cli):
    ended = run_cli("--reference", "anthropics")
    assert (ended.returncode, "--reference: 'anthropics' is none of 'openai'" in ended.stderr) == (2, True)
