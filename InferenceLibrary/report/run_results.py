"""The results of a whole Robot Framework run as JSON: the schema, which has a version.

The version rises when a key is removed or changes its meaning; new keys with a default do not raise it.
"""

from __future__ import annotations

import json
from typing import Any, Literal

import msgspec

FORMAT = "rfinference-report"
VERSION = 1

RuleState = Literal["kept", "waived", "broken"]
TestStatus = Literal["passed", "failed", "skipped"]


class _RunPart(msgspec.Struct, frozen=True, omit_defaults=True):
    """Base of all parts. Unknown keys are left: an older library reads newer results of its version."""


class Counts(_RunPart, frozen=True, omit_defaults=False):
    """How many tests ended how."""

    total: int
    passed: int
    failed: int
    skipped: int


class Artifact(_RunPart, frozen=True):
    """A file that the log of a test links to."""

    path: str
    """Relative to the output folder of the run."""
    caption: str = ""


class KeywordStep(_RunPart, frozen=True):
    """One keyword on the way to a failure."""

    name: str
    arguments: list[str] = []


class LogMessage(_RunPart, frozen=True):
    """One message of the log; HTML is told as text."""

    time: str
    level: str
    text: str


class Figures(_RunPart, frozen=True):
    """What the streams of a test measured; medians over `streams` of them."""

    ttft: float | None = None
    """Seconds to the first token."""
    tokens_per_second: float | None = None
    streams: int = 0


class TestResult(_RunPart, frozen=True):
    """One test."""

    __test__ = False
    """Not a class of tests, whatever pytest reads from its name."""

    name: str
    status: TestStatus
    duration: float
    """Seconds."""
    suite: str
    """Names of the suites that it stands in, joined by dots."""
    started: str = ""
    """ISO 8601, in the time zone of the machine that ran it."""
    output: str = ""
    """The last line that the log tells of a test that passed."""
    error: str = ""
    """Why it failed or was skipped."""
    tags: list[str] = []
    server: str = ""
    version: str = ""
    """Of the server, where its answers tell it."""
    model: str = ""
    calls: int = 0
    figures: Figures | None = None
    rules_broken: list[str] = []
    artifacts: list[Artifact] = []
    trace: list[KeywordStep] = []
    """The keywords that failed, the outermost first."""
    evidence: list[LogMessage] = []
    """The last messages of a test that failed."""
    worker: str = ""
    """Number of pabot's worker; empty without pabot."""

    @property
    def reason(self) -> str:
        """The first line of the error; the one below it too, where the first is a heading such as "Setup failed:"."""
        lines = [line.strip() for line in self.error.split("\n") if line.strip()]
        return " ".join(lines[: 2 if lines[0].endswith(":") else 1]) if lines else ""


class ServerLife(_RunPart, frozen=True):
    """From when to when a server was open."""

    name: str
    started: str
    ended: str
    url: str = ""
    model: str = ""
    version: str = ""
    suite: str = ""
    worker: str = ""


class MeasuredFigure(_RunPart, frozen=True, omit_defaults=False):
    """One figure of a measurement."""

    name: str
    """As in gates and files: `ttft`, `latency`, `tokens_per_second`."""
    unit: str
    values: dict[str, float]
    """By reduction: `count`, `mean`, `median`, `p90`, `p95`, `p99`, `minimum`, `maximum`, `last`; a single number is a
    `value`."""


class MeasuredCurve(_RunPart, frozen=True, omit_defaults=False):
    """One quantity along another: memory over time, throughput over the load."""

    name: str
    unit: str
    over: str
    """Unit of the first numbers of the points: `s`, `users`, `requests/s`."""
    points: list[tuple[float, float]]


class Measured(_RunPart, frozen=True, omit_defaults=False):
    """One measurement of a test."""

    what: str
    """`load`, `largest load`, `generation`, `memory` or `onnx`."""
    server: str
    """Name of the server, or of the model."""
    test: str = ""
    """Suite and name."""
    about: str = ""
    """How it was measured, in words."""
    model: str = ""
    figures: list[MeasuredFigure] = []
    curves: list[MeasuredCurve] = []
    remarks: list[str] = []
    """What a reader must know, such as why it cannot be trusted."""
    file: str = ""
    """Where it was read, relative to the output folder."""


class RuleOutcome(_RunPart, frozen=True, omit_defaults=False):
    """What became of one rule in the whole run."""

    rule: str
    state: RuleState
    """`broken`: in a call at least; `waived`: a call breaks it, and the server's dialect tolerates that; `kept`: it was
    asked and holds in every call."""
    tests: list[str] = []
    """Those that break it, by suite and name."""


class OfferedCapability(_RunPart, frozen=True, omit_defaults=False):
    """Whether a server offers something, as far as the run found out."""

    server: str
    capability: str
    state: str
    """`offered`, `not offered`, `refused` or `unknown`."""
    source: str
    """Who says so: the profile, or what was asked."""
    evidence: str


class RunResults(_RunPart, frozen=True, kw_only=True, omit_defaults=False):
    """A whole run."""

    format: Literal["rfinference-report"] = "rfinference-report"
    version: int = VERSION
    suite: str
    timestamp: str
    """When it began; ISO 8601, in the time zone of the machine that ran it."""
    duration: float
    summary: Counts
    tests: list[TestResult]
    versions: dict[str, str] = {}
    """Of Robot Framework, Python and this library, as far as the run tells them."""
    servers: list[ServerLife] = []
    measurements: list[Measured] = []
    rules: list[RuleOutcome] = []
    """Those that calls were judged by."""
    capabilities: list[OfferedCapability] = []
    problems: list[str] = []
    """Errors and warnings of the run, and what failed outside tests."""
    incomplete: str = ""
    """Why the run is not whole; empty where it is."""


def run_schema() -> dict[str, Any]:
    """Return the JSON Schema of the results."""
    return msgspec.json.schema(RunResults)


def run_json(results: RunResults) -> str:
    """Return the results as JSON, the same for the same results."""
    return json.dumps(msgspec.to_builtins(results), indent=1, ensure_ascii=False) + "\n"
