"""The container engine: where it is, whether it answers, and what its errors mean.

Docker and Podman (by its docker-compatible socket) are spoken to through the docker SDK. What differs on Podman: GPUs
are asked for by CDI names; the health checks of images run only under systemd, so health is always asked from outside;
an image that cannot be pulled is `404` where Docker says `500`; OOMKilled is not always told.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import sys
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from InferenceLibrary.errors import MissingExtraError, ServerError, describe
from InferenceLibrary.foreign_text import cut
from InferenceLibrary.processes.ports import LOOPBACK

_PROBE_TIMEOUT = 5.0
_CALL_TIMEOUT = 60
"""Seconds that one question to the engine may take."""
_OF_SDK = ("docker", "requests", "urllib3")
"""Packages that come with the SDK's import."""

HOW_TO_GET_ONE = (
    "install and start Docker or Podman, or set DOCKER_HOST to its socket; "
    'in a checkout on Debian 12, as root: eval "$(scripts/container_engine.sh up)"'
)


class EngineMissingError(ServerError):
    """No container engine answers."""


class EngineAddress(NamedTuple):
    """Where an engine is."""

    url: str
    origin: str
    """What named it: `DOCKER_HOST`, `docker context`, or `default`."""

    @property
    def socket_path(self) -> str | None:
        """The path of a unix socket, None for another kind."""
        parts = urlsplit(self.url)
        return parts.path if parts.scheme in {"unix", "http+unix"} else None

    @property
    def host(self) -> str:
        """Where published ports are reached."""
        return LOOPBACK if self.is_local else urlsplit(self.url).hostname or LOOPBACK

    @property
    def is_local(self) -> bool:
        """Whether the engine's loopback is this machine's."""
        host = urlsplit(self.url).hostname
        return urlsplit(self.url).scheme in {"unix", "http+unix", "npipe"} or host in {"localhost", LOOPBACK, "::1"}


def find_address(environment: dict[str, str] | None = None) -> EngineAddress:
    """Return where the engine should be: by `DOCKER_HOST`, else docker's context, else the first socket that exists."""
    given = os.environ if environment is None else environment
    if given.get("DOCKER_HOST"):
        return EngineAddress(given["DOCKER_HOST"], "DOCKER_HOST")
    context = _context_address(given)
    if context is not None:
        return EngineAddress(context, "docker context")
    if not hasattr(os, "getuid"):
        return EngineAddress("npipe:////./pipe/docker_engine", "default of Windows")
    home, runtime = given.get("HOME", ""), given.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    default = "/var/run/docker.sock"
    candidates: tuple[str, ...] = (default, f"{runtime}/docker.sock", f"{home}/.docker/run/docker.sock")
    candidates += (f"{runtime}/podman/podman.sock", "/run/podman/podman.sock", f"{home}/.colima/default/docker.sock")
    found = next((path for path in candidates if Path(path).is_socket()), default)
    return EngineAddress(f"unix://{found}", "default")


def _context_address(environment: Any) -> str | None:
    """Return the endpoint of docker's current context, None for the default one."""
    config = Path(environment.get("DOCKER_CONFIG") or Path(environment.get("HOME", "/")) / ".docker") / "config.json"
    try:
        name = environment.get("DOCKER_CONTEXT") or json.loads(config.read_text("utf-8")).get("currentContext")
        if not name or name == "default":
            return None
        for meta in (config.parent / "contexts" / "meta").glob("*/meta.json"):
            found = json.loads(meta.read_text("utf-8"))
            if found.get("Name") == name:
                return str(found["Endpoints"]["docker"]["Host"])
    except (OSError, ValueError, KeyError, AttributeError):
        # No docker configuration, or one that is not ours to judge.
        return None
    return None


def engine_problem(address: EngineAddress) -> str | None:
    """Ask an engine for its version; return why it cannot be used, None when it can. Costs no import of the SDK."""
    parts = urlsplit(address.url)
    if parts.scheme not in {"unix", "http+unix", "tcp", "http"} or os.environ.get("DOCKER_TLS_VERIFY"):
        # The SDK alone can speak to those; it tells when it cannot.
        return None
    if address.socket_path is not None and not hasattr(socket, "AF_UNIX"):
        return f"'{address.url}' is a Unix socket, which this system lacks; set DOCKER_HOST"
    connection = http.client.HTTPConnection(parts.hostname or "localhost", _port_of(address), timeout=_PROBE_TIMEOUT)
    try:
        if address.socket_path is not None:
            connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.sock.settimeout(_PROBE_TIMEOUT)
            connection.sock.connect(address.socket_path)
        connection.request("GET", "/version")
        answer = connection.getresponse()
        if answer.status != 200 or "ApiVersion" not in json.loads(answer.read()):
            return f"status {answer.status}, not the version of an engine"
    except FileNotFoundError:
        return "no such socket"
    except PermissionError:
        return "permission denied; is the user in the group of the socket?"
    except TimeoutError:
        return f"no answer within {_PROBE_TIMEOUT:g} s"
    except (OSError, http.client.HTTPException, ValueError) as error:
        return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
    finally:
        connection.close()
    return None


