"""Skips by what a server offers, and the table of what was found out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from robot.api import SkipExecution

from InferenceLibrary.errors import CheckFailure, describe
from InferenceLibrary.foreign_text import readable
from InferenceLibrary.log import Log

if TYPE_CHECKING:
    from InferenceLibrary.context import Context
    from InferenceLibrary.protocol.capabilities import Offer
    from InferenceLibrary.servers.server import Server

_FORMATS = str.maketrans("|*[]=", "/'()-")
"""Signs that Robot's documentation format reads, and what stands for them."""


def found_out(context: Context, server: Server, word: str) -> Offer:
    """Return what a server offers; it is asked where nobody asked before.

    Raises:
        ValueError: The word is not a capability.
    """
    from InferenceLibrary.protocol.capabilities import capability

    return context.known_servers.offer(server, capability(word).name, context.output_dir, Log(context).info)


def skip_unless_offered(context: Context, server: Server, word: str) -> None:
    """Skip where it is known that a server does not offer this, and where nothing could show that it does.

    Raises:
        SkipExecution: It does not.
        ValueError: The word is not a capability.
    """
    from InferenceLibrary.protocol.capabilities import CAPABILITIES, CapabilityKind, State
    from InferenceLibrary.servers.probing.prober import can_be_asked

    offer = found_out(context, server, word)
    one = CAPABILITIES[offer.name]
    log = Log(context)
    if offer.state is State.OFFERED:
        log.info(f"{server.name} offers '{offer.name}': {offer.evidence}.")
        return
    # Without a sign a field outside the reference is not sent; whatever else could not be told, the test shows.
    shows_itself = can_be_asked(one) and one.kind is not CapabilityKind.PARAMETER
    if offer.state is State.UNKNOWN and shows_itself:
        log.warn(f"Whether {server.name} offers '{offer.name}' could not be told: {offer.evidence}.")
        return
    state = "refuses" if offer.state is State.REFUSED else "does not offer"
    raise SkipExecution(context.redactor(f"{server.name} {state} '{offer.name}': {offer.evidence}."))


def refuse_unless_offered(context: Context, server: Server, words: Sequence[str]) -> None:
    """Fail where a server does not offer all of this, or nothing could show that it does.

    Raises:
        CheckFailure: It does not; each that is missing is named with what was seen.
        ValueError: A word is not a capability, or there is none.
    """
    from InferenceLibrary.protocol.capabilities import State

    if not words:
        raise ValueError("Expected one capability or more, got none.")
    offers = [found_out(context, server, word) for word in words]
    missing = [offer for offer in offers if offer.state is not State.OFFERED]
    if missing:
        told = "; ".join(f"'{offer.name}' {offer.state} ({offer.evidence})" for offer in missing)
        raise CheckFailure(
            context.redactor(describe(f"{server.name} does not support all of this", expected="each offered", got=told))
        )
    Log(context).info(f"{server.name} offers {', '.join(offer.name for offer in offers)}.")


def show_capabilities(context: Context, suite: Any) -> None:
    """Put the table into the metadata of the outermost suite; the library is told of the ends of its own alone."""
    while suite.parent is not None:
        suite = suite.parent
    from InferenceLibrary.report.run_facts import CAPABILITIES

    table = capabilities_table(context)
    if table:
        suite.metadata[CAPABILITIES] = table


def capabilities_table(context: Context) -> str:
    """Return what was found out of all servers, as a table of Robot's documentation format; empty without any."""
    from InferenceLibrary.servers.probing.prober import table_rows

    lines: list[str] = []
    for name, known in context.known_servers.servers.values():
        lines += ["", f"*{_plain(context, name)}*", "", "| =capability= | =state= | =who says so= | =evidence= |"]
        lines += ["| " + " | ".join(_plain(context, cell) for cell in row) + " |" for row in table_rows(known)]
    return "\n".join(lines).strip()


def _plain(context: Context, text: str) -> str:
    """Text of a server as text: nothing of it ends a cell or makes a format."""
    line = readable(context.redactor(" ".join(text.split())))
    return line.translate(_FORMATS).replace("://", ": //")
