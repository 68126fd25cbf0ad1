"""What a profile says of a server's capabilities, without asking the server."""

from __future__ import annotations

from InferenceLibrary.protocol.capabilities import Capability, Offer, State
from InferenceLibrary.servers.profile import Profile

_SECTIONS = {"program": "program", "terminal": "terminal", "start": "start", "metrics": "metrics"}
"""Capability to the section of the profile without which it cannot be used."""


REPEATS = "repeatable answers"


def chance_stated(profile: Profile) -> str | None:
    """Return why answers do not repeat, as the profile says; empty where they do; None where it says nothing."""
    return profile.lacks.get(REPEATS, "" if REPEATS in profile.offers else None)


def stated(profile: Profile, one: Capability) -> Offer:
    """Return what the profile says of a capability; unknown where it says nothing and none is assumed."""
    reason = profile.lacks.get(one.name)
    if reason is not None:
        return Offer(one.name, State.NOT_OFFERED, reason, "profile")
    section = _SECTIONS.get(one.name)
    if section is not None and getattr(profile, section) is None:
        return Offer(one.name, State.NOT_OFFERED, f"its profile has no section '{section}'", "profile")
    if one.name in profile.offers or (section is not None and one.probe is None):
        return Offer(one.name, State.OFFERED, "its profile says so", "profile")
    if one.assumed:
        return Offer(one.name, State.OFFERED, "assumed of each server, and its profile says nothing else", "neither")
    return Offer(one.name, State.UNKNOWN, "its profile does not say so", "neither")
