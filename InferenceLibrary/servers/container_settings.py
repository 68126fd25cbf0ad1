"""What a container is asked to be, checked and put into the words of the docker SDK."""

from __future__ import annotations

import difflib
import os
import re
import textwrap
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from InferenceLibrary.client.limits import Limits
from InferenceLibrary.containers.engine import ContainerEngine, sdk
from InferenceLibrary.containers.images import Pull
from InferenceLibrary.durations import parse_duration
from InferenceLibrary.errors import ServerError, describe
from InferenceLibrary.processes.owner import labels
from InferenceLibrary.processes.ports import LOOPBACK
from InferenceLibrary.servers.checks import Check
from InferenceLibrary.servers.profile import Profile
from InferenceLibrary.servers.sections import Health

_OURS = {
    "command": "command", "detach": None, "environment": "environment", "image": "image", "name": "alias",
    "auto_remove": None, "device_requests": "gpus", "publish_all_ports": "ports", "restart_policy": None,
}  # fmt: skip
"""Options of the SDK that are not for `extra`, and the argument that stands for each."""


@dataclass
class ContainerSettings:
    """What one start asks for, beyond image and profile."""

    command: Sequence[str] = ()
    port: int = 8000
    """The port inside the container on which the server listens."""
    ports: Mapping[str, Any] = field(default_factory=dict)
    """Further published ports: inside to outside; None or 0 takes a free one."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    mounts: Sequence[str] = ()
    """`source:target` or `source:target:ro`, the source a path or the name of a volume."""
    gpus: str | None = None
    health: str | None = None
    """Path asked from outside; the profile's by default."""
    model: str | None = None
    api_key: str | None = field(default=None, repr=False)
    limits: Limits = field(default_factory=Limits)
    timeout: float | None = None
    wait_for: str | None = None
    """The stage with which the start ends; the profile says it by default."""
    checks: Sequence[Check] = ()
    """Checks of readiness of a user's own."""
    keep: bool = False
    """Whether it is to outlive its run."""
    pull: Pull = "missing"
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Further options of the docker SDK's `containers.create`."""

    @property
    def inside(self) -> str:
        return f"{self.port}/tcp"

    def budget(self, profile: Profile) -> float:
        """Seconds for the whole start."""
        return self.timeout or parse_duration(profile.ready.timeout)

    def readiness_of(self, profile: Profile) -> Profile:
        """Return the profile with this start's health path."""
        if self.health is None:
            return profile
        import msgspec

        if not self.health.startswith("/"):
            raise ServerError(
                describe("The health path is wrong", expected="a path such as /health", got=f"'{self.health}'")
            )
        ready = msgspec.structs.replace(profile.ready, health=Health(path=self.health))
        return msgspec.structs.replace(profile, ready=ready)

    def create_options(self, engine: ContainerEngine, name: str) -> dict[str, Any]:
        """Return the arguments of the SDK's `containers.create`.

        Raises:
            ServerError: A port, mount, GPU or extra option is wrong.
        """
        extra = self._extra()
        own = f"inference-{_word(name)}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        return {
            "init": True,
            **extra,
            "name": own,
            "labels": {**_texts(extra.get("labels") or {}), **labels(own if self.keep else "")},
            "environment": dict(self.environment),
            "ports": self._ports(engine),
            "volumes": [_mount(text) for text in self.mounts],
            "device_requests": self._gpus(engine),
        }

    def _ports(self, engine: ContainerEngine) -> dict[str, tuple[str, int | None]]:
        # An engine on another machine is reached there; one here publishes to this machine alone.
        address = LOOPBACK if engine.address.is_local else "0.0.0.0"
        wanted: dict[str, tuple[str, int | None]] = {self._port(self.port): (address, None)}
        for inside, outside in self.ports.items():
            wanted[self._port(inside)] = (address, _number(outside, inside) or None)
        return wanted

    @staticmethod
    def _port(inside: Any) -> str:
        found = re.fullmatch(r"(\d{1,5})(?:/(tcp|udp))?", str(inside).strip())
        if found is None or not 0 < int(found[1]) < 65536:
            raise ServerError(
                describe(
                    "A port of the container is wrong", expected="a number such as 8000 or 53/udp", got=f"'{inside}'"
                )
            )
        return f"{found[1]}/{found[2] or 'tcp'}"

    def _gpus(self, engine: ContainerEngine) -> list[Any] | None:
        if self.gpus is None or self.gpus.strip().lower() in {"", "0", "none"}:
            return None
        request = sdk().types.DeviceRequest
        text = self.gpus.strip().removeprefix("device=")
        if not re.fullmatch(r"all|[A-Za-z0-9][\w.-]*(,[A-Za-z0-9][\w.-]*)*", text):
            raise ServerError(describe("gpus is wrong", expected="all, a count, or device=0,1", got=f"'{self.gpus}'"))
        by_device = self.gpus.strip().startswith("device=") or not re.fullmatch(r"all|\d+", text)
        if engine.podman:
            names = text.split(",") if by_device else ["all"] if text == "all" else map(str, range(int(text)))
            return [request(driver="cdi", device_ids=[f"nvidia.com/gpu={name}" for name in names])]
        if by_device:
            return [request(device_ids=text.split(","), capabilities=[["gpu"]])]
        return [request(count=-1 if text == "all" else int(text), capabilities=[["gpu"]])]

    def _extra(self) -> dict[str, Any]:
        from docker.models.containers import RUN_CREATE_KWARGS, RUN_HOST_CONFIG_KWARGS

        allowed = sorted({*RUN_CREATE_KWARGS, *RUN_HOST_CONFIG_KWARGS, "network"} - set(_OURS) | {"labels"})
        for key in self.extra:
            if key in allowed:
                continue
            instead = _OURS.get(key)
            close = difflib.get_close_matches(key, allowed, n=1)
            hint = f"use the argument {instead}." if instead else f"did you mean '{close[0]}'?" if close else None
            raise ServerError(
                describe(
                    f"extra: '{key}' is not an option here",
                    expected="an option of the docker SDK's containers.create, such as shm_size",
                    hint=hint,
                    detail=("Allowed", textwrap.wrap(", ".join(allowed), 110)),
                )
            )
        return dict(self.extra)


def _number(outside: Any, inside: str) -> int:
    text = "0" if outside is None else str(outside).strip()
    if not re.fullmatch(r"\d{1,5}", text) or int(text) > 65535:
        raise ServerError(
            describe(
                f"The outside port for {inside} is wrong",
                expected="a number from 1 to 65535, or null",
                got=f"'{outside}'",
            )
        )
    return int(text)


def _mount(text: str) -> str:
    source, colon, rest = text.partition(":")
    target, _, mode = rest.partition(":")
    if not colon or not source or not target.startswith("/") or mode not in {"", "ro", "rw", "z", "Z", "ro,z", "ro,Z"}:
        raise ServerError(describe("A mount is wrong", expected="source:/target or source:/target:ro", got=f"'{text}'"))
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", source):
        path = Path(source).expanduser().absolute()
        if not path.exists():
            # The engine would make an empty folder there, owned by root.
            raise ServerError(describe(f"The source of mount '{text}' does not exist", got=f"no file or folder {path}"))
        source = str(path)
    return f"{source}:{target}:{mode or 'rw'}"


def _word(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:30] or "server"


def _texts(found: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in found.items()}