def _port_of(address: EngineAddress) -> int:
    try:
        return urlsplit(address.url).port or 2375
    except ValueError:
        return 2375


class ContainerEngine:
    """A connected engine.

    Attributes:
        client: The SDK's client.
        podman: Whether it is Podman.
    """

    def __init__(self, address: EngineAddress) -> None:
        """Connect.

        Raises:
            MissingExtraError: The SDK is not installed.
            EngineMissingError: No engine answers.
        """
        problem = engine_problem(address)
        if problem is not None:
            raise EngineMissingError(no_engine(address, problem))
        docker = sdk()
        self.address = address
        try:
            self.client = docker.DockerClient(
                base_url=address.url,
                timeout=_CALL_TIMEOUT,
                use_ssh_client=True,
                **_tls(docker),
            )
            version = self.client.version()
        except docker.errors.DockerException as error:
            raise EngineMissingError(no_engine(address, one_line(error))) from None
        names = [str(part.get("Name", "")) for part in version.get("Components") or []]
        self.podman = any("podman" in name.lower() for name in names)
        self.version = f"{'Podman' if self.podman else 'Docker'} {version.get('Version', '?')}"

    def new_api(self) -> Any:
        """Return a connection for a thread that reads for as long as there is something to read."""
        docker = sdk()
        return docker.APIClient(
            base_url=self.address.url,
            version=self.client.api._version,
            timeout=None,
            use_ssh_client=True,
            **_tls(docker),
        )

    def environment(self) -> dict[str, str]:
        """Variables by which a command line client finds the same engine."""
        return {"DOCKER_HOST": self.address.url}

    def close(self) -> None:
        self.client.close()


def connect_engine() -> ContainerEngine:
    """Return the engine of this machine's user.

    Raises:
        MissingExtraError: The SDK is not installed.
        EngineMissingError: No engine answers.
    """
    return ContainerEngine(find_address())


def sdk() -> Any:
    """Return the docker SDK.

    Raises:
        MissingExtraError: It is not installed.
    """
    before = set(sys.modules)
    try:
        import docker
    except ImportError:
        raise MissingExtraError("docker", "containers", "Starting containers") from None
    except BaseException:
        # A time limit that ends an import leaves parts of a package that the next import does not bind to it.
        for name in [name for name in sys.modules if name not in before and name.partition(".")[0] in _OF_SDK]:
            del sys.modules[name]
        raise
    return docker


def api_errors(*others: type[Exception]) -> tuple[type[Exception], ...]:
    """What a call of the SDK may raise, and others beside."""
    docker = sdk()
    import requests

    return (docker.errors.DockerException, requests.exceptions.RequestException, *others)


def _tls(docker: Any) -> dict[str, Any]:
    kwargs = docker.utils.kwargs_from_env()
    return {"tls": kwargs["tls"]} if "tls" in kwargs else {}


def no_engine(address: EngineAddress, reason: str) -> str:
    return describe(f"No container engine answers at {address.url} ({address.origin})", got=reason, hint=HOW_TO_GET_ONE)


_NO_INIT = r"container-init|catatonit|docker-init"

_CAUSES: tuple[tuple[str, str], ...] = (
    (_NO_INIT, 'the engine has no init: install catatonit, or give extra={"init": false}.'),
    (r"port is already allocated|address already in use",
     "the port is taken: leave it to the library, or stop its holder."),
    (r"could not select device driver|nvidia-container|cdi device|unresolvable CDI",
     "the engine has no access to GPUs: install the NVIDIA container toolkit."),
    (r"executable file not found|no such file or directory.*(exec|init)|stat .*no such file",
     "the image has no such program: check command."),
    (r"pull access denied|manifest unknown|manifest for .* not found|no such host|https?://\S+/v2/",
     "check the name of the image, or bring it by hand: docker pull, docker load < file.tar."),
    (r"no space left", "the engine's disk is full: docker system df."),
)  # fmt: skip


def lacks_init(text: str) -> bool:
    """Whether an engine's error says that it has no small init to run before the program."""
    return re.search(_NO_INIT, text) is not None


def cause_of(text: str) -> str | None:
    """Return what to do about an engine's error, None when nothing is known."""
    return next((hint for pattern, hint in _CAUSES if re.search(pattern, text, re.IGNORECASE)), None)


def one_line(error: Exception) -> str:
    """Return the engine's own words from an error of the SDK, on one line."""
    return engine_words(str(getattr(error, "explanation", None) or error))


def engine_words(text: str) -> str:
    """Return what an engine says on one line, without what tells nothing."""
    text = re.sub(r"Error response from daemon: ", "", text)
    text = re.sub(r"driver failed programming external connectivity on endpoint \S+( \(\w+\))?: ", "", text)
    return cut(" ".join(text.split()), 600).rstrip(".")
