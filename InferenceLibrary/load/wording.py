"""The bytes of each request of a load, from its number alone: whoever asks, gets the same."""

from __future__ import annotations

import json
import random
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from InferenceLibrary.load.plan import LoadPlan
from InferenceLibrary.load.requests import QUESTION, SLOT, Kind, Prompts


class Wording:
    """Writes requests.

    Args:
        plan: The load.
    """

    def __init__(self, plan: LoadPlan) -> None:
        self._plan = plan
        self._weights = [kind.weight for kind in plan.kinds]
        parts = urlsplit(plan.url)
        self._forms = [_Form.of(plan, kind, parts) for kind in plan.kinds]

    def draw(self, number: int, purpose: str) -> float:
        """Return a number of 0 to 1 that belongs to a request."""
        return random.Random(f"{self._plan.seed}/{purpose}/{number}").random()

    def request(self, number: int, said: bytes = b"") -> tuple[int, str, bytes]:
        """Return the kind, the prompt and the bytes of a request.

        Args:
            number: Which request.
            said: The messages before it in its conversation, in JSON, each with a comma after it.
        """
        kind = 0
        if len(self._forms) > 1:
            source = random.Random(f"{self._plan.seed}/kind/{number}")
            kind = source.choices(range(len(self._forms)), self._weights)[0]
        form = self._forms[kind]
        prompt = form.prompts.text(number) if form.asks else ""
        body = self.body(kind, prompt, said)
        return kind, prompt, b"%s%d\r\n\r\n%s" % (form.head, len(body), body)

    def body(self, kind: int, prompt: str, said: bytes = b"") -> bytes:
        """Return the body of a request again."""
        form = self._forms[kind]
        return b"".join(
            (form.before, said, form.opening, json.dumps(prompt).encode() if form.asks else b"", form.after)
        )


class _Form(NamedTuple):
    """What the requests of a kind have in common."""

    head: bytes
    before: bytes
    """The body until the message that asks; all of it where it is not a chat."""
    opening: bytes
    """That message until its prompt."""
    after: bytes
    asks: bool
    """Whether there is a place for a prompt."""
    prompts: Prompts

    @staticmethod
    def of(plan: LoadPlan, kind: Kind, parts: SplitResult) -> _Form:
        fields = {"host": parts.netloc.rpartition("@")[2], "accept": "*/*"}
        if kind.body:
            fields["content-type"] = "application/json"
        fields |= {name.lower(): value for name, value in (*plan.headers, *kind.headers)}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        head = f"{kind.method} {parts.path.rstrip('/')}{kind.path} HTTP/1.1\r\n{lines}content-length: "
        before, found, after = kind.body.partition(json.dumps(SLOT))
        opening = QUESTION.partition(json.dumps(SLOT))[0] if kind.holds_talks else ""
        before = before.removesuffix(opening)
        return _Form(
            head.encode(), before.encode(), opening.encode(), after.encode(), bool(found), kind.prompts or plan.prompts
        )
