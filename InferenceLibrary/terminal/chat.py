"""A chat in a terminal: questions typed at a prompt, answers read from what the program writes."""

from __future__ import annotations

import bisect
import contextlib
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from InferenceLibrary.deadline import Deadline, wait_until
from InferenceLibrary.errors import ProfileError, TerminalError, describe
from InferenceLibrary.terminal.answer import TerminalAnswer
from InferenceLibrary.terminal.recording import Output, plain_text
from InferenceLibrary.terminal.screen import Screen
from InferenceLibrary.terminal.session import Terminal

_QUIET = 0.3
"""Seconds of silence that make a prompt where no line marks the end of an answer: a model may write `> ` too."""
_FIRST_SIGN = 10.0
"""Seconds that the first output after typing may take on a busy machine."""
_UNSEEN = 1.0
"""The same, where none came for what was typed before."""
_WHOLE = 2.0
"""Seconds from there until all that is typed is shown; a program may show it in another form."""
_LOOK = 0.005


@dataclass(frozen=True)
class ChatStyle:
    """How a program chats in a terminal.

    Attributes:
        prompt: Regular expression that is found at the end of the last line when the program waits for a question;
            blanks after it do not matter.
        answer_end: Regular expression for where an answer ends, such as a line of statistics; None: at the next prompt.
        quit_command: What is typed to leave.
        quit_keys: Keys that leave at the prompt.
        interrupt_keys: Keys that stop an answer.
        continuation: What is typed before Enter to go on on the next line; None where a question has one line.
        commands: What is typed for which purpose, such as `help` and `clear`.
    """

    prompt: str = r"^> "
    answer_end: str | None = None
    quit_command: str = "/exit"
    quit_keys: tuple[str, ...] = ("Ctrl+D",)
    interrupt_keys: tuple[str, ...] = ("Ctrl+C",)
    continuation: str | None = None
    commands: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("prompt", "answer_end"):
            try:
                re.compile(getattr(self, name) or "")
            except re.error as error:
                raise ProfileError(f"Chat style: '{name}' is not a regular expression: {error}.") from None
        if not self.prompt.strip():
            raise ProfileError("Chat style: the prompt is empty: expected a pattern such as 'you>'.")

    def waits_at(self, line: str) -> bool:
        """Whether the program waits for a question when this is what stands in the line of the cursor."""
        return re.search(rf"(?:{self.prompt})\s*\Z", line) is not None

    def near_miss(self, screen: Screen) -> str | None:
        """Say why a prompt that can be seen is not one at which the program waits; None when there is none."""
        rows = list(enumerate(screen.text.split("\n"), 1))
        for number, row in reversed(rows):
            match = re.search(self.prompt.rstrip(), row)
            if match is None or not match[0]:
                continue
            if number != screen.cursor.row + 1:
                return f"it stands in row {number}, and the cursor in row {screen.cursor.row + 1}"
            after = row[match.end() :].rstrip()
            return f"after it the line goes on with {after[:60]!r}" if after else "the cursor stands before its end"
        for number, row in reversed(rows):
            match = re.search(self.prompt.rstrip(), row, re.IGNORECASE)
            if match is not None and match[0]:
                return f"it is written {match[0]!r} in row {number}: upper and lower case differ"
        return None


