"""Keywords that start, find, judge and stop servers."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from robot.api import SkipExecution
from robot.api.deco import keyword
from robot.api.types import Secret
from robot.libraries.BuiltIn import BuiltIn

from InferenceLibrary.client.records import milliseconds
from InferenceLibrary.deadline import Deadline, wait_until
from InferenceLibrary.errors import CheckFailure, ServerError, describe
from InferenceLibrary.keywords.arguments import plain, plain_mapping
from InferenceLibrary.keywords.base import KeywordGroup
from InferenceLibrary.types import JsonObject, Texts, seconds

_START_ARGUMENTS = ("port", "alias", "model", "timeout", "wait_for", "arguments", "environment", "cwd", "api_key")


class ServerKeywords(KeywordGroup):
    """Servers: start, connect, switch, judge, stop."""

    @keyword(tags=["server"])
    def start_server(
        self,
        profile: str,
        *,
        port: int | None = None,
        alias: str | None = None,
        model: str | None = None,
        timeout: timedelta | None = None,
        wait_for: Literal["profile", "health", "chat", "completion"] = "profile",
        arguments: Texts = Texts(),  # noqa: B008 - read, never changed
        environment: JsonObject = JsonObject(),  # noqa: B008 - read, never changed
        cwd: Path | None = None,
        api_key: Secret | None = None,
        **options: Any,
    ) -> Any:
        """Start a server by its profile and wait until it is ready.

        The process gets a session of its own, a free port, and a log file in the output folder. It is stopped when the
        test or suite that started it ends, however that ends. When it does not become ready, the error holds the last
        lines of its log.

        Args:
            profile: Name of a profile that comes with the library (`rfinference profiles` lists them), or the path of
                a YAML file.
            port: Port to listen on; a free one by default.
            alias: Name for `server=` arguments and for [Switch Server].
            model: Model to serve and to ask for; the profile's by default.
            timeout: Time that the whole start may take; the profile's by default.
            wait_for: What makes it ready: `health`, or a first generated token by `chat` or `completion`; the
                profile's choice by default.
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
        from InferenceLibrary.servers.starting import StartSettings, start

        loaded = load_profile(profile)
        name = alias or loaded.name
        first_token = {"profile": None, "health": "none"}.get(wait_for, wait_for)
        server = start(
            loaded,
            StartSettings(
                port=port,
                model=model,
                options={option: self._revealed(value) for option, value in options.items()},
                arguments=[plain(self.context, argument) for argument in arguments],
                environment=plain_mapping(self.context, environment),
                cwd=cwd,
                api_key=self._key(api_key),
                limits=self.context.limits,
                timeout=seconds(timeout) or self.context.start_timeout,
                first_token=first_token,
                also_allowed=_START_ARGUMENTS,
            ),
            name=name,
            new_log=lambda: self.context.artifact("servers", name, "log"),
            redact=self.context.redactor,
            report=self.log.info,
        )
        self.context.servers.add(server, alias)
        stages = ", ".join(f"{stage} after {milliseconds(when)}" for stage, when in server.stages.items())
        self.log.info(f"Server {server} is ready: {stages}.")
        if server.log_path is not None:
            self.log.file("Its log", server.log_path)
        return server

    @keyword(tags=["server"])
    def connect_to_server(
        self,
        url: str,
        *,
        alias: str | None = None,
        model: str | None = None,
        api_key: Secret | None = None,
        headers: JsonObject = JsonObject(),  # noqa: B008 - read, never changed
        profile: str = "openai",
        check: bool = True,
    ) -> Any:
        """Connect to a server that already runs. It is never stopped by the library.

        Args:
            url: Scheme, host and port, with or without `/v1`: `http://127.0.0.1:8000`.
            alias: Name for `server=` arguments and for [Switch Server].
            model: Model to ask for; the first of the server's list by default.
            api_key: Key that calls send as `Authorization: Bearer`.
            headers: Headers that every call sends, as a JSON object.
            profile: Profile that tells what kind of server it is.
            check: Whether to fail at once when nothing answers there.

        Returns:
            The server, as from [Start Server].

        Raises:
            ServerError: The URL is none, or nobody answers there.

        Example:
        ```robotframework
        *** Test Cases ***
        Two Names For One Server
            ${started} =    Start Server    simulator
            Connect To Server    ${started.base_url}    alias=remote
            ${models} =    List Models    server=remote
            Should Contain    ${models}    fake-model
        ```
        """
        return self._connect(url, alias, model, self._key(api_key), headers, profile, check)

    def _connect(
        self,
        url: str,
        alias: str | None,
        model: str | None,
        api_key: str | None,
        headers: JsonObject,
        profile: str,
        check: bool,
    ) -> Any:
        from InferenceLibrary.servers.profile import load_profile
        from InferenceLibrary.servers.server import connect

        loaded = load_profile(profile)
        server = connect(
            url,
            loaded,
            name=alias or url,
            model=model,
            api_key=api_key,
            limits=self.context.limits,
            redact=self.context.redactor,
        )
        server.client.headers.update(plain_mapping(self.context, headers))
        if check:
            self._check_health(server, "Nobody answers as expected", Deadline(0.0))
            if server.client.model is None and loaded.name == "openai":
                server.client.model = next(iter(server.client.models()), None)
        self.context.servers.add(server, alias)
        self.log.info(f"Connected to {server}, model {server.model}.")
        return server

    @keyword(tags=["server"])
    def use_target(self) -> Any:
        """Start or connect to what the suites test, as the variables say. Meant for `Suite Setup`.

        `${TARGET}` is a profile's name (default `simulator`), a profile file, or a URL; `${MODEL}` a model's name;
        `${API_KEY}` a key, as text or as a Robot secret. What is not set is read from the environment:
        `INFERENCE_TARGET`, `VLLM_BACKEND_URL` with `VLLM_MODEL_NAME`, `INFERENCE_SERVICE_URL`, `LLM_GATEWAY_URL`;
        `TEST_PORT`, `INTEGRATION_TEST_TIMEOUT`, `STREAM_TEST_TIMEOUT`, `INFERENCE_API_KEY`.
        `SKIP_INTEGRATION_TESTS=true` skips. The key is read here and not given as an argument, because Robot logs
        arguments.

        Returns:
            The server, as from [Start Server].

        Raises:
            TargetError: A variable cannot be read.
            ServerError: The target does not start or answer.

        Example:
        ```robotframework
        *** Settings ***
        Suite Setup    Use Target

        *** Test Cases ***
        Model List
            ${models} =    List Models
            Should Not Be Empty    ${models}
        ```
        """
        from InferenceLibrary.servers.target import resolve_target

        self.skip_if_integration_tests_are_off()
        builtin = BuiltIn()
        target = resolve_target(
            builtin.get_variable_value("${TARGET}"), builtin.get_variable_value("${MODEL}"), os.environ
        )
        key = builtin.get_variable_value("${API_KEY}") or os.environ.get("INFERENCE_API_KEY")
        secret = Secret(str(key)) if key and not isinstance(key, Secret) else key or None
        if target.is_url:
            server = self._connect(target.name, None, target.model, self._key(secret), JsonObject(), "openai", True)
        else:
            server = self.start_server(target.name, port=target.port, model=target.model, api_key=secret)
        limits = server.client.limits
        server.client.limits = limits._replace(total=target.call_timeout or limits.total)
        server.client.stream_limits = limits._replace(
            total=target.stream_timeout or target.call_timeout or limits.total
        )
        self.log.info(f"Target '{target.name}' (from {target.origin}).")
        builtin.set_suite_metadata("Target", f"{target.name} at {server.base_url}, model {server.model}")
        return server

    @keyword(tags=["server"])
    def get_server(self, server: Any = None) -> Any:
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
    def stop_server(self, server: Any = None, *, grace: timedelta | None = None) -> None:
        """Stop a server: TERM, then KILL for its whole process group. One that we only connected to is let go.

        Args:
            server: Alias, handle or object; None for the current one.
            grace: Time that it has after TERM; the profile's by default.

        Raises:
            ServerError: Something of it still runs after KILL.

        Example:
        ```robotframework
        *** Test Cases ***
        Stop It
            ${server} =    Start Server    simulator
            Stop Server
            Run Keyword And Expect Error    *connection refused*    Connect To Server    ${server.base_url}
        ```
        """
        found = self.context.servers.get(server)
        deadline = Deadline(0.0)
        graceful = found.stop(seconds(grace))
        self.context.servers.close(found)
        how = "" if graceful else ", by KILL: TERM was not enough"
        self.log.info(f"Stopped {found} in {milliseconds(deadline.elapsed)}{how}.")

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

    @keyword(tags=["server", "assertion"])
    def server_should_be_healthy(self, server: Any = None) -> None:
        """Check that a server's health route answers as its profile expects.

        Args:
            server: Alias, handle or object; None for the current one.

        Raises:
            CheckFailure: It answers otherwise, or not at all.

        Example:
        ```robotframework
        *** Test Cases ***
        Health
            Start Server    simulator
            Server Should Be Healthy
        ```
        """
        found = self.context.servers.get(server)
        try:
            self._check_health(found, f"Server '{found.name}' is not healthy", Deadline(0.0))
        except ServerError as error:
            raise CheckFailure(str(error)) from None
        self.log.info(f"Server {found} is healthy.")

    @keyword(tags=["server", "wait"])
    def wait_until_server_is_ready(self, server: Any = None, *, timeout: timedelta = timedelta(seconds=60)) -> None:
        """Wait until a server's health route answers as its profile expects.

        Args:
            server: Alias, handle or object; None for the current one.
            timeout: Longest wait.

        Raises:
            ServerError: It did not become ready in time, or its process ended.

        Example:
        ```robotframework
        *** Test Cases ***
        Connect And Wait
            ${started} =    Start Server    simulator
            Connect To Server    ${started.base_url}    check=False
            Wait Until Server Is Ready    timeout=10 s
        ```
        """
        found = self.context.servers.get(server)
        deadline = Deadline(timeout.total_seconds())
        self._check_health(found, f"Server '{found.name}' is not ready", deadline)
        self.log.info(f"Server {found} is ready after {milliseconds(deadline.elapsed)}.")

    @keyword(tags=["server"])
    def get_server_log(self, server: Any = None) -> str:
        """Return what a server's process has written to standard output and error so far.

        Args:
            server: Alias, handle or object; None for the current one.

        Returns:
            The text, secrets masked.

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
        found = self.context.servers.get(server)
        if found.process is None:
            raise ServerError(
                describe(
                    f"Server '{found.name}' has no log here: it was not started by the library",
                    hint="start it with Start Server.",
                )
            )
        return self.context.redactor(found.process.log_text())

    @keyword(tags=["server", "skip"])
    def skip_unless_server_supports(self, feature: str, server: Any = None) -> None:
        """Skip the test when the server's profile says that it lacks a feature, with the profile's reason.

        Args:
            feature: What is needed, in the words of the profiles' `lacks`: `fault injection`, `terminal`.
            server: Alias, handle or object; None for the current one.

        Example:
        ```robotframework
        *** Test Cases ***
        Faults
            Start Server    simulator
            Skip Unless Server Supports    fault injection
            Send Request    GET    /health    expected_status=200
        ```
        """
        found = self.context.servers.get(server)
        reason = found.profile.lacks.get(feature)
        if reason is not None:
            raise SkipExecution(f"{found.name} lacks '{feature}': {reason}.")

    def _revealed(self, value: Any) -> Any:
        """Return an option's value; what it holds of secrets is masked from now on."""
        if isinstance(value, list | tuple):
            return [self._revealed(item) for item in value]
        return plain(self.context, value) if isinstance(value, Secret) else value

    def _key(self, secret: Secret | None) -> str | None:
        return None if secret is None else plain(self.context, secret)

    @keyword(tags=["skip"])
    def skip_if_integration_tests_are_off(self) -> None:
        """Skip when the environment says `SKIP_INTEGRATION_TESTS=true`.

        [Use Target] does it by itself; this is the `Suite Setup` of suites that need no server.

        Raises:
            TargetError: The variable is neither true nor false.

        Example:
        ```robotframework
        *** Settings ***
        Suite Setup    Skip If Integration Tests Are Off

        *** Test Cases ***
        A Model Made On The Spot
            ${path} =    Create Onnx Model    mlp
            Load Onnx Model    ${path}
        ```
        """
        from InferenceLibrary.servers.target import SKIP_VARIABLE, is_skipped

        if is_skipped(os.environ):
            raise SkipExecution(f"{SKIP_VARIABLE}=true skips all integration tests. Unset it to run them.")

    def _check_health(self, server: Any, what: str, deadline: Deadline) -> None:
        from InferenceLibrary.servers.readiness import probe

        health = server.profile.ready.health
        last = [""]

        def healthy() -> bool:
            last[0] = probe(server.base_url, health)
            return last[0] == "ok" or server.state()[0] is not None

        reached = wait_until(healthy, deadline)
        state, log = server.state()
        if reached and state is None:
            return
        expected = f"{' or '.join(map(str, health.statuses))} on GET" if health else "a listening port at"
        path = health.path if health else ""
        text = describe(
            what,
            expected=f"{expected} {server.base_url}{path}",
            got=last[0],
            after=deadline.elapsed,
            state=state,
            hint=None if state else "is it running there, and is the URL right?",
            detail=("Last lines of its log", log) if log else None,
        )
        raise ServerError(self.context.redactor(text))
