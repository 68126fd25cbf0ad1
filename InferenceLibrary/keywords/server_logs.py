"""What servers wrote: keywords that judge it, and what the library shows of it by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from robot.api.deco import keyword

from InferenceLibrary.context import Context
from InferenceLibrary.errors import CheckFailure, ServerError, describe
from InferenceLibrary.keywords.shared.base import KeywordGroup
from InferenceLibrary.log import Log

if TYPE_CHECKING:
    from InferenceLibrary.processes.program import Program

_MOST_ATTACHED = 1_000_000
"""Bytes of a server's log that are attached to a failed test; the whole lies beside the log."""
_SHOWN_LINES = 5


class ServerLogKeywords(KeywordGroup):
    """The output of servers."""

    @keyword(tags=["server"])
    def get_server_log(self, *, server: Any = None, since: Literal["start", "test"] = "start") -> str:
        """Return what a server's process has written to standard output and error so far.

        Args:
            server: Alias, handle or object; None for the current one.
            since: From the server's start on, or from that of the test.

        Returns:
            The text, secrets masked; of more than 16 MiB the last 16 MiB.

        Raises:
            ServerError: The server was not started by the library, so its output is elsewhere.

        Example:
        ```robotframework
        *** Test Cases ***
        What It Wrote
            Start Server    simulator
            ${log} =    Get Server Log
            Should Contain    ${log}    listening on
        ```
        """
        return self._text(server, since)[1]

    @keyword(tags=["server", "assertion"])
    def server_log_should_contain(
        self,
        text: str | None = None,
        *,
        matching: str | None = None,
        ignore_case: bool = False,
        server: Any = None,
        since: Literal["start", "test"] = "test",
        within: timedelta = timedelta(0),
    ) -> str:
        """Check that a server wrote a text since the test began.

        Args:
            text: Text that must stand in a line, as it stands.
            matching: Regular expression in its place, searched in each line.
            ignore_case: Whether upper and lower case are the same.
            server: Alias, handle or object; None for the current one.
            since: From the test's start on, or from that of the server.
            within: How long to wait for it.

        Returns:
            The first line with it.

        Raises:
            CheckFailure: No line has it, or nothing is looked for.
            ServerError: The server was not started by the library.

        Example:
        ```robotframework
        *** Test Cases ***
        It Says Where It Listens
            Start Server    simulator
            ${line} =    Server Log Should Contain    matching=listening on http://.*:\\\\d+
            Should Contain    ${line}    127.0.0.1
        ```
        """
        from InferenceLibrary.deadline import Deadline, wait_until
        from InferenceLibrary.text_search import TextSearch

        wanted = TextSearch("the log", text, matching, ignore_case)
        deadline = Deadline(within.total_seconds())
        found: list[str] = []

        def written() -> bool:
            found[:] = [line for line in self._text(server, since)[1].splitlines() if wanted.found_in(line) is not None]
            return bool(found)

        if not wait_until(written, deadline):
            name, log = self._text(server, since)
            raise CheckFailure(
                describe(
                    f"The log of server '{name}' lacks what was expected since the {since} began",
                    expected=f"a line with {wanted}",
                    got=f"{len(log.splitlines())} lines without it",
                    after=deadline.elapsed if within else None,
                    detail=("Last of them", log.splitlines()[-_SHOWN_LINES:] or ["(it wrote nothing)"]),
                )
            )
        self.log.info(f"{len(found)} lines have {wanted}, the first: {found[0]}")
        return found[0]

    @keyword(tags=["server", "assertion"])
    def server_log_should_not_contain(
        self,
        text: str | None = None,
        *,
        matching: str | None = None,
        ignore_case: bool = False,
        server: Any = None,
        since: Literal["start", "test"] = "test",
    ) -> None:
        """Check that a server did not write a text since the test began.

        Args:
            text: Text that must not stand in a line, as it stands.
            matching: Regular expression in its place, searched in each line.
            ignore_case: Whether upper and lower case are the same.
            server: Alias, handle or object; None for the current one.
            since: From the test's start on, or from that of the server.

        Raises:
            CheckFailure: A line has it, or nothing is looked for.
            ServerError: The server was not started by the library.

        Example:
        ```robotframework
        *** Test Cases ***
        No Traceback
            Start Server    simulator
            Chat    Hello
            Server Log Should Not Contain    matching=traceback|error    ignore_case=True
        ```
        """
        from InferenceLibrary.text_search import TextSearch

        wanted = TextSearch("the log", text, matching, ignore_case)
        name, log = self._text(server, since)
        lines = log.splitlines()
        found = [(number, line) for number, line in enumerate(lines, 1) if wanted.found_in(line) is not None]
        if found:
            raise CheckFailure(
                describe(
                    f"The log of server '{name}' holds what it should not, since the {since} began",
                    expected=f"no line with {wanted}",
                    got=f"{len(found)} of {len(lines)} lines",
                    detail=("First of them", [f"{number}: {line}" for number, line in found[:_SHOWN_LINES]]),
                )
            )
        self.log.info(f"None of {len(lines)} lines has {wanted}.")

    def _text(self, server: Any, since: str) -> tuple[str, str]:
        found = self.context.servers.get(server)
        if found.process is None:
            raise ServerError(
                describe(
                    f"Server '{found.name}' has no log here: it was not started by the library",
                    hint="start it with Start Server.",
                )
            )
        start = found.log_mark if since == "test" else 0
        return found.name, self.context.redactor(found.process.log_text(start))


def mark_logs(context: Context) -> None:
    """A test begins: remember where the logs of the live servers stand; what other tests stopped is theirs."""
    context.stopped_servers.clear()
    for server in context.servers:
        server.begin_test()


def tell_of_servers(context: Context, failed: bool) -> None:
    """A test ends: attach what live servers wrote during it, when it failed; tell who ended by itself."""
    log = Log(context)
    for server in context.servers:
        if server.process is None:
            continue
        if not server.process.running and not server.end_is_known:
            server.know_end()
            log.warn(f"Server '{server.name}' ended by itself during '{context.current_test}': {_how(server.process)}.")
        if found := server.untold_strangers():
            log.warn(
                f"Server '{server.name}' shared its port {server.port} during '{context.current_test}': "
                f"{', '.join(found)} listened there too, and may have answered calls."
            )
        path = server.log_path
        if failed and path is not None and path.exists():
            start = max(server.log_mark, path.stat().st_size - _MOST_ATTACHED)
            cut = f" (its last {_MOST_ATTACHED:,} bytes)" if start > server.log_mark else ""
            text = server.process.log_text(start)
            if text.strip():
                log.text(f"Log of server '{server.name}' during this test{cut}", text, "log")
            else:
                log.info(f"Server '{server.name}' wrote nothing during this test.")


def list_kept(context: Context) -> None:
    """The run ends: tell which servers live on, and how to end them."""
    log = Log(context)
    for server in context.servers:
        if server.keep and server.process is not None and server.process.running:
            log.console(f"Kept: server {server}. End it with: rfinference servers stop {server.process.known_as}")


def _how(program: Program) -> str:
    how = str(program.how_it_ended())
    return f"{how}, which says nothing of success here" if how == "exit code 0" else how
