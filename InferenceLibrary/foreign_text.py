r"""The door for text that comes from outside: from servers, programs, terminals, files and the environment.

Such text may hold what no XML, console or UTF-8 file takes. `readable` is for values that are handed on: it changes
only what UTF-8 cannot hold. `shown` is for what people read: messages, logs and the console. `limited` bounds its size.
"""

from __future__ import annotations

import re

# Patterns are texts here: re compiles and keeps each at its first use, which spares the import of the library.
_SURROGATE = "[\ud800-\udfff]"
_PAIR = "[\ud800-\udbff][\udc00-\udfff]"
_NONCHARACTERS = "\ufdd0-\ufdef" + "".join(
    f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000)
)
# Separators of lines beside the line feed, marks that change the order in which text is shown, the byte order mark.
_INVISIBLE = "\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff"
_ODD = f"[\0-\b\v-\x1f\x7f-\x9f{_INVISIBLE}\ud800-\udfff{_NONCHARACTERS}]"

REPLACEMENT = "\ufffd"
MESSAGE_LIMIT = 4_000
"""Characters of a message; what exceeds it belongs into a file."""


def joined_halves(text: str) -> str:
    """Return text in which each high half of a surrogate pair is joined with the low half that follows it.

    Servers that stream UTF-16 units cut a character between two events; clients whose texts are UTF-16 join them
    without knowing. Halves without the other one stay.
    """
    if text.isascii():
        return text
    return re.sub(_PAIR, lambda pair: pair[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le"), text)


def readable(text: str) -> str:
    """Return text that UTF-8 can hold: halves of surrogate pairs are joined, U+FFFD stands for each that is left."""
    if text.isascii():
        return text
    return re.sub(_SURROGATE, REPLACEMENT, joined_halves(text))


def readable_or_none(text: str | None) -> str | None:
    return None if text is None else readable(text)


def shown(text: str) -> str:
    r"""Return text for people: what cannot be seen, or would act on a terminal, is written as an escape of Python.

    Escaped are control characters other than tab and line feed (`\x1b`), line separators, marks that change the order
    of the text, halves of surrogate pairs that have no other half (`\ud83d`), and noncharacters of Unicode (`\uffff`).
    CR LF becomes LF.
    """
    if text.isascii() and text.isprintable():
        return text
    return re.sub(_ODD, _escape, joined_halves(text.replace("\r\n", "\n")))


def on_one_line(text: str) -> str:
    """Return text for people on one line, each blank of any kind as one space."""
    return " ".join(shown(text).split())


def markup(text: str) -> str:
    """Return text for people as HTML, SVG or XML, attributes included."""
    # The module costs a millisecond and is seldom needed.
    import html

    return html.escape(shown(text))


def cut(text: str, limit: int) -> str:
    """Return the first characters of a text. The mark tells that it goes on, also where a secret is cut in two."""
    return text if len(text) <= limit else f"{text[:limit]}…"


def limited(text: str, limit: int = MESSAGE_LIMIT, whole: str = "") -> str:
    """Return text of at most `limit` characters and a note on its length.

    Args:
        text: Any text.
        limit: Characters that are kept.
        whole: Where the whole is found, as a clause: `the whole is in a.txt`.
    """
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text):,} characters{'; ' if whole else ''}{whole})"


def named(error: BaseException) -> str:
    """Return an error with its type: `ValueError: no`; also one whose text cannot be had, from code of others."""
    try:
        text = str(error)
    except Exception as worse:  # noqa: BLE001 - whatever it is, the error itself is to be told
        text = f"a text that cannot be had ({type(worse).__name__})"
    return f"{type(error).__name__}: {text}".rstrip(": ")


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
