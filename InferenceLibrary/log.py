"""The only door to Robot's log. Everything that passes it is redacted and made fit to be shown.

Robot drops messages from other threads than the main one, so workers return records and the keyword logs.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from robot.api import logger

from InferenceLibrary.context import Context
from InferenceLibrary.foreign_text import MESSAGE_LIMIT, limited, markup, readable, shown

INLINE_LIMIT = 10_000
"""Characters of a body that are shown in the log; the rest is found in a file."""


def seen(line: str) -> None:
    """Log a value that a check saw and let pass; the library's listener masks secrets in it."""
    logger.info(limited(shown(line)))


class Log:
    """Writes to Robot's log for one context."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def info(self, line: str) -> None:
        """Log one line."""
        logger.info(self._bounded(line))

    def debug(self, text: str) -> None:
        """Log detail that is shown at level DEBUG."""
        logger.debug(self._bounded(text))

    def warn(self, line: str) -> None:
        """Log a warning: repeated on the console and in the errors section, so rare."""
        logger.warn(self._bounded(line))

    def console(self, line: str) -> None:
        """Write a line to the console of the run."""
        self._context.told_at = time.monotonic()
        logger.console(limited(self.safe(line)))

    def progress(self, line: str) -> None:
        """Write a line of something long to the log and to the console."""
        self.info(line)
        self.console(line)

    def metadata(self, name: str, text: str) -> None:
        """Show a line with the present test in log and report, where Robot Framework has that (7.5)."""
        from robot.libraries.BuiltIn import BuiltIn

        if self._context.current_test and hasattr(BuiltIn, "set_test_metadata"):
            BuiltIn().set_test_metadata(self.safe(name), self.safe(text))

    def file(self, caption: str, path: Path) -> None:
        """Log a link to a file beside the log."""
        logger.info(f"{self._shown(caption)}: {self.link(path)}", html=True)

    def picture(self, caption: str, path: Path) -> None:
        """Show a picture file (SVG or PNG) that lies beside the log."""
        href = self._href(path)
        logger.info(
            f'{self._shown(caption)}<br><a href="{href}"><img src="{href}" alt="{self._shown(caption)}" '
            f'style="max-width: 100%"></a>',
            html=True,
        )

    def html(self, html: str) -> None:
        """Log HTML whose foreign text is escaped already."""
        logger.info(self._context.redactor(html), html=True)

    def text(self, caption: str, text: str, suffix: str = "txt") -> None:
        """Show preformatted text; what exceeds the limit goes to a file and is linked."""
        text = self._context.redactor(text)
        begin = text if len(text) <= INLINE_LIMIT else text[:INLINE_LIMIT] + "\n…"
        logger.info(f"{self._shown(caption)}<pre>{markup(begin)}</pre>", html=True)
        if begin is not text:
            self.file(f"{caption}, whole ({len(text):,} characters)", self.kept(caption, text, suffix))

    def safe(self, text: str) -> str:
        """Return text without secrets and without what cannot be shown."""
        return shown(self._context.redactor(text))

    def kept(self, name: str, text: str, suffix: str = "txt") -> Path:
        """Write a text without its secrets to a file of its own; return the file."""
        from InferenceLibrary.files import write_text

        path = self._context.artifact("text", name, suffix)
        write_text(path, readable(self._context.redactor(text)))
        return path

    def link(self, path: Path) -> str:
        """Return HTML that links to a file beside the log."""
        return f'<a href="{self._href(path)}">{self._shown(path.name)}</a>'

    def _shown(self, text: str) -> str:
        return markup(self._context.redactor(text))

    def _bounded(self, text: str) -> str:
        safe = self.safe(text)
        if len(safe) <= INLINE_LIMIT:
            return safe
        path = self.kept(safe[:40], text)
        return limited(safe, INLINE_LIMIT, f"the whole is in {self._relative(path)}")

    def _href(self, path: Path) -> str:
        """Relative to the output folder, so that a copied or merged log keeps its links."""
        return markup(self._relative(path))

    def _relative(self, path: Path) -> str:
        return os.path.relpath(path, self._context.output_dir).replace(os.sep, "/")


class ResultGuard:
    """Makes what Robot Framework, users and other libraries are about to write fit to be written.

    A half of a surrogate pair anywhere in output.xml would leave the whole run without a log and a report. A failure's
    message is bounded, whichever library failed: the rest goes to a file.
    """

    def __init__(self, context: Context, log: Log) -> None:
        self._context = context
        self._log = log
        self._running: list[tuple[Any, bool]] = []
        """Keywords of libraries that run, the innermost last, and whether they are of this library."""

    def debug_file(self) -> None:
        """Guard the file of `--debugfile`: it also gets messages below the log level, which listeners are not told of.

        Robot Framework has no public way to it; a test holds that this one works.
        """
        from robot.output import LOGGER

        for writer in LOGGER._other_loggers:
            file = getattr(writer, "_outfile", None)
            if file is not None and file.errors == "strict":
                file.reconfigure(errors="backslashreplace")
                self._before(writer)

    def _before(self, writer: Any) -> None:
        write = writer.log_message

        def guarded(message: Any) -> None:
            self.message(message)
            write(message)

        writer.log_message = guarded

    def enter(self, result: Any, own: bool) -> None:
        """A keyword of a library begins, of this one or of another."""
        self._running.append((result, own))

    def leave(self, result: Any) -> None:
        """Guard a keyword of a library that ended."""
        result.message = self._in_plain_words(result.message)
        if self._running:
            self._running.pop()
        self.item(result)

    def _in_plain_words(self, text: str) -> str:
        """What Robot Framework or Python says of the running keyword, if it is one of this library."""
        if not (text and self._running and self._running[-1][1]):
            return text
        from InferenceLibrary.plain_words import in_plain_words

        keyword = self._running[-1][0]
        return in_plain_words(text, keyword.name, keyword.args)

    def message(self, message: Any) -> None:
        """Guard a message that is about to be logged."""
        text = message.message
        if not text:
            return
        if message.level == "FAIL":
            text = message.message = self._in_plain_words(text)
        safe = self._log.safe(text)
        if len(safe) > MESSAGE_LIMIT and not message.html and _tells_of_failure(message.level, safe):
            link = self._log.link(self._log.kept("failure", text))
            safe = markup(limited(safe)).replace("\n", "<br>\n") + f"<br>\nWhole: {link}"
            message.html = True
        if safe != text:
            message.message = safe

    def item(self, result: Any) -> None:
        """Guard a keyword or control structure that ended: its status, and the values that it was given."""
        self._status(result)
        arguments = result.args if result.type in {"KEYWORD", "SETUP", "TEARDOWN"} else ()
        if not all(map(self._is_plain, arguments)):
            result.args = tuple(self._plain(value) if isinstance(value, str) else value for value in arguments)
        if result.type == "ITERATION":
            for name, value in getattr(result, "assign", {}).items():
                if not self._is_plain(value):
                    result.assign[name] = self._plain(value)

    def test(self, result: Any) -> None:
        """Guard a test that ended: tags, documentation and metadata may have been set to anything while it ran."""
        if not all(map(self._is_plain, result.tags)):
            result.tags = [self._plain(tag) for tag in result.tags]
        self.suite(result)

    def suite(self, result: Any) -> None:
        """Guard a suite that ended."""
        self._status(result)
        if not self._is_plain(result.doc):
            result.doc = self._plain(result.doc)
        # Tests have metadata since Robot Framework 7.5.
        metadata = getattr(result, "metadata", {})
        for name, value in list(metadata.items()):
            if not (self._is_plain(name) and self._is_plain(value)):
                del metadata[name]
                metadata[self._plain(name)] = self._plain(value)

    def _status(self, result: Any) -> None:
        text = result.message
        if text:
            safe = self._log.safe(text)
            if safe != text:
                result.message = safe

    def _plain(self, text: str) -> str:
        return readable(self._context.redactor(text))

    def _is_plain(self, value: Any) -> bool:
        """Whether Robot can write a value as it is; others than texts are written by their `str`, which it escapes."""
        return not isinstance(value, str) or self._plain(value) == value


def _tells_of_failure(level: str, text: str) -> bool:
    return level == "FAIL" or (level == "DEBUG" and text.startswith("Traceback"))
