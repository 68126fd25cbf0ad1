"""Keywords for chats in a terminal: ask, and read the answer from the screen."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from assertionengine import AssertionOperator
from robot.api.deco import keyword

from InferenceLibrary.errors import CheckFailure, TerminalError, describe
from InferenceLibrary.keywords.shared.arguments import (
    command_of,
    placeholders_of,
    plain,
    plain_mapping,
    profile_or_current,
)
from InferenceLibrary.keywords.shared.assertions import check_number
from InferenceLibrary.keywords.shared.terminal_base import TerminalGroup, check_exit
from InferenceLibrary.terminal.answer import TerminalAnswer
from InferenceLibrary.types import JsonObject, ProfileName

if TYPE_CHECKING:
    from InferenceLibrary.terminal.chat import ChatStyle, ChatTerminal

_TEN_SECONDS = timedelta(seconds=10)


class TerminalChatKeywords(TerminalGroup):
    """A chat program in a terminal: questions and answers."""

    @keyword(tags=["terminal", "chat"])
    def start_chat_terminal(
        self,
        *command: Any,
        profile: ProfileName | str | None = None,
        options: JsonObject | None = None,
        arguments: list[str] | None = None,
        prompt: str | None = None,
        answer_end: str | None = None,
        quit_command: str | None = None,
        continuation: str | None = None,
        columns: int = 80,
        rows: int = 24,
        environment: JsonObject | None = None,
        cwd: Path | None = None,
        alias: str | None = None,
        timeout: timedelta = timedelta(seconds=30),
    ) -> Any:
        """Start a chat program in a terminal and wait for its prompt.

        Args:
            command: The program and its arguments; by default those of the profile's `terminal:` section.
            profile: The profile; by default that of the current server.
            options: Options of that section, as a JSON object.
            arguments: What the command line ends with, beside the profile's command and options.
            prompt: Regular expression that is found at the end of the line at which the program waits for a question,
                such as `you>`. Blanks after it do not matter. Default: `^> `.
            answer_end: Regular expression for the text that closes an answer, such as a line of statistics.
            quit_command: What is typed to leave.
            continuation: What is typed before Enter to go on on the next line, for questions of several lines.
            columns: Width of the screen in cells.
            rows: Height of the screen in cells.
            environment: Variables set beside those of this process and of the profile, as a JSON object.
            cwd: The program's working directory.
            alias: A name for the `terminal` argument of other keywords.
            timeout: How long the first prompt may take: the program may load a model before it.

        Returns:
            The terminal.

        Raises:
            TerminalError: The prompt did not come, or the program ended.
            TargetError: Neither a command nor a profile with a terminal is there.

        ```robotframework
        *** Test Cases ***
        A Chat In The Terminal
            Start Chat Terminal    profile=simulator
            ${answer} =    Ask In Terminal    What is the capital of France?
            Should Contain    ${answer.text}    Paris
            Leave Chat Terminal
        ```
        """
        from InferenceLibrary.terminal.chat import ChatStyle, ChatTerminal

        words, style, variables = self._chat(command, profile, options)
        words += tuple(arguments or ())
        changes = {
            "prompt": prompt, "answer_end": answer_end, "quit_command": quit_command, "continuation": continuation
        }  # fmt: skip
        style = ChatStyle(**{**vars(style), **{key: value for key, value in changes.items() if value is not None}})
        recording = self.context.artifact("terminals", Path(words[0]).name, "cast")
        try:
            terminal = ChatTerminal(
                words,
                style,
                timeout=timeout.total_seconds(),
                columns=columns,
                rows=rows,
                env={**variables, **plain_mapping(self.context, environment)},
                cwd=cwd,
                recording=recording,
                redactor=self.context.redactor,
            )
        except TerminalError:
            picture = recording.with_suffix(".svg")
            if picture.exists():
                self.log.picture("Last screen of the terminal", picture)
                self.log.file("Recording", recording)
            raise
        return self._register(terminal, alias)

    @keyword(tags=["terminal", "chat"])
    def ask_in_terminal(
        self,
        question: str,
        *,
        interrupt_after: int | None = None,
        timeout: timedelta = timedelta(seconds=60),
        terminal: Any = None,
    ) -> TerminalAnswer:
        """Type a question, press Enter, and return the answer when the program is back at its prompt.

        Args:
            question: The question. Line feeds are possible where the program can continue a line.
            interrupt_after: Press Ctrl+C as soon as the answer has so many characters.
            timeout: How long the whole answer may take.
            terminal: Alias, handle or object of a chat terminal; by default the current terminal.

        Returns:
            An object with `text`, `time_to_first_token` (seconds from Enter to the first text; none for no text),
            `elapsed` (seconds to the last text), `statistics` (what the program writes below the answer) and
            `interrupted`.

        Raises:
            TerminalError: The answer did not end in time, or the program ended.

        ```robotframework
        *** Test Cases ***
        An Answer In The Terminal
            Start Chat Terminal    profile=simulator
            ${answer} =    Ask In Terminal    What is the capital of France?
            Terminal Should Contain    Paris
            Leave Chat Terminal
        ```
        """
        shell = self._chat_terminal(terminal)
        with self._evidence(shell):
            answer = shell.ask(question, timeout=timeout.total_seconds(), interrupt_after=interrupt_after)
        self.log.info(f"{question!r}: {answer}")
        return answer

    @keyword(tags=["terminal", "getter"])
    def get_terminal_time_to_first_token(
        self,
        answer: TerminalAnswer,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
    ) -> Any:
        """Return the seconds from Enter to the first text of an answer in a terminal.

        Args:
            answer: What [Ask In Terminal] returned.
            assertion_operator: An inline assertion, such as `<`.
            assertion_expected: Its other side, such as `200 ms`.
            message: Replaces the text of the failure.

        Raises:
            TerminalError: The answer has no text.

        ```robotframework
        *** Test Cases ***
        The First Text Comes Soon
            Start Chat Terminal    profile=simulator
            ${answer} =    Ask In Terminal    What is the capital of France?
            Get Terminal Time To First Token    ${answer}    <    5 s
        ```
        """
        if answer.time_to_first_token is None:
            raise TerminalError(describe("There is no first token", expected="an answer", got="one without text"))
        return check_number(
            answer.time_to_first_token, assertion_operator, assertion_expected, "time to first token", "s", message
        )

    @keyword(tags=["terminal", "chat"])
    def enter_chat_command(
        self, command: str, *words: Any, timeout: timedelta = _TEN_SECONDS, terminal: Any = None
    ) -> str:
        """Enter a command of the chat, and return what the program writes before its next prompt.

        Args:
            command: A name under `commands:` in the profile's `terminal:` section (`help`, `clear`, `regenerate`,
                `model`), or the command as it is typed, such as `/help`.
            words: What follows it.
            timeout: How long until the prompt is back, or the program has ended.
            terminal: Alias, handle or object of a chat terminal; by default the current terminal.

        Raises:
            TerminalError: The profile has no such command, or the prompt did not come back.

        ```robotframework
        *** Test Cases ***
        The Chat Explains Itself
            Start Chat Terminal    profile=simulator
            ${help} =    Enter Chat Command    help
            Should Contain    ${help}    exit
            Leave Chat Terminal
        ```
        """
        shell = self._chat_terminal(terminal)
        with self._evidence(shell):
            text = shell.enter(command, *(plain(self.context, word) for word in words), timeout=timeout.total_seconds())
        self.log.info(f"{command}: {len(text.splitlines())} lines.")
        self.log.text("Written", text)
        return text

    @keyword(tags=["terminal", "chat", "assertion"])
    def terminal_answer_should_equal_what_the_server_sent(
        self,
        answer: TerminalAnswer | None,
        truth_file: Path,
        *,
        layout: Literal["terminal", "program"] = "terminal",
        record: int = -1,
        within: timedelta = timedelta(seconds=1),
        terminal: Any = None,
    ) -> None:
        """Check that the terminal shows exactly the tokens that the simulator sent.

        Nothing may be lost, doubled, reordered or added, neither in the answer as the program wrote it nor on the
        screen and above it. A row may end only where the text has a line's end or at the edge of the screen. Of an
        interrupted answer, what is shown must be the beginning of what was sent. After [Resize Terminal] the new width
        counts. The emulator itself may lose a wide character that is drawn in the very moment of resizing, and the one
        after a character whose bytes the program wrote in two pieces.

        Args:
            answer: What [Ask In Terminal] returned; `${NONE}` compares the screen alone, for full-screen programs.
            truth_file: The file that the simulator, or its terminal chat, writes with the option `truth_file`.
            layout: `terminal`: the terminal breaks long lines at its edge. `program`: the program breaks them itself,
                at blanks, and may draw frames around them; blanks are then not compared.
            record: Which answer of the file; -1 is the last.
            within: How long the record may take to be there, and the screen to show it.
            terminal: Alias, handle or object of a terminal; by default the current one.

        Raises:
            CheckFailure: The terminal shows something else; names the first token that is lost, doubled or swapped.
            TerminalError: The file is not a truth file.

        ```robotframework
        *** Test Cases ***
        What Is Shown Is What Was Sent
            ${truth} =    Set Variable    ${OUTPUT DIR}/truth.jsonl
            Start Chat Terminal    profile=simulator    options={"truth_file": "${truth}"}    columns=24
            ${answer} =    Ask In Terminal    What is the capital of France?
            Terminal Answer Should Equal What The Server Sent    ${answer}    ${truth}
            Leave Chat Terminal
        ```
        """
        from InferenceLibrary.deadline import wait_until
        from InferenceLibrary.terminal.truth import Sent, difference, read_truth, screen_difference

        shell = self._terminal(terminal)
        sent: Sent | None = None
        trouble: str | None = None

        def equal() -> bool:
            nonlocal sent, trouble
            records = read_truth(truth_file)
            if not -len(records) <= record < len(records):
                trouble = f"{len(records)} answers in {truth_file.name}"
                return False
            sent, trouble = records[record], None
            if answer is not None:
                trouble = difference(answer.text, sent, interrupted=answer.interrupted)
                shown = Sent((answer.text,), sent.outcome) if answer.interrupted else sent
            else:
                shown = sent
            trouble = trouble or screen_difference(
                shell.scrollback().split("\n"),
                shell.screen().columns,
                shown,
                question=None if answer is None else answer.question,
                words=layout == "program",
            )
            return trouble is None

        with self._evidence(shell):
            if not wait_until(equal, within.total_seconds()):
                raise CheckFailure(
                    shell.failure_text(
                        "The terminal does not show what the server sent",
                        expected="its record" if sent is None else str(sent),
                        got=trouble,
                    )
                )
        self.log.info(f"The terminal shows what the server sent: {sent}.")

    @keyword(tags=["terminal", "chat"])
    def leave_chat_terminal(
        self, exit_code: int = 0, *, timeout: timedelta = _TEN_SECONDS, terminal: Any = None
    ) -> None:
        """Leave the chat by its own command and check the exit code.

        Args:
            exit_code: The exit code that is right.
            timeout: How long the program may take to end.
            terminal: Alias, handle or object of a chat terminal; by default the current terminal.

        Raises:
            TerminalError: The program did not end.
            CheckFailure: It ended otherwise.

        ```robotframework
        *** Test Cases ***
        The Chat Is Left
            Start Chat Terminal    profile=simulator
            Leave Chat Terminal
        ```
        """
        shell = self._chat_terminal(terminal)
        with self._evidence(shell):
            screen = shell.leave(timeout=timeout.total_seconds())
            check_exit(shell, screen, exit_code)

    def _chat_terminal(self, ref: Any) -> ChatTerminal:
        from InferenceLibrary.terminal.chat import ChatTerminal

        shell = self._terminal(ref)
        if not isinstance(shell, ChatTerminal):
            raise shell.error("It is not a chat terminal", hint="Start Chat Terminal starts one")
        return shell

    def _chat(
        self, command: tuple[Any, ...], profile: str | None, options: JsonObject | None
    ) -> tuple[tuple[str, ...], ChatStyle, dict[str, str]]:
        from InferenceLibrary.servers.command import filled
        from InferenceLibrary.terminal.chat import ChatStyle

        if command:
            return tuple(plain(self.context, part) for part in command), ChatStyle(), {}
        found = profile_or_current(self.context, profile)
        words = command_of(self.context, found, "terminal", options)
        part = found.terminal
        assert part is not None  # command_of has refused a profile without it
        style = ChatStyle(
            prompt=part.prompt,
            answer_end=part.answer_end,
            quit_command=part.quit_command,
            quit_keys=part.quit_keys,
            interrupt_keys=part.interrupt_keys,
            continuation=part.continuation,
            commands=part.commands,
        )
        placeholders = placeholders_of(self.context, found)
        return words, style, {name: filled(value, placeholders) for name, value in part.environment.items()}
