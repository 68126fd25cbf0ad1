"""Version, help and refusals: each check passes on what is right and fails on what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from InferenceLibrary.errors import CheckFailure
from InferenceLibrary.programs.checks import (
    ProgramUnderTest,
    Refusal,
    Report,
    Run,
    check_help,
    check_help_without,
    check_refusal,
    check_version,
)
from InferenceLibrary.programs.result import RunResult

SERVER = ProgramUnderTest(("/opt/bin/server",), bad_argument=Refusal((2,)))


def gives(
    stdout: str = "",
    stderr: str = "",
    exit_code: int | None = 0,
    signal: str | None = None,
    left_behind: tuple[str, ...] = (),
) -> Run:
    def run(arguments: Sequence[str]) -> RunResult:
        return RunResult(("server", *arguments), exit_code, signal, stdout, stderr, 0.1, None, left_behind)

    return run


def test_version_that_matches() -> None:
    assert check_version(SERVER, gives("server 1.2.3\n"), r"1\.\d") == "server 1.2.3"


def test_version_on_the_other_stream_is_hinted_at() -> None:
    with pytest.raises(CheckFailure) as failure:
        check_version(SERVER, gives(stderr="server 1.2.3\n"), "1.2")
    assert "expected /1.2/ on stdout, got nothing. Hint: It stands on stderr" in str(failure.value)


def test_version_where_the_profile_says() -> None:
    program = ProgramUnderTest(("server",), version=Report(("--version",), "stderr", "version: "))
    assert check_version(program, gives(stderr="version: 7"), None) == "version: 7"
    with pytest.raises(CheckFailure, match=r"expected /version: / on stderr, got 'release 7'"):
        check_version(program, gives(stderr="release 7"), None)


def test_version_that_ends_with_an_error() -> None:
    with pytest.raises(CheckFailure) as failure:
        check_version(SERVER, gives("server 1.2.3\n", exit_code=1), "1.2")
    assert str(failure.value).startswith("server --version failed: expected exit code 0, got exit code 1")
    assert "    stdout: server 1.2.3" in str(failure.value)


def test_help_that_mentions_all() -> None:
    assert "--port" in check_help(SERVER, gives("--port N\n--host H\n"), ["--port", "--host"])


def test_help_shows_the_nearest_lines_of_what_is_missing() -> None:
    with pytest.raises(CheckFailure) as failure:
        check_help(SERVER, gives("usage\n  --ports N  ports to bind\n  --host H\n"), ["--prot", "--host"])
    assert "does not mention '--prot': expected all of '--prot', '--host', got 3 lines without it" in str(failure.value)
    assert "    --ports N  ports to bind" in str(failure.value)


HELP = gives("Usage: server\n--port N\n--host H\n")


def test_help_by_pattern_and_in_any_case() -> None:
    assert check_help(SERVER, HELP, ["--PORT", "usage"], ignore_case=True)
    assert check_help(SERVER, HELP, [], matching=r"^--host \w$")
    assert check_help(SERVER, HELP, [], matching=r"^usage", ignore_case=True)


def test_help_without_a_word() -> None:
    assert "--port" in check_help_without(SERVER, HELP, ["--prot", "usage"])
    assert check_help_without(SERVER, HELP, [], matching="^port")


@pytest.mark.parametrize(
    ("check", "words", "options", "told"),
    [
        (check_help, ["usage"], {}, "does not mention 'usage': expected all of 'usage', got 3 lines without it"),
        (check_help, [], {"matching": "^host"}, "does not mention /^host/: expected a match of /^host/, got 3 lines"),
        (check_help, [], {"matching": "^usage"}, "does not mention /^usage/: expected"),
        (check_help, ["a"], {"matching": "a"}, "What is looked for in the help is not clear: expected"),
        (check_help, [], {}, "What is looked for in the help is not clear: expected"),
        (check_help, ["--port", ""], {}, "Nothing is looked for in the help"),
        (check_help_without, ["--x", "--host"], {}, "mentions '--host': expected none of '--x', '--host', got 1 lines"),
        (check_help_without, ["usage"], {"ignore_case": True}, "mentions 'usage' in any case: expected none of"),
        (
            check_help_without,
            [],
            {"matching": "^--"},
            "mentions /^--/: expected no match of /^--/, got 2 lines with it",
        ),
        (check_help_without, ["a"], {"matching": "a"}, "What is looked for in the help is not clear: expected"),
        (check_help_without, [], {}, "What is looked for in the help is not clear: expected"),
        (check_help_without, ["--x", ""], {}, "Nothing is looked for in the help"),
    ],
)
def test_help_fails_for_its_own_reason(check: Any, words: list[str], options: dict[str, Any], told: str) -> None:
    with pytest.raises(CheckFailure) as failure:
        check(SERVER, HELP, words, **options)
    assert told in str(failure.value).splitlines()[0]


@pytest.mark.parametrize("run", [gives(), gives("--port", exit_code=1)], ids=["no-help", "failed"])
def test_a_help_that_is_not_there_lacks_nothing(run: Run) -> None:
    with pytest.raises(CheckFailure):
        check_help_without(SERVER, run, ["--x"])


def test_refusal_that_helps() -> None:
    run = gives(stderr="unknown flag --bogus", exit_code=2)
    assert check_refusal(SERVER, run, ["--bogus"]).exit_code == 2
    assert check_refusal(SERVER, gives(stderr="--port: bad value", exit_code=2), ["--port=x"]).exit_code == 2


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (gives("listening"), "server --bogus was accepted: expected exit code 2, got exit code 0"),
        (gives(stderr="--bogus?", exit_code=None, signal="SIGABRT"), "crashed: expected a refusal"),
        (gives(stderr="--bogus?", exit_code=1), "refused with another exit code: expected 2, got 1"),
        (gives(exit_code=2), "without a message on stderr: expected text on stderr, got nothing on any stream"),
        (gives("--bogus?", exit_code=2), "got nothing there, but text on the other stream"),
        (gives(stderr="wrong", exit_code=2), "without naming what is wrong: expected '--bogus' on stderr"),
        (gives(stderr="--bogus", exit_code=2, left_behind=("sleep (7)",)), "left processes behind: expected none"),
    ],
)
def test_refusal_that_does_not_help(run: Run, words: str) -> None:
    with pytest.raises(CheckFailure) as failure:
        check_refusal(SERVER, run, ["--bogus"])
    assert words in str(failure.value).splitlines()[0]


def test_refusal_may_be_described_by_the_test() -> None:
    check_refusal(
        SERVER, gives("no such thing", exit_code=9), ["--x"], exit_codes=[9], contains="thing", stream="stdout"
    )


def test_bad_arguments_come_after_the_subcommand_which_is_not_what_is_wrong() -> None:
    program = ProgramUnderTest(("server",), bad_argument=Refusal((2,)), subcommand=("serve",))
    run = gives(stderr="usage: server serve\nno such option --bogus", exit_code=2)
    assert check_refusal(program, run, ["--bogus"]).command == ("server", "serve", "--bogus")
    with pytest.raises(CheckFailure, match="server serve --bogus was refused without naming what is wrong"):
        check_refusal(program, gives(stderr="usage: server serve", exit_code=2), ["--bogus"])
