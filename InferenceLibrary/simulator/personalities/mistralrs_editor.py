"""A line of a terminal that is edited as rustyline has it: history, bracketed paste, what it writes."""

from __future__ import annotations

import codecs
import os
import sys
import unicodedata

_PASTE_BEGINS, _PASTE_ENDS = "\x1b[200~", "\x1b[201~"
_TAKES_PASTES, _TAKES_NO_PASTES = "\x1b[?2004h", "\x1b[?2004l"
_LONGEST_ESCAPE = 8


def prompts() -> bool:
    """Whether somebody types: in a pipe there is no prompt."""
    return sys.stdin.isatty() and sys.stdout.isatty()


class Editor:
    """Reads lines.

    Args:
        prompt: What stands before each.
    """

    def __init__(self, prompt: str = "> ") -> None:
        self._prompt = prompt
        self._history: list[str] = []
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._waiting: list[str] = []
        """Characters that came with those before them."""
        self._text: list[str] = []
        self._cursor = 0

    def read(self) -> str | None:
        """Return a line, or several that were pasted; None at the end of the input.

        Raises:
            KeyboardInterrupt: Ctrl+C was pressed.
        """
        if not prompts():
            line = sys.stdin.readline()
            return line.rstrip("\r\n") if line else None
        try:
            import termios
        except ImportError:  # Windows: the terminal edits the line itself
            self._write(self._prompt)
            line = sys.stdin.readline()
            return line.rstrip("\r\n") if line else None
        before = termios.tcgetattr(0)
        raw = termios.tcgetattr(0)
        raw[0] &= ~(termios.ICRNL | termios.IXON)
        raw[3] &= ~(termios.ICANON | termios.ECHO | termios.ISIG | termios.IEXTEN)
        termios.tcsetattr(0, termios.TCSADRAIN, raw)
        try:
            self._write(_TAKES_PASTES)
            return self._edit()
        finally:
            self._write(_TAKES_NO_PASTES)
            termios.tcsetattr(0, termios.TCSADRAIN, before)

    def _edit(self) -> str | None:
        self._text, self._cursor = [], 0
        place = len(self._history)
        self._draw()
        while True:
            key = self._key()
            if key in {"\r", "\n"}:
                self._write("\n")
                text = "".join(self._text)
                if text.strip():
                    self._history.append(text)
                return text
            if key == "\x03":
                raise KeyboardInterrupt
            if key == "" or (key == "\x04" and not self._text):
                return None
            if key in {"\x1b[A", "\x1b[B"}:
                place = max(0, place - 1) if key == "\x1b[A" else min(len(self._history), place + 1)
                self._text = list(self._history[place]) if place < len(self._history) else []
                self._cursor = len(self._text)
                self._draw()
            elif key == _PASTE_BEGINS:
                self._insert(self._pasted())
            else:
                self._edited_by(key)

    def _edited_by(self, key: str) -> None:
        moves = {"\x1b[D": self._cursor - 1, "\x1b[C": self._cursor + 1, "\x01": 0, "\x05": len(self._text)}
        if key in moves:
            self._cursor = min(max(0, moves[key]), len(self._text))
        elif key in {"\x7f", "\x08"} and self._cursor:
            self._cursor -= 1
            del self._text[self._cursor]
        elif key == "\x15":
            del self._text[: self._cursor]
            self._cursor = 0
        elif key == "\x0b":
            del self._text[self._cursor :]
        elif key >= " " and not key.startswith("\x1b"):
            self._insert(key)
            return
        self._draw()

    def _insert(self, text: str) -> None:
        at_the_end = self._cursor == len(self._text)
        self._text[self._cursor : self._cursor] = text
        self._cursor += len(text)
        if at_the_end:
            self._write(text)
        else:
            self._draw()

    def _draw(self) -> None:
        shown = "".join(self._text)
        column = _width(self._prompt) + _width("".join(self._text[: self._cursor]))
        self._write(f"\r\x1b[K{self._prompt}{shown}\r\x1b[{column}C")

    def _pasted(self) -> str:
        text = ""
        while not text.endswith(_PASTE_ENDS):
            piece = self._character()
            if not piece:
                return text
            text += piece
        return text.removesuffix(_PASTE_ENDS).replace("\r\n", "\n").replace("\r", "\n")

    def _key(self) -> str:
        """Return a character or the escape of a key; empty at the end of the input."""
        key = self._character()
        if key != "\x1b":
            return key
        while len(key) < _LONGEST_ESCAPE and not (len(key) > 2 and "@" <= key[-1] <= "~"):
            key += self._character() or "~"
        return key

    def _character(self) -> str:
        while not self._waiting:
            data = os.read(0, 4096)
            if not data:
                return ""
            self._waiting += self._decode(data)
        return self._waiting.pop(0)

    @staticmethod
    def _write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def _width(text: str) -> int:
    """Return the columns of a text."""
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1 for one in text
    )
