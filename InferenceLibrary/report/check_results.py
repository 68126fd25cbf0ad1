"""The results of `rfinference check` as JSON: the schema, which has a version, and its reader.

The version rises when a key is removed or changes its meaning; new keys with a default do not raise it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import msgspec

from InferenceLibrary.errors import InferenceError, describe

FORMAT = "rfinference-check"
VERSION = 1

CoverageState = Literal["offered", "not offered", "refused", "unknown"]
RuleState = Literal["kept", "broken", "waived", "not judged"]
AbilityState = Literal["shown", "not shown", "not asked"]
CallState = Literal["kept", "broken", "waived", "refused", "failed", "not asked"]
CheckVerdict = Literal["pass", "fail", "not judged"]


class _Result(msgspec.Struct, frozen=True):
    """Base of all results. Unknown keys are left: an older library reads newer results of its version."""


class CoverageResult(_Result, frozen=True):
    """Whether the server offers something."""

    capability: str
    state: CoverageState
    reason: str = ""
    """The server's words, or what was seen."""


class BreachResult(_Result, frozen=True):
    """One breach of a rule."""

    call: str
    """Name of the call."""
    kind: str
    got: str
    event: int | None = None
    """Number of the event, from 1."""
    offset: int | None = None
    """Byte of the body."""
    waived: str = ""
    """Why it is not held against the server; empty where it is."""


class RuleResult(_Result, frozen=True):
    """What became of one rule."""

    rule: str
    level: Literal["must", "should"]
    state: RuleState
    sentence: str
    source: str
    calls: int
    """Calls that it was judged in."""
    reason: str = ""
    """Why it was not judged or is waived."""
    breaches: list[BreachResult] = []
    """The first of each call."""


class AbilityResult(_Result, frozen=True):
    """Whether the model can do something; nothing of it is a matter of the protocol."""

    ability: str
    state: AbilityState
    reason: str = ""


class CallResult(_Result, frozen=True):
    """One call."""

    name: str
    capability: str
    method: str
    path: str
    state: CallState
    status: int | None = None
    milliseconds: int = 0
    broken: list[str] = []
    """Ids of the rules that it breaks and that are held against the server."""
    reason: str = ""
    evidence: str = ""
    """Path of its recording, relative to these results; empty without."""


class TargetCheck(_Result, frozen=True):
    """What was found out about one target."""

    target: str
    url: str
    model: str
    dialect: str
    """Whose known deviations are waived; empty: nobody's."""
    reference: str
    compat: CheckVerdict
    """Whether clients of the field work with it: no must rule is broken."""
    strict: CheckVerdict
    """Whether it does what the reference says: no rule is broken, waived or not."""
    reason: str
    """Why the verdict is as it is, one line."""
    requests: int
    seconds: float
    coverage: list[CoverageResult]
    rules: list[RuleResult]
    abilities: list[AbilityResult]
    calls: list[CallResult]
    notices: list[str] = []
    """What is to be known of the waivers: a version that was not found out, one that is unproven or past its date."""
    stale: list[str] = []
    """Waivers that matched nothing."""
    worse: list[str] = []
    """What got worse against a baseline."""


class ProofResult(_Result, frozen=True):
    """Whether the calls of a check notice what is wrong."""

    faults: int
    """Faults of the wire that were played."""
    missed: list[str]
    """Those that no call noticed."""
    oddities: int
    """Legal oddities that were played."""
    alarms: list[str]
    """Those that something was held against."""
    rules: int
    """Rules of the book."""
    red: list[str]
    """Rules that a fault broke."""
    alone: list[str]
    """Rules that broke alone in a call."""
    not_played: list[str] = []
    """Faults of the wire that cannot strike these calls, or that outlive their request."""


class FailedTest(_Result, frozen=True):
    """One failed test of the suites."""

    test: str
    message: str
    """Its first line."""


class SuitesResult(_Result, frozen=True):
    """What the suites of the library said of one target."""

    target: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list[FailedTest] = []
    log: str = ""
    """Path of log.html, relative to these results; empty without."""
    error: str = ""
    """Why nothing can be said; empty where tests passed or failed."""


class CheckResults(_Result, frozen=True, kw_only=True):
    """A whole run of `rfinference check`."""

    format: Literal["rfinference-check"] = "rfinference-check"
    version: int = VERSION
    made: str
    """ISO 8601, UTC."""
    library: str
    """Version of the library."""
    exit_code: Literal[0, 1, 2]
    targets: list[TargetCheck]
    proof: ProofResult | None = None
    suites: list[SuitesResult] = []
    """Where `--suites` asked for them."""


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the results."""
    return msgspec.json.schema(CheckResults)


def to_json(results: CheckResults) -> str:
    """Return the results as JSON, the same for the same results."""
    return json.dumps(msgspec.to_builtins(results), indent=1, ensure_ascii=False) + "\n"


def read_results(path: Path) -> CheckResults:
    """Return results from a file.

    Raises:
        InferenceError: It cannot be read, or is not such a file of this version.
    """
    try:
        raw = path.read_bytes()
        head = msgspec.json.decode(raw)
        found = (head.get("format"), head.get("version")) if isinstance(head, dict) else (None, None)
        if found != (FORMAT, VERSION):
            raise ValueError(f"format {found[0]!r}, version {found[1]!r}")
        return msgspec.json.decode(raw, type=CheckResults)
    except OSError as error:
        reason = str(error.strerror).lower()
    except (ValueError, RecursionError) as error:
        reason = str(error)
    expected = f"a file that `rfinference check --json` wrote ({FORMAT}, version {VERSION})"
    raise InferenceError(describe(f"'{path}' does not hold results of a check", expected=expected, got=reason))
