"""The same suites on the simulator and on a real server, joined by test: what the pair of results means.

A simulator gives speed, a real server gives confidence: where they disagree, one of them tells of a defect.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Literal

import msgspec

from InferenceLibrary.errors import InferenceError, describe
from InferenceLibrary.foreign_text import limited
from InferenceLibrary.report.document import Cell, Document, Section, Tone, row, table
from InferenceLibrary.report.log_messages import to_the_second
from InferenceLibrary.report.run_comparison import keys
from InferenceLibrary.report.run_results import RunResults, TestResult

Verdict = Literal["good", "integration problem", "logic error", "logic error or wrong simulator", "not compared"]
_Side = Literal["passed", "failed", "skipped", "missing"]


class Meaning(msgspec.Struct, frozen=True):
    """What a pair of results means."""

    verdict: Verdict
    words: str
    action: str
    tone: Tone


_GOOD = Meaning("good", "All good: safe to deploy.", "", Tone.GOOD)
_REAL = Meaning(
    "integration problem",
    "Critical: a real integration problem. The simulator passes, the real server fails.",
    "Mend it before you deploy: the model's behaviour, token counts, time limits or GPU errors differ from the "
    "simulator's.",
    Tone.BAD,
)
_LOGIC = Meaning(
    "logic error",
    "A logic error: both fail.",
    "Mend the code or the test with the simulator: it shows the defect early and fast.",
    Tone.BAD,
)
_MOCK = Meaning(
    "logic error or wrong simulator",
    "A logic error or a wrong simulator: only the simulator fails.",
    "See which of the two is right, and bring the simulator in step with the real server.",
    Tone.BAD,
)


class JoinedTest(msgspec.Struct, frozen=True):
    """One test on both sides."""

    name: str
    mock: _Side
    real: _Side
    verdict: Verdict
    words: str
    mock_error: str = ""
    real_error: str = ""
    mock_seconds: float | None = None
    real_seconds: float | None = None


class HybridVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on two runs."""

    format: Literal["rfinference-verdict"] = "rfinference-verdict"
    version: int = 1
    exit_code: Literal[0, 1, 2]
    headline: str
    mock: str
    """Name and time of the simulator's run."""
    real: str
    counts: dict[str, int]
    tests: list[JoinedTest]


def verdict_schema() -> dict[str, Any]:
    """Return the JSON Schema of a verdict."""
    return msgspec.json.schema(HybridVerdict)


def verdict_json(verdict: HybridVerdict) -> str:
    """Return the verdict as JSON."""
    return json.dumps(msgspec.to_builtins(verdict), indent=1, ensure_ascii=False) + "\n"


def join(mock: RunResults, real: RunResults) -> HybridVerdict:
    """Join two runs by test.

    Args:
        mock: The run against the simulator.
        real: The run of the same suites against the real server.

    Raises:
        InferenceError: They have no test in common, or one of them is not whole.
    """
    for side, results in (("simulator", mock), ("real server", real)):
        if results.incomplete:
            raise InferenceError(
                describe(
                    f"The run against the {side} is not whole",
                    expected="two whole runs",
                    got=results.incomplete,
                    hint="run it again; tests that never ran would look as if they were left out on purpose.",
                )
            )
    left, right = keys(mock), keys(real)
    common = [name for name in left if name in right]
    if not common:
        raise InferenceError(
            describe(
                "The two runs have no test in common",
                expected="two runs of the same suites",
                got=f"{len(left)} tests of '{limited(mock.suite, 60)}' and {len(right)} of '{limited(real.suite, 60)}'",
                hint="run the same folder both times, with another TARGET.",
            )
        )
    names = [*left, *(name for name in right if name not in left)]
    tests = [_joined(name, left.get(name), right.get(name)) for name in names]
    counts: Counter[str] = Counter(test.verdict for test in tests)
    compared = sum(counts[one] for one in counts if one != "not compared")
    bad = compared - counts["good"]
    code: Literal[0, 1, 2] = 1 if bad else 0 if compared else 2
    return HybridVerdict(
        exit_code=code,
        headline=_headline(counts, compared),
        mock=f"{mock.suite}, {to_the_second(mock.timestamp)}",
        real=f"{real.suite}, {to_the_second(real.timestamp)}",
        counts={str(name): count for name, count in counts.items()},
        tests=tests,
    )


