"""The stage with which a start is over, and how its first token is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from machine import patience
from servers.small_server import Answer, SmallServer, chat, refused

from InferenceLibrary.client.http import Client
from InferenceLibrary.deadline import Deadline
from InferenceLibrary.errors import ServerError
from InferenceLibrary.redaction import Redactor
from InferenceLibrary.servers.profile import load_profile
from InferenceLibrary.servers.readiness import Goal, Watch, goal_of

Serve = Callable[..., SmallServer]
PROFILE = """title: mine
ready: {{health: {{bodies: [status]}}, model_list: {listing}, first_token: {way}}}
"""
CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
TOKEN = 'data: {"id": "1", "choices": [{"index": 0, "text": "one", "finish_reason": "length"}]}\n\ndata: [DONE]\n\n'


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[SmallServer] = []

    def begin(**routes: Answer) -> SmallServer:
        servers.append(SmallServer({CHAT if name == "chat" else COMPLETIONS: one for name, one in routes.items()}))
        return servers[-1].begin()

    yield begin
    for server in servers:
        server.close()


def reached(
    folder: Path, server: SmallServer, wait_for: str | None, way: str = "chat", listing: str = "/v1/models"
) -> list[str]:
    """Wait for a server that runs already; return the stages that were gone through."""
    file = folder / "mine.yaml"
    file.write_text(PROFILE.format(listing=listing, way=way), encoding="utf-8")
    profile = load_profile(str(file))
    process: Any = SimpleNamespace(
        running=True, label="process 1", pid=1, log_path=folder / "log", log_tail=list, how_it_ended=lambda: None
    )
    watch = Watch("mine", process, profile, Deadline(patience(3)), Redactor())
    watch.checks = (lambda facts: True,)
    watch.until_ready(Client(server.url), goal_of(profile, wait_for))
    return list(watch.stages)


STAGES = ["healthy", "model listed", "checks passed", "first token"]


@pytest.mark.parametrize("stage", STAGES)
def test_nothing_is_asked_after_the_stage_that_is_waited_for(serve: Serve, tmp_path: Path, stage: str) -> None:
    server = serve()
    assert reached(tmp_path, server, stage) == STAGES[: STAGES.index(stage) + 1]
    asked = {"healthy": "/health", "first token": CHAT}.get(stage, "/v1/models")
    assert server.requests[-1][0] == asked


def test_a_list_that_is_waited_for_is_asked_though_the_profile_names_none(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    assert reached(tmp_path, server, "model listed", listing="null") == ["healthy", "model listed"]
    assert reached(tmp_path, server, None, listing="null", way="none") == ["healthy", "checks passed"]
    assert [path for path, _ in server.requests] == ["/health", "/v1/models", "/health"]


@pytest.mark.parametrize(
    ("wait_for", "way", "goal"),
    [
        (None, "chat", Goal("first token", ("chat",))),
        (None, "completion", Goal("first token", ("completion",))),
        (None, "none", Goal("checks passed")),
        ("first token", "none", Goal("first token", ("chat", "completion"))),
        ("first token", "chat", Goal("first token", ("chat", "completion"))),
        ("first token", "completion", Goal("first token", ("completion", "chat"))),
    ],
)
def test_the_profile_says_how_a_first_token_is_asked_for(
    tmp_path: Path, wait_for: str | None, way: str, goal: Goal
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(PROFILE.format(listing="null", way=way), encoding="utf-8")
    assert goal_of(load_profile(str(file)), wait_for) == goal


def test_a_model_that_refuses_chats_is_asked_for_a_completion(serve: Serve, tmp_path: Path) -> None:
    no_chats: Answer = lambda asked: (400, refused("there is no chat template"))  # noqa: E731
    server = serve(chat=no_chats, completion=lambda asked: (200, TOKEN))
    assert reached(tmp_path, server, "first token")[-1] == "first token"
    assert [path for path, _ in server.requests[-2:]] == [CHAT, COMPLETIONS]
    with pytest.raises(ServerError, match=r"expected a first token from a chat, got .*no chat template"):
        reached(tmp_path, server, None)


def test_a_model_that_refuses_both_is_told_by_the_first(serve: Serve, tmp_path: Path) -> None:
    server = serve(chat=lambda asked: (400, refused("there is no chat template")))
    with pytest.raises(ServerError, match=r"from a chat or a completion, got .*no chat template"):
        reached(tmp_path, server, "first token")


def test_a_chat_that_is_answered_is_enough(serve: Serve, tmp_path: Path) -> None:
    server = serve(chat=chat)
    reached(tmp_path, server, "first token")
    assert [path for path, _ in server.requests].count(COMPLETIONS) == 0
