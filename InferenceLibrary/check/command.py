"""`rfinference check`: its options, and a check from the plan to the reports."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from InferenceLibrary.check.asking import AskedCall, Findings, ask
from InferenceLibrary.check.baseline import got_worse
from InferenceLibrary.check.dialects import tried_dialect
from InferenceLibrary.check.documents import document, junit_cases
from InferenceLibrary.check.evidence import write_exchanges, write_log
from InferenceLibrary.check.judging import (
    Judged,
    call_results,
    coverage_results,
    exit_code,
    judged,
    rule_results,
    verdicts,
)
from InferenceLibrary.check.keys import KEY_VARIABLE, with_keys
from InferenceLibrary.check.plan import plan_lines
from InferenceLibrary.check.proof import proof_section, prove
from InferenceLibrary.check.suites import plan_line, run_suites, suites_case, suites_code, suites_section
from InferenceLibrary.check.targets import CheckTarget, Opened, opened
from InferenceLibrary.client.http import Client
from InferenceLibrary.errors import InferenceError, TargetError, describe
from InferenceLibrary.foreign_text import shown
from InferenceLibrary.protocol.rules.rule import Reference
from InferenceLibrary.redaction import Redactor
from InferenceLibrary.report.check_results import CheckResults, TargetCheck, read_results, to_json
from InferenceLibrary.report.console import lines
from InferenceLibrary.report.html import page
from InferenceLibrary.report.junit import junit
from InferenceLibrary.report.markdown import markdown
from InferenceLibrary.report.writing import add_outputs, prepare_outputs, way_to, write_outputs
from InferenceLibrary.servers.probing.calls import calls_for
from InferenceLibrary.servers.stated import chance_stated
from InferenceLibrary.version import __version__


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("targets", nargs="*", metavar="URL|PROFILE", help="what is checked; a profile is started")
    parser.add_argument("--plan", action="store_true", help="say what would be asked, and send nothing")
    parser.add_argument(
        "--prove", action="store_true", help="show that the check can fail: play the simulator's faults against it"
    )
    parser.add_argument(
        "--suites",
        action="store_true",
        help="run the integration suites of the library beside it: minutes, not seconds",
    )
    parser.add_argument(
        "--include", action="append", default=[], metavar="TAG", help="of the suites only tests with this tag: smoke"
    )
    parser.add_argument("--model", help="model to ask for; the first of the model list by default")
    parser.add_argument(
        "--api-key-env", metavar="[URL|PROFILE=]VARIABLE", action="append", default=[],
        help=f"environment variable that holds the key [{KEY_VARIABLE}]; with several servers once for each that has "
        "a key: http://host:port=VARIABLE",
    )  # fmt: skip
    parser.add_argument(
        "--dialect",
        metavar="NAME|FILE",
        help="waive the known deviations of this server: NAME, NAME@VERSION, GATEWAY+SERVER, or a file",
    )
    parser.add_argument(
        "--reference", choices=[one.value for one in Reference], help="the text that decides where two differ"
    )
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="option of a profile")
    parser.add_argument("--timeout", type=float, default=60.0, metavar="SECONDS", help="limit of one call [60]")
    parser.add_argument("--strict", action="store_true", help="let the strict verdict decide the exit code")
    parser.add_argument("--baseline", type=Path, metavar="FILE", help="fail only on what got worse since this JSON")
    forms = {
        "json": "write the results as JSON",
        "junit": "write them as JUnit XML",
        "markdown": "write them as Markdown",
        "html": "write them as one HTML file",
    }
    add_outputs(parser, forms, "write all of these, log.html and every exchange into a folder")


class Checked(NamedTuple):
    """One target, checked."""

    result: TargetCheck
    found: Judged | None
    """None where it could not be opened."""


def run(arguments: argparse.Namespace) -> int:
    """Check the targets and write the reports; return the exit code: 0 passed, 1 broken, 2 not judged."""
    redact = Redactor()
    try:
        wanted = _wanted(arguments, redact)
        if not wanted and not arguments.prove:
            raise TargetError("What is checked? Give a URL, or a profile: rfinference check http://host:port")
        if arguments.plan:
            calls = calls_for(key=any(one.api_key is not None for one in wanted))
            plan = plan_lines([one.shown for one in wanted], calls, arguments.timeout)
            plan += [plan_line(wanted, arguments.include)] if arguments.suites else []
            print("\n".join(shown(line) for line in plan))
            return 0
        before = read_results(arguments.baseline) if arguments.baseline else None
        prepare_outputs(arguments, "json", "junit", "markdown", "html")
        reference = Reference(arguments.reference) if arguments.reference else None
        checked = [check(one, redact, reference, arguments.output) for one in wanted]
        targets = [one.result for one in checked]
        if before is not None:
            from msgspec.structs import replace

            targets = [replace(one, worse=got_worse(one, before)) for one in targets]
        code = exit_code(targets, strict=arguments.strict, against_baseline=before is not None)
        proof = prove(tell=_progress) if arguments.prove else None
        if proof is not None and proof.alarms:
            # A check that alarms on what is legal proves nothing against anybody.
            code = 2
        suites = []
        if arguments.suites:
            names = {one.result.target for one in checked if one.found is not None}
            asked = [one for one in wanted if one.shown in names]
            suites = [run_suites(one, arguments.output, arguments.include, redact, _progress) for one in asked]
            code = max(code, suites_code(suites))
        results = CheckResults(
            made=datetime.now(UTC).isoformat(timespec="seconds"), library=__version__,
            exit_code=code, proof=proof, targets=targets, suites=suites,  # type: ignore[arg-type]
        )  # fmt: skip
        _write(results, checked, arguments, redact)
    except InferenceError as error:
        print(f"rfinference: {redact(str(error))}", file=sys.stderr)
        return 2
    return code


def check(
    wanted: CheckTarget,
    redact: Redactor,
    reference: Reference | None = None,
    folder: Path | None = None,
    tell: Callable[[str], None] | None = None,
) -> Checked:
    """Check one target: what it offers, which rules it keeps, what its model can do.

    Args:
        wanted: The target.
        redact: Masks secrets.
        reference: The text that decides where two differ; that of the dialect by default.
        folder: Where the exchanges are written; nowhere by default.
        tell: Takes the lines of the progress; standard error by default.
    """
    say = tell or _progress
    began = time.perf_counter()
    try:
        with opened(wanted, redact, lambda line: None) as target:
            client = target.server.client
            judge_by = reference or target.reference
            keyless = Client(client.base_url, name=client.name, limits=client.limits) if client.api_key else None
            most = len(calls_for(key=keyless is not None))

            def told(number: int, done: AskedCall) -> None:
                say(redact(f"[{number}/{most}] {wanted.shown}: {done.call.name}: {_seen(done)}"))

            findings = ask(client, keyless, wanted.model or client.model, told)
            found = judged(findings, judge_by, target.waivers, chance_stated(target.server.profile))
            paths = write_exchanges(found, folder, wanted.shown, redact) if folder is not None else {}
            took = time.perf_counter() - began
            return Checked(_result(wanted, target, findings, found, judge_by, paths, took), found)
    except InferenceError as error:
        reason = redact(str(error).splitlines()[0])
        nothing = TargetCheck(
            target=wanted.shown, url=wanted.shown, model=wanted.model or "", dialect=wanted.dialect or "",
            reference=(reference or Reference.OPENAI).value, compat="not judged", strict="not judged", reason=reason,
            requests=0, seconds=time.perf_counter() - began, coverage=[], rules=[], abilities=[], calls=[],
        )  # fmt: skip
        return Checked(nothing, None)


def _result(
    wanted: CheckTarget,
    target: Opened,
    findings: Findings,
    found: Judged,
    reference: Reference,
    paths: dict[str, str],
    took: float,
) -> TargetCheck:
    verdict = verdicts(findings, found)
    return TargetCheck(
        target=wanted.shown,
        url=target.server.base_url,
        model=findings.model,
        dialect=target.dialect,
        reference=reference.value,
        compat=verdict.compat,
        strict=verdict.strict,
        reason=verdict.reason,
        requests=sum(one.exchange is not None for one in findings.done),
        seconds=round(took, 3),
        coverage=coverage_results(findings, target.lacks),
        rules=rule_results(found),
        abilities=list(findings.abilities.values()),
        calls=call_results(found, paths),
        stale=list(found.stale) if not findings.cut_short else [],
        notices=[*target.notices, *found.notices],
    )


def _wanted(arguments: argparse.Namespace, redact: Redactor) -> list[CheckTarget]:
    wrong = next((one for one in arguments.option if "=" not in one), None)
    if wrong is not None:
        raise TargetError(describe("--option is not understood", expected="NAME=VALUE", got=f"'{wrong}'"))
    if not 0 < arguments.timeout < float("inf"):
        raise TargetError(describe("--timeout is not understood", expected="seconds above 0", got=arguments.timeout))
    strange = next((one for one in arguments.targets if "://" in one and not CheckTarget(one).is_url), None)
    if strange is not None:
        raise TargetError(describe(f"'{strange}' cannot be checked", expected="a URL of http:// or https://"))
    if arguments.dialect is not None:
        tried_dialect(arguments.dialect)
    options = dict(one.split("=", 1) for one in arguments.option)
    targets = [
        CheckTarget(one, arguments.model, None, arguments.dialect, options, arguments.timeout)
        for one in dict.fromkeys(arguments.targets)
    ]
    return with_keys(targets, arguments.api_key_env, os.environ, redact)


def _write(results: CheckResults, checked: Sequence[Checked], arguments: argparse.Namespace, redact: Redactor) -> None:
    extra = [proof_section(results.proof)] if results.proof is not None else []
    extra += [suites_section(one) for one in results.suites]
    report = document(results, strict=arguments.strict, extra=extra)
    cases = [*junit_cases(results, strict=arguments.strict), *map(suites_case, results.suites)]
    folder: Path | None = arguments.output
    if folder is not None:
        found = {one.result.target: one.found for one in checked if one.found is not None}
        paths = {
            one.result.target: {call.name: call.evidence for call in one.result.calls if call.evidence}
            for one in checked
        }
        write_log(folder, found, paths, redact)
    forms = {
        "json": ("check.json", lambda path: redact(to_json(results))),
        "junit": ("junit.xml", lambda path: redact(junit("rfinference check", cases))),
        "markdown": ("check.md", lambda path: redact(markdown(report))),
        "html": ("check.html", lambda path: redact(page(report, "" if folder is None else way_to(folder, path)))),
    }
    write_outputs(arguments, forms)
    print("\n".join(redact(line) for line in lines(report)))


def _seen(done: AskedCall) -> str:
    if done.exchange is None:
        return f"not asked, {done.reason}"
    if done.answered is None or done.answered.sort == "good":
        return f"status {done.exchange.status} in {done.exchange.elapsed * 1000:.0f} ms"
    return f"{done.answered.sort}, {done.answered.reason}"


def _progress(line: str) -> None:
    print(shown(line), file=sys.stderr, flush=True)
