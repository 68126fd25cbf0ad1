"""The log probabilities of one choice, checked token by token as they come, in the forms of chats and completions."""

from __future__ import annotations

import math
from typing import Any

from InferenceLibrary.protocol.rules.views import Place, Sightings
from InferenceLibrary.protocol.strict_json import show

SHAPE, LOGPROB, BYTES, TOP = "shape", "logprob", "bytes", "alternatives"
"""What is wrong with a token: it lacks something, its number, its bytes, its list of alternatives."""
OTHER_BYTES = "other bytes"
TWICE, SUM = "twice", "sum"
OFFSET = "text offset"

SUM_AT_MOST = 1.001
"""Probabilities of alternatives may add up to this much: servers round them."""
ABOVE = 1e-6
"""A log probability may be this far above zero: half precision rounds."""
LOWEST = -1e300
"""No float is so low: an integer that long cannot be read as one."""
UNKNOWN = "\ufffd"


class LogprobTrack:
    """The tokens of one choice."""

    __slots__ = ("_joined", "count", "joinable", "last_offset", "most", "nulls", "odd")

    def __init__(self) -> None:
        self.count = 0
        """Tokens."""
        self.nulls = 0
        """Tokens without a probability, as the first one of an echoed prompt."""
        self.odd: Sightings[tuple[str, str]] = Sightings()
        """What is wrong: a word of this module, and what was found."""
        self.joinable = True
        """Whether the bytes of every token are known."""
        self.most = 0
        """The most alternatives of a token."""
        self.last_offset: int | None = None
        self._joined = bytearray()

    @property
    def joined(self) -> bytes:
        """The bytes of all tokens."""
        return bytes(self._joined)

    def take(self, place: Place, logprobs: Any, lists: bool) -> None:
        """Take the `logprobs` of a choice, which is not null; `lists`: the form of completions is due."""
        if not isinstance(logprobs, dict):
            self._note(place, SHAPE, f"logprobs are {show(logprobs)}")
            return
        has_lists = "tokens" in logprobs or "token_logprobs" in logprobs
        if lists != has_lists:
            self._note(place, SHAPE, f"the form of {'chats' if lists else 'completions'}: {show(logprobs)}")
        if has_lists:
            self._take_lists(place, logprobs)
        else:
            # Those of a refusal stand beside those of the content.
            for name in ("content", "refusal"):
                entries = logprobs.get(name)
                if isinstance(entries, list):
                    for entry in entries:
                        self._take_entry(place, entry)
                elif entries is not None:
                    self._note(place, SHAPE, f"{name} is {show(entries)}")

    def take_sound(self, joined: bytes, count: int, most: int) -> None:
        """Take tokens in which nothing is odd: their bytes, their count, the most alternatives of one."""
        self._joined += joined
        self.count += count
        self.most = max(self.most, most)

    def _note(self, place: Place, kind: str, got: str) -> None:
        self.odd.add(place, (kind, got))

    def _take_entry(self, place: Place, entry: Any) -> None:
        self.count += 1
        if not isinstance(entry, dict):
            self.joinable = False
            self._note(place, SHAPE, f"a token is {show(entry)}")
            return
        token = self._check(place, entry, "a token")
        self._join(token, entry.get("bytes"))
        top = entry.get("top_logprobs")
        if isinstance(top, list):
            self._take_top(place, top)
        else:
            self._note(place, TOP, f"the alternatives of {show(token)} are {_shown(entry, 'top_logprobs')}")

    def _check(self, place: Place, entry: dict[str, Any], what: str) -> str | None:
        """Check a token or an alternative; return its text."""
        token, number, data = entry.get("token"), entry.get("logprob"), entry.get("bytes")
        if not isinstance(token, str):
            self._note(place, SHAPE, f"the text of {what} is {_shown(entry, 'token')}")
        if not is_logprob(number):
            self._note(place, LOGPROB, f"that of {show(token)} is {_shown(entry, 'logprob')}")
        if "bytes" not in entry or not (data is None or _is_bytes(data)):
            self._note(place, BYTES, f"those of {show(token)} are {_shown(entry, 'bytes')}")
        elif data is not None and isinstance(token, str) and not _belong(token, bytes(data)):
            self._note(place, OTHER_BYTES, f"the bytes {data} for {show(token)}")
        return token if isinstance(token, str) else None

    def _take_top(self, place: Place, top: list[Any]) -> None:
        self.most = max(self.most, len(top))
        total = 0.0
        seen: set[Any] = set()
        for other in top:
            if not isinstance(other, dict):
                self._note(place, SHAPE, f"an alternative is {show(other)}")
                continue
            token = self._check(place, other, "an alternative")
            number: Any = other.get("logprob")
            data: Any = other.get("bytes")
            if is_logprob(number):
                total += math.exp(number)
            same: Any = bytes(data) if _is_bytes(data) else token
            # Tokens without a text, such as ends of turns, and parts of characters are not told apart by it.
            if same and not (isinstance(same, str) and UNKNOWN in same):
                if same in seen:
                    self._note(place, TWICE, f"{show(token)} twice")
                seen.add(same)
        if not total <= SUM_AT_MOST:
            self._note(place, SUM, f"probabilities of {len(top)} alternatives that add up to {total:.4f}")

    def _take_lists(self, place: Place, logprobs: dict[str, Any]) -> None:
        """The form of completions: lists side by side; alternatives as objects of text and number."""
        lists: dict[str, list[Any]] = {}
        for name in ("tokens", "token_logprobs", "top_logprobs", "text_offset"):
            given = logprobs.get(name)
            if isinstance(given, list):
                lists[name] = given
            elif given is not None or name in {"tokens", "token_logprobs"}:
                self._note(place, SHAPE, f"{name} is {_shown(logprobs, name)}")
        tokens = lists.get("tokens", [])
        for name, given in lists.items():
            if len(given) != len(tokens):
                self._note(place, SHAPE, f"{len(given)} {name} for {len(tokens)} tokens")
        for token in tokens:
            self.count += 1
            if not isinstance(token, str):
                self._note(place, SHAPE, f"a token is {show(token)}")
            self._join(token, None)
        for number in lists.get("token_logprobs", []):
            if number is None and not self.nulls:
                self.nulls += 1
            elif not is_logprob(number):
                self._note(place, LOGPROB, f"one is {show(number)}")
        for top in lists.get("top_logprobs", []):
            self._take_named(place, top)
        self._take_offsets(place, lists.get("text_offset", []))

    def _take_named(self, place: Place, top: Any) -> None:
        if top is None:
            return
        if not isinstance(top, dict):
            self._note(place, TOP, f"those of a token are {show(top)}")
            return
        self.most = max(self.most, len(top))
        total = 0.0
        for token, number in top.items():
            if is_logprob(number):
                total += math.exp(number)
            else:
                self._note(place, LOGPROB, f"that of {show(token)} is {show(number)}")
        if not total <= SUM_AT_MOST:
            self._note(place, SUM, f"probabilities of {len(top)} alternatives that add up to {total:.4f}")

    def _take_offsets(self, place: Place, offsets: list[Any]) -> None:
        for offset in offsets:
            if type(offset) is not int or offset < (self.last_offset or 0):
                self._note(place, OFFSET, f"{show(offset)} after {self.last_offset}")
                return
            self.last_offset = offset

    def _join(self, token: Any, data: Any) -> None:
        if _is_bytes(data):
            self._joined += bytes(data)
        elif isinstance(token, str) and UNKNOWN not in token and not token.startswith("bytes:\\x"):
            self._joined += token.encode("utf-8", "surrogatepass")
        else:
            self.joinable = False


def is_logprob(value: Any) -> bool:
    """Whether it is a finite number that is not above zero."""
    if type(value) is not float and type(value) is not int:
        return False
    return LOWEST < value <= ABOVE


def _is_bytes(value: Any) -> bool:
    return isinstance(value, list) and all(type(one) is int and 0 <= one < 256 for one in value)


def _belong(token: str, data: bytes) -> bool:
    """Whether bytes are those of a token. A part of a character has no text: servers write it in many ways."""
    try:
        return data.decode("utf-8") == token
    except UnicodeDecodeError:
        return True


def _shown(holder: dict[str, Any], name: str) -> str:
    return show(holder[name]) if name in holder else "missing"
