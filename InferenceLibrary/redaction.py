"""Keep secrets out of logs, files and exceptions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

MASK = "***"

_SECRET_NAME = re.compile(
    r"(api[-_]?key|access[-_]?key|token|secret|passw(or)?d|credential|authorization|cookie)", re.IGNORECASE
)
# Names that look like secrets and are not: limits and counts of LLM tokens, the time to the first one, tokenizer files.
_HARMLESS_NAME = re.compile(
    r"(tokens|tokenizer|first[-_]token|token[-_]latency|per[-_]token|token[-_]ids?)", re.IGNORECASE
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}")
_SHORTEST_SECRET = 4


def is_secret_name(name: str) -> bool:
    """Whether a header, option or variable of this name holds a secret: `Authorization`, `--api-key`, `HF_TOKEN`."""
    return bool(_SECRET_NAME.search(name)) and not _HARMLESS_NAME.search(name)


class Redactor:
    """Replaces known secret values, and what looks like a credential, by `***`."""

    def __init__(self) -> None:
        self._values: set[str] = set()

    def add(self, value: str) -> None:
        """Remember a secret. Values shorter than four characters are not masked: they would garble every text."""
        if len(value) >= _SHORTEST_SECRET:
            self._values.add(value)

    def __call__(self, text: str) -> str:
        for value in sorted(self._values, key=len, reverse=True):
            text = text.replace(value, MASK)
        return _BEARER.sub(lambda match: f"{match.group(1)} {MASK}", text)

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return headers fit for a log."""
        return {name: MASK if is_secret_name(name) else self(value) for name, value in headers.items()}

    def argv(self, argv: Sequence[str]) -> list[str]:
        """Return a command line fit for a log: values of `--api-key VALUE` and `--api-key=VALUE` are masked."""
        shown: list[str] = []
        mask_next = False
        for argument in argv:
            if mask_next:
                shown.append(MASK)
                mask_next = False
                continue
            name, equals, _value = argument.partition("=")
            if argument.startswith("-") and is_secret_name(name):
                mask_next = not equals
                shown.append(f"{name}={MASK}" if equals else argument)
            else:
                shown.append(self(argument))
        return shown

    def environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return environment variables fit for a log."""
        return self.headers(environment)
