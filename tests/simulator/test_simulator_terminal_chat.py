"""The chat in a terminal: through a pipe, and on a real pseudo-terminal."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import termios
from itertools import pairwise
from time import monotonic

import pytest


def test_conversation_through_a_pipe(run_cli):
    lines = [
        "What is the capital of France?",
        "\\help",
        "\\temperature 3",
        "\\topk x",
        "\\nothing",
        "\\clear",
        "\\exit",
    ]
    done = run_cli("-i", "--scenario", "capitals", text="\n".join(lines))
    assert done.returncode == 0
    assert "Welcome to interactive mode!" in done.stdout
    assert "> The capital of France is Paris.\n\nStats:\nTime to first token: " in done.stdout
    assert re.search(r"Prompt: 7 tokens, [\d.]+ T/s\nDecode: 7 tokens, [\d.]+ T/s", done.stdout)
    assert "\\system <message>" in done.stdout
    for part in ("must be from 0 to 2", "needs a number, got 'x'", "unknown command \\nothing", "Cleared"):
        assert part in done.stdout
    assert done.stderr == ""


def test_a_pattern_that_is_given_up_ends_no_chat(run_cli, tmp_path):
    file = tmp_path / "slow.yaml"
    slow = '{prompt: "(a|aa)+$"}'
    file.write_text(f"rules:\n  - match: {slow}\n    answer: {{text: found}}\n  - answer: {{text: the rest}}")
    done = run_cli("-i", "--scenario", str(file), text=f"{'a' * 199}b\nhello\n")
    assert done.returncode == 0
    assert "Error: The scenario cannot be played: the pattern '(a|aa)+$' was given up on a text of 200" in done.stdout
    assert re.search(r"the rest\n\nStats:\n.*\nPrompt: 1 tokens", done.stdout)
    assert done.stderr == ""


def test_end_of_input_leaves(run_cli):
    done = run_cli("-i", text="")
    assert (done.returncode, done.stdout[-3:]) == (0, "> \n")


def test_continued_line(run_cli):
    assert "> one\ntwo\n\nStats:" in run_cli("-i", "--mode", "echo", text="one\\\ntwo\n").stdout


class Terminal:
    """The program on a pseudo-terminal."""

    def __init__(self, *arguments: str) -> None:
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "InferenceLibrary.simulator", "-i", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: _own(slave),  # noqa: PLW1509 - no threads here
        )
        os.close(slave)
        self.text = ""

    def until(self, part: str, count: int = 1) -> str:
        end = monotonic() + 15
        while self.text.count(part) < count:
            assert monotonic() < end, self.text
            self.text += os.read(self.master, 4096).decode()
        return self.text

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(60)
        os.close(self.master)


def _own(slave: int) -> None:
    import fcntl

    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)


@pytest.fixture
def terminal():
    opened = []

    def open_terminal(*arguments: str) -> Terminal:
        opened.append(Terminal(*arguments))
        return opened[-1]

    yield open_terminal
    for item in opened:
        item.close()


def test_ctrl_c_while_generating_returns_to_the_prompt(terminal):
    chat = terminal("--mode", "echo", "--inter-token-latency", "100ms")
    chat.until("> ")
    chat.type("one two three four five six seven eight nine ten\n")
    chat.until("two", 2)
    chat.type("\x03")
    chat.until("> ", 2)
    assert "Stats" not in chat.text
    chat.type("\\exit\n")
    assert chat.process.wait(60) == 0


@pytest.mark.parametrize("key", ["\x03", "\x04"])
def test_ctrl_c_and_ctrl_d_at_the_prompt_leave(terminal, key):
    chat = terminal()
    chat.until("> ")
    chat.type(key)
    assert chat.process.wait(60) == 0


def test_terminal_edits_the_line(terminal):
    chat = terminal("--mode", "echo")
    chat.until("> ")
    chat.type("onx\x7fe\n")
    chat.until("Stats:")
    assert "\none\n" in chat.text.replace("\r", "")


def test_tokens_appear_one_by_one(terminal):
    def one_by_one() -> bool:
        chat = terminal("--mode", "echo", "--time-to-first-token", "100ms", "--inter-token-latency", "100ms")
        chat.until("> ")
        chat.type("one two three four\n")
        times = []
        for word in ("one", "two", "three", "four"):
            chat.until(word, 2)
            times.append(monotonic())
        gaps = [later - earlier for earlier, later in pairwise(times)]
        return sum(gaps) >= 0.25 and max(gaps) < sum(gaps) * 0.8

    # A machine that stands still for a while shows one answer at once, but not each of them.
    assert any(one_by_one() for _ in range(5))


def test_hang_up_ends_it(terminal):
    chat = terminal()
    chat.until("> ")
    chat.process.send_signal(signal.SIGHUP)
    assert chat.process.wait(60) == -signal.SIGHUP
