"""What a check leaves as evidence: each exchange as a recording that can be judged again, and Robot's log of all."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

from InferenceLibrary.check.judging import Judged, JudgedCall
from InferenceLibrary.client.evidence import evidence_of
from InferenceLibrary.client.recordings import write_recording
from InferenceLibrary.foreign_text import shown
from InferenceLibrary.protocol.rules.verdicts import listed
from InferenceLibrary.redaction import Redactor


def write_exchanges(found: Judged, folder: Path, target: str, redact: Redactor) -> dict[str, str]:
    """Write the recordings; return by the name of the call the path relative to the folder."""
    inside = f"exchanges/{file_name(target)}"
    paths: dict[str, str] = {}
    for number, one in enumerate(found.calls, start=1):
        if one.done.exchange is not None:
            path = f"{inside}/{number:02}-{file_name(one.done.call.name)}.json"
            write_recording(one.done.exchange, folder / path, redact)
            paths[one.done.call.name] = path
    return paths


def file_name(text: str) -> str:
    """Return a name for a file: what stands in a URL or a name, without what paths do not take."""
    return re.sub(r"[^\w.-]+", "-", text.rpartition("://")[2]).strip("-.")[:60] or "target"


def write_log(folder: Path, targets: dict[str, Judged], paths: dict[str, dict[str, str]], redact: Redactor) -> None:
    """Write Robot's `log.html` and `output.xml`: a suite a target, a test a call, with the exchange in it."""
    from robot.api import ResultWriter
    from robot.result import Result, TestSuite

    root = TestSuite(name="rfinference check")
    for target, found in targets.items():
        suite = root.suites.create(name=shown(redact(target)))
        for one in found.calls:
            _add_test(suite, one, found, paths.get(target, {}).get(one.done.call.name, ""), redact)
    ResultWriter(Result(suite=root)).write_results(
        output=str(folder / "output.xml"), log=str(folder / "log.html"), report=None, stdout=StringIO()
    )


def _add_test(suite: object, one: JudgedCall, found: Judged, recording: str, redact: Redactor) -> None:
    from datetime import datetime, timedelta

    done = one.done
    held = [breach.violation for breach in found.breaches if breach.call == done.call.name and not breach.waived]
    failed = done.answered is not None and done.answered.sort == "failed"
    status = "SKIP" if done.exchange is None else "FAIL" if held or failed else "PASS"
    message = listed(held) if held else done.reason or (done.answered.reason if done.answered else "")
    took = timedelta(seconds=done.exchange.elapsed if done.exchange is not None else 0.0)
    test = suite.tests.create(  # type: ignore[attr-defined]
        name=done.call.name, status=status, message=shown(redact(message)), tags=[done.call.capability or "reach"]
    )
    test.start_time, test.elapsed_time = datetime.now(), took
    if done.exchange is not None:
        link = f'<p><a href="{recording}">{recording}</a></p>' if recording else ""
        html = redact(evidence_of(done.exchange, redact, rules=listed(held), recording=link))
        step = test.body.create_keyword(name=f"{done.call.method} {done.call.path_for('MODEL')}", status=status)
        step.body.create_message(html, "INFO", html=True)
