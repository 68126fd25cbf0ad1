"""One call that finds something out: what is asked, nothing of what is right."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

NOWHERE = "/rfinference-no-such-route"
"""A path that no server has: asked first, so that a server that answers every path is noticed."""


@dataclass(frozen=True)
class CheckCall:
    """One call of a check."""

    name: str
    capability: str
    """What it asks for: refused by a right request, that is not offered."""
    path: str | Callable[[str], str]
    """The path, or what makes it of the model's name."""
    body: dict[str, Any] | bytes | None = None
    """Without the model, which is added; in bytes it stands for `MODEL`. None: a GET."""
    needs: str = ""
    """The capability without which it is not asked; its own is found out by it."""
    refusal: bool = False
    """Whether a refusal is what should come."""
    generates: int = 0
    """Most tokens that are generated, all choices together."""
    headers: dict[str, str] = field(default_factory=dict)
    ability: str = ""
    """What the answer tells of the model: a word of `abilities`."""

    @property
    def method(self) -> str:
        return "GET" if self.body is None else "POST"

    @property
    def streamed(self) -> bool:
        return isinstance(self.body, dict) and bool(self.body.get("stream"))

    def path_for(self, model: str) -> str:
        return self.path if isinstance(self.path, str) else self.path(model)

    def body_for(self, model: str) -> Any:
        """Return what is sent."""
        if isinstance(self.body, bytes):
            return self.body.replace(b"MODEL", json.dumps(model).encode())
        if self.body is None or "model" in self.body:
            return self.body
        return {"model": model, **self.body}

    @property
    def prompt_tokens(self) -> int:
        """About how many tokens its prompt has: four characters each."""
        raw = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode() if self.body else b""
        return 0 if self.method == "GET" else len(raw) // 4 + 1
