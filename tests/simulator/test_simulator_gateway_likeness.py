"""The stand-in for a gateway: what it decides itself, and what the server behind it does."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest
from likeness import served

BEHIND = """
name: behind
title: Behind
version: '1'
choices:
  flags: {strict: {kind: bool}}
  headers: {x-behind: 'yes'}
  routes:
    POST /v1/chat/completions: {does: chat}
    GET /behind: {body: {behind: true}}
  shapes: {default: {body: {error: {message: $message_of_error, type: $error_type}}}}
  errors:
    failed: {status: 500, type: Failed, message: behind}
  fields:
    chat: {n: {kind: integer, wrong: failed}, seed: {kind: integer, wrong: failed}}
  refuses:
    - {apis: [chat], if: {top_k: {below: 0}}, error: failed}
    - {apis: [chat], if: {top_k: {equals: 7}}, error: failed, when: {strict: true}}
  answers:
    chat:
      answer: {id: $id, choices: $choices}
      choice: {message: {content: $content}}
"""
FRONT = """
name: front
title: Front
version: '2'
choices:
  stands_on: behind
  labels_errors: true
  head: true
  known_headers: {x-known: 'yes'}
  page_headers: {x-page: '${origin}'}
  options: {otherwise: no route, headers: {allow: POST}}
  routes:
    GET /health: {body: OK}
    POST /v1/chat/completions: {does: chat}
  shapes: {own: {body: {own: $message_of_error}}}
  errors:
    no route: {status: 404}
    wrong method: {status: 405, headers: {allow: $allow}}
    unread: {status: 400, shape: own, message: '${field}: invalid type: ${found}, expected ${expected}'}
    model: {status: 404}
  fields:
    chat: {n: {kind: integer, wrong: unread, expected: u32}}
  refuses:
    - {apis: [chat], if: {top_k: {below: -5}}, error: unread, message: too low}
"""


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "behind.yaml").write_text(BEHIND)
    path = folder / "front.yaml"
    path.write_text(FRONT)
    with served(("--as", str(path), "--model", "tiny"), {}) as found:
        yield found


def ask(port: int, method: str, path: str, body: Any = None, **more: str) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    sent = None if body is None else json.dumps(body)
    connection.request(method, path, sent, {"Content-Type": "application/json", **more})
    answer = connection.getresponse()
    headers = {name.lower(): value for name, value in answer.getheaders()}
    text = answer.read().decode()
    connection.close()
    return answer.status, headers, text


def chat(port: int, **more: Any) -> tuple[int, dict[str, str], str]:
    body = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2, **more}
    return ask(port, "POST", "/v1/chat/completions", body)


@pytest.mark.parametrize(
    ("more", "status", "text"),
    [
        ({"n": "x"}, 400, '{"own":"n: invalid type: string \\"x\\", expected u32"}'),
        ({"n": 2.5}, 400, '{"own":"n: invalid type: floating point `2.5`, expected u32"}'),
        ({"n": []}, 400, '{"own":"n: invalid type: sequence, expected u32"}'),
        ({"seed": "x"}, 500, '{"error":{"message":"behind","type":"Failed"}}'),
        ({"top_k": -9}, 400, '{"own":"too low"}'),
        ({"top_k": -1}, 500, '{"error":{"message":"behind","type":"Failed"}}'),
    ],
)
def test_a_gateway_refuses_before_the_server_behind_it(port: int, more: Any, status: int, text: str) -> None:
    got = chat(port, **more)
    assert (got[0], got[2]) == (status, text)


def test_what_needs_a_flag_of_the_server_behind_is_not_refused(port: int) -> None:
    status, headers, text = chat(port, top_k=7)
    assert status == 200
    assert set(json.loads(text)) == {"id", "choices"}
    assert headers["x-known"] == "yes"
    assert "x-behind" not in headers


def test_an_error_from_behind_may_be_called_a_stream(port: int) -> None:
    assert chat(port, top_k=-1, stream=True)[1]["content-type"] == "text/event-stream"
    assert chat(port, top_k=-9, stream=True)[1]["content-type"] == "application/json"


def test_only_paths_that_are_there_have_headers(port: int) -> None:
    assert ask(port, "GET", "/behind")[0] == 404
    assert "x-known" not in ask(port, "GET", "/behind")[1]
    status, headers, _ = ask(port, "POST", "/health", {})
    assert (status, headers["allow"], headers["x-known"]) == (405, "GET,HEAD", "yes")
    assert ask(port, "OPTIONS", "/health")[0] == 200
    assert ask(port, "OPTIONS", "/nope")[0] == 404


@pytest.mark.parametrize("path", ["/health", "/nope"])
def test_pages_of_other_sites_have_headers_of_their_own(port: int, path: str) -> None:
    assert ask(port, "GET", path, Origin="http://x.test")[1]["x-page"] == "http://x.test"
    assert "x-page" not in ask(port, "GET", path)[1]
    assert "x-page" not in ask(port, "OPTIONS", path, Origin="http://x.test")[1]
