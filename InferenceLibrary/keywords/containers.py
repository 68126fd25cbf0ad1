"""Keywords that start servers in containers and compose projects. What runs is a server like any other."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from robot.api import SkipExecution
from robot.api.deco import keyword
from robot.api.types import Secret

from InferenceLibrary.context import RUN
from InferenceLibrary.durations import milliseconds
from InferenceLibrary.errors import InferenceError, ServerError, describe
from InferenceLibrary.keywords.shared.arguments import plain, plain_mapping, ready_when
from InferenceLibrary.keywords.shared.base import KeywordGroup
from InferenceLibrary.types import JsonObject, ProfileName, ReadyChecks, ReadyStage, Texts, seconds, to_texts

if TYPE_CHECKING:
    from InferenceLibrary.containers.container import Container
    from InferenceLibrary.servers.server import Server


class CommandLine(list[Any]):
    """The words of a command line.

    Give one text, which is split as a shell would, a JSON array or Python list of words, or a list variable, whose
    items may be Robot secrets.
    """


def to_command_line(value: str | list[Any] | tuple[Any, ...]) -> CommandLine:
    """Convert to words.

    Raises:
        ValueError: A quotation is not closed, or the text begins with `[` but is not a list.
    """
    if not isinstance(value, str):
        return CommandLine(value)
    if value.lstrip().startswith("["):
        return CommandLine(to_texts(value))
    import shlex

    try:
        return CommandLine(shlex.split(value))
    except ValueError as error:
        raise ValueError(f"Expected words as a shell has them, got {value!r}: {str(error).lower()}.") from None


CONVERTERS: dict[type, Any] = {CommandLine: to_command_line}
"""What these keywords take besides the common types; the library registers it at Robot Framework."""


class ContainerKeywords(KeywordGroup):
    """Servers in containers: start, find their ports, skip where no engine is."""

    @keyword(tags=["server", "container"])
    def start_container(
        self,
        image: str,
        *,
        command: CommandLine = CommandLine(),  # noqa: B008 - read, never changed
        port: int = 8000,
        ports: JsonObject = JsonObject(),  # noqa: B008 - read, never changed
        environment: JsonObject = JsonObject(),  # noqa: B008 - read, never changed
        mounts: Texts = Texts(),  # noqa: B008 - read, never changed
        gpus: str | None = None,
        health: str | None = None,
        alias: str | None = None,
        profile: ProfileName | str = "openai",
        model: str | None = None,
        wait_for: ReadyStage = "profile",
        timeout: timedelta | None = None,
        checks: ReadyChecks = ReadyChecks(),  # noqa: B008 - read, never changed
        api_key: Secret | None = None,
        keep: bool = False,
        pull: Literal["missing", "always", "never"] = "missing",
        extra: JsonObject = JsonObject(),  # noqa: B008 - read, never changed
    ) -> Any:
        """Start a server in a container and wait until it is ready.

        The container's port is published on a free port of this machine's loopback address; whether it is ready is
        asked from outside, so that the image needs neither a shell nor curl. Its output goes to a file in the output
        folder while it runs. It is removed when the test or suite that started it ends, however that ends, also when
        the run is killed. The engine is found by `DOCKER_HOST`, docker's context, or the usual sockets of Docker and
        Podman. On Podman GPUs are asked for as CDI devices.

        Args:
            image: Image, with tag or digest. It is pulled within `timeout` when the engine lacks it.
            command: Arguments for the image's entry point: one text, split as a shell would, or a list, whose
                items may be Robot secrets.
            port: Port inside the container on which the server listens.
            ports: Further ports to publish, inside to outside, such as `{"9090": null}`; null takes a free one, which
                [Get Container Port] tells. With the server's own port in it, the outside port is fixed.
            environment: Environment variables, as a JSON object; values may be Robot secrets.
            mounts: `source:/target` or `source:/target:ro`, one text or a list. A source is a path or a volume's name.
            gpus: `all`, a count, or `device=0,1`.
            health: Path that answers 200 when the server is up, such as `/health`; the profile's by default.
            alias: Name for `server=` arguments and for [Switch Server].
            profile: Profile that tells what kind of server it is.
            model: Model to ask for; the profile's by default, else the first of the server's list.
            wait_for: The stage with which it is ready, as in [Start Server]; the profile's choice by default.
            timeout: Time that the whole start may take, a pull included; the profile's by default.
            checks: Checks of readiness beside the profile's, as in [Start Server]. They run on this machine, and
                `{port}` is the published one.
            api_key: Key that calls send as `Authorization: Bearer`.
            keep: Whether it lives on when the test, the suite and the run end. What was kept is listed at the end of
                the run; `rfinference servers stop NAME` ends it.
            pull: When the image is pulled.
            extra: Further options of the docker SDK's `containers.create`, such as `{"shm_size": "1g"}`.

        Returns:
            The server, as from [Start Server]; `${server.process.id}` and `${server.process.name}` are the
            container's.

        Raises:
            MissingExtraError: The docker SDK is not installed.
            ServerError: No engine answers, the image cannot be had, or the server ended or was not ready in time.

        Example:
        ```robotframework
        *** Test Cases ***
        In A Container
            Skip Unless Container Engine Is Available    image=inference-simulator:local
            Start Container    inference-simulator:local    command=--model fake-model    health=/health
            ${reply} =    Chat    Hello
            Should Not Be Empty    ${reply.text}
        ```
        """
        from InferenceLibrary.servers.container_starting import start_container
        from InferenceLibrary.servers.profile import load_profile

        name = alias or _short(image)
        server = start_container(
            image,
            load_profile(profile),
            self._settings(
                command=[plain(self.context, word) for word in command],
                port=port,
                ports=ports,
                environment=plain_mapping(self.context, environment),
                mounts=mounts,
                gpus=gpus,
                health=health,
                model=model,
                wait_for=wait_for,
                timeout=timeout,
                checks=checks,
                api_key=api_key,
                keep=keep,
                pull=pull,
                extra=extra,
            ),
            name=name,
            new_log=lambda: self.context.artifact("servers", name, "log"),
            redact=self.context.redactor,
            report=self.log.info,
            progress=self.log.progress,
        )
        return self._opened(server, alias, {"Its log": server.log_path} if server.log_path else {})

    @keyword(tags=["server", "container"])
    def start_compose(
        self,
        file: Path,
        *,
        service: str | None = None,
        port: int = 0,
        services: Texts = Texts(),  # noqa: B008 - read, never changed
        profiles: Texts = Texts(),  # noqa: B008 - read, never changed
        environment: JsonObject = JsonObject(),  # noqa: B008 - read, never changed
        health: str | None = None,
        alias: str | None = None,
        profile: ProfileName | str = "openai",
        model: str | None = None,
        wait_for: ReadyStage = "profile",
        timeout: timedelta | None = None,
        checks: ReadyChecks = ReadyChecks(),  # noqa: B008 - read, never changed
        api_key: Secret | None = None,
        keep: bool = False,
    ) -> Any:
        """Start the services of a compose file and wait until the one that is talked to is ready.

        The project gets a name of its own, so that parallel runs do not meet; give ports in the file without a
        published part (`"8000"`) for the same reason. Each container's output goes to a file. The whole project, with
        its networks and volumes, is removed when the test or suite that started it ends, also when the run is killed.

        Args:
            file: The compose file.
            service: The service that calls go to; the only one that publishes a port by default.
            port: Its port inside; the only published one by default.
            services: Services to start, with what they depend on; all by default.
            profiles: Compose profiles to enable.
            environment: Variables for the file's `${...}`, as a JSON object.
            health: Path that answers 200 when the server is up, such as `/health`; the profile's by default.
            alias: Name for `server=` arguments and for [Switch Server].
            profile: Profile that tells what kind of server it is.
            model: Model to ask for; the profile's by default, else the first of the server's list.
            wait_for: What makes it ready, as in [Start Container].
            timeout: Time that the whole start may take, pulls included; the profile's by default.
            checks: Checks of readiness beside the profile's, as in [Start Container].
            api_key: Key that calls send as `Authorization: Bearer`.
            keep: Whether it lives on, as in [Start Container].

        Returns:
            The server, as from [Start Server]; `${server.process.name}` is the project's name.

        Raises:
            MissingExtraError: The docker SDK is not installed.
            ServerError: No engine answers, the file is broken, or a service ended or was not ready in time.

        Example:
        ```robotframework
        *** Settings ***
        Library    OperatingSystem

        *** Test Cases ***
        In A Project
            Skip Unless Container Engine Is Available    image=inference-simulator:local    compose=True
            Create File    ${OUTPUT_DIR}/compose.yml
            ...    services: {sim: {image: "inference-simulator:local", ports: ["127.0.0.1::8000"]}}
            Start Compose    ${OUTPUT_DIR}/compose.yml    health=/health
            ${reply} =    Chat    Hello
            Should Not Be Empty    ${reply.text}
        ```
        """
        from InferenceLibrary.containers.compose import ComposeProject
        from InferenceLibrary.servers.compose_starting import ComposeSettings, start_compose
        from InferenceLibrary.servers.profile import load_profile

        name = alias or file.stem
        server = start_compose(
            file,
            load_profile(profile),
            ComposeSettings(
                profiles=profiles,
                services=services,
                service=service,
                environment=plain_mapping(self.context, environment),
                server=self._settings(
                    port=port,
                    health=health,
                    model=model,
                    wait_for=wait_for,
                    timeout=timeout,
                    checks=checks,
                    api_key=api_key,
                    keep=keep,
                ),
            ),
            name=name,
            new_log=lambda part: self.context.artifact("servers", f"{name} {part}", "log"),
            redact=self.context.redactor,
            report=self.log.info,
            progress=self.log.progress,
        )
        program = server.process
        containers = program.containers if isinstance(program, ComposeProject) else {}
        logs = {f"Log of {part}": container.log_path for part, container in containers.items()}
        return self._opened(server, alias, logs)

    @keyword(tags=["server", "container"])
    def get_container_port(self, port: str, *, server: Any = None, service: str | None = None) -> int:
        """Return where a port of a container is published on this machine.

        Args:
            port: Port inside: `9090`, or `53/udp`.
            server: Alias, handle or object; None for the current one.
            service: Service of a compose project; the one that calls go to by default.

        Returns:
            The port outside.

        Raises:
            ServerError: The server is in no container, or the port is not published.

        Example:
        ```robotframework
        *** Test Cases ***
        A Second Port
            Skip Unless Container Engine Is Available    image=inference-simulator:local
            Start Container    inference-simulator:local    health=/health    ports={"9090": null}
            ${port} =    Get Container Port    9090
            Should Be True    ${port} > 0
        ```
        """
        container = self._container(server, service)
        inside = port if "/" in port else f"{port}/tcp"
        if inside not in container.ports:
            raise ServerError(
                describe(
                    f"Port {inside} of {container.label} is not published",
                    expected=f"one of {', '.join(container.ports) or 'none'}",
                    hint='ports={"9090": null} of Start Container publishes another one.',
                )
            )
        outside = int(container.ports[inside])
        self.log.info(f"Port {inside} of {container.label} is {outside} here.")
        return outside

    @keyword(tags=["server", "container"])
    def get_service_log(self, service: str, *, server: Any = None) -> str:
        """Return what a service of a compose project has written so far.

        Args:
            service: Its name in the compose file; `name-2` for the second container of a scaled one.
            server: Alias, handle or object; None for the current one.

        Returns:
            The text, secrets masked.

        Raises:
            ServerError: The server is in no compose project, or the project has no such service.

        Example:
        ```robotframework
        *** Settings ***
        Library    OperatingSystem

        *** Test Cases ***
        What It Wrote
            Skip Unless Container Engine Is Available    image=inference-simulator:local    compose=True
            Create File    ${OUTPUT_DIR}/one.yml
            ...    services: {sim: {image: "inference-simulator:local", ports: ["127.0.0.1::8000"]}}
            Start Compose    ${OUTPUT_DIR}/one.yml    health=/health
            ${log} =    Get Service Log    sim
            Should Contain    ${log}    listening on
        ```
        """
        return self.context.redactor(self._container(server, service).log_text())

    @keyword(tags=["skip", "container"])
    def skip_unless_container_engine_is_available(self, *, image: str | None = None, compose: bool = False) -> None:
        """Skip the test when no container engine can be used, and say how to get one.

        Args:
            image: An image that the engine must have; nothing is pulled for the question.
            compose: Whether compose is needed too.

        Example:
        ```robotframework
        *** Test Cases ***
        Where An Engine Is
            Skip Unless Container Engine Is Available
            Log    An engine answers.
        ```
        """
        from InferenceLibrary.containers.missing import missing_part

        try:
            missing = missing_part(image, compose)
        except InferenceError as error:
            missing = str(error)
        if missing is not None:
            raise SkipExecution(self.context.redactor(missing))

    def _settings(
        self,
        *,
        wait_for: ReadyStage,
        timeout: timedelta | None,
        checks: ReadyChecks,
        api_key: Secret | None,
        **others: Any,
    ) -> Any:
        from InferenceLibrary.servers.container_settings import ContainerSettings

        return ContainerSettings(
            api_key=None if api_key is None else plain(self.context, api_key),
            limits=self.context.limits,
            timeout=seconds(timeout) or self.context.start_timeout,
            **ready_when(self.context, wait_for, checks),
            **others,
        )

    def _opened(self, server: Server, alias: str | None, logs: dict[str, Path]) -> Server:
        self.context.servers.add(server, alias, RUN if server.keep else None)
        stages = ", ".join(f"{stage} after {milliseconds(when)}" for stage, when in server.stages.items())
        label = server.process.label if server.process else "elsewhere"
        self.log.info(f"Server {server}, {label}, is ready: {stages}.")
        for caption, path in logs.items():
            self.log.file(caption, path)
        return server

    def _container(self, ref: Any, service: str | None) -> Container:
        from InferenceLibrary.containers.compose import ComposeProject
        from InferenceLibrary.containers.container import Container

        found = self.context.servers.get(ref)
        program = found.process
        if isinstance(program, Container) and service is None:
            return program
        if not isinstance(program, ComposeProject):
            raise ServerError(
                describe(
                    f"Server '{found.name}' is in no {'compose project' if service else 'container'}",
                    hint="start it with Start Container or Start Compose.",
                )
            )
        containers = program.containers
        if service is None:
            return program.main
        if service not in containers and f"{service}-1" not in containers:
            raise ServerError(
                describe(
                    f"The project of '{found.name}' has no service '{service}'",
                    expected=f"one of {', '.join(containers)}",
                )
            )
        return containers.get(service) or containers[f"{service}-1"]


def _short(image: str) -> str:
    """`ghcr.io/llm-d/llm-d-inference-sim:v1` as `llm-d-inference-sim`."""
    return re.split(r"[:@]", image.rpartition("/")[2])[0] or "container"
