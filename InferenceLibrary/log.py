"""The only door to Robot's log. Everything that passes it is redacted; foreign text is escaped.

Robot drops messages from other threads than the main one, so workers return records and the keyword logs.
"""

from __future__ import annotations

import os
from pathlib import Path

from robot.api import logger

from InferenceLibrary.context import Context

INLINE_LIMIT = 10_000
"""Characters of a body that are shown in the log; the rest is found in a file."""


def escape(text: str) -> str:
    """Return text fit for HTML, attributes included. The module html costs a millisecond and is seldom needed."""
    import html

    return html.escape(text)


class Log:
    """Writes to Robot's log for one context."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def info(self, line: str) -> None:
        """Log one line."""
        logger.info(self._context.redactor(line))

    def debug(self, text: str) -> None:
        """Log detail that is shown at level DEBUG."""
        logger.debug(self._context.redactor(text))

    def warn(self, line: str) -> None:
        """Log a warning: repeated on the console and in the errors section, so rare."""
        logger.warn(self._context.redactor(line))

    def console(self, line: str) -> None:
        """Write a line to the console of the run."""
        logger.console(self._context.redactor(line))

    def progress(self, line: str) -> None:
        """Write a line of something long to the log and to the console."""
        self.info(line)
        self.console(line)

    def file(self, caption: str, path: Path) -> None:
        """Log a link to a file beside the log."""
        logger.info(f'{self._shown(caption)}: <a href="{self._href(path)}">{self._shown(path.name)}</a>', html=True)

    def picture(self, caption: str, path: Path) -> None:
        """Show a picture file (SVG or PNG) that lies beside the log."""
        href = self._href(path)
        logger.info(
            f'{self._shown(caption)}<br><a href="{href}"><img src="{href}" alt="{self._shown(caption)}" '
            f'style="max-width: 100%"></a>',
            html=True,
        )

    def text(self, caption: str, text: str, suffix: str = "txt") -> None:
        """Show preformatted text; what exceeds the limit goes to a file and is linked."""
        text = self._context.redactor(text)
        shown = text if len(text) <= INLINE_LIMIT else text[:INLINE_LIMIT] + "\n…"
        logger.info(f"{self._shown(caption)}<pre>{escape(shown)}</pre>", html=True)
        if shown is not text:
            path = self._context.artifact("text", caption, suffix)
            path.write_text(text, encoding="utf-8")
            self.file(f"{caption}, whole ({len(text):,} characters)", path)

    def _shown(self, text: str) -> str:
        return escape(self._context.redactor(text))

    def _href(self, path: Path) -> str:
        """Relative to the output folder, so that a copied or merged log keeps its links."""
        relative = os.path.relpath(path, self._context.output_dir)
        return escape(relative.replace(os.sep, "/"))
