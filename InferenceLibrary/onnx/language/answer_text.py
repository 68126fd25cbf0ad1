"""The text of an answer while it grows: whole characters only, and nothing of a stop string."""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from InferenceLibrary.onnx.language.tokenizer import Tokenizer


class AnswerText:
    """Takes tokens, gives text that will not be taken back.

    Bytes of a character that is not complete, and an end of the text that may be the beginning of a stop string, are
    held until more has come.
    """

    def __init__(self, tokenizer: Tokenizer, stops: Sequence[str] = ()) -> None:
        self._tokenizer = tokenizer
        self._stops = [stop for stop in stops if stop]
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self.text = ""
        self.stopped_by = ""

    def push(self, token: int) -> str:
        """Take a token and return the text that is now certain; `stopped_by` says whether a stop string has come."""
        return self._take(self._decoder.decode(self._tokenizer.bytes_of(token)), last=False)

    def finish(self) -> str:
        """Return what is still held: the answer has ended."""
        return "" if self.stopped_by else self._take(self._decoder.decode(b"", True), last=True)

    def _take(self, more: str, *, last: bool) -> str:
        whole = self._held + more
        places = [(place, stop) for stop in self._stops if (place := whole.find(stop)) >= 0]
        if places:
            end, self.stopped_by = min(places)
            kept, self._held = whole[:end], ""
        else:
            end = len(whole) if last else len(whole) - self._beginning(whole)
            kept, self._held = whole[:end], whole[end:]
        self.text += kept
        return kept

    def _beginning(self, text: str) -> int:
        """How many of the last characters may begin a stop string."""
        longest = 0
        for stop in self._stops:
            for length in range(min(len(stop) - 1, len(text)), longest, -1):
                if text.endswith(stop[:length]):
                    longest = length
                    break
        return longest
