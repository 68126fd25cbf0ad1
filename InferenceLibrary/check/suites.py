"""`rfinference check --suites`: the suites that come with the library, run against a target beside its check."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from InferenceLibrary.check.evidence import file_name
from InferenceLibrary.check.targets import CheckTarget
from InferenceLibrary.report.check_results import FailedTest, SuitesResult
from InferenceLibrary.report.document import Cell, Section, Tone, row, table
from InferenceLibrary.report.junit import JUnitCase
from InferenceLibrary.servers.profile import profile_names
from InferenceLibrary.servers.target import URL_VARIABLES

_ENDS = ("| PASS |", "| FAIL |", "| SKIP |")
_NOT_OF_A_TARGET = "simulatorORonnx"
"""Tags of tests that need a simulator of their own, or no server at all: they say nothing of a target."""
_OF_OTHERS = {
    *URL_VARIABLES, *("INFERENCE_API_KEY", "INFERENCE_TARGET_OPTIONS", "INFERENCE_PROFILE", "INFERENCE_DIALECT"),
    *("VLLM_MODEL_NAME",),
    *("WORKER_TARGET", "ROUTER_URL", "ROUTER_API_KEY"),
}  # fmt: skip
"""Variables that would bring other servers into the run, or other keys."""
_ERROR_CODES = 251
"""From here on a return code of Robot Framework is an error of its own, not a number of failed tests."""


def shipped_folders() -> tuple[Path, Path]:
    """Return the folders of the suites and of what they share: in the package when it was installed, else the
    checkout's."""
    package = Path(__file__).parents[1]
    if (package / "suites").is_dir():
        return package / "suites", package / "resources"
    return package.parent / "robot", package.parent / "resources"


def plan_line(targets: Sequence[CheckTarget], include: Sequence[str]) -> str:
    """Say what the suites would do. What their tests send depends on what the target offers."""
    from robot.api import TestSuite

    suite = TestSuite.from_file_system(shipped_folders()[0] / "integration")
    suite.configure(include_tags=list(include) or None, exclude_tags=_NOT_OF_A_TARGET)
    each = "" if len(targets) == 1 else f" for each of {len(targets)} targets"
    return f"The suites run beside it: {suite.test_count} tests at most{each}. Their requests are not counted."


def run_suites(
    target: CheckTarget,
    folder: Path | None,
    include: Sequence[str],
    redact: Callable[[str], str],
    tell: Callable[[str], None],
    suites: Path | None = None,
) -> SuitesResult:
    """Run the integration suites against a target.

    Args:
        target: The target.
        folder: Where the results go, in a folder of the target's name below `suites`; nowhere by default.
        include: Only tests with one of these tags; all by default.
        redact: Masks secrets.
        tell: Takes a line for each test that ends.
        suites: Other suites than those that come with the library.
    """
    with ExitStack() as stack:
        name = f"suites/{file_name(target.shown)}"
        if folder is None:
            results = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rfinference-")))
        else:
            results = folder / name
            results.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "robot", "--outputdir", str(results), "--output", "output.xml"]
        command += ["--consolecolors", "off", "--consolewidth", "100", "--metadata", f"Target:{target.shown}"]
        command += ["--exclude", _NOT_OF_A_TARGET, *(word for tag in include for word in ("--include", tag))]
        command += ["--variable", f"MODEL:{target.model}"] if target.model else []
        command.append(str(suites or shipped_folders()[0] / "integration"))
        said: list[str] = []
        with subprocess.Popen(
            command,
            env=_environment(target),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                said.append(line.strip())
                if line.rstrip().endswith(_ENDS):
                    tell(redact(line.rstrip()))
        output = results / "output.xml"
        if process.returncode >= _ERROR_CODES or not output.exists():
            why = next((line for line in said if line), "it said nothing")
            return SuitesResult(target=target.shown, error=redact(f"Robot Framework did not run the suites: {why}"))
        log = f"{name}/log.html" if folder is not None else ""
        return _read(output, target.shown, log, redact)


def _environment(target: CheckTarget) -> dict[str, str]:
    """The environment of the run: the target's own values, and nobody else's."""
    found = {name: value for name, value in os.environ.items() if name not in _OF_OTHERS}
    found["INFERENCE_TARGET"] = target.name
    if target.api_key:
        found["INFERENCE_API_KEY"] = target.api_key
    if target.is_url and target.dialect in profile_names():
        found["INFERENCE_PROFILE"] = target.dialect
    elif target.dialect:
        found["INFERENCE_DIALECT"] = (
            str(Path(target.dialect).absolute()) if Path(target.dialect).is_file() else target.dialect
        )
    if not target.is_url and target.options:
        found["INFERENCE_TARGET_OPTIONS"] = json.dumps(dict(target.options))
    return found


def _read(output: Path, target: str, log: str, redact: Callable[[str], str]) -> SuitesResult:
    from robot.api import ExecutionResult

    result = ExecutionResult(str(output))
    total = result.statistics.total
    failures = [
        FailedTest(test=one.full_name, message=redact(first_line(one.message)))
        for one in result.suite.all_tests
        if one.failed
    ]
    error = "" if total.passed or total.failed else f"no test was run to its end, {total.skipped} were skipped"
    return SuitesResult(
        target=target, passed=total.passed, failed=total.failed, skipped=total.skipped, failures=failures, log=log,
        error=error,
    )  # fmt: skip


def first_line(message: str) -> str:
    """Return the line that says what failed: where a setup of the suite did, its own beside."""
    first, _, rest = message.partition("\n")
    return f"{first} {rest.partition(chr(10))[0]}" if first.lower().endswith("setup failed:") else first


def suites_code(results: Sequence[SuitesResult]) -> int:
    """0: tests passed, and none failed. 1: a test failed. 2: nothing can be said of a target; it wins."""
    return 2 if any(one.error for one in results) else 1 if any(one.failed for one in results) else 0


def suites_section(result: SuitesResult) -> Section:
    """Return what the suites say, as a section of the report."""
    counts = f"{result.passed} tests pass, {result.failed} fail, {result.skipped} are skipped."
    rows = [row(Cell(one.test, Tone.BAD, link=result.log), one.message) for one in result.failures]
    text = result.error or counts
    return Section(
        f"Suites against {result.target}", (text,), table(("failed test", "message"), rows) if rows else None
    )


def suites_case(result: SuitesResult) -> JUnitCase:
    """Return what the suites say as one case of JUnit."""
    if result.error:
        return JUnitCase(result.target, "suites", "error", result.error)
    detail = "\n".join(f"{one.test}: {one.message}" for one in result.failures)
    outcome = "failed" if result.failed else "passed"
    return JUnitCase(result.target, "suites", outcome, f"{result.failed} of the tests fail" if detail else "", detail)  # type: ignore[arg-type]
