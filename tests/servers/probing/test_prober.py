"""What a server offers is found out: each state for its own reason, each probe able to say no."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from servers.small_server import Answer, SmallServer, chat, refused

from InferenceLibrary.client.limits import Limits
from InferenceLibrary.protocol.capabilities import CAPABILITIES, Offer, State
from InferenceLibrary.redaction import Redactor
from InferenceLibrary.servers.probing.prober import Prober, can_be_asked, joined
from InferenceLibrary.servers.probing.probes import PROBES
from InferenceLibrary.servers.probing.shared import KnownServers
from InferenceLibrary.servers.profile import load_profile
from InferenceLibrary.servers.server import Server, connect

Serve = Callable[..., SmallServer]
CHAT = "/v1/chat/completions"


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[SmallServer] = []

    def begin(routes: Mapping[str, Answer] = {}, everything: Answer | None = None) -> SmallServer:
        servers.append(SmallServer(routes, everything=everything).begin())
        return servers[-1]

    yield begin
    for server in servers:
        server.close()


def connected(url: str, profile: str = "openai", model: str | None = "small", key: str | None = None) -> Server:
    return connect(
        url, load_profile(profile), name="it", model=model, api_key=key, limits=Limits(total=5), redact=Redactor()
    )


def offer(server: Server, word: str, folder: Path = Path("results")) -> Offer:
    return KnownServers().offer(server, word, folder, lambda line: None)


def said(text: str, **choice: Any) -> Answer:
    """A chat that says this whatever is asked."""
    message = {"role": "assistant", "content": text, **choice.pop("message", {})}
    whole = {"index": 0, "message": message, "finish_reason": "stop", **choice}
    return lambda asked: (200, {"id": "1", "object": "chat.completion", "choices": [whole]})


def calls(*names: str) -> dict[str, Any]:
    return {
        "tool_calls": [
            {"id": f"call_{name}", "type": "function", "function": {"name": name, "arguments": "{}"}} for name in names
        ]
    }


def ever_new() -> Answer:
    count = iter(range(100))

    def answer(asked: Any) -> tuple[int, Any]:
        return said(f"answer {next(count)}")(asked)

    return answer


def new_at_the_third() -> Answer:
    # The first one shows that chats are offered.
    texts = iter(["once", "once", "once", "anew"])

    def answer(asked: Any) -> tuple[int, Any]:
        return said(next(texts))(asked)

    return answer


def embedding(vector: Any) -> Answer:
    return lambda asked: (200, {"object": "list", "data": [{"index": 0, "embedding": vector}]})


def ranking(**more: Any) -> Answer:
    return lambda asked: (200, {"results": [{"index": 0, "relevance_score": 1.0, **more}]})


def only_with(name: str, status: int, answer: Answer) -> Answer:
    """An own answer where a field is given, else the usual chat."""
    return lambda asked: answer(asked) if name in asked else chat(asked)


NO = State.NOT_OFFERED


@pytest.mark.parametrize(
    ("word", "routes", "state", "evidence"),
    [
        ("models", {}, State.OFFERED, "status 200, application/json"),
        ("chat", {}, State.OFFERED, "status 200"),
        ("chat", {CHAT: lambda asked: (500, refused("it broke"))}, State.UNKNOWN, "status 500: it broke"),
        ("chat", {CHAT: lambda asked: (503, refused("no model"))}, State.UNKNOWN, "status 503: no model"),
        ("chat", {CHAT: lambda asked: (400, refused("no model"))}, State.REFUSED, "status 400: no model"),
        ("embeddings", {}, NO, "status 404: There is no such path"),
        (
            "embeddings",
            {"/v1/embeddings": lambda asked: (501, refused("start it with --embeddings"))},
            State.REFUSED,
            "start it with --embeddings",
        ),
        (
            "embeddings",
            {"/v1/embeddings": lambda asked: (404, refused("small is not for this", "model_not_found"))},
            State.REFUSED,
            "small is not for this",
        ),
        ("health", {}, State.OFFERED, "status 200"),
        ("metrics", {}, NO, "its profile has no section 'metrics'"),
        ("streams", {}, State.OFFERED, "text/event-stream"),
        ("streams", {CHAT: said("whole")}, NO, "status 200, but the answer is application/json"),
        ("usage in streams", {}, State.OFFERED, "text/event-stream"),
        (
            "usage in streams",
            {CHAT: lambda asked: chat({key: asked[key] for key in asked if key != "stream_options"})},
            NO,
            "the stream has no usage",
        ),
        ("tool calls", {}, NO, "no tool is called"),
        ("tool calls", {CHAT: said("", message=calls("get_weather"))}, State.OFFERED, "status 200"),
        ("tool calls", {CHAT: only_with("tools", 400, lambda asked: (400, refused("no tools")))}, State.REFUSED, "no"),
        ("tool calls", {CHAT: only_with("tools", 500, lambda asked: (500, refused("oh")))}, State.UNKNOWN, "500: oh"),
        ("named tools", {CHAT: said("", message=calls("get_weather"))}, NO, "get_time was named, and called was get_w"),
        ("named tools", {CHAT: said("", message=calls("get_time"))}, State.OFFERED, "status 200"),
        ("several choices", {}, NO, "two choices were asked for, 1 came"),
        ("log probabilities", {}, NO, "no log probabilities"),
        (
            "log probabilities",
            {CHAT: said("a", logprobs={"content": [{"token": "a", "logprob": -1.0, "top_logprobs": []}]})},
            State.OFFERED,
            "status 200",
        ),
        ("stop texts", {}, NO, "the stop text stands in the answer"),
        ("stop texts", {CHAT: said("one two three four")}, State.OFFERED, "status 200"),
        ("json schema", {}, NO, "the answer does not fit its schema"),
        ("json schema", {CHAT: said('{"city": "Oslo"}')}, NO, "does not fit"),
        ("json schema", {CHAT: said('{"city": "Paris"}')}, State.OFFERED, "status 200"),
        ("json object", {}, NO, "is not a JSON object"),
        ("json object", {CHAT: said("[1]")}, NO, "is not a JSON object"),
        ("json object", {CHAT: said("{}")}, State.OFFERED, "status 200"),
        ("text parts", {}, State.OFFERED, "status 200"),
        ("reasoning", {}, NO, "the message has no field for it"),
        ("reasoning", {CHAT: said("a", message={"reasoning_content": "hm"})}, State.OFFERED, "status 200"),
        ("repeatable answers", {}, State.OFFERED, "status 200"),
        ("repeatable answers", {CHAT: ever_new()}, NO, "'answer 1' and 'answer 2' were answered"),
        ("repeatable answers", {CHAT: new_at_the_third()}, NO, "'once' and 'anew' were answered"),
        ("seed", {CHAT: ever_new()}, NO, "were answered"),
        ("unknown model is refused", {}, State.OFFERED, "rfinference-no-such-model"),
        ("unknown model is refused", {CHAT: said("any")}, NO, "status 200"),
        ("unknown model is refused", {CHAT: lambda asked: (500, refused("oh"))}, State.UNKNOWN, "500: oh"),
        ("base64 embeddings", {}, NO, "it needs 'embeddings', which is not offered: status 404"),
        ("base64 embeddings", {"/v1/embeddings": embedding([1.0])}, NO, "the vector is a list"),
        ("base64 embeddings", {"/v1/embeddings": embedding("AAAA")}, State.OFFERED, "status 200"),
        ("dimensions", {"/v1/embeddings": embedding([1.0] * 4)}, NO, "16 numbers were asked for, 4 came"),
        ("dimensions", {"/v1/embeddings": embedding([1.0] * 16)}, State.OFFERED, "status 200"),
        ("documents in rankings", {"/v1/rerank": ranking()}, NO, "the ranking has no documents"),
        ("documents in rankings", {"/v1/rerank": ranking(document={"text": "a"})}, State.OFFERED, "status 200"),
        (
            "ignore_eos",
            {CHAT: said("on and", finish_reason="length")},
            State.UNKNOWN,
            "no answer ended before its limit",
        ),
        ("top_k", {}, State.UNKNOWN, "a field that does not exist is answered as well"),
        (
            "top_k",
            {CHAT: only_with("rfinference_no_such_field", 400, lambda asked: (400, refused("unknown field")))},
            State.OFFERED,
            "a field that does not exist is refused: status 400",
        ),
        ("top_k", {CHAT: only_with("top_k", 400, lambda asked: (422, refused("no top_k")))}, NO, "422: no top_k"),
        ("keys", {}, NO, "it is asked without a key"),
        ("stored responses", {}, NO, "it needs 'responses'"),
        ("stored responses", {"/v1/responses": lambda asked: (200, {"output": []})}, NO, "status 404"),
        (
            "stored responses",
            {
                "/v1/responses": lambda asked: (200, {"output": []}),
                "/v1/responses/resp_rfinference_none": lambda asked: (404, refused("no response with this id")),
            },
            State.OFFERED,
            "no response with this id",
        ),
        ("detokenize", {"/tokenize": lambda asked: (200, {"tokens": [7], "count": 1})}, NO, "status 404"),
        ("sleep", {}, State.UNKNOWN, "its profile does not say so"),
        ("checked top_n", {}, State.OFFERED, "assumed"),
    ],
)
def test_each_state_has_its_own_reason(
    serve: Serve, word: str, routes: dict[str, Answer], state: State, evidence: str
) -> None:
    found = offer(connected(serve(routes).url), word)
    assert found.state is state, found
    assert evidence in found.evidence


def test_a_server_that_answers_every_path_offers_none(serve: Serve) -> None:
    everything = serve(everything=lambda asked: (200, {"status": "ok"}))
    found = offer(connected(everything.url), "embeddings")
    assert (found.state, found.evidence) == (
        NO,
        'it answers every path: status 200: application/json {"status": "ok"}',
    )


def test_an_end_that_is_ignored_is_shown_by_two_answers(serve: Serve) -> None:
    ends = said("yes")
    goes_on = only_with("ignore_eos", 200, said("yes " * 16, finish_reason="length"))
    assert offer(connected(serve({CHAT: ends}).url), "ignore_eos").evidence == "the answer ended with stop"
    words = {CHAT: lambda asked: goes_on(asked) if "ignore_eos" in asked else ends(asked)}
    assert offer(connected(serve(words).url), "ignore_eos").state is State.OFFERED


def test_completions_show_whether_answers_repeat_where_there_are_no_chats(serve: Serve) -> None:
    def completions(*texts: str) -> dict[str, Answer]:
        said = itertools.cycle(texts)
        return {
            CHAT: lambda asked: (400, refused("no chats")),
            "/v1/completions": lambda asked: (200, {"choices": [{"index": 0, "text": next(said)}]}),
        }

    assert offer(connected(serve(completions("one")).url), "repeatable answers").state is State.OFFERED
    by_chance = offer(connected(serve(completions("one", "two")).url), "repeatable answers")
    assert (by_chance.state, by_chance.evidence) == (NO, "status 200, but 'two' and 'one' were answered")
    neither = offer(connected(serve({CHAT: lambda asked: (400, refused("no chats"))}).url), "repeatable answers")
    assert (neither.state, neither.evidence) == (NO, "it needs 'chat', which is refused: status 400: no chats")


def test_the_tokens_that_are_asked_back_are_those_of_the_server(serve: Serve) -> None:
    routes: dict[str, Answer] = {
        "/tokenize": lambda asked: (200, {"tokens": [707], "count": 1}),
        "/detokenize": lambda asked: (200, {"prompt": "a"}) if asked["tokens"] == [707] else (400, refused("no")),
    }
    assert offer(connected(serve(routes).url), "detokenize").state is State.OFFERED


def test_the_tokens_of_another_of_its_kind_are_not_asked_back(serve: Serve) -> None:
    """What the kind offers is known for the run; which tokens this server has, this server must say."""
    known: dict[str, Offer] = {}
    for number in (707, 808):
        routes: dict[str, Answer] = {
            "/tokenize": lambda asked, given=number: (200, {"tokens": [given], "count": 1}),  # type: ignore[misc]
            "/detokenize": lambda asked, given=number: (  # type: ignore[misc]
                (200, {"prompt": "a"}) if asked["tokens"] == [given] else (400, refused("no"))
            ),
        }
        server = connected(serve(routes).url)
        known.pop("detokenize", None)
        prober = Prober(server.client, server.profile, "small", lambda line: None)
        assert prober.offer("tokenize", known).state is State.OFFERED
        assert prober.offer("detokenize", known).state is State.OFFERED


def test_a_key_is_needed_where_it_is_refused_without(serve: Serve) -> None:
    assert offer(connected(serve().url, key="any-key"), "keys").state is NO


def test_nobody_there_is_unknown() -> None:
    assert offer(connected("http://127.0.0.1:9"), "chat").state is State.UNKNOWN


def test_the_server_decides_against_its_profile(serve: Serve, tmp_path: Path) -> None:
    profile = tmp_path / "mine.yaml"
    profile.write_text("title: mine\noffers: [embeddings, top_k]\nlacks: {chat: it has none}\n", encoding="utf-8")
    server = connected(serve().url, str(profile))
    embeddings = offer(server, "embeddings")
    assert (embeddings.state, embeddings.source) == (NO, "server")
    assert embeddings.evidence == "status 404: There is no such path; but its profile offers it"
    chats = offer(server, "chat")
    assert chats.evidence == "status 200, application/json; but its profile lacks it (it has none)"
    told = offer(server, "top_k")
    assert (told.state, told.source) == (State.OFFERED, "profile")


def test_what_nobody_could_tell_stays_unknown() -> None:
    told = Offer("chat", State.UNKNOWN, "its profile does not say so", "neither")
    assert joined(told, (State.UNKNOWN, "no answer")) == Offer("chat", State.UNKNOWN, "no answer", "server")


def test_a_server_is_asked_once(serve: Serve) -> None:
    small = serve()
    server, known = connected(small.url), KnownServers()
    for word in ("chat", "reasoning", "chat", "embeddings", "embeddings"):
        known.offer(server, word, Path("results"), lambda line: None)
    asked = [path for path, _ in small.requests]
    assert sorted(asked) == sorted(set(asked))


def test_processes_of_pabot_ask_once(serve: Serve, tmp_path: Path) -> None:
    small = serve()
    found: list[Offer] = []

    def ask(number: int) -> None:
        folder = tmp_path / "pabot_results" / str(number)
        found.append(offer(connected(small.url), "chat", folder))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert [path for path, _ in small.requests].count(CHAT) == 1


def test_each_word_that_names_a_request_is_asked_by_one() -> None:
    named = {name for name, one in CAPABILITIES.items() if one.probe is not None}
    assert named == {name for name, one in CAPABILITIES.items() if can_be_asked(one)}


def test_probes_change_nothing_and_ask_for_little() -> None:
    allowed = {"GET", "POST"}
    for calls_ in PROBES.values():
        for call in calls_:
            assert call.method in allowed
            assert call.generates <= 256
            path = call.path_for("m")
            assert not any(word in path for word in ("load", "sleep", "adapter", "config", "shutdown"))
