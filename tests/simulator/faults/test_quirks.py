"""Quirks: what a dialect says of a server, its stand-in does, for the calls that the dialect names."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from socket import create_connection
from types import SimpleNamespace
from typing import Any

import pytest
from likeness import ask, served
from recordings import Recorded
from simulator.java_client import java_request, one_answer

from InferenceLibrary.dialects.files import load_dialect, shipped_dialects
from InferenceLibrary.protocol.exchange import Exchange
from InferenceLibrary.protocol.rules.book import judge
from InferenceLibrary.simulator.cli import main
from InferenceLibrary.simulator.faults.quirks import quirks_of
from InferenceLibrary.simulator.personalities.registry import is_personality

MESSAGES = [{"role": "user", "content": "What is the capital of France?"}]
STANDING = [
    one for one in shipped_dialects() if not is_personality(one.name) and quirks_of(f"{one.name}@{one.version}")
]


def question(path: str, **body: Any) -> Recorded:
    request = {"method": "POST", "path": path, "json": {"model": "tiny", **body}}
    return Recorded("", (), path, request, {"status": 200, "headers": {}, "body": ""}, False, False, {})


CHAT = question("/v1/chat/completions", messages=MESSAGES)
STREAM = question("/v1/chat/completions", messages=MESSAGES, stream=True)
QUESTIONS = [
    CHAT,
    STREAM,
    question("/v1/chat/completions", messages=MESSAGES, stream=True, stream_options={"include_usage": True}),
    question("/v1/chat/completions", messages=MESSAGES, n=2),
    question("/v1/chat/completions", messages=MESSAGES, logprobs=True, top_logprobs=2),
    question("/v1/chat/completions"),
    question("/v1/completions", prompt="The capital of France is"),
    question("/v1/completions", prompt="The capital of France is", stream=True),
    question("/v1/responses", input="hello"),
    question("/v1/responses", input="hello", stream=True),
    question("/v1/messages", messages=MESSAGES, max_tokens=20),
    question("/v1/messages", messages=MESSAGES, max_tokens=20, stream=True),
    question("/v1/embeddings", input="hello"),
]


def broken(exchange: Exchange) -> set[str]:
    return {violation.rule.id for violation in judge(exchange).violations}


@pytest.mark.parametrize("dialect", STANDING, ids=lambda one: one.file)
def test_a_stand_in_breaks_what_its_dialect_says_and_nothing_else(dialect: Any) -> None:
    waivers = load_dialect(f"{dialect.name}@{dialect.version}").dialect.waivers
    met, strays = set(), []
    with served(["--as", f"{dialect.name}@{dialect.version}", "--model", "tiny", "--scenario", "capitals"], {}) as port:
        for one in QUESTIONS:
            for violation in judge(ask(port, one)).violations:
                if any(waiver.covers(violation) for waiver in waivers):
                    met.add(violation.rule.id)
                else:
                    strays.append(f"{one.name} {one.request['json']}: {violation} ({violation.kind})")
        if not any(one.rule == "F13" for one in dialect.deviations):
            # The first request of a client on the JDK's HttpClient, which offers another protocol.
            line = SimpleNamespace(connect=partial(create_connection, ("127.0.0.1", port), 15))
            assert one_answer(line, java_request("tiny")).status == 200
    assert strays == []
    assert met or {one.rule for one in dialect.deviations} == {"F13"}, "F13 takes an offer of another protocol"


@pytest.mark.parametrize("dialect", shipped_dialects(), ids=lambda one: one.file)
def test_each_quirk_that_is_shipped_is_a_fault(dialect: Any) -> None:
    named = [quirk for one in dialect.deviations for quirk in one.quirks]
    assert [fault.text for fault in quirks_of(f"{dialect.name}@{dialect.version}")] == named


@pytest.mark.parametrize(
    ("name", "personality", "notice"),
    [
        ("llm-d@0.10.2", "llm-d", ""),
        ("llm-d@99", "llm-d", "inference-simulator: llm-d 99 is newer than the recorded 0.10.2: its waivers are"),
        ("router@1", "router", ""),
        ("vllm@99", "vllm@99", "inference-simulator: vllm 99 is newer than the recorded 0.32.0: its waivers are"),
    ],
)
def test_a_version_chooses_the_personality_that_stands_in_for_it(
    name: str, personality: str, notice: str, start_simulator: Callable[..., Any]
) -> None:
    simulator = start_simulator("--as", name, "--model", "tiny", "--control-port", "0")
    assert simulator.control("GET", "/config").json["as"] == personality
    assert simulator.said.decode().startswith(notice)
    assert bool(simulator.said) == bool(notice)


@pytest.mark.parametrize("dialect", shipped_dialects(), ids=lambda one: one.file)
def test_each_quirk_of_a_shipped_dialect_is_a_fault(dialect: Any) -> None:
    named = [quirk for one in dialect.deviations for quirk in one.quirks]
    assert [one.text for one in quirks_of(f"{dialect.name}@{dialect.version}")] == named


def test_a_quirk_is_for_the_calls_of_its_deviation() -> None:
    with served(["--as", "ollama", "--model", "tiny"], {}) as port:
        assert "C7" in broken(ask(port, STREAM))
        assert "C7" not in broken(ask(port, CHAT))
        assert "X4" not in broken(ask(port, question("/v1/completions", prompt="a")))
        assert "N2" in broken(ask(port, question("/v1/chat/completions", messages=MESSAGES, n=2)))


def test_a_quirk_of_refusals_is_for_its_statuses(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    head = "name: mine\ntitle: Mine\nversion: '1'\ndeviations:\n"
    entry = "- {rule: R10, kind: param, reason: so, quirk: 'error-key-missing:key=param', when: {statuses: [404]}}\n"
    path.write_text(head + entry)
    wrong_model = question("/v1/chat/completions", messages=MESSAGES, model="nope")
    with served(["--as", str(path), "--model", "tiny"], {}) as port:
        assert "R10" in broken(ask(port, wrong_model))
        assert "R10" not in broken(ask(port, question("/v1/chat/completions")))
        # Beside its quirks it is the reference: as strict, and as complete.
        odd = question("/v1/chat/completions", messages=[{"role": "nobody", "content": "x"}])
        assert ask(port, odd).status == 400
        assert ask(port, CHAT).json["choices"][0]["message"]["refusal"] is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("vlm", "Did you mean 'vllm'?"),
        ("vllm@newest", "'newest' is not a version of vllm"),
        ("llm-d@newest", "'newest' is not a version of llm-d"),
        ("litellm+vllm", "the choices of litellm stand on those of llama.cpp-0.5: expected litellm alone"),
        ("vllm+vllm", "--as: vllm has no choices that stand on a server's: expected vllm, got 'vllm+vllm'"),
        ("llm-d+vllm", "--as: llm-d has no choices that stand on a server's: expected llm-d"),
        ("tgi+vllm", "--as: tgi has no choices that stand on a server's: expected tgi, got 'tgi+vllm'"),
        ("worker@2", "--as: worker has no versions: expected worker, got 'worker@2'"),
        ("litellm+", "the server after the '+' is missing"),
        ("", "--as: is empty; expected one of openai, llm-d, "),
        ("{settings}", "key choices.settings: the stand-in has no setting 'mod'; did you mean 'mode'?"),
        ("{process}", "dialect mine, rule C7: 'exit-at-start' is a fault of the process, and none of an answer"),
        ("{file}", "dialect mine, rule C7: unknown fault 'role-repeatd'; did you mean 'role-repeated'?"),
    ],
)
def test_what_is_not_there_is_refused(name: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\ntitle: Mine\nversion: '1'\ndeviations:\n- {rule: C7, reason: so, quirk: role-repeatd}\n"
    )
    if name == "{settings}":
        path.write_text("name: mine\ntitle: Mine\nversion: '1'\nchoices: {settings: {mod: echo}}\n")
    if name == "{process}":
        path.write_text(path.read_text().replace("role-repeatd", "exit-at-start"))
    assert main(["--as", str(path) if name.startswith("{") else name]) == 2
    assert said in capsys.readouterr().err
