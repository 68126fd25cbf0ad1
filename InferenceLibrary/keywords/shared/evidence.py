"""Evidence of failed calls and checks in the log: shown at once for a call, at the end of a test for its last calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from InferenceLibrary.context import Context
from InferenceLibrary.log import Log

if TYPE_CHECKING:
    from InferenceLibrary.protocol.exchange import Exchange
    from InferenceLibrary.protocol.rules.verdicts import Verdict

_LARGEST = 5 * 2**20
"""Bytes of an answer that is still recorded in a file by itself."""


def show_call(context: Context, exchange: Exchange, verdict: Verdict) -> None:
    """Show a call in the log, folded, with a link to its recording."""
    from InferenceLibrary.client.evidence import evidence_of
    from InferenceLibrary.client.recordings import write_recording

    log = Log(context)
    link = f"Not recorded: {len(exchange.body):,} bytes are more than {_LARGEST:,}."
    if len(exchange.body) <= _LARGEST:
        path = context.artifact("calls", "call", "json")
        write_recording(exchange, path, context.redactor)
        link = f"Recording: {log.link(path)}"
    log.html(evidence_of(exchange, context.redactor, rules=_said(verdict), recording=link))


def _said(verdict: Verdict) -> str:
    from InferenceLibrary.protocol.rules.verdicts import listed

    held = listed(verdict.held) or "none is broken"
    return f"{held}\nwaived: {listed(verdict.waived)}" if verdict.waived else held


def show_last_calls(context: Context, failed: bool) -> None:
    """A test ends: when it failed, show its last good calls. A check may have failed on them."""
    if failed:
        for exchange, verdict in context.last_calls:
            show_call(context, exchange, verdict)
    context.last_calls.clear()


def show_last_screens(context: Context, failed: bool) -> None:
    """A test ends: when it failed, show the screens of its terminals that were not shown yet."""
    log = Log(context)
    for shell in context.terminals:
        if failed and not shell.closed and not shell.pictured:
            picture = shell.screenshot(context.artifact("terminals", "last screen", "svg"))
            log.picture(f"Last screen of terminal '{shell.name}'", picture)
        shell.pictured = False
