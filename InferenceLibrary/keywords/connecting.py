"""Keywords that connect to servers that run already, and ask whether they are healthy."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot.api.deco import keyword
from robot.api.types import Secret

from InferenceLibrary.durations import milliseconds
from InferenceLibrary.errors import CheckFailure, RequestError, ServerError, describe
from InferenceLibrary.keywords.shared.arguments import plain, plain_mapping
from InferenceLibrary.keywords.shared.base import KeywordGroup
from InferenceLibrary.types import JsonObject, ProfileName

if TYPE_CHECKING:
    from InferenceLibrary.deadline import Deadline
    from InferenceLibrary.servers.checks import Check
    from InferenceLibrary.servers.server import Server


class ConnectionKeywords(KeywordGroup):
    """Servers that run elsewhere; health."""

    @keyword(tags=["server"])
    def connect_to_server(
        self,
        url: str,
        *,
        alias: str | None = None,
        model: str | None = None,
        api_key: Secret | None = None,
        headers: JsonObject = JsonObject(),  # noqa: B008 - read, never changed
        profile: ProfileName | str = "openai",
        check: bool = True,
        verify: bool = True,
        ca_file: Path | None = None,
        client_certificate: Path | None = None,
        client_key: Path | None = None,
        proxy: str | Secret = "none",
    ) -> Any:
        """Connect to a server that already runs. It is never stopped by the library.

        Args:
            url: Scheme, host and port, with or without `/v1`: `http://127.0.0.1:8000`; or the Unix socket that it
                listens on: `unix:/run/vllm.sock`.
            alias: Name for `server=` arguments and for [Switch Server].
            model: Model to ask for; the first of the server's list by default.
            api_key: Key that calls send as `Authorization: Bearer`.
            headers: Headers that every call sends, as a JSON object; values may be Robot secrets.
            profile: Profile that tells what kind of server it is.
            check: Whether to fail at once when nothing answers there.
            verify: Whether the certificate of an `https` server must be valid.
            ca_file: Certificates that are trusted, in a PEM file.
            client_certificate: Certificate to show to the server, in a PEM file.
            client_key: Key of that certificate; in the same file by default.
            proxy: `none`, `environment` for what `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` say, or a proxy's URL.

        Returns:
            The server, as from [Start Server].

        Raises:
            ServerError: The URL is none, a file is missing, or nobody answers there.

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
        from InferenceLibrary.client.route import Route

        route = Route(verify, ca_file, client_certificate, client_key, plain(self.context, proxy))
        key = None if api_key is None else plain(self.context, api_key)
        return self._connect(url, alias, model, key, headers, profile, check, route)

    def _connect(
        self,
        url: str,
        alias: str | None,
        model: str | None,
        api_key: str | None,
        headers: JsonObject,
        profile: str,
        check: bool,
        route: Any = None,
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
            route=route,
        )
        server.client.headers.update(plain_mapping(self.context, headers))
        if check:
            self._check_health(server, "Nobody answers as expected")
            if model is None:
                server.client.model = self._model_at(server, must=loaded.name == "openai")
            else:
                self._warn_of_another_model(server, model)
        self.context.servers.add(server, alias)
        self.log.info(f"Connected to {server}, model {server.model}.")
        return server

    @keyword(tags=["server", "assertion"])
    def server_should_be_healthy(self, *, server: Any = None) -> None:
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
            self._check_health(found, f"Server '{found.name}' is not healthy")
        except ServerError as error:
            raise CheckFailure(str(error)) from None
        self.log.info(f"Server {found} is healthy.")

    @keyword(tags=["server", "wait"])
    def wait_until_server_is_ready(self, *, server: Any = None, within: timedelta = timedelta(seconds=60)) -> None:
        """Wait until a server's health route answers as its profile expects, and its checks of readiness pass.

        Args:
            server: Alias, handle or object; None for the current one.
            within: Longest wait.

        Raises:
            ServerError: It did not become ready in time, or its process ended.

        Example:
        ```robotframework
        *** Test Cases ***
        Connect And Wait
            ${started} =    Start Server    simulator
            Connect To Server    ${started.base_url}    check=False
            Wait Until Server Is Ready    within=10 s
        ```
        """
        from InferenceLibrary.deadline import Deadline

        found = self.context.servers.get(server)
        deadline = Deadline(within.total_seconds())
        self._check_health(found, f"Server '{found.name}' is not ready", deadline)
        for check in found.checks:
            self._await_check(found, check, deadline)
        self.log.info(f"Server {found} is ready after {milliseconds(deadline.elapsed)}.")

    def _await_check(self, server: Server, check: Check, deadline: Deadline) -> None:
        from InferenceLibrary.deadline import wait_until
        from InferenceLibrary.servers.checks import ask, label, pause_of

        last = [""]

        def passed() -> bool:
            last[0] = ask(check, server.facts, deadline.remaining)
            return last[0] == "ok" or server.state()[0] is not None

        reached = wait_until(passed, deadline, longest=pause_of(check))
        state, log = server.state()
        if reached and state is None:
            return
        text = describe(
            f"Server '{server.name}' is not ready",
            expected=f"{label(check)} to pass",
            got=last[0],
            after=deadline.elapsed,
            state=state,
            detail=("Last lines of its log", log) if log else None,
        )
        raise ServerError(self.context.redactor(text))

    def _model_at(self, server: Any, must: bool) -> str | None:
        """The profile's model where the server lists it, else the first of its list."""
        from InferenceLibrary.servers.probes import GIVE_KEY

        own: str | None = server.client.model
        try:
            listed = server.client.models()
            return own if own in listed else next(iter(listed), own)
        except RequestError as error:
            if not must:
                # A worker, say, has no model list.
                return own
            if error.status != 401 or server.client.api_key:
                raise
            first, _, rest = str(error).partition("\n")
            first = first.partition(" Hint: ")[0]
            error.args = (f"{first} Hint: {GIVE_KEY}" + (f"\n{rest}" if rest else ""),)
            raise

    def _warn_of_another_model(self, server: Any, model: str) -> None:
        """Tell that the server's list lacks the model. Some serve what they do not list, so it is not an error yet."""
        from InferenceLibrary.client.answers import what_is_listed
        from InferenceLibrary.protocol.paths import MODELS
        from InferenceLibrary.servers.probes import LISTS_OTHERS, lists_model

        if lists_model(server.client, MODELS).startswith(LISTS_OTHERS):
            listed = what_is_listed(server.client.seen_models, model)
            self.log.warn(f"Server '{server.name}' does not list the model '{model}': {listed}")

    def _check_health(self, server: Any, what: str, within: Deadline | None = None) -> None:
        """Ask until the health is as expected, or once."""
        from InferenceLibrary.deadline import Deadline, wait_until
        from InferenceLibrary.servers.probes import ASKED_ONCE, share_of

        health = server.profile.ready.health
        last = [""]
        deadline = within or Deadline(ASKED_ONCE)

        def healthy() -> bool:
            last[0] = _probe(server, health, ASKED_ONCE if within is None else share_of(deadline.remaining))
            return last[0] == "ok" or server.state()[0] is not None

        reached = healthy() if within is None else wait_until(healthy, deadline)
        # The answer, or the silence, may have been theirs.
        _refuse_strangers(server)
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
            hint=None if state else _what_to_do(server, health, last[0]),
            detail=("Last lines of its log", log) if log else None,
        )
        raise ServerError(self.context.redactor(text))


