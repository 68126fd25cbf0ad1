"""Keep secrets out of logs, files and exceptions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

MASK = "***"

# Patterns are texts here: re compiles and keeps each at its first use, which spares the import of the library.
_SECRET_NAME = r"(?i)(api[-_]?key|access[-_]?key|token|secret|passw(or)?d|credential|authorization|cookie)"
# Names that look like secrets and are not: limits and counts of LLM tokens, the time to the first one, tokenizer files.
_HARMLESS_NAME = r"(?i)(tokens|tokenizer|first[-_]token|token[-_]latency|per[-_]token|token[-_]ids?)"
_BEARER = r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"
_URL_PASSWORD = r"(://[^/\s:@]*:)[^/\s@]+@"
_SHORTEST_SECRET = 4
_LONG_SECRET = 8
"""From this length on a secret is masked inside of words too; `test` as a key must not garble `latest`."""


def is_secret_name(name: str) -> bool:
    """Whether a header, option or variable of this name holds a secret: `Authorization`, `--api-key`, `HF_TOKEN`."""
    return bool(re.search(_SECRET_NAME, name)) and not re.search(_HARMLESS_NAME, name)


class Redactor:
    """Replaces known secret values, and what looks like a credential, by `***`."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._known: re.Pattern[str] | None = None

    def add(self, value: str) -> None:
        """Remember a secret. Values shorter than four characters are not masked: they would garble every text."""
        value = value.strip()
        if len(value) < _SHORTEST_SECRET or value in self._values:
            return
        # Also as it stands in JSON, in a Python literal and in a URL.
        self._values |= {value, json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
        self._values |= {repr(value)[1:-1], "".join(_url_quoted(value))}
        longest_first = sorted(self._values, key=len, reverse=True)
        self._known = re.compile("|".join(map(_pattern_of, longest_first)))

    @property
    def knows_any(self) -> bool:
        """Whether a secret has been remembered."""
        return self._known is not None

    def __call__(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(MASK, text)
        text = re.sub(_URL_PASSWORD, rf"\1{MASK}@", text)
        return re.sub(_BEARER, lambda match: f"{match.group(1)} {MASK}", text)

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
            if equals and is_secret_name(name) and " " not in name:
                shown.append(f"{name}={MASK}")
            elif argument.startswith("-") and is_secret_name(name):
                mask_next = True
                shown.append(argument)
            else:
                shown.append(self(argument))
        return shown

    def environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Return environment variables fit for a log."""
        return self.headers(environment)


def _pattern_of(value: str) -> str:
    pattern = re.escape(value)
    return pattern if len(value) >= _LONG_SECRET else rf"(?<!\w){pattern}(?!\w)"


def _url_quoted(value: str) -> Iterator[str]:
    """Percent-encoding (RFC 3986, 2); urllib would cost its import."""
    for byte in value.encode("utf-8", "surrogatepass"):
        character = chr(byte)
        yield character if character.isascii() and (character.isalnum() or character in "-._~") else f"%{byte:02X}"
