"""Rules over several exchanges of one server: each kind fails for its own reason, and without a pair none is judged."""

from __future__ import annotations

import base64
import copy
import struct
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from protocol.rules.exchanges import ASKED, CHAT, GOOD, TEXT, answer, chat_stream, exchange
from protocol.rules.typed_exchanges import (
    ANSWERED,
    EMBEDDINGS,
    MODELS,
    ORCHESTRATED,
    REFUSAL,
    RESPONSE,
    drop,
    good,
    message,
    message_stream,
    put,
    response,
    response_stream,
)

from InferenceLibrary.protocol.exchange import Ending, Exchange
from InferenceLibrary.protocol.rules.book import judge, judge_several
from InferenceLibrary.protocol.rules.rule import Known

CERTAIN = {**ASKED, "temperature": 0}
NUMBERS = [0.1, 0.2, -0.3]


def found(*calls: Exchange) -> set[tuple[str, str, int]]:
    return {(one.rule.id, one.kind, one.exchange) for one in judge_several(calls).violations}


def whole(text: str = "".join(TEXT), asked: Any = CERTAIN) -> Exchange:
    data = {key: copy.deepcopy(value) for key, value in ORCHESTRATED.items() if key != "orchestration"}
    data["choices"][0]["message"]["content"] = text
    return answer(CHAT, asked, data)


def get(path: str, data: Any, **more: Any) -> Exchange:
    return answer(path, None, data, method="GET", **more)


def metrics(served: int, answered: int | None = None) -> Exchange:
    text = f'vllm:request_success_total{{model_name="m",finished_reason="stop"}} {served}\n'
    if answered is not None:
        text = f'http_requests_total{{status="2xx"}} {answered}\n'
    return get("/metrics", text.encode(), headers=(("content-type", "text/plain"),))


def embedding(
    text: str, numbers: Sequence[float] = NUMBERS, *, coded: bool = False, more: int = 0, **other: Any
) -> Exchange:
    value: Any = list(numbers)
    if coded:
        value = base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
    data = copy.deepcopy(EMBEDDINGS)
    others = [{"object": "embedding", "index": place, "embedding": [1.0, 0.0, 0.0]} for place in range(more)]
    data["data"] = [*others, {"object": "embedding", "index": more, "embedding": value}]
    asked = {"model": "m", "input": [*(f"other {place}" for place in range(more)), text], **other}
    return answer("/v1/embeddings", {**asked, "encoding_format": "base64"} if coded else asked, data)


def refused(**more: Any) -> Exchange:
    return answer(CHAT, {"model": "m", "messages": []}, REFUSAL, status=400, **more)


def no_answer(problem: str = "no answer within 5 s") -> Exchange:
    call = exchange(CHAT, ASKED, b"", ending=Ending.NO_ANSWER, headers=())
    call.status, call.problem = None, problem
    return call


def test_streamed_and_whole_chats_agree() -> None:
    assert judge_several([whole(), chat_stream(GOOD, CERTAIN)]).kept == ("C19",)
    assert found(whole("The capital of France is Rome."), chat_stream(GOOD, CERTAIN)) == {("C19", "text", 1)}
    assert found(chat_stream(GOOD, CERTAIN), whole("The capital")) == {("C19", "text", 0)}


@pytest.mark.parametrize(
    "calls",
    [
        lambda: [whole(asked=ASKED), chat_stream(GOOD, ASKED)],
        lambda: [whole("x"), chat_stream(GOOD, {**CERTAIN, "max_tokens": 5})],
        lambda: [whole("x"), whole()],
        lambda: [whole("x"), chat_stream(GOOD[:3], CERTAIN, ending=Ending.CANCELLED)],
    ],
)
def test_answers_that_need_not_agree(calls: Callable[[], list[Exchange]]) -> None:
    judgement = judge_several(calls())
    assert "C19" not in (*judgement.broken, *judgement.kept)
    assert "C19" in judgement.not_judged


def test_streamed_and_whole_responses_and_messages_agree() -> None:
    asked = {"temperature": 0}
    assert {"RS22"} <= set(judge_several([response(asked=asked), response_stream(asked=asked)]).kept)
    other = response(put("You ask.", "output", 1, "content", 0, "text"), asked=asked)
    assert found(other, response_stream(asked=asked)) == {("RS22", "text", 1)}
    assert {"A19"} <= set(judge_several([message(asked=asked), message_stream(asked=asked)]).kept)
    lost = message_stream(drop(9), asked=asked)
    assert found(message(asked=asked), lost) == {("A19", "text", 1)}
    assert ANSWERED["content"][1]["text"] == "I ask."


