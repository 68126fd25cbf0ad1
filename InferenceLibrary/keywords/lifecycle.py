"""Keywords that act on a running server's process, and judge how it started and ended."""

from __future__ import annotations

import signal as signals
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from assertionengine import AssertionOperator
from robot.api.deco import keyword
from robot.utils import DotDict

from InferenceLibrary.durations import milliseconds
from InferenceLibrary.errors import CheckFailure, ServerError, describe
from InferenceLibrary.keywords.shared.assertions import check_number
from InferenceLibrary.keywords.shared.base import KeywordGroup

if TYPE_CHECKING:
    from InferenceLibrary.deadline import Deadline

_PORT_PATIENCE = 1.0
_GPU_PATIENCE = 10.0
_GPU_TOLERANCE = 64 * 1024 * 1024
"""Bytes; drivers keep a little more or less from one look to the next."""


class LifecycleKeywords(KeywordGroup):
    """A server's process: paused, killed, restarted; its stages and its end."""

    @keyword(tags=["server"])
    def pause_server(self, *, server: Any = None) -> None:
        """Stop a server and all that it started in their tracks (SIGSTOP): connections open, and nothing answers.

        Args:
            server: Alias, handle or object; None for the current one.

        Raises:
            ServerError: The library did not start it, or it has ended.

        Example:
        ```robotframework
        *** Test Cases ***
        Nothing Answers While Paused
            Start Server    simulator
            Pause Server
            Run Keyword And Expect Error    *no answer within*    Chat    Hello    timeout=300 ms
            Resume Server
            Chat    Hello
        ```
        """
        found = self.context.servers.get(server)
        found.pause()
        self.log.info(f"Paused {found}.")

    @keyword(tags=["server"])
    def resume_server(self, *, server: Any = None) -> None:
        """Let a server go on after [Pause Server] (SIGCONT).

        Args:
            server: Alias, handle or object; None for the current one.

        Raises:
            ServerError: The library did not start it, or it has ended.

        Example:
        ```robotframework
        *** Test Cases ***
        It Goes On
            Start Server    simulator
            Pause Server
            Resume Server
            ${reply} =    Chat    Hello
            Should Not Be Empty    ${reply.text}
        ```
        """
        found = self.context.servers.get(server)
        found.resume()
        self.log.info(f"Resumed {found}.")

    @keyword(tags=["server"])
    def kill_server(self, *, server: Any = None, children: Literal["kill", "leave"] = "kill") -> None:
        """Kill a server (SIGKILL). It stays known, for [Restart Server].

        Args:
            server: Alias, handle or object; None for the current one.
            children: Whether what it started is killed too, or left, as by a crash: then [Server Should Not Have
                Leaked] tells what outlived the server, which the library ends shortly after.

        Raises:
            ServerError: The library did not start it, it has ended already, or something of it survives.

        Example:
        ```robotframework
        *** Test Cases ***
        A Crash Is Told
            Start Server    simulator
            Kill Server
            Server Should Have Exited    signal=SIGKILL
            Run Keyword And Expect Error    *its process ended with signal SIGKILL*    Chat    Hello

        A Crash Leaves Nothing Behind
            Start Server    simulator
            Kill Server    children=leave
            Server Should Not Have Leaked
        ```
        """
        from InferenceLibrary.deadline import Deadline

        found = self.context.servers.get(server)
        deadline = Deadline(0.0)
        found.kill(leave_children=children == "leave")
        self.log.info(f"Killed {found} in {milliseconds(deadline.elapsed)}.")

    @keyword(tags=["server"])
    def restart_server(self, *, server: Any = None) -> Any:
        """Stop a server and start it again as it was started, at the same address where that is free.

        One that has ended, or was killed, is just started again.

        Args:
            server: Alias, handle or object; None for the current one.

        Returns:
            The server, the same object as before.

        Raises:
            ServerError: The library did not start it, or it does not become ready again.

        Example:
        ```robotframework
        *** Test Cases ***
        The Same Address Again
            ${server} =    Start Server    simulator
            ${before} =    Set Variable    ${server.base_url}
            Restart Server
            Should Be Equal    ${server.base_url}    ${before}
            Chat    Hello
        ```
        """
        from InferenceLibrary.deadline import Deadline

        found = self.context.servers.get(server)
        deadline = Deadline(0.0)
        found.restart()
        self.log.info(f"Restarted {found} in {milliseconds(deadline.elapsed)}.")
        if found.log_path is not None:
            self.log.file("Its log", found.log_path)
        return found

    @keyword(tags=["server", "assertion"])
    def get_server_timing(
        self,
        stage: Literal[
            "all", "spawned", "listening", "healthy", "model listed", "checks passed", "first token"
        ] = "all",
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
        *,
        server: Any = None,
    ) -> Any:
        """Return when a server reached each stage of its start, in seconds from the start.

        The stages are `spawned`, `listening`, `healthy`, `model listed`, `checks passed` and `first token`, those that
        its profile asks for. An assertion on `all` judges the last one.

        Args:
            stage: Which stage.
            assertion_operator: How to compare, such as `<`.
            assertion_expected: What to compare with: a time, such as `2 s`.
            message: Error to raise in place of the standard one.
            server: Alias, handle or object; None for the current one.

        Returns:
            Seconds of one stage; for `all`, a dictionary of all.

        Raises:
            ServerError: The server did not go through that stage, or was not started by the library.
            CheckFailure: The assertion does not hold.

        Example:
        ```robotframework
        *** Test Cases ***
        Start Times
            Start Server    simulator    wait_for=first token
            ${timing} =    Get Server Timing
            Should Be True    $timing['healthy'] <= $timing['first token']
            Get Server Timing    healthy    <    30 s
        ```
        """
        found = self.context.servers.get(server)
        if not found.stages or (stage != "all" and stage not in found.stages):
            known = ", ".join(found.stages) or "none: it was not started by the library"
            raise ServerError(
                describe(f"Server '{found.name}' has no time of the stage '{stage}'", expected=f"one of {known}")
            )
        judged = list(found.stages)[-1] if stage == "all" else stage
        what = f"Time of server '{found.name}' until it was {judged}"
        value = check_number(found.stages[judged], assertion_operator, assertion_expected, what, "s", message)
        if stage != "all":
            return value
        self.log.info(", ".join(f"{name} after {milliseconds(when)}" for name, when in found.stages.items()))
        return DotDict(found.stages)

    @keyword(tags=["server", "assertion"])
    def server_should_have_exited(
        self,
        *,
        server: Any = None,
        exit_code: int | None = None,
        signal: str | None = None,
        within: timedelta = timedelta(seconds=10),
    ) -> Any:
        """Check that a server's process has ended, wait for it if need be, and judge how it ended.

        The status is what the kernel told the process's parent. An exit code of 0 is not good by itself: servers exist
        that end with 0 after a crash of their engine.

        Args:
            server: Alias, handle or object; None for the current one, or the one stopped last.
            exit_code: Exit code that is expected.
            signal: Signal that is expected to have ended it: `SIGKILL`, `KILL` or `9`.
            within: Longest wait for its end.

        Returns:
            How it ended: `code` (negative for a signal), `core_dumped`, `max_rss` in bytes, `user` and `system` in
            seconds of processor time, `lifetime` in seconds.

        Raises:
            CheckFailure: It runs, or ended otherwise.
            ServerError: The library did not start it.

        Example:
        ```robotframework
        *** Test Cases ***
        It Ends When Asked To Crash
            Start Server    simulator    fault=crash-after:code=7
            Run Keyword And Expect Error    *exit code 7*    Chat    Hello
            ${exit} =    Server Should Have Exited    exit_code=7
            Should Be True    ${exit.max_rss} > 1_000_000
        ```
        """
        from InferenceLibrary.deadline import Deadline, wait_until

        found = self._ended_or_current(server)
        if found.process is None:
            raise ServerError(describe(f"How server '{found.name}' ended cannot be told: the library did not start it"))
        deadline = Deadline(within.total_seconds())
        ended = wait_until(lambda: not found.process.running, deadline)
        wanted = _signal_name(signal) if signal is not None else None
        expected = f"exit code {exit_code}" if exit_code is not None else f"signal {wanted}" if wanted else "its end"
        how = found.process.how_it_ended()
        if ended:
            found.know_end()
        if not ended or (exit_code is not None and found.process.exit_code != exit_code):
            raise self._wrong_end(found, expected, how, deadline)
        if wanted is not None and found.process.exit_code != -int(signals.Signals[wanted]):
            raise self._wrong_end(found, expected, how, deadline)
        self.log.info(f"Server '{found.name}' ended with {how}.")
        return found.exit

    @keyword(tags=["server", "assertion"])
    def server_should_not_have_leaked(self, *, server: Any = None) -> None:
        """Check that a server that has ended left nothing behind: no process, no listening port, no GPU memory.

        Processes that it had started and did not take along are told by name; the library has ended them since. GPU
        memory is compared with that before the start where the profile looks at it (`start.gpu`).

        Args:
            server: Alias, handle or object; None for the current one, or the one stopped last.

        Raises:
            CheckFailure: It runs, or something was left.

        Example:
        ```robotframework
        *** Test Cases ***
        It Ends Cleanly
            Start Server    simulator
            Stop Server    graceful_within=5 s
            Server Should Not Have Leaked
        ```
        """
        from InferenceLibrary.servers.leaks import leaks_of

        found = self._ended_or_current(server)
        if found.process is None or found.process.running:
            state = "runs" if found.process else "was not started by the library"
            raise CheckFailure(f"What server '{found.name}' left behind cannot be told: it {state}.")
        leaks = leaks_of(found, port_patience=_PORT_PATIENCE, gpu_patience=_GPU_PATIENCE, tolerance=_GPU_TOLERANCE)
        if leaks.found:
            raise CheckFailure(
                describe(f"Server '{found.name}' left something behind", expected="nothing", got="; ".join(leaks.found))
            )
        unseen = f" Not looked at: {'; '.join(leaks.not_looked_at)}." if leaks.not_looked_at else ""
        self.log.info(f"Server '{found.name}' left nothing behind.{unseen}")

    @keyword(tags=["gpu", "wait"])
    def wait_until_gpu_memory_is_free(
        self, most_used: str = "1 GB", *, within: timedelta = timedelta(seconds=60)
    ) -> dict[int, int] | None:
        """Wait until hardly any memory of the GPUs is in use: a server that has just ended gives it back late.

        The GPUs that `CUDA_VISIBLE_DEVICES` names count, or all. Where there is none, a warning says so and why, and
        nothing is waited for; [Skip Unless Gpu Is Available] skips instead.

        Args:
            most_used: Memory that may be in use on each GPU; drivers and desktops hold some hundred megabytes.
            within: Longest wait.

        Returns:
            Bytes in use by number of the GPU; None where there is no GPU.

        Raises:
            ServerError: More is in use after that time; the error names the processes that hold it.

        Example:
        ```robotframework
        *** Test Cases ***
        A Clean Gpu
            Wait Until Gpu Memory Is Free    500 GB    within=10 s
        ```
        """
        from InferenceLibrary.servers.gpu_gate import await_free_memory
        from InferenceLibrary.sizes import parse_bytes, show_bytes

        try:
            size = parse_bytes(most_used)
        except ValueError as error:
            raise ServerError(f"GPU memory cannot be judged: {error}.") from None
        uses, missing = await_free_memory(size, within.total_seconds(), report=self.log.info)
        if missing:
            self.log.warn(f"GPU memory was not looked at: {missing}")
            return None
        self.log.info(", ".join(f"GPU {use.gpu}: {show_bytes(use.used)} in use" for use in uses))
        return {use.gpu: use.used for use in uses}

    def _ended_or_current(self, server: Any) -> Any:
        """Return the named server, open or stopped; else the current one if it ended, else the one stopped last."""
        stopped = self.context.stopped_servers
        if server is None:
            current = self.context.servers.get() if len(self.context.servers) else None
            if current is not None and (not stopped or (current.process and not current.process.running)):
                return current
            return stopped[-1] if stopped else self.context.servers.get()
        for each in reversed(stopped):
            if server is each or server == each.name:
                return each
        return self.context.servers.get(server)

    def _wrong_end(self, found: Any, expected: str, how: str | None, deadline: Deadline) -> CheckFailure:
        log = [self.context.redactor(line) for line in found.process.log_tail()]
        return CheckFailure(
            describe(
                f"Server '{found.name}' should have exited",
                expected=expected,
                got=how or f"{found.process.label}, which runs",
                after=None if how else deadline.elapsed,
                detail=("Last lines of its log", log or ["(it wrote nothing)"]),
            )
        )


def _signal_name(text: str) -> str:
    """Return `SIGKILL` for `KILL`, `SIGKILL` and `9`."""
    try:
        if text.strip().isdigit():
            return signals.Signals(int(text)).name
        name = text.strip().upper()
        return signals.Signals[name if name.startswith("SIG") else f"SIG{name}"].name
    except (ValueError, KeyError):
        raise ServerError(
            describe(f"'{text}' is not a signal", expected="a name such as SIGKILL, or a number")
        ) from None
