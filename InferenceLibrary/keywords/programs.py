"""Keywords for programs that run to their end: start them, and judge their command line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from assertionengine import AssertionOperator
from robot.api.deco import keyword

from InferenceLibrary.durations import parse_duration
from InferenceLibrary.errors import ProgramError, TargetError, describe
from InferenceLibrary.keywords.shared.arguments import command_of, plain, plain_mapping, profile_or_current
from InferenceLibrary.keywords.shared.assertions import check_number, check_text
from InferenceLibrary.keywords.shared.base import KeywordGroup
from InferenceLibrary.programs.result import RunResult
from InferenceLibrary.types import JsonObject, ProfileName, seconds

if TYPE_CHECKING:
    from InferenceLibrary.programs.checks import ProgramUnderTest

OutputStream = Literal["stdout", "stderr"]

_PATIENCE = 10.0
"""Seconds that a program may take of which no profile tells more."""


class ProgramKeywords(KeywordGroup):
    """Programs: run within limits, with exit code, output, time and memory."""

    @keyword(tags=["program"])
    def use_program(
        self,
        *command: Any,
        profile: ProfileName | str | None = None,
        version_arguments: list[str] | None = None,
        version_stream: OutputStream = "stdout",
        version_pattern: str | None = None,
        help_arguments: list[str] | None = None,
        help_stream: OutputStream = "stdout",
        exit_codes: list[int] | None = None,
        error_stream: OutputStream = "stderr",
    ) -> str:
        """Say which program the keywords for programs test, until the test or suite ends.

        Without it they test the current server's program, as the `program:` section of its profile describes it.

        Args:
            command: The program and arguments that always come first.
            profile: In place of a command: a profile, whose `program:` section names the program and tells its ways.
            version_arguments: How it is asked for its version; `--version` by default.
            version_stream: Where it prints its version.
            version_pattern: Regular expression that the version must match.
            help_arguments: How it is asked for help; `--help` by default.
            help_stream: Where it prints its help.
            exit_codes: The exit codes of refused arguments; any but 0 by default.
            error_stream: Where it says what is wrong with its arguments.

        Returns:
            The program's name.

        ```robotframework
        *** Test Cases ***
        The Python Command Line
            Use Program    python
            Program Version Should Match    Python 3
            Program Should Refuse Arguments    --bogus
        ```
        """
        from InferenceLibrary.programs.checks import ProgramUnderTest, Refusal, Report

        if bool(command) == (profile is not None):
            got = "both" if command else "nothing"
            raise ProgramError(describe("The program to test is not clear", expected="a command or profile=", got=got))
        if profile is not None:
            return self._use(self._from_profile(profile))
        program = ProgramUnderTest(
            tuple(plain(self.context, part) for part in command),
            version=Report(tuple(version_arguments or ("--version",)), version_stream, version_pattern),
            help=Report(tuple(help_arguments or ("--help",)), help_stream),
            bad_argument=Refusal(tuple(exit_codes or ()), error_stream),
        )
        return self._use(program)

    @keyword(tags=["program"])
    def run_program(
        self,
        *command: Any,
        timeout: timedelta | None = None,
        environment: JsonObject | None = None,
        cwd: Path | None = None,
        stdin: str | None = None,
    ) -> RunResult:
        """Run a program to its end and return what it left.

        The program gets a session of its own. When the time limit is reached, the test is stopped or the keyword fails,
        it is ended with everything that it started. Its output goes to files and may be large; the result holds the
        first and the last 500 kB of it.

        Args:
            command: The program and its arguments. When the first one begins with `-`, or none is given, the program
                is the one under test ([Use Program]).
            timeout: How long it may take; 10 s by default, and for the program under test what its profile says.
            environment: Variables set beside those of this process, as a JSON object.
            cwd: Its working directory.
            stdin: Text on its standard input, which is empty by default.

        Returns:
            An object with `exit_code` (none after a signal), `signal` (its name, such as `SIGSEGV`), `stdout`,
            `stderr`, `elapsed` (seconds), `peak_memory` (bytes, none when unknown) and `left_behind` (processes that
            outlived it).

        Raises:
            ProgramError: It cannot be run, does not end in time, or writes more than 256 MB.

        ```robotframework
        *** Test Cases ***
        Python Tells Its Version
            ${result} =    Run Program    python    --version    timeout=5 s
            Should Be Equal As Integers    ${result.exit_code}    0
            Should Start With    ${result.stdout}    Python 3
        ```
        """
        arguments = [plain(self.context, part) for part in command]
        patience = seconds(timeout)
        if not arguments or arguments[0].startswith("-"):
            program = self._program()
            arguments = [*program.command, *arguments]
            patience = patience or program.timeout
        return self._run(
            arguments, patience or _PATIENCE, env=plain_mapping(self.context, environment), cwd=cwd, stdin=stdin
        )

    @keyword(tags=["program", "assertion"])
    def program_should_exist(self, program: str | None = None) -> str:
        """Check that a program exists and can be executed here, and return its path.

        The failure says what is wrong: nothing at that path, a directory, no right to execute, an interpreter that does
        not exist, a file made for another machine.

        Args:
            program: A name that is looked up beside the running Python and on the PATH, or a path; by default the
                program under test ([Use Program]).

        Raises:
            ProgramError: It cannot be run; with the reason and names that are near.

        ```robotframework
        *** Test Cases ***
        The Program Is There
            Program Should Exist    python
        ```
        """
        from InferenceLibrary.processes.find import find_program

        path = find_program(program if program is not None else self._program().command[0])
        self.log.info(f"{path} is there, and can be executed.")
        return str(path)

    @keyword(tags=["program", "assertion"])
    def program_version_should_match(self, pattern: str | None = None, *, timeout: timedelta | None = None) -> str:
        """Check the version that the program under test prints, and return it.

        Args:
            pattern: Regular expression that is searched in the text; by default the profile's, else any version number.
            timeout: How long the program may take; what its profile says by default, else 10 s.

        Raises:
            CheckFailure: The exit code is not 0, or the text does not match on the stream where it belongs.

        ```robotframework
        *** Test Cases ***
        The Version Is Python 3
            Use Program    python
            Program Version Should Match    ^Python 3[.]\\\\d+
        ```
        """
        from InferenceLibrary.programs.checks import check_version

        program = self._program()
        text = check_version(program, self._runner(program, timeout), pattern)
        self.log.info(f"Version of {program.name}: {' '.join(text.split())}")
        return text

    @keyword(tags=["program", "assertion"])
    def program_help_should_contain(
        self,
        *words: str,
        matching: str | None = None,
        ignore_case: bool = False,
        timeout: timedelta | None = None,
    ) -> str:
        """Check that the help of the program under test mentions every word, and return the help.

        Args:
            words: Texts that must occur, such as options, each as it stands; not empty.
            matching: Regular expression in their place; `^` and `$` stand for the ends of a line.
            ignore_case: Whether upper and lower case are the same.
            timeout: How long the program may take; what its profile says by default, else 10 s.

        Raises:
            CheckFailure: The exit code is not 0; a word is missing, with the nearest lines; nothing is looked for, an
                empty one, or words and an expression.

        ```robotframework
        *** Test Cases ***
        The Help Is Complete
            Use Program    python
            Program Help Should Contain    -c    -m    --version
            Program Help Should Contain    matching=^usage:    ignore_case=True
        ```
        """
        from InferenceLibrary.programs.checks import check_help

        program = self._program()
        text = check_help(program, self._runner(program, timeout), words, matching, ignore_case)
        looked_for = ", ".join(words) or f"/{matching}/"
        self.log.info(f"The help of {program.name} has {len(text.splitlines())} lines and mentions {looked_for}.")
        return text

    @keyword(tags=["program", "assertion"])
    def program_help_should_not_contain(
        self,
        *words: str,
        matching: str | None = None,
        ignore_case: bool = False,
        timeout: timedelta | None = None,
    ) -> str:
        """Check that the help of the program under test mentions none of several words, and return the help.

        Args:
            words: Texts that must not occur, such as options that were taken out, each as it stands; not empty.
            matching: Regular expression in their place; `^` and `$` stand for the ends of a line.
            ignore_case: Whether upper and lower case are the same.
            timeout: How long the program may take; what its profile says by default, else 10 s.

        Raises:
            CheckFailure: The exit code is not 0, or there is no help; a word is there, with its lines; nothing is
                looked for, an empty one, or words and an expression.

        ```robotframework
        *** Test Cases ***
        Old Options Are Gone
            Use Program    python
            Program Help Should Not Contain    --no-such-option
        ```
        """
        from InferenceLibrary.programs.checks import check_help_without

        program = self._program()
        text = check_help_without(program, self._runner(program, timeout), words, matching, ignore_case)
        looked_for = ", ".join(words) or f"/{matching}/"
        self.log.info(f"The help of {program.name} has {len(text.splitlines())} lines without {looked_for}.")
        return text

    @keyword(tags=["program", "assertion"])
    def program_should_refuse_arguments(
        self,
        *arguments: Any,
        exit_code: int | None = None,
        contains: str | None = None,
        stream: OutputStream | None = None,
        timeout: timedelta | None = None,
    ) -> RunResult:
        """Check that the program under test refuses arguments in a way that helps, and return how it did.

        It must end by itself within the time limit, not by a signal, with the right exit code; name what is wrong on
        the right stream; and leave no process behind.

        Args:
            arguments: The bad arguments.
            exit_code: The exit code that is right; by default the profile's, else any but 0.
            contains: Text that the message must hold; by default any one of the arguments.
            stream: Where the message must stand; by default where the profile says, else on `stderr`.
            timeout: How long the program may take; what its profile says by default, else 10 s.

        Raises:
            CheckFailure: One of this does not hold; with the program's output.
            ProgramError: It did not end in time, or cannot be run.

        ```robotframework
        *** Test Cases ***
        An Unknown Option Is Refused
            Use Program    python
            Program Should Refuse Arguments    --bogus    exit_code=2
        ```
        """
        from InferenceLibrary.programs.checks import check_refusal

        if not arguments:
            raise ProgramError(describe("No arguments are named", expected="at least one that is wrong", got="none"))
        program = self._program()
        refused = check_refusal(
            program,
            self._runner(program, timeout),
            [plain(self.context, argument) for argument in arguments],
            exit_codes=() if exit_code is None else (exit_code,),
            contains=contains,
            stream=stream,
        )
        self.log.info(f"{program.name} refused: {refused}")
        return refused

    @keyword(tags=["program", "getter"])
    def get_program_peak_memory(
        self,
        result: RunResult,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
    ) -> Any:
        """Return the most memory that a finished program held, in bytes.

        Args:
            result: What [Run Program] returned.
            assertion_operator: An inline assertion, such as `<`.
            assertion_expected: Its other side, such as `100 MB`.
            message: Replaces the text of the failure.

        Raises:
            ProgramError: The memory is not known: the system does not tell, or the program ended within milliseconds.

        ```robotframework
        *** Test Cases ***
        Python Starts In Little Memory
            ${result} =    Run Program    python    -c    import time; time.sleep(0.1)
            Get Program Peak Memory    ${result}    <    200 MB
        ```
        """
        if result.peak_memory is None:
            raise ProgramError(
                describe(
                    f"The memory of '{result.command[0]}' is not known", got=f"an end after {result.elapsed:.3f} s"
                )
            )
        return check_number(
            result.peak_memory,
            assertion_operator,
            assertion_expected,
            f"peak memory of {result.command[0]}",
            "B",
            message,
        )

    @keyword(tags=["program", "getter"])
    def get_program_output(
        self,
        result: RunResult,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
        *,
        stream: OutputStream = "stdout",
    ) -> Any:
        """Return what a finished program wrote, without blank space at its ends.

        Args:
            result: What [Run Program] returned.
            assertion_operator: An inline assertion, such as `contains`.
            assertion_expected: Its other side.
            message: Replaces the text of the failure.
            stream: `stdout` or `stderr`.

        ```robotframework
        *** Test Cases ***
        Python Prints
            ${result} =    Run Program    python    -c    print("hello")
            Get Program Output    ${result}    ==    hello
        ```
        """
        name = f"{stream} of {result.command[0]}:"
        return check_text(result.stream(stream).strip(), assertion_operator, assertion_expected, name, message)

    def _use(self, program: ProgramUnderTest) -> str:
        self.context.programs.add(program)
        self.log.info(f"The program under test is {' '.join(self.context.redactor.argv(list(program.command)))}.")
        return program.name

    def _program(self) -> ProgramUnderTest:
        if len(self.context.programs):
            return self.context.programs.get()
        if not len(self.context.servers):
            raise TargetError("No program to test is named. Hint: use Use Program, or Start Server with a profile.")
        return self._from_profile(None)

    def _from_profile(self, name: str | None) -> ProgramUnderTest:
        from InferenceLibrary.programs.checks import ProgramUnderTest, Refusal, Report

        profile = profile_or_current(self.context, name)
        command = command_of(self.context, profile, "program")
        part = profile.program
        assert part is not None  # command_of has refused a profile without it
        version, usage, refusal = part.version, part.help, part.bad_argument
        return ProgramUnderTest(
            command,
            version=Report(tuple(version.arguments), version.stream, version.pattern)
            if version
            else Report(("--version",)),
            help=Report(tuple(usage.arguments), usage.stream, usage.pattern) if usage else Report(("--help",)),
            bad_argument=Refusal(tuple(refusal.exit_codes), refusal.stream),
            subcommand=tuple(part.subcommand),
            timeout=parse_duration(part.timeout),
        )

    def _runner(self, program: ProgramUnderTest, timeout: timedelta | None) -> Any:
        def run(arguments: Sequence[str]) -> RunResult:
            return self._run([*program.command, *arguments], seconds(timeout) or program.timeout)

        return run

    def _run(self, command: Sequence[str], timeout: float, **options: Any) -> RunResult:
        from InferenceLibrary.programs.run import run_program

        result = run_program(command, timeout=timeout, redactor=self.context.redactor, **options)
        self.log.info(str(result))
        for name in ("stdout", "stderr"):
            if result.stream(name).strip():
                self.log.text(name, result.stream(name))
        return result
