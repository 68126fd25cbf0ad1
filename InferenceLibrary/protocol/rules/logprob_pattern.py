"""Log probabilities known at sight: those that have the keys of one that was read before, and nothing odd.

They are read by a reader that is made for these keys, so that each type is checked where it is read. What is odd in any
way is not taken, and goes the ordinary way, which says what is wrong.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Annotated, Any, NamedTuple

import msgspec

from InferenceLibrary.protocol.rules.logprob_track import ABOVE, LOWEST, SUM_AT_MOST, UNKNOWN
from InferenceLibrary.protocol.strict_json import has_keys

Keys = tuple[str, ...]
_TYPES: dict[str, Any] = {
    "token": str,
    "logprob": Annotated[float, msgspec.Meta(gt=LOWEST, le=ABOVE)],
    "bytes": list[Annotated[int, msgspec.Meta(ge=0, le=255)]] | None,
    "refusal": None,
}
_PLAIN = int | float | str | bool | None
"""What a key of a server's own may hold."""
_ENTRY = {"token", "logprob", "bytes"}
_KNOWN = {*_TYPES, "content", "top_logprobs", "id", "token_id", "rank"}
"""Keys of the reference, and those that servers add (llama.cpp, vLLM)."""


class Taken(NamedTuple):
    """What the log probabilities of one chunk say."""

    joined: bytes
    """The bytes of its tokens."""
    tokens: int
    most: int
    """The most alternatives of a token."""


class LogprobPattern:
    """Reads log probabilities of one set of keys. Made by `pattern_of`."""

    def __init__(self, outer: Keys, token: Keys, other: Keys) -> None:
        self._decode = _decoder(outer, token, other)
        self._keys = (len(outer), len(token), len(other))

    def take(self, text: str) -> Taken | None:
        """Return what a JSON text says; None where it is not such log probabilities, or something is odd."""
        try:
            tokens = self._decode(text).content
        except (ValueError, RecursionError):
            return None
        outer, each, alternative = self._keys
        keys = outer + each * len(tokens)
        joined = b""
        most = 0
        for token in tokens:
            piece = _bytes_of(token)
            if piece is None:
                return None
            joined += piece
            top = token.top_logprobs
            keys += alternative * len(top)
            most = max(most, len(top))
            if top and not _are_apart(top):
                return None
        # No key stands twice: there are no more places that look like a key than keys were read.
        return Taken(joined, len(tokens), most) if has_keys(text, keys) else None


def _bytes_of(entry: Any) -> bytes | None:
    """The bytes of a token; None where they are not those of its text, or it has no text to be sure of."""
    text: str = entry.token
    if entry.bytes is None:
        return None if UNKNOWN in text or text.startswith("bytes:") else text.encode()
    data = bytes(entry.bytes)
    try:
        return data if data.decode() == text else None
    except UnicodeDecodeError:
        return None


def _are_apart(top: list[Any]) -> bool:
    """Whether alternatives are named once each, with their own bytes, and probabilities that add up."""
    total = 0.0
    seen = set()
    for other in top:
        data = _bytes_of(other)
        if not data:
            return False
        seen.add(data)
        total += math.exp(other.logprob)
    return len(seen) == len(top) and total <= SUM_AT_MOST


def pattern_of(logprobs: dict[str, Any]) -> LogprobPattern | None:
    """Return the pattern of log probabilities in the form of chats; None where they have none."""
    tokens = logprobs.get("content")
    if not isinstance(tokens, list) or not tokens:
        return None
    tops = [token["top_logprobs"] for token in tokens if isinstance(token, dict) and "top_logprobs" in token]
    if not all(isinstance(top, list) for top in tops):
        return None
    others = [other for top in tops for other in top]
    kinds = [{tuple(item) for item in items if isinstance(item, dict)} for items in (tokens, others)]
    if len(kinds[0]) != 1 or len(kinds[1]) > 1:
        return None
    (token,) = kinds[0]
    (other,) = kinds[1] or {tuple(key for key in token if key != "top_logprobs")}
    if not set(token) > _ENTRY or "top_logprobs" not in token or not set(other) >= _ENTRY or "top_logprobs" in other:
        return None
    return LogprobPattern(tuple(logprobs), token, other) if {*logprobs, *token, *other} <= _KNOWN else None


@lru_cache(maxsize=64)
def _decoder(outer: Keys, token: Keys, other: Keys) -> Any:
    alternative = _struct("Alternative", other, {})
    entry = _struct("Token", token, {"top_logprobs": list[alternative]})  # type: ignore[valid-type]
    return msgspec.json.Decoder(_struct("Logprobs", outer, {"content": list[entry]})).decode  # type: ignore[valid-type]


def _struct(name: str, keys: Keys, own: dict[str, Any]) -> type:
    """A type with these keys, all of them required, and no others."""
    fields = [(key, own.get(key, _TYPES.get(key, _PLAIN))) for key in keys]
    made: type = msgspec.defstruct(name, fields, forbid_unknown_fields=True)
    return made
