"""Patterns that are searched while all connections wait: none may hold up the server."""

from __future__ import annotations

from time import monotonic

LONGEST = 0.1
"""Seconds for all searches of one request."""
AGAIN = 0.002
"""Seconds for a pattern that was given up before, on texts as long: a search that ends takes less."""


class Pattern:
    """A regular expression that remembers on which texts its search was given up."""

    def __init__(self, text: str) -> None:
        """Raise ValueError where the text is not a regular expression."""
        import regex

        self.text = text
        self._too_long: int | None = None
        try:
            self._pattern = regex.compile(text)
        except regex.error as error:
            raise ValueError(f"'{text}' is not a regular expression: {error}") from None

    def found_in(self, text: str, seconds: float) -> bool:
        """Whether the pattern matches somewhere in the text.

        Raises:
            TimeoutError: It takes longer than that.
        """
        if self._too_long is not None and len(text) >= self._too_long:
            seconds = min(seconds, AGAIN)
        try:
            return self._pattern.search(text, timeout=seconds) is not None
        except TimeoutError:
            self._too_long = min(len(text), self._too_long or len(text))
            raise


class Searches:
    """The searches for one request, which share their time."""

    def __init__(self) -> None:
        self._left = LONGEST

    def found(self, pattern: Pattern, text: str) -> bool:
        """Whether the pattern matches somewhere in the text.

        Raises:
            TimeoutError: It takes too long.
        """
        begin = monotonic()
        try:
            return pattern.found_in(text, max(self._left, AGAIN))
        except TimeoutError:
            raise TimeoutError(
                f"the pattern '{pattern.text}' was given up on a text of {len(text)} characters: the searches for one "
                f"request may take {LONGEST * 1000:.0f} ms, and {AGAIN * 1000:.0f} ms where one was given up before"
            ) from None
        finally:
            self._left -= monotonic() - begin
