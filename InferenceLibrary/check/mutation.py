"""`rfinference mutate`: whether a user's suites notice what a server does wrong.

The suites run against the simulator, once clean, then once with each fault that they can meet.
"""

from __future__ import annotations

import argparse
import difflib
import math
import os
import random
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from InferenceLibrary.check.mutated_runs import Ran, SuiteRuns
from InferenceLibrary.check.proof import catalogue
from InferenceLibrary.errors import InferenceError, TargetError, describe
from InferenceLibrary.foreign_text import shown
from InferenceLibrary.report.console import lines
from InferenceLibrary.report.document import Cell, Document, Section, Tone, row, table
from InferenceLibrary.report.html import page
from InferenceLibrary.report.markdown import markdown
from InferenceLibrary.report.mutation_results import FaultResult, MutationResults, mutation_json
from InferenceLibrary.report.writing import add_outputs, prepare_outputs, write_outputs
from InferenceLibrary.version import __version__

_CLEAN_LIMIT = 3600.0
"""Seconds of the clean run."""
_LEAST_LIMIT = 20.0
"""Seconds that every run has: a fault may make calls wait for their own limits."""
_TIMES_CLEAN = 5


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("suites", nargs="+", type=Path, metavar="SUITE", help="file or folder of suites")
    parser.add_argument(
        "--target", default="simulator", metavar="PROFILE",
        help="the profile that `Use Target` starts; it must start the simulator [simulator]",
    )  # fmt: skip
    parser.add_argument("--faults", metavar="NAME,...", help="only these faults, whatever their kind")
    parser.add_argument("--sample", type=int, metavar="N", help="only so many, chosen by chance")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="what the chance of a sample starts from [1]")
    parser.add_argument("--threshold", type=float, default=95.0, metavar="PERCENT", help="least score [95]")
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count() or 1, metavar="N", help="runs at once [one a processor]"
    )
    parser.add_argument(
        "--timeout", type=float, metavar="SECONDS",
        help=f"limit of the run of a fault [{_TIMES_CLEAN} times the clean run, {_LEAST_LIMIT:g} s at least]",
    )  # fmt: skip
    parser.add_argument(
        "--robot", action="append", default=[], metavar="WORD",
        help="an argument of robot, as --robot=--include=smoke; may be given again",
    )  # fmt: skip
    forms = {
        "json": "write the results as JSON",
        "markdown": "write them as Markdown",
        "html": "write them as one HTML file",
    }
    add_outputs(parser, forms, "write all of these into a folder")


def run(arguments: argparse.Namespace) -> int:
    """Run the suites clean and with each fault, write the reports; return the exit code.

    0: the score reaches the threshold. 1: it does not. 2: there is none: the clean run fails, or no fault struck.
    """
    try:
        _check(arguments)
        prepare_outputs(arguments, "json", "markdown", "html")
        every = catalogue()
        wanted = _named(arguments.faults, every)
        runs = SuiteRuns(arguments.suites, arguments.robot, arguments.target)
        _tell("Clean run ...")
        clean = _clean(runs)
        limit = arguments.timeout or max(_LEAST_LIMIT, _TIMES_CLEAN * clean.seconds)
        _tell(f"Clean run: {clean.passed} tests pass, {clean.skipped} are skipped, in {clean.seconds:.1f} s")
        met = wanted or [one for one in every if one["nature"] == "wire" and _can_strike(one, clean)]
        never = [] if wanted else [one for one in every if one["nature"] == "wire" and one not in met]
        chosen = _sample(met, arguments.sample, arguments.seed)
        found = {one["name"]: _unmet(one) for one in never}
        for name, result in _played(runs, chosen, clean, limit, arguments.processes):
            found[name] = result
            _tell(f"[{len(found) - len(never)}/{len(chosen)}] {name}: {result.state}, {result.test or result.reason}")
        faults = [found[one["name"]] for one in every if one["name"] in found]
        struck = [one for one in faults if one.state != "never met"]
        score = 100 * sum(one.state == "noticed" for one in struck) / len(struck) if struck else None
        code: Literal[0, 1, 2] = 2 if score is None else 0 if score >= arguments.threshold else 1
        results = MutationResults(
            made=datetime.now(UTC).isoformat(timespec="seconds"), library=__version__,
            suites=[str(one) for one in arguments.suites], target=arguments.target, tests=clean.passed,
            skipped=clean.skipped, clean_seconds=round(clean.seconds, 3), limit=round(limit, 3),
            left_out=len(met) - len(chosen), seed=arguments.seed, score=score, threshold=arguments.threshold,
            exit_code=code, faults=faults,
        )  # fmt: skip
        _write(results, arguments)
    except InferenceError as error:
        print(f"rfinference: {error}", file=sys.stderr)
        return 2
    return code


