"""What is expected of a command line: its version, its help, and how it refuses bad arguments."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from InferenceLibrary.errors import CheckFailure, describe, refuse_empty
from InferenceLibrary.programs.result import RunResult
from InferenceLibrary.text_search import TextSearch

Run = Callable[[Sequence[str]], RunResult]
"""Runs the program under test with arguments."""

STREAMS = ("stdout", "stderr")


@dataclass(frozen=True)
class Report:
    """How a program is asked for its version or help, and where it prints it."""

    arguments: tuple[str, ...]
    stream: str = "stdout"
    pattern: str | None = None


@dataclass(frozen=True)
class Refusal:
    """How a program refuses bad arguments: the exit codes (none named: any but 0) and where it says why."""

    exit_codes: tuple[int, ...] = ()
    stream: str = "stderr"


@dataclass(frozen=True)
class ProgramUnderTest:
    """A program under test and what its command line is like."""

    command: tuple[str, ...]
    version: Report = field(default_factory=lambda: Report(("--version",)))
    help: Report = field(default_factory=lambda: Report(("--help",)))
    bad_argument: Refusal = field(default_factory=Refusal)
    subcommand: tuple[str, ...] = ()
    """Words that come before the arguments that it must refuse, such as `serve`."""
    timeout: float = 10.0
    """Seconds that one run may take."""

    @property
    def name(self) -> str:
        return self.command[0].replace("\\", "/").rpartition("/")[2] or self.command[0]

    def close(self) -> None:
        """There is nothing to release: a program under test is a description."""


def check_version(program: ProgramUnderTest, run: Run, pattern: str | None = None) -> str:
    """Return the version text, found to match.

    Args:
        program: The program.
        run: Runs it.
        pattern: A regular expression that is searched in the text; None takes the program's own.

    Raises:
        CheckFailure: The exit code is not 0, the stream is empty, the text does not match, or the pattern is empty.
    """
    refuse_empty("the version", pattern)
    wanted = pattern or program.version.pattern or r"\d+\.\d+|\S"
    return _report(program, "version", program.version, run, wanted)


def check_help(
    program: ProgramUnderTest, run: Run, words: Sequence[str], matching: str | None = None, ignore_case: bool = False
) -> str:
    """Return the help text, found to mention every one of `words`, or to match.

    Raises:
        CheckFailure: The exit code is not 0, the stream is empty, a word is missing, with near lines; what is
            looked for is not clear (`_wanted`).
    """
    wanted = _wanted(words, matching, ignore_case)
    text = _report(program, "help", program.help, run, program.help.pattern or r"\S")
    missing = [one for one in wanted if one.found_in(text) is None]
    if missing:
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        near = {line for one in missing for line in _near_lines(one.text, lines)} if matching is None else set()
        raise CheckFailure(
            describe(
                f"The help of {program.name} does not mention {_listed(missing)}",
                expected=f"all of {_listed(wanted)}" if matching is None else f"a match of {_listed(wanted)}",
                got=f"{len(lines)} lines without it" if len(missing) == 1 else f"{len(lines)} lines without them",
                detail=("Nearest lines", sorted(near)) if near else None,
            )
        )
    return text


def check_help_without(
    program: ProgramUnderTest, run: Run, words: Sequence[str], matching: str | None = None, ignore_case: bool = False
) -> str:
    """Return the help text, found to mention none of `words`, or not to match.

    Raises:
        CheckFailure: The exit code is not 0, the stream is empty, a word is there, with its lines; what is
            looked for is not clear (`_wanted`).
    """
    unwanted = _wanted(words, matching, ignore_case)
    text = _report(program, "help", program.help, run, program.help.pattern or r"\S")
    there = [one for one in unwanted if one.found_in(text) is not None]
    if there:
        lines = [line.strip() for line in text.splitlines() if any(one.found_in(line) is not None for one in there)]
        raise CheckFailure(
            describe(
                f"The help of {program.name} mentions {_listed(there)}",
                expected=f"none of {_listed(unwanted)}" if matching is None else f"no match of {_listed(unwanted)}",
                got=f"{len(lines)} lines with it" if len(there) == 1 else f"{len(lines)} lines with them",
                detail=("Lines", lines[:12]) if lines else None,
            )
        )
    return text


def _wanted(words: Sequence[str], matching: str | None, ignore_case: bool) -> list[TextSearch]:
    """Return what is looked for in a help: several words, or one regular expression.

    Raises:
        CheckFailure: Neither or both are given, one is empty, or the expression cannot be read.
    """
    if words and matching is None:
        return [TextSearch("the help", word, ignore_case=ignore_case) for word in words]
    return [TextSearch("the help", words[0] if words else None, matching, ignore_case)]


def check_refusal(
    program: ProgramUnderTest,
    run: Run,
    arguments: Sequence[str],
    *,
    exit_codes: Sequence[int] = (),
    contains: str | None = None,
    stream: str | None = None,
) -> RunResult:
    """Return how a program refused its arguments, found to be what a person needs.

    Refused means: it ends by itself, with an exit code that is not 0, not by a signal; says on the right stream which
    argument is wrong; and leaves no process behind.

    Args:
        program: The program.
        run: Runs it.
        arguments: The bad arguments.
        exit_codes: The codes that are right; none named: those of the program, else any but 0.
        contains: What the message must name; None takes any of the arguments.
        stream: `stdout` or `stderr`, where the message must stand; None takes the program's.

    Raises:
        CheckFailure: One of this does not hold, or `contains` is empty.
    """
    refuse_empty("the message", contains)
    result = run([*program.subcommand, *arguments])
    codes = tuple(exit_codes) or program.bad_argument.exit_codes
    where = stream or program.bad_argument.stream
    what = f"{program.name} {' '.join(result.command[1:])}".rstrip()
    shown = _shown(result)
    if result.signal:
        raise _failure(f"{what} crashed", "a refusal with an exit code", result.ending, result, shown)
    if result.exit_code == 0:
        raise _failure(f"{what} was accepted", f"exit code {_any_of(codes)}", "exit code 0", result, shown)
    if codes and result.exit_code not in codes:
        raise _failure(
            f"{what} was refused with another exit code", f"{_any_of(codes)}", f"{result.exit_code}", result, shown
        )
    message, other = result.stream(where), result.stream(STREAMS[1 - STREAMS.index(where)])
    named = [contains] if contains is not None else [word for word in arguments if word]
    if not message.strip():
        got = "nothing there, but text on the other stream" if other.strip() else "nothing on any stream"
        raise _failure(f"{what} was refused without a message on {where}", f"text on {where}", got, result, shown)
    if named and not any(word.partition("=")[0] in message for word in named):
        raise _failure(
            f"{what} was refused without naming what is wrong",
            f"{_quoted(named)} on {where}",
            "another text",
            result,
            shown,
        )
    if result.left_behind:
        raise _failure(
            f"{what} left processes behind", "none", ", ".join(result.left_behind) + ", ended by us", result, shown
        )
    return result


def _report(program: ProgramUnderTest, what: str, report: Report, run: Run, pattern: str) -> str:
    result = run(report.arguments)
    shown = _shown(result)
    asked = f"{program.name} {' '.join(report.arguments)}"
    if result.exit_code != 0:
        raise _failure(f"{asked} failed", "exit code 0", result.ending, result, shown)
    text = result.stream(report.stream).strip()
    if re.search(pattern, text, re.MULTILINE):
        return text
    other = STREAMS[1 - STREAMS.index(report.stream)]
    hint = None
    if re.search(pattern, result.stream(other), re.MULTILINE):
        hint = f"It stands on {other}: say so with stream={other}, or in the profile's program.{what}.stream"
    got = repr(_first_line(text)) if text else "nothing"
    raise CheckFailure(
        describe(
            f"The {what} of {program.name} does not match",
            expected=f"/{pattern}/ on {report.stream}",
            got=got,
            hint=hint,
            detail=shown,
        )
    )


def _failure(what: str, expected: str, got: str, result: RunResult, shown: tuple[str, list[str]]) -> CheckFailure:
    return CheckFailure(describe(what, expected=expected, got=got, after=result.elapsed, detail=shown))


def _shown(result: RunResult) -> tuple[str, list[str]]:
    lines = [f"{name}: {line}" for name in STREAMS for line in result.stream(name).splitlines()[:12]]
    return "Output", lines or ["nothing"]


def _first_line(text: str) -> str:
    first, _, rest = text.partition("\n")
    return first + (" ..." if rest else "")


def _any_of(codes: Sequence[int]) -> str:
    return " or ".join(str(code) for code in codes) or "other than 0"


def _listed(wanted: Sequence[TextSearch]) -> str:
    return ", ".join(map(str, wanted))


def _quoted(words: Sequence[str]) -> str:
    return ", ".join(f"'{word}'" for word in words)


def _near_lines(word: str, lines: list[str]) -> list[str]:
    bare = word.lstrip("-")
    inside = [line for line in lines if bare and bare.lower() in line.lower()]
    tokens = {token.strip(",[]()"): line for line in lines for token in line.split()}
    close = [tokens[token] for token in difflib.get_close_matches(word, tokens, n=3, cutoff=0.7)]
    return (inside + close)[:3]
