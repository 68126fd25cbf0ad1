"""mistral.rs in the terminal: both generations, in a pipe and where somebody types."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from simulator.conftest import Run
from simulator.test_mistralrs_running import model_words


def test_the_older_terminal(mistralrs: Run, models: Path) -> None:
    typed = ["hello", "/exit", "\\quit", "\\temperature 3", "\\topk x", "\\topp 0.5", "\\system", "\\clear", "\\exit"]
    done = mistralrs("-i", "gguf", *model_words(models), "--mode", "echo", text="\n".join(typed))
    assert (done.returncode, done.stderr) == (0, "")
    welcome, *answers = done.stdout.split("\n> ")
    assert " mistralrs_server::interactive_mode: Starting interactive loop" in welcome
    assert "deprecated" not in welcome
    assert "=" * 20 + "\nWelcome to interactive mode! Because this model is a text model" in welcome
    assert "- `\\system <system message here>`: " in welcome
    assert re.fullmatch(
        r"hello\n\nStats:\nTime to first token: \d+\.\d\ds\n"
        r"Prompt: 1 tokens, [\d.]+ T/s\nDecode: 1 tokens, [\d.]+ T/s\n",
        answers[0],
    )
    assert answers[1].startswith("/exit\n\nStats:")
    assert answers[2].startswith("\\quit\n\nStats:"), "what is not a command goes to the model"
    assert answers[3] == "Error: temperature must be in [0.0, 2.0]"
    assert answers[4] == "Error: format is `\\topk <int>`"
    assert answers[5].endswith(": Set top-p to 0.5")
    assert answers[6].startswith("Error: Setting the system command should be done with this format: `\\system This")
    assert answers[7].endswith("Cleared chat history.")
    assert answers[8] == ""


def parts_of(text: str) -> list[str]:
    """What comes after the greeting, divided by the end of each answer's statistics."""
    return text.rpartition("=" * 20)[2].split("min_p=0.05\n")


def test_the_newer_terminal(mistralrs: Run, models: Path) -> None:
    typed = ["hello", "\\exit", "/adapter x", "/system be kind", "/topk 0", "/system", "bye", "/exit", "never"]
    env = {**os.environ, "NO_COLOR": "1"}
    done = mistralrs("run", *model_words(models), "--mode", "echo", text="\n".join(typed), env=env)
    assert done.returncode == 0
    assert "Sampling: temp=0.8, top_k=40, top_p=0.95, min_p=0.05\n" in done.stdout.partition("=" * 20)[2]
    assert "- `/adapter <alias|none|list>`: " in done.stdout
    first, second, third, rest = parts_of(done.stdout)
    assert first.startswith("\nhello\n\nStats:\nCLI time to first token: "), "in a pipe there is no prompt"
    assert first.endswith("T/s\nPrefix cache: 0 hits / 1 turns\nSampling: temp=0.8, top_k=40, top_p=0.95, ")
    assert second.startswith("\n\\exit\n\nStats:"), "what is not a command goes to the model"
    errors = "Error: LoRA adapter alias `x` is not loaded\n", "Error: top-k must be a positive integer\n"
    assert [error in third for error in errors] == [True, True]
    assert "Set system message to ``." in third, "/system alone sets an empty one"
    assert "\nbye\n\nStats:" in third
    assert rest == "\n"


def test_the_system_message_and_the_history_count(mistralrs: Run, models: Path) -> None:
    typed = "one\n/system two words\none\n/clear\none\n"
    done = mistralrs("run", *model_words(models), "--mode", "echo", text=typed)
    assert [int(count) for count in re.findall(r"Prompt: (\d+) tokens", done.stdout)] == [1, 5, 3]


def take_terminal() -> None:
    """Let Ctrl+C at the terminal of a new session be a signal."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Typist:
    """A chat in a terminal.

    Args:
        words: The command line.
    """

    def __init__(self, *words: str) -> None:
        mine, theirs = pty.openpty()
        command = [sys.executable, "-m", "InferenceLibrary.simulator", "--as", "mistralrs", *words]
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=take_terminal,  # noqa: PLW1509 - no threads here
        )
        os.close(theirs)
        self._line = mine
        self.seen = b""

    def until(self, end: bytes) -> bytes:
        """Return what is written up to some bytes."""
        while end not in self.seen:
            assert select.select([self._line], [], [], 60)[0], self.seen
            self.seen += os.read(self._line, 65536)
        found, _, self.seen = self.seen.partition(end)
        return found

    def type(self, text: bytes) -> None:
        os.write(self._line, text)

    def end(self) -> int:
        code = self.process.wait(60)
        os.close(self._line)
        return code


PROMPT = b"\x1b[?2004h\r\x1b[K> \r\x1b[2C"


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_the_newer_terminal_edits_lines_as_rustyline_does(models: Path) -> None:
    chat = Typist("run", *model_words(models), "--mode", "echo")
    chat.until(PROMPT)
    chat.type(b"\x1b[200~one\rtwo\x1b[201~\r")
    assert b"one\r\ntwo\r\n\x1b[?2004lone\r\ntwo\r\n\r\nStats:" in chat.until(PROMPT), "two lines are one message"
    chat.type(b"ab\x7fc\x1b[Dx\r")
    assert b"\x1b[?2004laxc\r\n" in chat.until(PROMPT)
    chat.type(b"\x1b[A\r")
    assert b"\x1b[?2004laxc\r\n" in chat.until(PROMPT), "the last line again"
    chat.type(b"/exit\r")
    assert chat.end() == 0


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("key", [b"\x03", b"\x04"])
def test_the_newer_terminal_ends_at_the_prompt(models: Path, key: bytes) -> None:
    chat = Typist("run", *model_words(models), "--mode", "echo", "--inter-token-latency", "30s")
    chat.until(PROMPT)
    if key == b"\x03":
        chat.type(b"one two three four five\r")
        chat.until(b"\x1b[?2004lone")
        chat.type(key)
        assert b" two three\r\n\r\nStats:" in chat.until(PROMPT), "two tokens more, and the statistics"
    chat.type(key)
    assert chat.end() == 0


def test_one_shot(mistralrs: Run, models: Path) -> None:
    done = mistralrs("run", *model_words(models), "--scenario", "capitals", "-i", "What is the capital of France?")
    assert done.returncode == 0
    assert "\nThe capital of France is Paris.\n\nStats:\n" in done.stdout
    assert "> " not in done.stdout.partition("Stats:")[2]


def test_images_are_looked_at(mistralrs: Run, models: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n")
    (tmp_path / "b.png").write_bytes(b"text")
    typed = [f"what is {tmp_path}/a.png", f"what is {tmp_path}/b.png", f"what is {tmp_path}/c.jpg", "plain", "\\exit"]
    words = ["-i", "vision-plain", "-m", str(models / "plain"), "--mode", "echo"]
    done = mistralrs(*words, text="\n".join(typed))
    answers = done.stdout.split("\n> ")[1:]
    assert "Stats:" in answers[0]
    assert answers[1].endswith(f"Failed to read image from URL/path {tmp_path}/b.png: no image format")
    assert answers[2].endswith(f"Failed to read image from URL/path {tmp_path}/c.jpg: No such file or directory")
    assert "Stats:" in answers[3]


def test_end_of_input_leaves(mistralrs: Run, models: Path) -> None:
    done = mistralrs("run", *model_words(models), text="")
    assert (done.returncode, done.stdout[-2:]) == (0, "=\n")