class ChatTerminal(Terminal):
    """A terminal whose program is chatted with.

    Args:
        command: The program and its arguments.
        style: How it chats.
        timeout: Seconds until the first prompt is there.
        options: As for `Terminal`.

    Raises:
        TerminalError: The prompt did not come; also what `Terminal` raises.
    """

    def __init__(self, command: Sequence[str], style: ChatStyle, *, timeout: float = 30.0, **options: Any) -> None:
        self.style = style
        self._events: list[Output] = []
        self._shows_nothing = False
        """Whether nothing came when something was typed."""
        super().__init__(command, **options)
        try:
            self.wait_for_prompt(timeout=timeout)
        except TerminalError:
            with contextlib.suppress(TerminalError):
                # Beside the recording, which the caller has: the terminal itself is gone.
                self.screenshot(self.recording.with_suffix(".svg"))
            self.close()
            raise
        except BaseException:
            self.close()
            raise

    def wait_for_prompt(self, *, timeout: float) -> Screen:
        """Wait until the program waits for a question.

        Raises:
            TerminalError: It does not, or it has ended.
        """
        deadline = Deadline(timeout)
        ready = ended = False

        def settled() -> bool:
            nonlocal ready, ended
            self._collect()
            screen = self.screen()
            ended = screen.ended
            ready = self.style.waits_at(screen.before_cursor) or self._at_prompt(self._stream())
            return ended or ready

        wait_until(settled, deadline, longest=0.02)
        if ended or not ready:
            raise self.error(
                "No prompt came",
                expected=self._wanted(timeout),
                got="the program's end" if ended else "this screen",
                after=deadline.elapsed,
                hint=None if ended else self._prompt_hint(),
            )
        return self.screen()

    def ask(self, question: str, *, timeout: float = 60.0, interrupt_after: int | None = None) -> TerminalAnswer:
        """Type a question, press Enter, and return the answer when the next prompt is there.

        Args:
            question: The question. More than one line needs a style with a `continuation`.
            timeout: Seconds that the answer may take.
            interrupt_after: Press the interrupt keys as soon as the answer has so many characters.

        Raises:
            TerminalError: The answer did not end in time, or the program ended.
        """
        self._type_question(question)
        self._collect()
        self._events.clear()
        asked = time.monotonic()
        self.press_keys("Enter")
        deadline = Deadline(timeout)
        interrupted = False
        ended = False

        def answered() -> bool:
            nonlocal interrupted, ended
            new = self._collect()
            stream = self._stream()
            if new and interrupt_after is not None and not interrupted:
                body, found, _ = self._parts(stream)
                if not found and len(body.strip()) >= interrupt_after:
                    self.press_keys(*self.style.interrupt_keys)
                    interrupted = True
            if self._finished(stream, interrupted=interrupted, now=time.monotonic()):
                return True
            ended = not new and self.screen().ended
            return ended

        done = wait_until(answered, deadline, first=_LOOK, longest=_LOOK)
        stream = self._stream()
        if ended or not done:
            expected = f"its end within {timeout:g} s"
            what = "The program ended while it answered" if ended else "The answer did not end"
            body = self._parts(stream)[0].strip()
            got = f"{len(body)} characters without an end" if body else "no text"
            self.screen()
            raise self.error(
                what, expected=expected, got=got, after=deadline.elapsed, hint=None if ended else self._prompt_hint()
            )
        body, _, statistics = self._parts(stream)
        if interrupted:
            body = body.rstrip().removesuffix("^C")  # the terminal's echo of the key
        first, last = self._times(body, asked)
        return TerminalAnswer(
            question=question,
            text=self.redactor(body.strip()),
            time_to_first_token=first,
            elapsed=last,
            statistics=self.redactor(statistics.strip()),
            interrupted=interrupted,
            screen=self.screen(),
        )

    def enter(self, name: str, *words: str, timeout: float = 10.0) -> str:
        """Enter a command of the chat and return what the program writes before its next prompt, or before it ends.

        Args:
            name: A purpose that the style has a command for, or the command as it is typed, such as `/help`.
            words: What follows the command.
            timeout: Seconds until the prompt is back.

        Raises:
            TerminalError: The command does not exist, or the prompt did not come back.
        """
        command = self.style.commands.get(name, name)
        if command[:1].isalnum() and name not in self.style.commands:
            raise self.error(
                f"This chat has no command '{name}'",
                expected=f"one of {', '.join(sorted(self.style.commands)) or 'none'}, or the command as it is typed",
            )
        self._type_line(" ".join([command, *words]))
        self._collect()
        self._events.clear()
        self.press_keys("Enter")
        deadline = Deadline(timeout)
        ended = False

        def answered() -> bool:
            nonlocal ended
            new = self._collect()
            stream = self._stream()
            silent_for = time.monotonic() - (self._events[-1].time if self._events else 0.0)
            if self._at_prompt(stream) and silent_for >= _QUIET:
                return True
            ended = not new and self.screen().ended
            return ended

        if not wait_until(answered, deadline, first=_LOOK, longest=_LOOK):
            self.screen()
            raise self.error(
                f"The prompt did not come back after '{command}'",
                expected=self._wanted(timeout),
                got="this screen",
                after=deadline.elapsed,
                hint=self._prompt_hint(),
            )
        text = plain_text(self._stream()).removeprefix("\n")
        head, _, last_line = text.rpartition("\n")
        return self.redactor((head if self.style.waits_at(last_line) else text).strip())

    def leave(self, *, timeout: float = 10.0, keys: bool = False) -> Screen:
        """Leave the chat by its command (or its keys) and return the last screen, with the exit code.

        Raises:
            TerminalError: The program did not end.
        """
        if not self.screen().ended:
            if keys:
                self.press_keys(*self.style.quit_keys)
            else:
                self.type_text(self.style.quit_command)
                self.press_keys("Enter")
        return self.wait_exit(timeout=timeout)

    def _type_question(self, question: str) -> None:
        lines = question.split("\n")
        if len(lines) > 1 and self.style.continuation is None:
            raise TerminalError(
                describe(
                    "The question cannot be typed",
                    expected="one line",
                    got=f"{len(lines)} lines",
                    hint="The chat style names no continuation",
                )
            )
        for line in lines[:-1]:
            self._type_line(f"{line}{self.style.continuation}")
            self.press_keys("Enter")
        self._type_line(lines[-1])

    def _type_line(self, line: str) -> None:
        """Type and wait until the program shows it, so that what comes after Enter is the answer."""
        self._collect()
        self._events.clear()
        self.type_text(line)
        wanted = "".join(line.split())
        if not wanted:
            return
        deadline = Deadline(_UNSEEN if self._shows_nothing else _FIRST_SIGN)

        def settled() -> bool:
            nonlocal deadline
            first = not self._events
            if self._collect():
                deadline = Deadline(_WHOLE) if first else deadline
            elif self.screen().ended:
                return True
            return deadline.expired or wanted in "".join(plain_text(self._stream()).split())

        wait_until(settled, _FIRST_SIGN + _WHOLE, first=0.001, longest=_LOOK)
        self._shows_nothing = not self._events

    def _collect(self) -> bool:
        new = self.output.read()
        self._events.extend(new)
        return bool(new)

    def _stream(self) -> str:
        return "".join(event.data for event in self._events)

    def _at_prompt(self, stream: str) -> bool:
        return self.style.waits_at(plain_text(stream).rpartition("\n")[2])

    def _wanted(self, timeout: float) -> str:
        return f"/{self.style.prompt}/ at the end of the cursor's line within {timeout:g} s"

    def _prompt_hint(self) -> str:
        miss = self.style.near_miss(self.screen())
        if miss is not None:
            return f"the prompt can be seen, but {miss}"
        return "the pattern is found nowhere on the screen; give the program's own prompt with prompt=..."

    def _finished(self, stream: str, *, interrupted: bool, now: float) -> bool:
        if not self._at_prompt(stream):
            return False
        if self.style.answer_end is not None and self._parts(stream)[1]:
            return True
        silent_for = now - (self._events[-1].time if self._events else 0.0)
        return (self.style.answer_end is None or interrupted) and silent_for >= _QUIET

    def _parts(self, stream: str) -> tuple[str, bool, str]:
        """Split what came after Enter: the answer, whether its end was marked, what follows before the prompt."""
        text = plain_text(stream).removeprefix("\n")
        head, newline, last_line = text.rpartition("\n")
        if self.style.waits_at(last_line):
            text = head if newline else ""
        match = re.search(self.style.answer_end, text, re.MULTILINE) if self.style.answer_end is not None else None
        return (text, False, "") if match is None else (text[: match.start()], True, text[match.start() :])

    def _times(self, body: str, asked: float) -> tuple[float | None, float]:
        """Seconds from Enter to the first and to the last text of the answer."""
        length = len("".join(body.split()))

        def visible(count: int) -> int:
            return len("".join(plain_text("".join(event.data for event in self._events[:count])).split()))

        def when(characters: int) -> float:
            index = bisect.bisect_left(range(1, len(self._events) + 1), characters, key=visible)
            return max(0.0, self._events[min(index, len(self._events) - 1)].time - asked)

        return (when(1), when(length)) if length else (None, 0.0)
