"""The conversations of a load: what each user and the server have said so far."""

from __future__ import annotations

import json
from collections.abc import Callable

from InferenceLibrary.load.connections import Raw


class Talks:
    """What was said before the next question of each user.

    Args:
        read: Returns the text of an answer; empty where it has none.
    """

    def __init__(self, read: Callable[[Raw], str]) -> None:
        self._read = read
        self._open: dict[int, tuple[bytes, int]] = {}

    def before(self, user: int) -> tuple[bytes, int]:
        """Return the messages before a user's next question, in JSON with a comma after each, and its number from 1."""
        return self._open.get(user, (b"", 1))

    def add(self, user: int, raw: Raw, *, good: bool, last: int) -> None:
        """Take what a question came to: a conversation ends after its last one, and where there is nothing to go on."""
        answer = self._read(raw) if good and raw.turn < last else ""
        if not answer:
            self._open.pop(user, None)
            return
        messages = ({"role": "user", "content": raw.prompt}, {"role": "assistant", "content": answer})
        self._open[user] = (raw.said + b"".join(json.dumps(one).encode() + b", " for one in messages), raw.turn + 1)
