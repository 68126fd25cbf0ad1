"""Which version of a server runs, and so which of its dialects is the right one."""

from __future__ import annotations

import re

from InferenceLibrary.client.http import Client
from InferenceLibrary.dialects.dialect import VersionProbe, version_key
from InferenceLibrary.dialects.files import Chosen, load_dialect
from InferenceLibrary.errors import RequestError


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
        answer = client.send("GET", probe.path)
    except RequestError:
        return None
    text = answer.exchange.text if probe.header is None else answer.exchange.header(probe.header.lower()) or ""
    found = re.search(probe.pattern, text)
    return found[1] if found and version_key(found[1]) else None
