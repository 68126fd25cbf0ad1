"""The bytes of each request of a load, from its number alone: whoever asks, gets the same."""

from __future__ import annotations

import json
import random
from urllib.parse import urlsplit

from InferenceLibrary.load.plan import SLOT, LoadPlan


class Wording:
    """Writes requests.

    Args:
        plan: The load.
    """

    def __init__(self, plan: LoadPlan) -> None:
        self._plan = plan
        self._weights = [kind.weight for kind in plan.kinds]
        parts = urlsplit(plan.url)
        self._forms: list[tuple[bytes, bytes, bytes]] = []
        slot = json.dumps(SLOT)
        for kind in plan.kinds:
            before, found, after = kind.body.partition(slot)
            fields = {"host": parts.netloc.rpartition("@")[2], "accept": "*/*"}
            if kind.body:
                fields["content-type"] = "application/json"
            fields |= {name.lower(): value for name, value in (*plan.headers, *kind.headers)}
            lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            head = f"{kind.method} {parts.path.rstrip('/')}{kind.path} HTTP/1.1\r\n{lines}content-length: "
            self._forms.append((head.encode(), before.encode(), after.encode() if found else b""))
        self._has_slot = [slot in kind.body for kind in plan.kinds]

    def draw(self, number: int, purpose: str) -> float:
        """Return a number of 0 to 1 that belongs to a request."""
        return random.Random(f"{self._plan.seed}/{purpose}/{number}").random()

    def request(self, number: int) -> tuple[int, str, bytes]:
        """Return the kind, the prompt and the bytes of a request."""
        kind = 0
        if len(self._forms) > 1:
            source = random.Random(f"{self._plan.seed}/kind/{number}")
            kind = source.choices(range(len(self._forms)), self._weights)[0]
        head, before, after = self._forms[kind]
        prompt = self._plan.prompts.text(number) if self._has_slot[kind] else ""
        body = b"%s%s%s" % (before, json.dumps(prompt).encode(), after) if self._has_slot[kind] else before
        return kind, prompt, b"%s%d\r\n\r\n%s" % (head, len(body), body)

    def body(self, kind: int, prompt: str) -> bytes:
        """Return the body of a request again."""
        _, before, after = self._forms[kind]
        return before + json.dumps(prompt).encode() + after if self._has_slot[kind] else before