def mutation_document(results: MutationResults) -> Document:
    """Return the report of a run."""
    groups = {
        state: [one for one in results.faults if one.state == state]
        for state in ("noticed", "not noticed", "never met")
    }
    counts = ", ".join(f"{len(group)} {state}" for state, group in groups.items())
    told = "no fault struck" if results.score is None else f"score {math.floor(results.score * 10) / 10:g} %"
    tone = {0: Tone.GOOD, 1: Tone.BAD, 2: Tone.OPEN}[results.exit_code]
    sample = f"; {results.left_out} left out by a sample with seed {results.seed}" if results.left_out else ""
    facts = (
        ("Made", results.made),
        ("Library", f"InferenceLibrary {results.library}"),
        ("Suites", ", ".join(results.suites)),
        ("Target", results.target),
        ("Clean run", f"{results.tests} tests pass, {results.skipped} are skipped, {results.clean_seconds:.1f} s"),
        ("Time limit", f"{results.limit:.0f} s for each fault"),
    )
    missed = [
        row(Cell(one.fault, Tone.BAD), one.text, ", ".join(one.breaks), one.reason) for one in groups["not noticed"]
    ]
    noticed = [row(Cell(one.fault, Tone.GOOD), one.text, one.test, one.reason) for one in groups["noticed"]]
    never = [row(Cell(one.fault, Tone.OPEN), one.text, one.reason) for one in groups["never met"]]
    sections = [
        Section(
            "Not noticed",
            ("Faults that changed answers, while no test failed.",)
            if missed
            else ("No fault that changed an answer.",),
            table(("fault", "what it does", "rules", "what was seen"), missed) if missed else None,
        ),
        Section("Noticed", (), table(("fault", "what it does", "first failed test", "message"), noticed), folded=True),
        Section("Never met", (), table(("fault", "what it does", "why"), never), folded=True),
    ]
    threshold = f"the threshold is {results.threshold:g} %"
    return Document(
        "What the suites notice",
        Cell(told, tone, f"{counts}{sample}; {threshold}"),
        facts,
        tuple(one for one in sections if one.table is not None or one.title == "Not noticed"),
    )


def _check(arguments: argparse.Namespace) -> None:
    missing = next((one for one in arguments.suites if not one.exists()), None)
    if missing is not None:
        raise TargetError(describe("A suite does not exist", expected="a file or a folder", got=f"'{missing}'"))
    for option, given in (("--sample", arguments.sample), ("--processes", arguments.processes)):
        if given is not None and given < 1:
            raise TargetError(describe(f"{option} is not understood", expected="a number above 0", got=given))
    if not 0 <= arguments.threshold <= 100:
        raise TargetError(
            describe("--threshold is not understood", expected="per cent, 0 to 100", got=arguments.threshold)
        )
    if arguments.timeout is not None and not 0 < arguments.timeout < math.inf:
        raise TargetError(describe("--timeout is not understood", expected="seconds above 0", got=arguments.timeout))


