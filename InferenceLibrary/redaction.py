"""Keep secrets out of logs, files and exceptions."""

from __future__ import annotations

import json
import re
from binascii import b2a_base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

MASK = "***"
PLACEHOLDER = "<secret>"
"""What Robot Framework writes in place of a secret that stands within other text: what was meant is lost."""
PLACEHOLDER_HINT = (
    "Robot Framework embeds no secret in other text: make the whole text a secret, such as "
    "VAR    ${LINE: Secret}    Bearer ${KEY}, and give it as an item of a list or dictionary variable."
)

# Patterns are texts here: re compiles and keeps each at its first use, which spares the import of the library.
_SECRET_NAME = (
    r"(?i)((api|access|subscription|functions)[-_]?key|token|secret|passw(or)?d|credential|authorization|cookie)"
)
# Names that look like secrets and are not: limits and counts of LLM tokens, the time to the first one, tokenizer files.
_HARMLESS_NAME = r"(?i)(tokens|tokenizer|first[-_]token|token[-_]latency|per[-_]token|token[-_]ids?)"
_BEARER = r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"
_URL_PASSWORD = r"(://[^/\s:@]*:)[^/\s@]+@"
# A header or its repr: `Set-Cookie: a=b`, `'set-cookie': 'a=b'`, `(b'Cookie', b'a=b')`. Not the word in a sentence.
# The name is bounded, so that a text which repeats the word without end is not searched to its end each time.
_COOKIE = r"""(?i)\b((?:set-)?cookie['"]?\s*[:,]\s*b?['"]?)[^\s=;,'"]{1,200}=[^'"\r\n]*"""
# What a terminal obeys: colours and the like.
_SEQUENCE = r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-_])?"
# `--env=NAME=VALUE`, `Name: VALUE` and `Name: Bearer VALUE` as an argument; `NAME=VALUE` and `--name VALUE` in a line.
_NAMED_IN_ARGUMENT = (
    r"""(?x) (?: ^--?[\w-]+=(?=[\w-]+=) | (?<![^\s;&|(]) (?=[A-Z_]+=) | (?<=\s)--?(?=[\w-]+[=\s]) | ^(?=[\w-]+:\s) )"""
    r"""([\w-]+) (?: = | \s+ | :\s+(?:\w+\s+)? ) ["']?([^\s"';&|)]+)"""
)
_KEYS_OF_QUERIES = {"key", "sig", "signature"}
"""Names of secrets in queries of URLs, which say less elsewhere."""
_SHORTEST_SECRET = 4
_URL_SAFE = str.maketrans("+/", "-_")
_LONG_SECRET = 8
"""From this length on a secret is masked inside of words too; `test` as a key must not garble `latest`."""


def is_secret_name(name: str) -> bool:
    """Whether a header, option or variable of this name holds a secret: `Authorization`, `--api-key`, `HF_TOKEN`."""
    return bool(re.search(_SECRET_NAME, name)) and not re.search(_HARMLESS_NAME, name)


