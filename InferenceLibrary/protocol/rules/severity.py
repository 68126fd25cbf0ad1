"""How much a broken rule counts."""

from __future__ import annotations

from enum import StrEnum


class Severity(StrEnum):
    """How much a broken rule counts."""

    WARN = "warn"
    """It is told; a broken must rule with a warning."""
    FAIL = "fail"
    """A broken must rule fails the call."""
    FAIL_SHOULD = "fail-should"
    """A broken should rule fails it too."""
    OFF = "off"
    """Calls are not judged."""
