"""Keywords that start, find, judge and stop servers."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from robot.api.deco import keyword
from robot.api.types import Secret

from InferenceLibrary.context import RUN
from InferenceLibrary.durations import milliseconds
from InferenceLibrary.errors import CheckFailure, ServerError, describe
from InferenceLibrary.keywords.connecting import ConnectionKeywords
from InferenceLibrary.keywords.shared.arguments import plain, plain_mapping, ready_when, revealed
from InferenceLibrary.types import CapabilityName, JsonObject, ProfileName, ReadyChecks, ReadyStage, Texts, seconds

_START_ARGUMENTS = (
    "port",
    "alias",
    "model",
    "timeout",
    "wait_for",
    "checks",
    "keep",
    "arguments",
    "environment",
    "cwd",
    "api_key",
)


class ServerKeywords(ConnectionKeywords):
    """Servers: start, connect, switch, judge, stop."""

    @keyword(tags=["server"])
    def start_server(
        self,
        profile: ProfileName | str | Any,
        *,
        port: int | None = None,
        alias: str | None = None,
        model: str | None = None,
        timeout: timedelta | None = None,
        wait_for: ReadyStage = "profile",
        checks: ReadyChecks = ReadyChecks(),  # noqa: B008 - read, never changed
        keep: bool = False,
        arguments: Texts = Texts(),  # noqa: B008 - read, never changed
        environment: JsonObject = JsonObject(),  # noqa: B008 - read, never changed
        cwd: Path | None = None,
        api_key: Secret | None = None,
        **options: Any,
    ) -> Any:
        """Start a server by its profile and wait until it is ready.

        The process gets a session of its own, a free port, and a log file in the output folder. It is stopped when the
        test or suite that started it ends, however that ends, and also when Robot Framework itself is killed: a guard
        process ends it then, with all that it started. It is ready after stages: spawned, listening, healthy, model
        listed, checks passed, first token. When it does not become ready, the error names the stage and holds the last
        lines of its log.

        Args:
            profile: Name of a profile that comes with the library (`rfinference profiles` lists them), or the path of
                a YAML file. Or a server that was started: another one of its kind is, with its model, key, options,
                arguments, environment and working directory where nothing else is given here.
            port: Port to listen on; a free one by default.
            alias: Name for `server=` arguments and for [Switch Server].
            model: Model to serve and to ask for; the profile's by default.
            timeout: Time that the whole start may take; the profile's by default.
            wait_for: The stage with which it is ready; what comes after it is not asked. A `first token` is asked for
                as the profile says, by a chat where it says nothing, and by a completion where chats are refused.
                The profile's choice by default.
            checks: Checks of readiness beside the profile's, asked before the first token, each until it passes: an
                object or a list of objects with one of `command` (ends with 0), `tcp` (a port or `host:port`), `grpc`
                (its health service says SERVING), `file` (exists), `python` (`module:function`), or a function itself.
                It gets the server's `base_url`, `host`, `port`, `model`, `pid` and `log_path`.
            keep: Whether it lives on when the test, the suite and the run end. What was kept is listed at the end of
                the run; `rfinference servers stop` ends it.
            arguments: Further command line arguments, one text or a list; items may be Robot secrets.
            environment: Environment variables for the process, as a JSON object; values may be Robot secrets.
            cwd: Working directory of the process.
            api_key: Key that calls send as `Authorization: Bearer`.
            options: Options that the profile allows, by name, such as `seed=1`; others are refused.

        Returns:
            The server: `${server.base_url}`, `${server.pid}`, `${server.model}`, `${server.log_path}`.

        Raises:
            ProfileError: The profile or an option is wrong.
            ServerError: It cannot be started, ended early, or was not ready in time.

        Example:
        ```robotframework
        *** Test Cases ***
        Greeting
            Start Server    simulator    seed=1
            ${reply} =    Chat    Hello
            Should Not Be Empty    ${reply.text}
        ```
        """
        from InferenceLibrary.servers.profile import load_profile
        from InferenceLibrary.servers.server import StartRequest
        from InferenceLibrary.servers.starting import StartSettings, start

        loaded, like = (load_profile(profile), StartRequest()) if isinstance(profile, str) else self._kind_of(profile)
        given = {option: revealed(self.context, value) for option, value in options.items()}
        name = alias or loaded.name
        server = start(
            loaded,
            StartSettings(
                port=port,
                model=model or like.model,
                options={**like.options, **given},
                arguments=[*like.arguments, *(plain(self.context, argument) for argument in arguments)],
                environment={**like.environment, **plain_mapping(self.context, environment)},
                cwd=cwd or like.cwd,
                api_key=self._key(api_key) or like.api_key,
                limits=self.context.limits,
                timeout=seconds(timeout) or self.context.start_timeout,
                keep=keep,
                **ready_when(self.context, wait_for, checks),
                also_allowed=_START_ARGUMENTS,
            ),
            name=name,
            new_log=lambda: self.context.artifact("servers", name, "log"),
            redact=self.context.redactor,
            report=self.log.info,
            progress=self.log.progress,
        )
        self.context.servers.add(server, alias, RUN if keep else None)
        stages = ", ".join(f"{stage} after {milliseconds(when)}" for stage, when in server.stages.items())
        self.log.info(f"Server {server} is ready: {stages}.")
        if server.log_path is not None:
            self.log.file("Its log", server.log_path)
        return server

    @keyword(tags=["server"])
    def get_server(self, *, server: Any = None) -> Any:
        """Return an open server, the current one by default.

        Args:
            server: Alias, handle or object; None for the current one.

        Returns:
            The server, as from [Start Server].

        Example:
        ```robotframework
        *** Test Cases ***
        Address
            Start Server    simulator
            ${server} =    Get Server
            Should Start With    ${server.base_url}    http://127.0.0.1:
        ```
        """
        return self.context.servers.get(server)

    @keyword(tags=["server"])
    def switch_server(self, server: Any) -> Any:
        """Make another open server the current one.

        Args:
            server: Alias, handle or object.

        Returns:
            The server that is the current one now.

        Example:
        ```robotframework
        *** Test Cases ***
        Two Servers
            Start Server    simulator    alias=first    model=one
            Start Server    simulator    alias=second    model=two
            Switch Server    first
            ${models} =    List Models
            Should Contain    ${models}    one
        ```
        """
        found = self.context.servers.switch(server)
        self.log.info(f"Current server: {found}.")
        return found

    @keyword(tags=["server"])
    def stop_server(
        self, *, server: Any = None, grace: timedelta | None = None, graceful_within: timedelta | None = None
    ) -> None:
        """Stop a server: TERM, then KILL for all that it started. One that we only connected to is let go.

        Args:
            server: Alias, handle or object; None for the current one.
            grace: Time that it has after TERM; the profile's by default.
            graceful_within: Time in which it must end by itself after TERM; it is an error when it does not, or when it
                had ended before.

        Raises:
            ServerError: Something of it still runs after KILL.
            CheckFailure: It did not end by itself within `graceful_within`.

        Example:
        ```robotframework
        *** Test Cases ***
        Stop It
            ${server} =    Start Server    simulator
            Stop Server
            Run Keyword And Expect Error    *connection refused*    Connect To Server    ${server.base_url}
        ```
        """
        from InferenceLibrary.deadline import Deadline

        found = self.context.servers.get(server)
        ended_before = found.process.how_it_ended() if found.process else None
        deadline = Deadline(0.0)
        patience = graceful_within if graceful_within is not None else grace
        graceful = found.stop(seconds(patience))
        took = deadline.elapsed
        self.context.servers.close(found)
        self.context.stopped_servers.append(found)
        if graceful_within is not None:
            self._judge_end(found, ended_before, graceful, graceful_within, took)
        if ended_before is not None and not found.end_is_known:
            self.log.warn(f"Server '{found.name}' had ended by itself before it was stopped: {ended_before}.")
        how = "" if graceful else ", by KILL: TERM was not enough"
        ended = f", {found.process.how_it_ended()}" if found.process else ""
        self.log.info(f"Stopped {found} in {milliseconds(took)}{how}{ended}.")

    @keyword(tags=["server"])
    def stop_all_servers(self) -> None:
        """Stop every server of this run, whoever started it.

        Raises:
            ServerError: Something of one still runs after KILL; the others are stopped all the same.

        Example:
        ```robotframework
        *** Test Cases ***
        Stop Both
            Start Server    simulator
            Start Server    simulator
            Stop All Servers
            Run Keyword And Expect Error    No server is open.*    Get Server
        ```
        """
        count = len(self.context.servers)
        failures = self.context.servers.release()
        if failures:
            raise failures[0][1]
        self.log.info(f"Stopped {count} servers.")

    @keyword(tags=["server", "skip"])
    def skip_unless_server_supports(self, feature: CapabilityName | str, *, server: Any = None) -> None:
        """Skip the test when the server does not offer what it needs, with the reason.

        The server is asked at the first use of a word, by the smallest right request, and once a run: the document of
        the list tells how. What no request can show, or would change the server, its profile says. A server that gives
        no answer, or fails at the request, is not skipped: the test shows it. What was found out stands in a table,
        as `Capabilities` of the outermost suite.

        Args:
            feature: A capability of the list in docs/capabilities.md, such as `embeddings` or `fault injection`.
            server: Alias, handle or object; None for the current one.

        Raises:
            SkipExecution: The server does not offer it, or nobody says that it does.
            ValueError: The word is not a capability; the message tells the nearest.

        Example:
        ```robotframework
        *** Test Cases ***
        Faults
            Start Server    simulator
            Skip Unless Server Supports    fault injection
            Send Request    GET    /health    expected_status=200
        ```
        """
        from InferenceLibrary.keywords.shared.capabilities import skip_unless_offered

        skip_unless_offered(self.context, self.context.servers.get(server), feature)

    @keyword(tags=["server", "assertion"])
    def server_should_support(self, *features: CapabilityName | str, server: Any = None) -> None:
        """Check that the server offers each of several capabilities, where [Skip Unless Server Supports] would skip.

        Args:
            features: Capabilities of the list in docs/capabilities.md, such as `embeddings`.
            server: Alias, handle or object; None for the current one.

        Raises:
            CheckFailure: It does not offer one of them, or nobody says that it does; each is named with the evidence.
            ValueError: A word is not a capability; the message tells the nearest.

        Example:
        ```robotframework
        *** Test Cases ***
        What We Promise Is There
            Start Server    simulator
            Server Should Support    chat    streams    json schema
        ```
        """
        from InferenceLibrary.keywords.shared.capabilities import refuse_unless_offered

        found = self.context.servers.get(server)
        refuse_unless_offered(self.context, found, features)
        self.log.info(f"{found.name} offers {', '.join(features)}.")

    def _judge_end(self, found: Any, before: str | None, graceful: bool, patience: timedelta, took: float) -> None:
        if found.process is None:
            raise ServerError(
                describe(f"How server '{found.name}' ends cannot be judged: the library did not start it")
            )
        log = [self.context.redactor(line) for line in found.process.log_tail()]
        what = f"Server '{found.name}' did not stop gracefully"
        detail = ("Last lines of its log", log or ["(it wrote nothing)"])
        if before is not None:
            text = describe(what, expected="one that runs", got=f"one that had ended with {before}", detail=detail)
            raise CheckFailure(text)
        if not graceful:
            expected = f"its end within {seconds(patience):g} s after {found.profile.stop.signal}"
            raise CheckFailure(
                describe(what, expected=expected, got="none, and it was killed", after=took, detail=detail)
            )

    @staticmethod
    def _kind_of(server: Any) -> tuple[Any, Any]:
        """Return the profile of a server, and what its start was asked for.

        Raises:
            ServerError: It was not started here.
        """
        asked = getattr(server, "asked", None)
        if asked is None:
            raise ServerError(
                describe(
                    "Another server of this kind cannot be started",
                    expected="a profile, or a server that was started here",
                    got=f"'{server}'",
                )
            )
        return server.profile, asked

    def _key(self, secret: Secret | None) -> str | None:
        return None if secret is None else plain(self.context, secret)