def test_one_text_has_one_embedding() -> None:
    assert "E4" in judge_several([embedding("Paris"), embedding("Paris", more=2)]).kept
    assert found(embedding("Paris"), embedding("Paris", [0.3, 0.2, -0.1])) == {("E4", "differs", 1)}
    assert found(embedding("Paris", [0.0] * 3), embedding("Paris", [0.0] * 3)) == {("E4", "differs", 1)}
    assert "E4" in judge_several([embedding("Paris"), embedding("Rome", [1.0, 0.0, 0.0])]).not_judged
    # Another kind of input is another question.
    passage = embedding("Paris", [0.3, 0.2, -0.1], input_type="passage")
    assert "E4" in judge_several([embedding("Paris", input_type="query"), passage]).not_judged


def test_both_codings_hold_the_same_numbers() -> None:
    assert {"E4", "E7"} <= set(judge_several([embedding("Paris"), embedding("Paris", coded=True)]).kept)
    assert found(embedding("Paris"), embedding("Paris", [0.1, 0.2, -0.30001], coded=True)) == {("E7", "differs", 1)}
    assert "E7" in judge_several([embedding("Paris"), embedding("Paris")]).not_judged
    wild = embedding("Paris", [0.1, float("nan"), -0.3], coded=True)
    assert found(embedding("Paris"), wild) == {("E7", "differs", 1)}


def test_a_model_that_is_served_is_listed() -> None:
    models = good("/v1/models")
    assert "M2" in judge_several([models, whole()]).kept
    assert found(whole(asked={**ASKED, "model": "x"}), models) == {("M2", "not listed", 0)}
    assert found(get("/v1/models", {**MODELS, "data": []}), whole()) == {("M2", "not listed", 1)}
    latest = get("/v1/models", {**MODELS, "data": [{"id": "m:latest"}]})
    assert "M2" in judge_several([latest, whole()]).kept
    assert "M2" in judge_several([whole(), whole()]).not_judged
    assert "M2" in judge_several([models, refused()]).not_judged
    copied = answer("/api/copy", {"source": "m", "destination": "x"}, {})
    assert "M2" in judge_several([models, copied, whole(asked={**ASKED, "model": "x"})]).not_judged


def test_the_next_request_is_served_after_a_refusal() -> None:
    assert "R8" in judge_several([refused(), whole()]).kept
    assert found(refused(), no_answer()) == {("R8", "no answer", 1)}
    broken = answer(CHAT, CERTAIN, REFUSAL, status=500)
    assert found(whole(), refused(), broken) == {("R8", "status", 2)}
    # Nothing tells that the same request would be served otherwise.
    assert found(refused(), broken) == set()
    busy = answer(CHAT, CERTAIN, REFUSAL, status=503)
    assert found(whole(), refused(), busy) == set()
    assert "R8" in judge_several([whole(), no_answer()]).not_judged
    # A request that is wrong itself says nothing.
    assert "R8" in judge_several([refused(), answer(CHAT, {"model": "m"}, REFUSAL, status=500)]).not_judged


def offering(call: Exchange) -> Exchange:
    call.request = call.request._replace(headers=(*call.request.headers, ("upgrade", "h2c")))
    return call


def test_an_offer_of_another_protocol_is_ignored() -> None:
    assert "F13" in judge_several([whole(), offering(whole())]).kept
    assert found(whole(), offering(refused_as(CERTAIN))) == {("F13", "refused", 1)}
    assert found(offering(refused_as(CERTAIN)), whole()) == {("F13", "refused", 0)}
    silent = offering(whole())
    silent.status, silent.problem, silent.ending = None, "no answer within 5 s", Ending.NO_ANSWER
    assert found(whole(), silent) == {("F13", "no answer", 1)}
    # Nothing tells that the same request is served without the offer, or it is refused for another reason.
    for calls in (
        [whole(), offering(refused_as({**CERTAIN, "seed": 1}))],
        [offering(whole()), refused_as(CERTAIN)],
        [whole(), whole()],
    ):
        assert "F13" in judge_several(calls).not_judged
    busy = offering(answer(CHAT, CERTAIN, REFUSAL, status=503))
    assert "F13" in judge_several([whole(), busy]).kept