def verdict_document(verdict: HybridVerdict) -> Document:
    """Return the verdict as a document: the matrix in words, what needs attention, and every test."""
    tone = {0: Tone.GOOD, 1: Tone.BAD, 2: Tone.OPEN}[verdict.exit_code]
    facts = (("Simulator", verdict.mock), ("Real server", verdict.real))
    sections = [Section("Matrix", table=table(("simulator", "real server", "tests", "verdict"), _matrix(verdict)))]
    wrong = [test for test in verdict.tests if test.verdict not in {"good", "not compared"}]
    if wrong:
        rows = [
            row(test.name, test.mock, test.real, Cell(test.words, Tone.BAD), limited(_why(test), 400)) for test in wrong
        ]
        head = ("test", "simulator", "real server", "verdict", "why it failed")
        sections.append(Section("Needs attention", table=table(head, rows)))
    left_out = [test for test in verdict.tests if test.verdict == "not compared"]
    if left_out:
        rows = [row(test.name, test.mock, test.real, limited(_why(test), 300)) for test in left_out]
        columns = ("test", "simulator", "real server", "why")
        sections.append(Section("Not compared", table=table(columns, rows), folded=True))
    good = [test for test in verdict.tests if test.verdict == "good"]
    if good:
        rows = [row(test.name, _took(test.mock_seconds), _took(test.real_seconds)) for test in good]
        sections.append(Section("Good", table=table(("test", "simulator", "real server"), rows), folded=True))
    return Document("Simulator and real server", Cell(verdict.headline, tone), facts, tuple(sections))


def _matrix(verdict: HybridVerdict) -> list[tuple[Cell, ...]]:
    pairs = Counter((test.mock, test.real, test.words) for test in verdict.tests)
    tones = {one.words: one for one in (_GOOD, _REAL, _LOGIC, _MOCK)}
    rows = []
    for (mock, real, words), count in sorted(pairs.items(), key=lambda item: -item[1]):
        meaning = tones.get(words)
        cell = Cell(words, meaning.tone, meaning.action) if meaning else Cell(words, Tone.OPEN)
        rows.append(row(mock, real, str(count), cell))
    return rows


def _joined(name: str, mock: TestResult | None, real: TestResult | None) -> JoinedTest:
    left: _Side = mock.status if mock is not None else "missing"
    right: _Side = real.status if real is not None else "missing"
    meaning = _meaning(left, right)
    return JoinedTest(
        name,
        left,
        right,
        meaning.verdict,
        meaning.words,
        _reason(mock),
        _reason(real),
        mock.duration if mock is not None else None,
        real.duration if real is not None else None,
    )


def _meaning(mock: _Side, real: _Side) -> Meaning:
    match mock, real:
        case "passed", "passed":
            return _GOOD
        case "passed", "failed":
            return _REAL
        case "failed", "failed":
            return _LOGIC
        case "failed", "passed":
            return _MOCK
        case "failed", _:
            return Meaning(
                "logic error or wrong simulator", f"{_MOCK.words} The real server: {real}.", _MOCK.action, Tone.BAD
            )
        case _, "failed":
            return Meaning(
                "integration problem", f"The real server fails; the simulator: {mock}.", _REAL.action, Tone.BAD
            )
    words = {
        ("skipped", "skipped"): "Skipped on both sides: nothing is known.",
        ("passed", "skipped"): "Skipped on the real server: shown by the simulator alone.",
        ("skipped", "passed"): "Skipped on the simulator: shown by the real server alone.",
    }.get((mock, real), f"In one run only: simulator {mock}, real server {real}.")
    return Meaning("not compared", words, "", Tone.OPEN)


def _headline(counts: Counter[str], compared: int) -> str:
    left_out = counts["not compared"]
    rest = f"; {left_out} not compared" if left_out else ""
    if not compared:
        return f"nothing was compared{rest}"
    parts = [
        f"{counts[one]} {word if counts[one] == 1 else words}"
        for one, word, words in (
            ("integration problem", "integration problem", "integration problems"),
            ("logic error", "logic error", "logic errors"),
            ("logic error or wrong simulator", "logic error or wrong simulator", "logic errors or wrong simulator"),
        )
        if counts[one]
    ]
    if parts:
        return f"{', '.join(parts)} among {compared} tests{rest}"
    return f"all {compared} tests pass on both sides{rest}: safe to deploy"


def _why(test: JoinedTest) -> str:
    if test.mock_error and test.real_error and test.mock_error != test.real_error:
        return f"simulator: {test.mock_error}; real server: {test.real_error}"
    return test.real_error or test.mock_error


def _reason(test: TestResult | None) -> str:
    return limited(test.reason, 600) if test is not None else ""


def _took(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.3g} s"
