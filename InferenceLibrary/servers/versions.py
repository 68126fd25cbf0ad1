"""Which version of a server runs, and so which of its dialects is the right one."""

from __future__ import annotations

import re

from InferenceLibrary.client.http import Client
from InferenceLibrary.client.sending import Sending
from InferenceLibrary.dialects.dialect import VersionProbe, version_key
from InferenceLibrary.dialects.files import Chosen, load_dialect, shipped_dialects
from InferenceLibrary.errors import RequestError
from InferenceLibrary.protocol.rules.verdicts import Waiver

_WAIT = 30.0
"""Seconds that a server may take to tell its version: some make the page that tells it when it is first asked for."""


def dialect_of(client: Client, wanted: str) -> Chosen:
    """Return the dialect that is asked for; without a version, the one for the version that the server tells.

    Of a gateway its own version is found out, and what stands behind it is as it is asked for.

    Raises:
        ProfileError: There is none.
    """
    chosen = load_dialect(wanted)
    front, plus, behind = wanted.partition("+")
    if "@" in front or chosen.dialect.probe is None:
        return chosen
    version = found_version(client, chosen.dialect.probe)
    if version is None:
        assumed = f"the version was not found out, {chosen.dialect.version} is assumed"
        return chosen._replace(notice="; ".join(filter(None, (assumed, chosen.notice if plus else ""))))
    if not chosen.shipped:
        return chosen
    return load_dialect(f"{front}@{version}{plus}{behind}")


def found_version(client: Client, probe: VersionProbe) -> str | None:
    """Return the version that a server tells; None where it tells none."""
    try:
        limits = client.limits.replace(total=min(_WAIT, client.limits.total))
        answer = client.send("GET", probe.path, sending=Sending(limits=limits))
    except RequestError:
        return None
    text = answer.exchange.text if probe.header is None else answer.exchange.header(probe.header.lower()) or ""
    found = re.search(probe.pattern, text)
    return found[1] if found and version_key(found[1]) else None


def waivers_of(client: Client, dialect: str | None) -> tuple[Waiver, ...]:
    """Return the waivers of a dialect for a server; it is asked for its version where the versions differ.

    Raises:
        ProfileError: There is no such dialect.
    """
    if dialect is None:
        return ()
    front = dialect.partition("+")[0]
    known = sum(one.name == front for one in shipped_dialects())
    return (dialect_of(client, dialect) if known > 1 else load_dialect(dialect)).waivers
