"""Scripted answers, and what is wrong in their file."""

from __future__ import annotations

from time import monotonic, process_time

import pytest
from simulator.conftest import Answer, request_bytes

from InferenceLibrary.errors import ProfileError
from InferenceLibrary.simulator.personalities.openai import OpenAI
from InferenceLibrary.simulator.scenario import load_scenario, parse_scenario
from InferenceLibrary.simulator.scenario_checks import GENERATING
from InferenceLibrary.simulator.searches import LONGEST, Pattern, Searches

FILE = """
rules:
  - match: {header: {X-Case: "^limited$"}, first: 2}
    answer: {status: 503, error: Busy, headers: {Retry-After: "1"}}
  - match: {header: {X-Case: limited}}
    answer: {text: At last.}
  - match: {prompt: "(?i)weather"}
    answer:
      tool_calls: [{name: get_weather, arguments: {city: Paris}}]
  - match: {prompt: exact, stream: true}
    answer: {tokens: [Hel, lo, "!"], time_to_first_token: 100ms, inter_token_latency: 50ms}
  - match: {prompt: count}
    answer: {text: a b, usage: {completion_tokens: 99}, finish_reason: content_filter}
  - match: {prompt: cut}
    answer: {text: one two three, fault: "cut-after-events:events=2"}
  - match: {prompt: nth, nth: [2, 4]}
    answer: {text: even}
  - match: {model: fake-model, path: /v1/completions}
    answer: {text: from completions, headers: {X-Scripted: "yes"}}
"""


@pytest.fixture
def scripted(start_simulator, tmp_path):
    file = tmp_path / "scenario.yaml"
    file.write_text(FILE)
    return start_simulator("--scenario", str(file), "--mode", "echo")


def content(answer):
    return answer.json["choices"][0]["message"]["content"]


def test_fails_twice_then_succeeds(scripted):
    body = {"messages": [ASKED]}
    answers = [scripted.request("POST", "/v1/chat/completions", body, {"X-Case": "limited"}) for _ in range(3)]
    assert [answer.status for answer in answers] == [503, 503, 200]
    assert answers[0].headers["retry-after"] == "1"
    assert answers[0].json["error"]["message"] == "Busy"
    assert content(answers[2]) == "At last."


