"""Ask for known vulnerabilities of the packages that are installed here, by pip-audit; exit 1 where there is one.

    python scripts/audit.py FILE [OPTIONS]    # FILE: the verdict as xunit; OPTIONS: more of pip-audit

Without the network, or behind a mirror that knows nothing of vulnerabilities, pip-audit finds nothing and says that all
is well. Here that is a skip, told on the console and in the xunit file, and never a pass.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from xml.sax.saxutils import quoteattr

COMMAND = ("-m", "pip_audit", "--skip-editable", "--progress-spinner", "off", "--format", "json")
HERE = ("--local",)
ENOUGH = 0.9
"""Share of the packages that must be known to the service."""
LIMIT = 120
"""Seconds."""


class Audit(NamedTuple):
    """What became of it."""

    verdict: str
    """`passed`, `failed` or `skipped`."""
    lines: tuple[str, ...]
    """Why, the most important line first."""


def judge(report: str, said: str) -> Audit:
    """Return the verdict on what pip-audit wrote.

    Args:
        report: Its JSON.
        said: What it said beside.
    """
    try:
        found: list[dict[str, Any]] = json.loads(report)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = next((line for line in reversed(said.splitlines()) if line.strip()), "nothing")
        return Audit("skipped", (f"pip-audit could not ask: {last.strip()}",))
    known = [one for one in found if "skip_reason" not in one]
    broken = [
        f"{one['name']} {one['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'no version'}"
        for one in known
        for flaw in one["vulns"]
    ]
    if broken:
        return Audit("failed", tuple(broken))
    if not found or len(known) < ENOUGH * len(found):
        reason = f"{len(known)} of {len(found)} packages could be asked about: is the network there?"
        return Audit("skipped", (reason, *(one["skip_reason"] for one in found if "skip_reason" in one))[:3])
    return Audit("passed", (f"{len(known)} packages, none with a known vulnerability",))


def xunit(audit: Audit) -> str:
    """Return the verdict as a file of one test."""
    message = quoteattr(audit.lines[0])
    inside = {"passed": "", "failed": f"<failure message={message}/>", "skipped": f"<skipped message={message}/>"}
    counts = f'tests="1" failures="{int(audit.verdict == "failed")}" errors="0"'
    counts += f' skipped="{int(audit.verdict == "skipped")}"'
    case = f'<testcase classname="audit" name="No package has a known vulnerability">{inside[audit.verdict]}</testcase>'
    return f'<testsuite name="audit" {counts}>{case}</testsuite>\n'


def main(target: Path, options: Sequence[str] = HERE) -> int:
    """Write the xunit file; return the exit code."""
    try:
        done = subprocess.run(
            [sys.executable, *COMMAND, *options], capture_output=True, text=True, timeout=LIMIT, check=False
        )
        audit = judge(done.stdout, done.stderr)
    except subprocess.TimeoutExpired:
        audit = Audit("skipped", (f"pip-audit did not end within {LIMIT} s",))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(xunit(audit), encoding="utf-8")
    print(f"Audit {audit.verdict.upper()}", *audit.lines, sep="\n  ")
    return int(audit.verdict == "failed")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:] or HERE))
