"""The messages of a log: their text, and the files that they link to."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import NamedTuple

from InferenceLibrary.foreign_text import limited
from InferenceLibrary.report.run_results import LogMessage

LONGEST = 4_000
"""Characters of a message, an argument or an error that are kept."""
_FIRST_LINE = 2_000
"""Characters of a message in which its first line is looked for."""


class RawMessage(NamedTuple):
    """A message as it stands in the file: most are never told, so markup is read only of those that are."""

    time: str
    level: str
    text: str
    html: bool

    @property
    def may_link(self) -> bool:
        return self.html and ("href" in self.text.lower() or "src" in self.text.lower())

    def first_line(self) -> str:
        return self._replace(text=self.text[:_FIRST_LINE]).read().text.partition("\n")[0]

    def read(self) -> LogMessage:
        return LogMessage(self.time, self.level, limited(plain_text(self.text)[0] if self.html else self.text, LONGEST))


_LINES = {"br", "p", "pre", "tr", "li", "summary", "div", "hr", "table", "details", "h1", "h2", "h3", "h4"}
"""Elements that stand in lines of their own."""


class _Html(HTMLParser):
    """The text of a message in HTML, and the files that it links to."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.files: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _LINES:
            self.parts.append("\n")
        elif tag in {"td", "th"}:
            self.parts.append("  ")
        for name, value in attrs:
            if name in {"href", "src"} and value and _is_beside(value):
                self.files.append(value)

    def handle_endtag(self, tag: str) -> None:
        if tag in _LINES:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def plain_text(html: str) -> tuple[str, list[str]]:
    """Return the text of HTML, and the relative paths that it links to, each once."""
    reader = _Html()
    reader.feed(html)
    reader.close()
    text = "\n".join(line.rstrip() for line in "".join(reader.parts).splitlines() if line.strip())
    return text, list(dict.fromkeys(reader.files))


def to_the_second(time: str) -> str:
    """Return a time of ISO 8601 as people read it."""
    return time.replace("T", " ")[:19]


def _is_beside(link: str) -> bool:
    """Whether a link leads to a file below the output folder, and to nothing else."""
    return not re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:|[/\\#]", link) and ".." not in re.split(r"[/\\]", link)