def test_tool_calls(scripted):
    choice = scripted.chat("How is the weather?").json["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["tool_calls"][0]["function"] == {"name": "get_weather", "arguments": '{"city":"Paris"}'}


def test_tokens_and_latency(scripted):
    begin = monotonic()
    answer = scripted.chat("exact", stream=True)
    assert monotonic() - begin >= 0.2
    assert [chunk["choices"][0]["delta"].get("content") for chunk in answer.data[1:4]] == ["Hel", "lo", "!"]
    assert content(scripted.chat("exact")) == "exact"


def test_usage_and_finish_reason(scripted):
    body = scripted.chat("count").json
    assert body["usage"]["completion_tokens"] == 99
    assert body["choices"][0]["finish_reason"] == "content_filter"


def test_fault(scripted):
    assert len(scripted.chat("cut", stream=True).data) == 2


def test_nth_request(scripted):
    assert [content(scripted.chat("nth")) for _ in range(5)] == ["nth", "even", "nth", "even", "nth"]


def test_path_and_headers(scripted):
    answer = scripted.complete("x")
    assert answer.json["choices"][0]["text"] == "from completions"
    assert answer.headers["x-scripted"] == "yes"


def test_limits_hold(scripted):
    assert scripted.complete("x", max_tokens=1).json["choices"][0] | {"index": 0} == {
        "index": 0,
        "text": "from",
        "logprobs": None,
        "finish_reason": "length",
    }


TOOL_RESULT = {"type": "tool_result", "tool_use_id": "c", "content": "12"}
ASKED = {"role": "user", "content": "x"}
AGENT = """
rules:
  - match: {tool_result: false}
    answer: {tool_calls: [{name: now}]}
  - match: {tool_result: true}
    answer: {text: It is noon.}
routes:
  - {path: /api/tags, body: {models: [tiny]}, headers: {X-Native: "1"}}
  - {path: /api/pull, method: POST, status: 202, content_type: application/x-ndjson, body: "{}\\n{}\\n"}
  - {path: /empty, status: 204}
"""


@pytest.fixture
def agent(start_simulator, tmp_path):
    file = tmp_path / "agent.yaml"
    file.write_text(AGENT)
    return start_simulator("--scenario", str(file))


@pytest.mark.parametrize(
    ("path", "asked", "result"),
    [
        ("/v1/chat/completions", {"messages": [ASKED]}, {"role": "tool", "tool_call_id": "c", "content": "12"}),
        ("/v1/messages", {"max_tokens": 9, "messages": [ASKED]}, {"role": "user", "content": [TOOL_RESULT]}),
        ("/v1/responses", {"input": [ASKED]}, {"type": "function_call_output", "call_id": "c", "output": "12"}),
    ],
    ids=["chat", "messages", "responses"],
)  # fmt: skip
def test_an_agent_is_scripted_any_number_of_times(agent, path, asked, result):
    (conversation,) = [key for key in ("messages", "input") if key in asked]
    for _ in range(2):
        before = agent.request("POST", path, {"model": "fake-model", **asked})
        after = agent.request(
            "POST", path, {"model": "fake-model", **asked, conversation: [*asked[conversation], result]}
        )
        assert (before.status, after.status) == (200, 200), after.body
        assert ("noon" in before.body.decode(), "noon" in after.body.decode()) == (False, True)


def test_routes_are_added(agent):
    tags = agent.request("GET", "/api/tags")
    assert (tags.json, tags.headers["content-type"], tags.headers["x-native"]) == (
        {"models": ["tiny"]},
        "application/json",
        "1",
    )
    pull = agent.request("POST", "/api/pull", {})
    assert (pull.status, pull.body, pull.headers["content-type"]) == (202, b"{}\n{}\n", "application/x-ndjson")
    wrong = agent.request("POST", "/api/tags", {})
    assert (wrong.status, wrong.headers["allow"]) == (405, "GET")
    assert agent.request("GET", "/api/none").status == 404
    empty = agent.request("GET", "/empty?x=1")
    assert (empty.status, empty.body) == (204, b"")


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/tiny", "/health"])
def test_a_route_of_the_server_is_not_replaced(simulator, run_cli, tmp_path, path):
    text = f"routes:\n  - {{path: {path}, method: PUT, body: never}}"
    refused = f"the server itself answers {path}: a scenario replaces no route"
    file = tmp_path / "own.yaml"
    file.write_text(text)
    done = run_cli("--port", "0", "--scenario", str(file))
    assert done.returncode == 1
    assert f"own.yaml: routes: {refused}" in done.stderr
    asked = {"Content-Length": str(len(text))}
    put = request_bytes("PUT", "/scenario", None, {"Connection": "close", **asked}) + text.encode()
    answer = Answer(simulator.raw(put, simulator.control_port))
    assert (answer.status, refused in answer.json["error"]) == (400, True)
    assert simulator.control("GET", "/scenario").json == {"scenario": None}


@pytest.mark.parametrize("path", ["/v1/models", "/v1/chat/completion"])
def test_a_rule_where_nothing_is_generated_is_refused(simulator, run_cli, tmp_path, path):
    text = f"rules:\n  - answer: {{text: a}}\n  - match: {{path: {path}}}\n    answer: {{text: never}}"
    refused = f"rules[1]: match.path: no answer is generated at {path}: expected one of /rerank, /score, /v1/chat/"
    file = tmp_path / "own.yaml"
    file.write_text(text)
    done = run_cli("--port", "0", "--scenario", str(file))
    assert (done.returncode, f"own.yaml: {refused}" in done.stderr) == (1, True)
    asked = {"Content-Length": str(len(text))}
    put = request_bytes("PUT", "/scenario", None, {"Connection": "close", **asked}) + text.encode()
    answer = Answer(simulator.raw(put, simulator.control_port))
    assert (answer.status, refused in answer.json["error"]) == (400, True)


def test_a_rule_of_the_reference_may_stand_in_a_scenario_of_any_server(start_simulator, tmp_path):
    assert OpenAI.generating == GENERATING
    file = tmp_path / "both.yaml"
    rules = (
        "  - match: {path: /v1/responses}\n    answer: {text: a}\n  - match: {path: /execute}\n    answer: {text: b}"
    )
    file.write_text(f"rules:\n{rules}")
    assert start_simulator("--as", "worker", "--scenario", str(file)).request("GET", "/health").status == 200


def test_a_pattern_cannot_stop_the_server(start_simulator, tmp_path):
    file = tmp_path / "slow.yaml"
    file.write_text('rules:\n  - match: {prompt: "(a|aa)+$"}\n    answer: {text: found}')
    simulator = start_simulator("--scenario", str(file))
    answer = simulator.chat("a" * 199 + "b")
    assert answer.status == 500
    assert "'(a|aa)+$' was given up on a text of 200 characters" in answer.body.decode()
    assert simulator.request("GET", "/health").status == 200
    assert content(simulator.chat("a" * 300)) == "found"


def test_a_pattern_that_was_given_up_has_little_time_on_texts_as_long():
    pattern = Pattern("(x+x+)+y")
    slow = "x" * 6000 + "!"
    with pytest.raises(TimeoutError, match=r"'\(x\+x\+\)\+y' was given up on a text of 6001 characters"):
        Searches().found(pattern, slow)
    begin = process_time()
    for _ in range(20):
        with pytest.raises(TimeoutError):
            Searches().found(pattern, slow)
    assert process_time() - begin < 20 * LONGEST / 2
    assert Searches().found(pattern, "x" * 7000 + "y")


def test_the_searches_of_one_request_share_their_time():
    begin = process_time()
    searches = Searches()
    for number in range(20):
        with pytest.raises(TimeoutError):
            searches.found(Pattern(f"(x+x+)+{number}"), "x" * 6000)
    assert process_time() - begin < 20 * LONGEST / 2


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("rules: 3", "s.yaml:1: key 'rules': expected a list"),
        ("rules:\n  - answer: {txt: hi}", "s.yaml:2: key 'rules[0].answer.txt': unknown key"),
        ("rules:\n  - match: {prompt: '('}\n    answer: {text: a}", "rules[0]: '(' is not a regular expression"),
        ("rules:\n  - answer: {status: 99999}", "rules[0]: status 99999 cannot be sent: expected 200 to 599"),
        ("rules:\n  - answer: {headers: {'X Y': a}}", "rules[0]: 'X Y' is not the name of a header"),
        (
            'rules:\n  - answer: {headers: {X-Y: "a\\r\\nb: c"}}',
            "rules[0]: the value 'a\\r\\nb: c' of X-Y cannot be sent",
        ),
        ("routes:\n  - {path: /x, status: 42}", "routes[0]: status 42 cannot be sent"),
        ("routes:\n  - {path: /x, headers: {'': a}}", "routes[0]: '' is not the name of a header"),
        (
            'routes:\n  - {path: /x, content_type: "a\\nb"}',
            "routes[0]: the value 'a\\nb' of Content-Type cannot be sent",
        ),
        ("routes:\n  - {path: x}", "routes[0]: path 'x' cannot be asked for: expected one that begins with /"),
        ("routes:\n  - {path: /x, method: get}", "routes[0]: method 'get' cannot be used: expected one of GET, POST"),
        ("description: empty", "s.yaml: expected rules or routes, got neither"),
        ("rules:\n  - answer: {text: a, fault: nothing}", "rules[0]: unknown fault 'nothing'"),
        ("rules:\n  - answer: {text: a, time_to_first_token: '5'}", "rules[0]: '5' has no unit"),
        ("rules: [", "s.yaml"),
        *(
            (f"rules:\n  - answer: {{text: a, headers: {{{name}: '3'}}}}", f"rules[0]: {name} cannot be given")
            for name in ("Content-Length", "Transfer-Encoding", "connection", "Date", "Content-Type")
        ),
        ("routes:\n  - {path: /x, headers: {content-length: '3'}}", "routes[0]: content-length cannot be given"),
        ("rules:\n  - answer: {status: 204}", "rules[0]: an answer with status 204 has no body"),
        ("rules:\n  - answer: {status: 304, text: a}", "rules[0]: an answer with status 304 has no body"),
        ("routes:\n  - {path: /x, status: 204, body: a}", "routes[0]: an answer with status 204 has no body"),
        (
            "routes:\n  - {path: /x, body: {built: [2026-01-01]}}",
            "routes[0]: body.built[0]: 2026-01-01 is a date of YAML, which JSON does not have: put it in quotes",
        ),
        ("routes:\n  - {path: /x, body: {a: !!binary aGk=}}", "routes[0]: body.a: b'hi' is a bytes of YAML"),
        ("routes:\n  - {path: /x, body: !!set {a}}", "routes[0]: body: {'a'} is a set of YAML"),
        ("routes:\n  - {path: /x, body: {a: .nan}}", "routes[0]: body.a: nan is not a number of JSON"),
        ("routes:\n  - {path: /x, body: {2026-01-01: 1}}", "routes[0]: body: the key 2026-01-01 is not a text"),
        (
            "rules:\n  - answer: {tool_calls: [{name: f, arguments: {a: -.inf}}]}",
            "rules[0]: tool_calls[0].arguments.a: -inf is not a number of JSON",
        ),
        ("routes:\n  - {path: /x}\n  - {path: /y}\n  - {path: /x}", "routes[2]: GET /x is given twice"),
        ("routes:\n  - {path: '/x?y=1'}", "routes[0]: path '/x?y=1' cannot be asked for: a path has no '?'"),
        ("rules:\n  - {match: {nth: [0]}, answer: {text: a}}", "rules[0]: nth: 0 matches no request"),
        ("rules:\n  - {match: {nth: []}, answer: {text: a}}", "rules[0]: nth: the list is empty"),
        ("rules:\n  - {match: {first: 0}, answer: {text: a}}", "rules[0]: first: 0 matches no request"),
        ("rules:\n  - answer: {fault: exit-at-start}", "rules[0]: fault 'exit-at-start' is one of the process"),
        ("rules:\n  - answer: {fault: refuse-connection}", "rules[0]: fault 'refuse-connection' strikes before"),
        ("rules:\n  - answer: {fault: early-response}", "rules[0]: fault 'early-response' strikes before"),
        ("rules:\n  - answer: {fault: 'stall:first=1'}", "rules[0]: fault 'stall' strikes each request of its rule"),
    ],
)
def test_wrong_files_are_refused_with_the_place(text, part):
    with pytest.raises(ProfileError) as caught:
        parse_scenario(text, "s.yaml")
    assert part in str(caught.value)


