"""An answer in a terminal. Light: keywords name it in their arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from InferenceLibrary.terminal.screen import Screen


class TerminalAnswer:
    """An answer in a terminal.

    Attributes:
        question: What was asked.
        text: The answer, unwrapped, without the prompt and the lines that mark its end.
        time_to_first_token: Seconds from Enter to the first text of the answer; None for an empty one.
        elapsed: Seconds from Enter to the last text of the answer.
        statistics: What the program wrote between the answer and the next prompt.
        interrupted: Whether the answer was stopped by us.
        screen: What the terminal showed then.
    """

    # Written out: it is on the way of the library's import, where a dataclass costs as much as five classes.
    def __init__(
        self,
        question: str,
        text: str,
        time_to_first_token: float | None,
        elapsed: float,
        statistics: str,
        interrupted: bool,
        screen: Screen,
    ) -> None:
        self.question = question
        self.text = text
        self.time_to_first_token = time_to_first_token
        self.elapsed = elapsed
        self.statistics = statistics
        self.interrupted = interrupted
        self.screen = screen

    def __str__(self) -> str:
        shown = " ".join(self.text.split())
        shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
        first = f", first text after {self.time_to_first_token:.3f} s" if self.time_to_first_token is not None else ""
        return f"'{shown}' after {self.elapsed:.3f} s{first}{', interrupted' if self.interrupted else ''}"

    __repr__ = __str__
