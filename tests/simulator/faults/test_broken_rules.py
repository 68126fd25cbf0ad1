"""Faults that are seen by the rule that they break: the clean call keeps it, the broken one does not."""

from __future__ import annotations

import pytest
from simulator.faults.exchanges import BY_NAME, SERVERS, play

# Fault to the calls that it is shown on, and the rule that each of them breaks then.
BROKEN: dict[str, dict[str, str]] = {
    "json-key-twice": {"chat": "J2", "message stream": "J2"},
    "half-surrogate": {"chat": "F2", "response stream": "F2"},
    "json-not-a-number": {"embeddings": "J1", "chat stream": "J1"},
    "json-not-a-number:value=1e999": {"chat": "J1"},
    "json-too-deep": {"chat": "J3", "chat stream": "F7"},
    "json-byte-order-mark": {"chat": "J1", "chat stream": "J1"},
    "bytes-after-answer": {"chat": "F10", "chat stream": "F10", "models": "F10"},
    "answer-in-error": {"chat": "H1", "completion": "H1"},
    "body-of-no-content": {"chat": "F10"},
    "done-with-more": {"chat stream": "F7"},
    "unknown-field:kind=retry": {"chat stream": "F3"},
    "unknown-field:kind=id": {"chat stream": "F3"},
    "invalid-utf8": {"chat": "F2", "message": "F2"},
    "logprobs-token-number": {"chat logprobs": "C23", "completion": "C23"},
    "logprobs-bytes-text": {"chat logprobs": "C23", "chat logprobs stream": "C23"},
    "logprobs-bytes-wrong": {"chat logprobs": "L3", "chat logprobs stream": "L3"},
    "logprobs-alternative-twice": {"chat logprobs": "L2"},
    "logprobs-over-one": {"chat logprobs stream": "L2", "completion": "L2"},
    "logprobs-too-many": {"chat logprobs": "L1", "completion stream": "L1"},
    "logprobs-missing": {"chat logprobs": "L1", "completion": "L1"},
    "logprobs-token-lost": {"chat logprobs": "L4", "completion stream": "L4"},
    "null-value": {"chat": "N1", "chat stream": "C1", "completion": "X1"},
    "wrong-type": {"chat": "N1", "chat stream": "C1", "completion": "X1", "response": "RS1", "message": "A10"},
    "null-choices": {"chat": "N1", "chat stream": "C1", "completion": "X1"},
    "empty-choices": {"chat": "N1", "chat stream": "C24", "completion": "X1"},
    "extra-choice": {"chat": "N2", "chat stream": "N2", "completions": "X4"},
    "null-tool-calls": {"chat": "V1", "chat stream": "V1"},
    "fingerprint-number": {"chat": "V2", "completion stream": "V2"},
    "text-offset-falls": {"completion echo": "X5"},
    "role-late": {"chat stream": "C6"},
    "usage-twice": {"chat stream": "C14", "completion stream": "X6"},
    "usage-before-finish": {"chat stream": "C14", "completion stream": "X6"},
    "usage-too-small": {"completions": "U1", "chat logprobs": "U1"},
    "usage-zero": {"chat": "U2", "embeddings": "E1", "response": "RS2", "message": "A10"},
    "usage-zero:of=completion": {"chat stream": "U2", "completion": "U2", "response stream": "RS2", "message": "A10"},
    "opened-without-type": {"response stream": "RS23", "response tools stream": "RS23"},
    "usage-as-text": {"chat": "N7", "chat stream": "C16", "response": "RS2", "message stream": "A4"},
    "usage-details-too-large": {"response": "RS2"},
    "length-as-stop": {"message limit stream": "A11"},
    "unknown-finish": {"message": "A13", "message stream": "A13"},
    "wrong-role": {"message": "A10", "response": "RS14"},
    "wrong-object": {"message": "A10", "response stream": "RS1"},
    "lost-token": {"response stream": "RS8"},
    "tool-name-missing": {"chat tools": "N6", "response tools": "RS14", "message tools": "A17"},
    "tool-id-missing": {"response tools": "RS14", "message tools": "A17"},
    "tool-type-missing": {"chat tools": "N6", "chat tools stream": "T2"},
    "tool-id-shared": {"chat tools": "T4", "chat tools stream": "T4"},
    "tool-arguments-list": {"chat tools": "T5", "chat tools stream": "T5", "message tools stream": "A5"},
    "tool-arguments-misfit": {"response tools stream": "RS16", "message tools": "A14"},
    "tool-finish-stop": {"message tools": "A13"},
    "tool-name-unknown": {"response tools": "RS16", "message tools stream": "A14"},
    "ignores-tool-choice": {"message tools": "A14"},
    "finish-without-calls": {"chat": "T6", "message": "A13"},
    "text-done-missing": {"response stream": "RS6"},
    "item-done-missing": {"response stream": "RS6"},
    "item-start-missing": {"response stream": "RS6"},
    "arguments-done-missing": {"response tools stream": "RS9"},
    "final-text-differs": {"response stream": "RS8"},
    "final-arguments-differ": {"response tools stream": "RS9"},
    "response-id-changes": {"response stream": "RS20"},
    "final-status-differs": {"response stream": "RS21"},
    "response-key-missing": {"response": "RS13"},
    "item-key-missing": {"response": "RS14"},
    "sequence-missing": {"response stream": "RS15"},
    "accepts-unstored-background": {"response unstored": "RS19"},
    "stop-sequence-untold": {"message stop": "A12"},
    "stop-sequence-key-missing": {"message": "A16"},
    "stop-reason-missing": {"message stream": "A4", "message": "A10"},
    "block-key-missing": {"message": "A17"},
    "delta-type-wrong": {"message stream": "A9"},
    "message-delta-missing": {"message stream": "A1"},
    "event-name-missing": {"message stream": "A2"},
    "embedding-lost": {"embeddings": "E1"},
    "embedding-lengths-differ": {"embeddings base64": "E3"},
    "embedding-nan": {"embeddings base64": "E6", "embeddings": "J1"},
    "ignores-dimensions": {"embeddings base64": "E3"},
    "ignores-encoding-format": {"embeddings base64": "E2"},
    "rerank-index-out-of-range": {"ranking": "RK3"},
    "rerank-score-text": {"ranking": "RK1"},
    "rerank-document-lost": {"ranking": "RK4"},
    "score-lost": {"scores": "SC1"},
    "score-index-wrong": {"scores": "SC1"},
    "score-text": {"scores": "SC1"},
    "token-index-gap": {"job": "W4"},
    "tokens-out-wrong": {"job": "W4"},
    "stop-reason-unknown": {"job": "W3"},
    "token-text-missing": {"job": "W3"},
    "job-id-differs": {"job": "W5"},
    "event-unknown": {"job": "W4"},
    "orchestration-mode-differs": {"orchestration debate": "O2"},
    "orchestration-models-missing": {"orchestration debate": "O3"},
    "orchestration-score-too-high": {"orchestration debate": "O4"},
    "orchestration-without-rounds": {"orchestration debate": "O3"},
    "orchestration-time-missing": {"orchestration debate": "O1"},
    "open-event-after-done": {"chat stream": "F5"},
    "alternative-bytes-wrong": {"chat logprobs": "L3"},
    "accepts-empty-messages": {"chat without messages": "R3"},
    "empty-messages-as-500": {"chat without messages": "R3"},
    "ignores-text-format": {"response format": "RS17"},
    "model-unlisted": {"model": "M4"},
    "token-count-as-text": {"message tokens": "A15", "tokens": "TK1"},
    "detokenized-text-missing": {"text of tokens": "TK2"},
    "refusal-message-missing": {"job refused": "W6"},
    "unfinished-event": {"job": "F5"},
    "character-over-events": {"chat logprobs stream": "F2"},
}


@pytest.fixture(scope="module")
def ports(start_shared):
    """The port of each server that is called."""
    return {name: start_shared(*arguments).port for name, arguments in SERVERS.items()}


@pytest.mark.parametrize("fault", sorted(BROKEN))
def test_the_rule_of_a_fault_notices_it(ports, fault):
    for name, rule in BROKEN[fault].items():
        call = BY_NAME[name]
        _, clean = play(ports[call.server], call)
        assert rule not in clean.broken, name
        _, broken = play(ports[call.server], call, fault)
        assert rule in broken.broken, (name, [str(one) for one in broken.violations])


def test_faultless_answers_break_no_rule(ports):
    found = {call.name: play(ports[call.server], call)[1].broken for call in BY_NAME.values()}
    # The errors of vLLM have the status as their code.
    told = {name: rules for name, rules in found.items() if "another model" in name and rules == ("R2",)}
    assert {name: rules for name, rules in found.items() if rules and name not in told} == {}