def test_shipped_scenario_is_found_by_name():
    assert load_scenario("capitals").find("/v1/completions", {}, {"prompt": "The capital of France is"}) is not None


QUESTION = {"role": "user", "content": "What is the capital of France?"}
MESSAGES_TOOL = [{"name": "now", "input_schema": {}}]
CHAT_TOOL = [{"type": "function", "function": {"name": "now"}}]
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
JSON = {"type": "json_schema", "name": "n", "json_schema": {"name": "n", "schema": SCHEMA}, "schema": SCHEMA}


@pytest.fixture(scope="module")
def capitals(start_shared):
    return start_shared("--scenario", "capitals", "--seed", "1")


@pytest.mark.parametrize(
    ("path", "asked", "given"),
    [
        ("/v1/chat/completions", {"tools": CHAT_TOOL, "tool_choice": "required"}, '"name":"now"'),
        ("/v1/chat/completions", {"tools": CHAT_TOOL, "tool_choice": CHAT_TOOL[0]}, '"name":"now"'),
        ("/v1/chat/completions", {"response_format": JSON}, '"content":"{\\"a\\":'),
        ("/v1/chat/completions", {"response_format": {"type": "json_object"}}, '"content":"{\\"answer\\":'),
        ("/v1/responses", {"tools": [{"type": "function", "name": "now"}], "tool_choice": "required"}, '"name":"now"'),
        ("/v1/responses", {"text": {"format": JSON}}, '"text":"{\\"a\\":'),
        ("/v1/messages", {"tools": MESSAGES_TOOL, "tool_choice": {"type": "any"}}, '"name":"now"'),
        ("/v1/chat/completions", {}, "Paris"),
        ("/v1/chat/completions", {"tools": CHAT_TOOL, "tool_choice": "none"}, "Paris"),
        ("/v1/chat/completions", {"response_format": {"type": "text"}}, "Paris"),
        ("/v1/responses", {"text": {"format": {"type": "text"}}}, "Paris"),
        ("/v1/messages", {"tools": MESSAGES_TOOL, "tool_choice": {"type": "auto"}}, "Paris"),
    ],
)  # fmt: skip
def test_a_shipped_answer_keeps_the_form_that_is_asked_for(capitals, path, asked, given):
    words = {"input": [QUESTION]} if path == "/v1/responses" else {"messages": [QUESTION]}
    answer = capitals.request("POST", path, {"model": "fake-model", "max_tokens": 64, **words, **asked})
    assert answer.status == 200
    assert given in answer.body.decode().replace('": ', '":')
    assert ("Paris" in answer.body.decode()) is (given == "Paris")