def _named(names: str | None, every: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    known = {one["name"]: one for one in every}
    found = []
    for name in dict.fromkeys(word.strip() for word in (names or "").split(",") if word.strip()):
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean '{close[0]}'?" if close else "inference-simulator --list-faults names them"
            raise TargetError(describe(f"--faults: there is not a fault '{name}'", hint=hint))
        if known[name]["nature"] == "process":
            expected = (
                "a fault of answers: a suite starts a server that ends or hangs by itself, with the option `fault`"
            )
            raise TargetError(describe(f"--faults: '{name}' is a fault of the process", expected=expected))
        found.append(known[name])
    return found


def _clean(runs: SuiteRuns) -> Ran:
    """Run the suites without a fault.

    Raises:
        TargetError: They fail, or prove nothing.
    """
    try:
        clean = runs.run(None, _CLEAN_LIMIT)
    finally:
        if sys.exc_info()[0] is not None:
            runs.end()
    if clean.failed:
        test, message = clean.failed[0]
        raise TargetError(f"The clean run fails, so nothing can be said of faults: '{test}': {message}")
    if not clean.ended:
        raise TargetError(f"The clean run did not end within {_CLEAN_LIMIT:g} s.")
    if not clean.passed:
        raise TargetError(f"No test passes in the clean run, {clean.skipped} are skipped.")
    if not clean.asked:
        raise TargetError("The suites asked no simulator: they must use TARGET, or start the profile `simulator`.")
    return clean


def _can_strike(fault: dict[str, Any], clean: Ran) -> bool:
    """Whether a fault can change an answer to what the clean run asked."""
    forms = fault["strikes"]
    return forms is None or any(
        not name or any(form.removesuffix(" stream") in apis for form in forms.get(name, ()))
        for name, apis in clean.asked
    )


def _sample(faults: list[dict[str, Any]], size: int | None, seed: int) -> list[dict[str, Any]]:
    if size is None or size >= len(faults):
        return faults
    picked = {one["name"] for one in random.Random(seed).sample(faults, size)}
    return [one for one in faults if one["name"] in picked]


def _played(
    runs: SuiteRuns, faults: Sequence[dict[str, Any]], clean: Ran, limit: float, processes: int
) -> Iterator[tuple[str, FaultResult]]:
    """Run the suites with each fault; give each result as it comes."""
    with ThreadPoolExecutor(processes) as pool:
        waiting = {pool.submit(runs.run, one["name"], limit): one for one in faults}
        try:
            for done in as_completed(waiting):
                fault = waiting[done]
                yield fault["name"], _judged(fault, done.result(), clean)
        finally:
            # Ctrl-C, or a run that could not be made: the others are not waited for.
            for one in waiting:
                one.cancel()
            runs.end()


def _judged(fault: dict[str, Any], ran: Ran, clean: Ran) -> FaultResult:
    """What a run says of the suites."""
    found = FaultResult(
        fault=fault["name"], text=fault["text"], breaks=fault["breaks"], state="noticed", seconds=round(ran.seconds, 3)
    )
    from msgspec.structs import replace

    test, message = ran.failed[0] if ran.failed else ("", "")
    if not ran.struck:
        why = f"it did not strike, and yet '{test}' fails: {message}" if test else "it struck nothing"
        return replace(found, state="never met", reason=why)
    if not ran.ended:
        return replace(found, reason=f"the run did not end within {ran.seconds:.0f} s")
    if ran.failed:
        return replace(found, test=test, reason=message)
    more = ran.skipped - clean.skipped
    seen = f"no test fails; {more} more are skipped than without it" if more > 0 else "no test fails"
    return replace(found, state="not noticed", reason=seen)


def _unmet(fault: dict[str, Any]) -> FaultResult:
    where = sorted({form for forms in fault["strikes"].values() for form in forms})
    reason = f"the suites ask for nothing that it strikes: {', '.join(where) or 'none of the plain calls'}"
    return FaultResult(
        fault=fault["name"], text=fault["text"], breaks=fault["breaks"], state="never met", reason=reason
    )


def _write(results: MutationResults, arguments: argparse.Namespace) -> None:
    made = mutation_document(results)
    forms = {
        "json": ("mutate.json", lambda path: mutation_json(results)),
        "markdown": ("mutate.md", lambda path: markdown(made)),
        "html": ("mutate.html", lambda path: page(made)),
    }
    write_outputs(arguments, forms)
    print("\n".join(lines(made)))


def _tell(line: str) -> None:
    print(shown(line), file=sys.stderr, flush=True)