class Redactor:
    """Replaces known secret values, and what looks like a credential, by `***`.

    A secret is found as it is, and as others repeat it: percent-encoded, escaped for JSON, Python or HTML, in
    hexadecimal digits, and in base64 at any place of a longer text; also where it changes its colour, or is cut.
    """

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._known: re.Pattern[str] | None = None
        self._spelled: re.Pattern[str] | None = None
        self._beginnings: list[tuple[str, int]] = []
        """How long secrets are written, and from how many of these characters on they are masked where they are cut."""

    def add(self, value: str) -> None:
        """Remember a secret, of several lines also each that is long: logs are shown line by line.

        Values shorter than four characters are not masked: they would garble every text.
        """
        value = value.strip()
        if len(value) < _SHORTEST_SECRET or value in self._values:
            return
        lines = value.splitlines()
        for line in lines if len(lines) > 1 else ():
            if len(line.strip()) >= _LONG_SECRET:
                self.add(line)
        # HTTP programs read headers as Latin-1: so they repeat what is not ASCII.
        self._values |= {value, value.encode("utf-8", "surrogatepass").decode("latin-1")}
        longest_first = sorted(self._values, key=len, reverse=True)
        recoded = [form for known in longest_first if len(known) >= _LONG_SECRET for form in _recoded(known)]
        self._known = re.compile("|".join([*map(_pattern_of, longest_first), *recoded]))
        self._beginnings = [form for known in longest_first if len(known) >= _LONG_SECRET for form in _forms(known)]
        self._spelled = re.compile("|".join(map(_spelled_pattern_of, longest_first)))

    def learn(self, argv: Sequence[str] = (), environment: Mapping[str, str] | None = None) -> None:
        """Remember what a command line (`--api-key VALUE`) and an environment (`MY_API_KEY`) call secret by its name.

        In an argument it may stand too: `--env=MY_API_KEY=VALUE`, `X-Api-Key: VALUE`, the line of a shell. Values
        shorter than eight characters are left: words such as `none` or `EMPTY` stand there too.
        """
        self._learn((environment or {}).items())
        for argument, after in pairwise([*argv, ""]):
            name, equals, value = argument.partition("=")
            if " " not in name:
                self._learn([(name, value if equals else after if name.startswith("-") else "")])
            self._learn(re.findall(_NAMED_IN_ARGUMENT, argument))

    def learn_request(self, url: str, headers: Mapping[str, str]) -> None:
        """Remember what the query of a URL (`?api_key=VALUE`) and headers call secret by its name, as `learn` does."""
        self._learn((name, value.rpartition(" ")[2]) for name, value in headers.items())
        if "?" in url:
            from urllib.parse import parse_qsl, urlsplit

            named = parse_qsl(urlsplit(url).query)
            self._learn(("api_key" if name in _KEYS_OF_QUERIES else name, value) for name, value in named)

    def _learn(self, named: Iterable[tuple[str, str]]) -> None:
        for name, value in named:
            if len(value) >= _LONG_SECRET and not value.startswith("-") and is_secret_name(name):
                self.add(value)

    @property
    def knows_any(self) -> bool:
        """Whether a secret has been remembered."""
        return self._known is not None

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return where known secrets stand in a text: (start, end) of each, in order, without overlaps."""
        found = [match.span() for pattern in self._patterns(text) for match in pattern.finditer(text)]
        found.sort()
        kept: list[tuple[int, int]] = []
        reached = 0
        for begin, end in found:
            if begin >= reached:
                kept.append((begin, end))
            reached = max(reached, end)
        return kept

    def __call__(self, text: str) -> str:
        if "\x1b" in text and self.spans(re.sub(_SEQUENCE, "", text)):
            text = "".join(self.characters(text, _places_outside(text)))
        for pattern in self._patterns(text):
            text = pattern.sub(MASK, text)
        if "://" in text:
            text = re.sub(_URL_PASSWORD, rf"\1{MASK}@", text)
        if "ookie" in text or "COOKIE" in text:
            text = re.sub(_COOKIE, rf"\1{MASK}", text)
        if self._beginnings and ("…" in text or "..." in text or "\\u2026" in text):
            text = self._without_beginnings(text)
        return re.sub(_BEARER, lambda match: f"{match.group(1)} {MASK}", text)

    def _without_beginnings(self, text: str) -> str:
        """Mask the beginnings of secrets in front of the mark that tells where a text was cut."""
        forms = [(form, least) for form, least in self._beginnings if form[:least] in text]
        kept, at = [], 0
        for mark in re.finditer(r"""['"\\]{0,3}(?:…|\.{3}|\\u2026)""", text) if forms else ():
            end = mark.start()
            for form, least in forms:
                begin = text.find(form[:least], max(at, end - len(form)), end)
                while begin >= 0 and not form.startswith(text[begin:end]):
                    begin = text.find(form[:least], begin + 1, end)
                if begin >= 0:
                    kept += [text[at:begin], MASK]
                    at = end
                    break
        return "".join([*kept, text[at:]])

    def within(self, text: str, places: Sequence[int]) -> str:
        """Mask also secrets that something breaks: line ends, colours, markup. What breaks them stays.

        Args:
            text: The text.
            places: Where its characters stand that are read as one text, in order.
        """
        return self("".join(self.characters(text, places)))

    def characters(self, text: str, places: Sequence[int]) -> list[str]:
        """Return the characters of a text; known secrets in those at `places` are empty but for the mask at first."""
        found = list(text)
        for begin, end in self.spans("".join([text[place] for place in places])):
            for place in places[begin:end]:
                found[place] = ""
            found[places[begin]] = MASK
        return found

    def _patterns(self, text: str) -> Iterator[re.Pattern[str]]:
        if self._known is not None:
            yield self._known
        if self._spelled is not None and ("%" in text or "\\" in text or "&" in text):
            yield self._spelled

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


def _places_outside(text: str) -> list[int]:
    """Where the characters of a text stand that a terminal shows."""
    ends = [0, *(place for sequence in re.finditer(_SEQUENCE, text) for place in sequence.span()), len(text)]
    return [place for begin, end in zip(ends[::2], ends[1::2], strict=True) for place in range(begin, end)]


def _pattern_of(value: str) -> str:
    pattern = re.escape(value)
    return pattern if len(value) >= _LONG_SECRET else rf"(?<!\w){pattern}(?!\w)"


def _spelled_pattern_of(value: str) -> str:
    """A pattern of a secret in which each character may be escaped: `%XX`, `\\uXXXX`, `\\xXX`, `&#N;`, `\\"`.

    It is not tried within a run of backslashes, only at its begin: the time would grow with the square of its length.
    """
    starts = rf"(?=[{re.escape(value[0])}%\\\\&])(?<!\\)"
    pattern = starts + "".join(map(_spelled_character, value))
    return pattern if len(value) >= _LONG_SECRET else rf"(?<!\w){pattern}(?!\w)"


def _spelled_character(character: str) -> str:
    code = ord(character)
    utf_8 = character.encode("utf-8", "surrogatepass")
    utf_16 = character.encode("utf-16-be", "surrogatepass").hex()
    forms = [
        r"\\*" + re.escape(character),
        r"\\*" + "".join(f"%{_any_case(byte)}" for byte in utf_8),
        "".join(rf"\\+u{_any_case_text(utf_16[at : at + 4])}" for at in range(0, len(utf_16), 4)),
        "".join(rf"\\+x{_any_case(byte)}" for byte in utf_8),
        rf"\\+(?:x|u00|U000000){_any_case(code)}" if code < 0x100 else rf"\\+U{_any_case_text(f'{code:08x}')}",
        rf"\\*&#(?:0*{code}|[xX]0*{_any_case_text(f'{code:x}')});",
    ]
    named = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;", " ": r"\+"}.get(character)
    named = named and rf"\\*{named}"
    if not character.isprintable():
        named = re.escape(json.dumps(character)[1:-1]).replace(r"\\", r"\\+")
    return f"(?:{'|'.join([*forms, named] if named else forms)})"


def _any_case(byte: int) -> str:
    return _any_case_text(f"{byte:02x}")


def _any_case_text(digits: str) -> str:
    return "".join(f"[{digit}{digit.upper()}]" if digit.isalpha() else digit for digit in digits)


def _forms(value: str) -> list[tuple[str, int]]:
    """How a secret is written, and how many characters of each a reader may see where it is cut."""
    raw = value.encode("utf-8", "surrogatepass")
    least = min(6, len(value) // 2)
    coded = [b2a_base64(bytes(before) + raw, newline=False).decode()[(0, 2, 3)[before] :] for before in range(3)]
    plain = {value, json.dumps(value)[1:-1]}
    return [
        *((form, least) for form in sorted(plain)),
        *((form, 2 * least) for form in (raw.hex(), raw.hex().upper())),
        *((form, least + 2) for form in sorted({*coded, *(one.translate(_URL_SAFE) for one in coded)})),
    ]


def _recoded(value: str) -> Iterator[str]:
    """Patterns of a secret in hexadecimal digits and in base64 (RFC 4648, 4 and 5), whatever stands around it."""
    raw = value.encode("utf-8", "surrogatepass")
    yield _any_case_text(raw.hex())
    for before in range(3):
        coded = b2a_base64(bytes(before) + raw, newline=False).rstrip(b"=").decode()
        # The first characters that also hold bits of what stands before stay: a pattern that begins with any character
        # would be tried at each place of a text.
        shared = (before + len(raw)) % 3 != 0
        core = coded[(0, 2, 3)[before] : len(coded) - shared]
        yield "".join("[+-]" if one == "+" else "[/_]" if one == "/" else one for one in core) + (
            r"[\w+/-]?=*" if shared else ""
        )
