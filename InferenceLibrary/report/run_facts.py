"""What the library tells of a test and of a suite as Robot metadata: written for people, read again by reports.

Names and texts stand in one place, so that what is written can be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from InferenceLibrary.stats import median

SERVER = "Server"
VERSION = "Version"
MODEL = "Model"
CALLS = "Calls"
TTFT = "TTFT"
RATE = "Tokens/s"
RULES = "Rules broken"
RULES_KEPT = "Rules kept"
"""Of a suite: those that calls were judged by, and that hold in all of them."""
RULES_WAIVED = "Rules waived"
CAPABILITIES = "Capabilities"
"""Of the outermost suite: a table in Robot's documentation format."""
LIVES = "Servers"
WORKER = "pabot worker"
LIBRARY = "InferenceLibrary"

_FIGURE = re.compile(r"([0-9.e+]+)(?: ms)?(?: \(median of (\d+)\))?")
_PARTS = re.compile(r"\d+|\D+")
_LIFE = re.compile(
    r"- (?P<name>.*?): (?P<started>\S+) to (?P<ended>\S+)(?:, at (?P<url>\S+))?"
    r"(?:, version (?P<version>\S+))?(?:, model (?P<model>.*))?"
)


class Life(NamedTuple):
    """From when to when a server was open, ISO 8601 in local time."""

    name: str
    started: str
    ended: str
    url: str = ""
    model: str = ""
    version: str = ""


class Offered(NamedTuple):
    """Whether a server offers something, as far as the run found out."""

    server: str
    capability: str
    state: str
    source: str
    """Who says so."""
    evidence: str


def ttft_text(seconds: Sequence[float]) -> str:
    """Return times to the first token as one text: `12.9 ms (median of 3)`."""
    return _median_text([second * 1000 for second in seconds], " ms")


def rate_text(rates: Sequence[float]) -> str:
    """Return rates of tokens as one text: `48.9 (median of 3)`."""
    return _median_text(rates, "")


def figure(text: str) -> tuple[float, int] | None:
    """Return the number of such a text, as it stands, and how many it is the median of; None for another text."""
    found = _FIGURE.fullmatch(text)
    try:
        return (float(found[1]), int(found[2] or 1)) if found else None
    except ValueError:
        return None


def lives_text(lives: Sequence[Life]) -> str:
    """Return servers' lives as one text, a line each; a list where Robot formats it."""
    return "\n".join(map(_life_text, lives))


def lives(text: str) -> list[Life]:
    """Return the lives of such a text; other lines are left out."""
    found = (_LIFE.fullmatch(line) for line in text.splitlines())
    return [Life(**{name: value or "" for name, value in one.groupdict().items()}) for one in found if one]


def words_text(words: Iterable[str]) -> str:
    """Return words as one text that `listed_words` reads."""
    return ", ".join(ordered(words))


def ordered(words: Iterable[str]) -> list[str]:
    """Return words in the order of people: `A2`, `A10`."""
    return sorted(words, key=_natural)


def capabilities(text: str) -> list[Offered]:
    """Return what a table of capabilities tells; other lines are left out."""
    found: list[Offered] = []
    server = ""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("*") and line.rstrip().endswith("*"):
            server = line.strip()[1:-1]
        elif line.startswith("|") and len(cells) == len(Offered._fields) - 1 and not cells[0].startswith("="):
            found.append(Offered(server, *cells))
    return found


def listed_words(text: str) -> list[str]:
    """Return the words of a text that joins them by commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def _natural(word: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in _PARTS.findall(word)]


def _median_text(values: Sequence[float], unit: str) -> str:
    several = f" (median of {len(values)})" if len(values) > 1 else ""
    return f"{median(values):.4g}{unit}{several}"


def _life_text(life: Life) -> str:
    at = f", at {life.url}" if life.url else ""
    model = f", model {' '.join(life.model.split())}" if life.model else ""
    version = f", version {life.version}" if life.version else ""
    return f"- {' '.join(life.name.split())}: {life.started} to {life.ended}{at}{version}{model}"