def _refuse_strangers(server: Server) -> None:
    found = server.strangers()
    if found:
        raise ServerError(
            describe(
                f"Server '{server.name}' shares its port {server.port}",
                expected="nobody else who listens there",
                got=", ".join(found),
                hint="calls reach either of them: stop the other one.",
            )
        )


def _what_to_do(server: Any, health: Any, seen: str) -> str:
    """A hint that fits to what was seen."""
    from InferenceLibrary.servers.probes import GIVE_KEY, NO_HOST

    if seen == "status 401" and not server.client.api_key:
        return GIVE_KEY
    if seen.startswith("status "):
        statuses = " or ".join(map(str, health.statuses))
        return f"a server answers there, but not with {statuses} on this path: is the path of the URL right?"
    if seen.startswith(NO_HOST):
        return "is the host of the URL right?"
    if server.base_url.startswith("https:") and re.search("wrong.version.number|record layer failure", seen, re.I):
        return "it speaks plain HTTP: use http://"
    return "is it running there, and is the URL right?"


def _probe(server: Any, health: Any, limit: float) -> str:
    """Ask for the health; the way over a proxy or with certificates of one's own only the client knows."""
    from InferenceLibrary.client.route import Route
    from InferenceLibrary.client.sending import ANY_STATUS
    from InferenceLibrary.servers.probes import judge_health, probe

    if server.client.route == Route() or health is None:
        return probe(server.base_url, health, limit, server.client.given_headers)
    try:
        limits = server.client.limits.replace(total=limit)
        reply = server.client.send("GET", health.path, sending=ANY_STATUS._replace(limits=limits))
    except RequestError as error:
        return str(error).splitlines()[0]
    return judge_health(health, reply.status, reply.body.encode())
