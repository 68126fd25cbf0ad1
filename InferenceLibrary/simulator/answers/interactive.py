"""A chat in the terminal, in the manner of `mistralrs-server -i`: plain lines, edited by the terminal itself."""

from __future__ import annotations

import sys
from time import monotonic
from typing import TYPE_CHECKING, Any

from InferenceLibrary.deadline import wait_until
from InferenceLibrary.simulator.answers.engine import Engine, Output
from InferenceLibrary.simulator.answers.latency import Latency
from InferenceLibrary.simulator.answers.openai_requests import Ask
from InferenceLibrary.simulator.answers.tokens import count_tokens
from InferenceLibrary.simulator.core.api_errors import ApiError

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.settings import Settings

_RULE = "=" * 20
_COMMANDS = {
    "help": "Show this help.",
    "exit": "Leave.",
    "system <message>": "Set the system message; without one, remove it.",
    "clear": "Forget the conversation.",
    "temperature <number>": "Set the sampling temperature, 0 to 2.",
    "topk <number>": "Set top-k, at least 1.",
    "topp <number>": "Set top-p, above 0 and up to 1.",
}


class TerminalChat:
    """One conversation. `mark` begins a command: a backslash in the older generation, a slash in the newer."""

    def __init__(
        self,
        settings: Settings,
        scenario: Any = None,
        mark: str = "\\",
        first_label: str = "Time to first token",
    ) -> None:
        self._settings = settings
        self._mark = mark
        self._first_label = first_label
        self._engine = Engine(settings)
        self._latency = Latency(settings)
        self._scenario = scenario
        self._messages: list[dict[str, str]] = []
        self._system = ""
        self._temperature: float | None = None
        self.tokens_after_interruption: int | None = None
        """How many tokens come after Ctrl+C, with the statistics; None: the answer ends at once, without them."""

    def run(self) -> int:
        """Talk until the end of the input, Ctrl+C at the prompt or the exit command; return 0."""
        self._write(
            f"{_RULE}\nWelcome to interactive mode! Because this model is a text model, you can enter prompts.\n"
        )
        self._write(f"Commands: {', '.join(self._mark + name.split()[0] for name in _COMMANDS)}\n{_RULE}\n")
        while True:
            try:
                line = self._read()
            except KeyboardInterrupt:
                self._write("\n")
                return 0
            if line is None:
                self._write("\n")
                return 0
            if not line.strip():
                continue
            if line.startswith(self._mark):
                if not self._command(line[len(self._mark) :].strip()):
                    return 0
                continue
            try:
                self.answer(line)
            except KeyboardInterrupt:
                self._write("\n")
            except ApiError as error:
                # A pattern of the scenario was given up. The question is not part of the conversation.
                self._messages.pop()
                self._write(f"Error: {error.message}\n")

    def _read(self) -> str | None:
        """Return a line; a backslash at its end continues it on the next."""
        self._write("> ")
        lines: list[str] = []
        while True:
            line = sys.stdin.readline()
            if not line:
                return "\n".join(lines) if lines else None
            line = line.rstrip("\r\n")
            if line.endswith("\\") and line != "\\":
                lines.append(line[:-1])
                continue
            return "\n".join([*lines, line])

    def _command(self, text: str) -> bool:
        """Do a command; return false to leave."""
        name, _, rest = text.partition(" ")
        rest = rest.strip()
        if name == "exit":
            return False
        if name == "help":
            width = max(map(len, _COMMANDS))
            self._write("".join(f"{self._mark}{usage:<{width}}  {help_}\n" for usage, help_ in _COMMANDS.items()))
        elif name == "clear":
            self._messages.clear()
            self._write("Cleared the conversation.\n")
        elif name == "system":
            self._system = rest
            self._write("Set the system message.\n" if rest else "Removed the system message.\n")
        elif name in {"temperature", "topk", "topp"}:
            self._sampling(name, rest)
        else:
            self._write(f"Error: unknown command {self._mark}{name}; {self._mark}help lists the commands.\n")
        return True

    def _sampling(self, name: str, text: str) -> None:
        try:
            value = float(text)
        except ValueError:
            self._write(f"Error: {self._mark}{name} needs a number, got '{text}'.\n")
            return
        fits = {"temperature": 0 <= value <= 2, "topk": value >= 1 and value == int(value), "topp": 0 < value <= 1}
        if not fits[name]:
            limits = {"temperature": "from 0 to 2", "topk": "a whole number from 1", "topp": "above 0 and up to 1"}
            self._write(f"Error: {self._mark}{name} must be {limits[name]}, got {text}.\n")
            return
        if name == "temperature":
            self._temperature = value
        self._write(f"Set {name} to {value:g}.\n")

    def answer(self, text: str) -> None:
        """Answer one text, token by token, with the statistics below."""
        self._messages.append({"role": "user", "content": text})
        system = [{"role": "system", "content": self._system}] if self._system else []
        texts = [message["content"] for message in (*system, *self._messages)]
        prompt_tokens = sum(map(count_tokens, texts))
        output, first, gap = self._generate(text, texts, prompt_tokens)
        begin = due = monotonic()
        due += first
        shown: list[str] = []
        times: list[float] = []
        arrived = begin
        complete = False
        try:
            try:
                for place, token in enumerate(output.tokens):
                    if place:
                        due += gap
                    self._wait(due - monotonic())
                    if not place:
                        arrived = monotonic()
                    # Noted first: an interruption may come when it is written and not yet noted.
                    shown.append(token)
                    times.append(monotonic())
                    self._write(token)
                complete = True
            except KeyboardInterrupt:
                if self.tokens_after_interruption is None:
                    raise
                for token in output.tokens[len(shown) :][: self.tokens_after_interruption]:
                    shown.append(token)
                    times.append(monotonic())
                    self._write(token)
        finally:
            self._messages.append({"role": "assistant", "content": "".join(shown)})
            self._write_truth(begin, shown, times, "completed" if complete else "cancelled")
        end = monotonic()
        prefill, decode = max(arrived - begin, 1e-6), max(end - arrived, 1e-6)
        rate = (len(shown) - 1) / decode if len(shown) > 1 else 0.0
        self._write(
            f"\n\nStats:\n{self._first_label}: {prefill:.2f}s\n"
            f"Prompt: {prompt_tokens} tokens, {prompt_tokens / prefill:.2f} T/s\n"
            f"Decode: {len(shown)} tokens, {rate:.2f} T/s\n{self._sampling_line()}\n"
        )

    def _write_truth(self, begin: float, tokens: list[str], times: list[float], outcome: str) -> None:
        if not self._settings.truth_file:
            return
        import json

        record = {"path": "-i", "received": begin, "ended": monotonic(), "outcome": outcome, "status": 200}
        with open(self._settings.truth_file, "a", encoding="utf-8") as file:  # noqa: PTH123
            file.write(json.dumps({**record, "tokens": times, "texts": tokens}) + "\n")

    def _sampling_line(self) -> str:
        if self._mark == "\\":
            return ""
        temperature = "default" if self._temperature is None else f"{self._temperature:g}"
        return f"Sampling: temperature {temperature}\n"

    def _generate(self, text: str, texts: list[str], prompt_tokens: int) -> tuple[Output, float, float]:
        settings = self._settings
        limit = max(1, settings.max_model_len - prompt_tokens)
        first, gap = self._latency.first(prompt_tokens, 1), self._latency.gap(1)
        ask = Ask(settings.model, ["\n".join(texts)], prompt_tokens, text, temperature=self._temperature)
        if self._scenario is not None:
            data = {"model": settings.model, "messages": self._messages}
            script = self._scenario.find("/v1/chat/completions", {}, data)
            if script is not None and script.answers:
                first = first if script.first is None else script.first
                return script.output(ask, limit), first, gap if script.gap is None else script.gap
        return self._engine.generate(ask, ask.prompts[0], 0, limit), first, gap

    @staticmethod
    def _wait(seconds: float) -> None:
        if seconds > 0:
            wait_until(lambda: False, seconds, first=seconds, longest=seconds)

    @staticmethod
    def _write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def chat_in_terminal(settings: Settings, scenario: Any = None) -> int:
    """Run the chat, with the answers of a scenario where it has some; return the exit code."""
    for stream in (sys.stdin, sys.stdout):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="replace")
    if settings.truth_file:
        try:
            with open(settings.truth_file, "a", encoding="utf-8"):  # noqa: PTH123
                pass
        except OSError as error:
            sys.stderr.write(
                f"inference-simulator: error: --truth-file: cannot write '{settings.truth_file}': {error.strerror}\n"
            )
            return 1
    try:
        return TerminalChat(settings, scenario).run()
    except BrokenPipeError:
        # The reader has gone; Python would complain once more when it closes stdout.
        sys.stdout = None
        return 0
