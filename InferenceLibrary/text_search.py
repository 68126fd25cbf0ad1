"""What a check looks for in a text: said once, for answers, logs, screens and help."""

from __future__ import annotations

import re

from InferenceLibrary.errors import CheckFailure, describe, refuse_empty


class TextSearch:
    """A text, taken as it stands, or a regular expression.

    Args:
        where: Where it is looked for, for messages: `the answer`.
        text: The text; upper and lower case differ.
        matching: A regular expression in its place; `^` and `$` stand for the ends of a line.
        ignore_case: Whether upper and lower case are the same.

    Raises:
        CheckFailure: Neither or both are given, one is empty, or the expression cannot be read.
    """

    def __init__(self, where: str, text: str | None, matching: str | None = None, ignore_case: bool = False) -> None:
        refuse_empty(where, text, matching)
        if (text is None) == (matching is None):
            raise CheckFailure(
                describe(
                    f"What is looked for in {where} is not clear",
                    expected="a text, or a regular expression by matching=",
                    got="neither" if text is None else "both",
                )
            )
        self.is_literal = matching is None and not ignore_case
        """Whether it is there where Python's `in` finds it."""
        self.text = text if text is not None else str(matching)
        self._shown = f"'{text}'" if text is not None else f"/{matching}/"
        self._shown += " in any case" if ignore_case else ""
        try:
            flags = re.MULTILINE | (re.IGNORECASE if ignore_case else 0)
            self._compiled = re.compile(re.escape(text) if text is not None else str(matching), flags)
        except re.error as error:
            raise CheckFailure(
                describe(
                    f"'{matching}' is not a regular expression",
                    got=str(error),
                    hint="leave matching= out for plain text.",
                )
            ) from None

    @property
    def pattern(self) -> str:
        """The same as one regular expression, its flags included."""
        return f"(?i){self._compiled.pattern}" if self._compiled.flags & re.IGNORECASE else self._compiled.pattern

    def found_in(self, text: str) -> str | None:
        """Return the first place of a text that fits; None when there is none."""
        found = self._compiled.search(text)
        return found[0] if found is not None else None

    def __str__(self) -> str:
        return self._shown
