"""Which version of a server runs, and so what its dialect says of it: what is waived, what it offers and lacks."""

from __future__ import annotations

import re
from typing import NamedTuple

from InferenceLibrary.client.http import Client
from InferenceLibrary.client.sending import Sending
from InferenceLibrary.dialects.dialect import VersionProbe, version_key
from InferenceLibrary.dialects.files import Chosen, load_dialect, pair_of, shipped_dialects
from InferenceLibrary.errors import RequestError
from InferenceLibrary.protocol.rules.verdicts import Waiver
from InferenceLibrary.servers.profile import Profile, load_profile

_WAIT = 30.0
"""Seconds that a server may take to tell its version: some make the page that tells it when it is first asked for."""


class KnownVersion(NamedTuple):
    """What is known of a server in the version that it tells."""

    profile: Profile
    """Its profile, with the capabilities that its dialect for that version says."""
    chosen: Chosen | None
    """That dialect; None where its profile names none."""

    @property
    def waivers(self) -> tuple[Waiver, ...]:
        """What is not held against it, by its profile and its dialect."""
        return self.profile.own_waivers + (self.chosen.waivers if self.chosen is not None else ())


def known_of(client: Client, profile: Profile, *, ask: bool | None = None) -> KnownVersion:
    """Return what is known of a server, by the dialect of its profile for the version that it tells.

    Of a gateway its own version is found out, and what stands behind it is as the profile names it.

    Args:
        client: Asks the server.
        profile: The kind of server.
        ask: Whether it is asked for its version; None: only where the versions of its dialect differ.

    Raises:
        ProfileError: There is no dialect for its version.
    """
    named = profile.dialect
    if named is None:
        return KnownVersion(profile, None)
    if ask is None:
        ask = sum(one.name == named.partition("+")[0] for one in shipped_dialects()) > 1
    if not ask:
        return KnownVersion(profile, load_dialect(named))
    at_version, notice = _at_version(client, named)
    told = profile if at_version == named else load_profile(profile.file, at_version)
    return KnownVersion(told, load_dialect(at_version)._replace(notice=notice))


def _at_version(client: Client, wanted: str) -> tuple[str, str]:
    """Return a dialect with the version that a server tells, as `NAME@VERSION`, and what is to be told of the choice.

    Where it has a version already, or none is told, it stays as it is.
    """
    chosen = load_dialect(wanted)
    front, plus, behind = pair_of(wanted)
    if "@" in front or chosen.dialect.probe is None:
        return wanted, chosen.notice
    version = found_version(client, chosen.dialect.probe)
    if version is None:
        assumed = f"the version was not found out, {chosen.dialect.version} is assumed"
        return wanted, "; ".join(filter(None, (assumed, chosen.notice if plus else "")))
    if not load_dialect(front).shipped:
        return wanted, chosen.notice
    found = f"{front}@{version}{plus}{behind}"
    return found, load_dialect(found).notice


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
