"""A compose file as compose itself reads it: validated, its variables filled in, and labelled as ours."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from InferenceLibrary.containers.compose_command import ComposeCommand
from InferenceLibrary.deadline import Deadline
from InferenceLibrary.errors import ServerError, describe
from InferenceLibrary.processes.owner import labels
from InferenceLibrary.redaction import Redactor


def read_composition(
    command: ComposeCommand, file: Path, services: Sequence[str], deadline: Deadline, redact: Redactor
) -> dict[str, Any]:
    """Return the file's content.

    Raises:
        ServerError: It is missing, broken, or lacks a service that is asked for.
    """
    if not file.is_file():
        raise ServerError(describe(f"The compose file {file} does not exist", hint="check the path."))
    done = command.run("config", "--format", "json", deadline=deadline, file=file)
    if done.failed:
        raise ServerError(
            describe(
                f"The compose file {file} is broken",
                got=done.reason(redact),
                hint=f"docker compose --file {file} config shows what compose reads.",
            )
        )
    composition: dict[str, Any] = json.loads(done.stdout)
    known = composition.get("services") or {}
    for service in services:
        if service not in known:
            raise ServerError(_no_service(service, known, file))
    if not known:
        raise ServerError(
            describe(
                f"The compose file {file} starts nothing",
                got="no service that is enabled",
                hint="name its profiles by profiles=...",
            )
        )
    return composition


def choose_service(composition: Mapping[str, Any], wanted: str | None, services: Sequence[str], file: Path) -> str:
    """Return the service that calls go to: the one that is asked for, else the only one that publishes a port.

    Raises:
        ServerError: There is none of that name, or more than one that could be meant.
    """
    known = composition["services"]
    if wanted is not None:
        if wanted not in known:
            raise ServerError(_no_service(wanted, known, file))
        return wanted
    candidates = [name for name in (services or known) if _published(known[name])]
    if len(candidates) != 1:
        raise ServerError(
            describe(
                f"Which service of {file} is to be talked to cannot be told",
                expected="one that publishes a port",
                got=", ".join(candidates) or f"none of {', '.join(known)}",
                hint="name it by service=...",
            )
        )
    return candidates[0]


def published_port(composition: Mapping[str, Any], service: str, wanted: int, file: Path) -> int:
    """Return the port inside a service that calls go to: the one that is asked for, else the only published one.

    Raises:
        ServerError: It is not published, or several are.
    """
    published = _published(composition["services"][service])
    if wanted in published:
        return wanted
    if wanted or len(published) != 1:
        raise ServerError(
            describe(
                f"Service '{service}' of {file} cannot be talked to",
                expected=f"port {wanted} to be published" if wanted else "one published port",
                got=", ".join(map(str, published)) or "none",
                hint="publish it under ports:, or name it by port=...",
            )
        )
    return published[0]


def label_everything(composition: dict[str, Any], kept: str = "") -> None:
    """Put our labels on all that compose creates, so that what a dead runner leaves is found.

    Args:
        composition: The project.
        kept: Its name, when it is to outlive the run.
    """
    for kind in ("services", "networks", "volumes"):
        for name, part in (composition.get(kind) or {}).items():
            if part is None:
                composition[kind][name] = {"labels": labels(kept)}
            elif not part.get("external"):
                part["labels"] = {**(part.get("labels") or {}), **labels(kept)}


def _published(service: Mapping[str, Any]) -> list[int]:
    ports = service.get("ports") or []
    return [int(port["target"]) for port in ports if port.get("protocol", "tcp") == "tcp"]


def _no_service(name: str, known: Mapping[str, Any], file: Path) -> str:
    return describe(
        f"The compose file {file} has no service '{name}'",
        expected=f"one of {', '.join(known)}",
        hint="a service under a profile needs profiles=...",
    )
