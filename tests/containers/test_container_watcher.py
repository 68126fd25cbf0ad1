"""What the watcher of containers does with an engine that is slow to do what it was asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from InferenceLibrary import deadline
from InferenceLibrary.containers import engine
from InferenceLibrary.containers import watcher as container_watcher


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time passes only while the watcher waits."""
    now = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0], sleep=lambda seconds: now.__setitem__(0, now[0] + seconds))
    monkeypatch.setattr(deadline, "time", clock)
    monkeypatch.setattr(
        engine, "ContainerEngine", lambda address: SimpleNamespace(client=SimpleNamespace(api=address.url))
    )


def test_it_looks_on_while_something_is_still_found() -> None:
    finds = [1] * 40
    asked: list[Any] = []

    def once(api: Any) -> int:
        asked.append(api)
        return finds.pop() if finds else 0

    container_watcher._remove("tcp://engine", once)
    assert not finds, "it stopped although the last look had found something"
    assert set(asked) == {"tcp://engine"}


def test_it_looks_on_for_a_while_after_the_last_find() -> None:
    late = [0, 0, 1]
    container_watcher._remove("tcp://engine", lambda api: late.pop() if late else 0)
    assert not late


def test_it_leaves_to_the_next_run_what_cannot_be_removed() -> None:
    looks: list[int] = []
    container_watcher._remove("tcp://engine", lambda api: looks.append(1) or 1)  # type: ignore[func-returns-value]
    assert len(looks) == pytest.approx(container_watcher._LONGEST / container_watcher._ROUND, abs=2)


def test_it_bears_an_engine_that_fails_now_and_then() -> None:
    answers: list[Any] = [0, engine.api_errors()[0]("busy"), 1]

    def once(api: Any) -> int:
        answer = answers.pop() if answers else 0
        if isinstance(answer, Exception):
            raise answer
        return int(answer)

    container_watcher._remove("tcp://engine", once)
    assert not answers
