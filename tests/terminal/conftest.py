"""Terminals for tests: every one is closed, and its processes are looked for afterwards."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = Path(__file__).parent / "programs"
CHATTY = (sys.executable, str(PROGRAMS / "chatty.py"))


def process_lives(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


@pytest.fixture
def lives() -> Callable[[int], bool]:
    return process_lives


@pytest.fixture
def start() -> Iterator[Callable[..., Any]]:
    """Start terminals; each is closed after the test, and its program must be gone then."""
    if os.name != "posix":
        pytest.skip("the programs of these tests are POSIX")
    pytest.importorskip("tui_test")
    from InferenceLibrary.terminal.session import Terminal

    opened: list[Terminal] = []

    def begin(*command: str, **options: Any) -> Terminal:
        opened.append(Terminal(command, **options))
        return opened[-1]

    yield begin
    for terminal in opened:
        terminal.close()
        assert terminal.pid is not None
        assert not process_lives(terminal.pid)


@pytest.fixture
def chat() -> Iterator[Callable[..., Any]]:
    """Start the chat program of these tests in one of its ways."""
    if os.name != "posix":
        pytest.skip("the programs of these tests are POSIX")
    pytest.importorskip("tui_test")
    from InferenceLibrary.terminal.chat import ChatStyle, ChatTerminal

    opened: list[ChatTerminal] = []

    def begin(kind: str = "well", style: ChatStyle | None = None, **options: Any) -> ChatTerminal:
        style = style or ChatStyle(answer_end="^Stats:", continuation="\\")
        opened.append(ChatTerminal([*CHATTY, kind], style, **{"timeout": 20, **options}))
        return opened[-1]

    yield begin
    for terminal in opened:
        terminal.close()