def refused_as(asked: Any) -> Exchange:
    return answer(CHAT, asked, REFUSAL, status=400)


def test_the_metrics_count_each_answer() -> None:
    assert "R9" in judge_several([metrics(1), whole(), metrics(2)]).kept
    assert found(metrics(1), whole(), metrics(1)) == {("R9", "not counted", 2)}
    assert found(metrics(1), whole(), whole(), metrics(2)) == {("R9", "not counted", 3)}
    assert found(metrics(5), whole(), metrics(1)) == {("R9", "falls", 2)}
    assert "R9" in judge_several([metrics(1), metrics(1)]).not_judged
    assert "R9" in judge_several([metrics(1), refused(), metrics(1)]).not_judged
    assert found(metrics(0, 3), whole(), metrics(0, 3)) == {("R9", "not counted", 2)}
    assert "R9" in judge_several([metrics(0, 3), whole(), metrics(0, 5)]).kept


def test_a_response_is_stored_as_was_asked_for() -> None:
    unstored = response(asked={"store": False})
    streamed = response_stream(asked={"store": False})
    path = "/v1/responses/resp_1"
    missing = get(path, REFUSAL, status=404)
    for first in (unstored, streamed):
        assert "RS12" in judge_several([first, missing]).kept
        assert found(first, get(path, RESPONSE)) == {("RS12", "kept", 1)}
    assert "RS12" in judge_several([response(), get(path, RESPONSE)]).not_judged


def test_a_response_that_was_cancelled_says_so() -> None:
    cancelled = {**RESPONSE, "status": "cancelled"}
    path = "/v1/responses/resp_1"
    assert "RS12" in judge_several([answer(f"{path}/cancel", None, cancelled), get(path, cancelled)]).kept
    running = answer(f"{path}/cancel", None, {**RESPONSE, "status": "in_progress", "usage": None})
    assert found(running, get(path, cancelled)) == {("RS12", "not cancelled", 0)}
    assert found(answer(f"{path}/cancel", None, cancelled), get(path, RESPONSE)) == {("RS12", "not cancelled", 1)}


def test_a_call_without_an_answer_is_judged_by_no_rule_of_answers() -> None:
    judgement = judge(no_answer())
    assert (judgement.violations, judgement.kept) == ((), ())


def test_a_stream_is_not_compared_where_answers_do_not_repeat() -> None:
    one, other = whole(), whole("The capital of France is Rome.")
    calls = [other, one, chat_stream(GOOD, CERTAIN)]
    asked = {"temperature": 0}
    other_text = put("You ask.", "output", 1, "content", 0, "text")
    rivals = {
        "C19": [],
        "RS22": [response(other_text, asked=asked), response_stream(asked=asked)],
        "A19": [message(asked=asked), message_stream(drop(9), asked=asked)],
    }
    for rule, more in rivals.items():
        told = judge_several([*calls, *more]).not_judged[rule]
        assert told == (
            'answers are not repeatable: "France is Rome." and "France is Paris." from character 15, whole both times'
        )
        # A server that says that its answers repeat is judged, whatever was seen; one that says they do not, is not.
        assert rule in judge_several([*calls, *more], Known(chance="")).broken
        assert judge_several(more or calls, Known(chance="it draws lots")).not_judged[rule].endswith("it draws lots")


def test_what_does_not_show_chance() -> None:
    other = whole("The capital of France is Rome.")
    # Another question, a question that leaves it to chance, one under a seed, and an answer that was cut.
    asides: list[list[Exchange]] = [
        [other, whole(asked={**CERTAIN, "max_tokens": 5})],
        [other, whole("x", asked=ASKED), whole(asked=ASKED)],
        [other, whole("x", asked={**ASKED, "seed": 1}), whole(asked={**ASKED, "seed": 1})],
        [other, chat_stream(GOOD, CERTAIN), chat_stream(GOOD[:3], CERTAIN, ending=Ending.CANCELLED)],
    ]
    for calls in asides:
        assert "C19" in judge_several([*calls, chat_stream(GOOD, CERTAIN)]).broken
